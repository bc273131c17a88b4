"""Poisson regression: ``mean(exp(eta) - y eta) + alpha |w|^2 / 2`` with ``eta = X w + b``."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import PoissonRegressor

import autodiff as ad


def loss(params: Any, X: Any, y: Any, alpha: Any) -> Any:
    """The penalised negative log-likelihood per sample."""
    eta = X @ params["w"] + params["b"]
    return np.mean(np.exp(eta) - y * eta) + alpha * np.sum(params["w"] ** 2) / 2


def natural(params: Any, X: Any, y: Any) -> Any:
    """Natural parameters and observations, for Fisher scoring without a penalty."""
    return X @ params["w"] + params["b"], y


def start(X: Any, y: Any) -> Any:
    """No effects, and the rate of the mean."""
    return {"w": np.zeros(X.shape[1]), "b": float(np.log(np.mean(y)))}


def fit(X: Any, y: Any, alpha: float = 1.0, method: str = "newton", **options: Any) -> Any:
    """``{"w", "b"}`` for counts ``y``."""
    return ad.objective(loss, start(X, y), X, y, float(alpha)).minimize(method, **options)


def reference(X: Any, y: Any, alpha: float = 1.0) -> dict[str, Any]:
    """The same parameters by scikit-learn."""
    model = PoissonRegressor(alpha=alpha, solver="newton-cholesky", tol=1e-12).fit(X, y)
    return {"w": model.coef_, "b": model.intercept_}
