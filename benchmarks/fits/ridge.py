"""Ridge regression: ``|X w + b - y|^2 + alpha |w|^2``; one Newton step solves it."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import Ridge

import autodiff as ad


def loss(params: Any, X: Any, y: Any, alpha: Any) -> Any:
    """Squared residuals and squared weights; the intercept is free."""
    residual = X @ params["w"] + params["b"] - y
    return np.sum(residual**2) + alpha * np.sum(params["w"] ** 2)


def fit(X: Any, y: Any, alpha: float = 1.0, method: str = "newton", **options: Any) -> Any:
    """``{"w", "b"}``."""
    start = {"w": np.zeros(X.shape[1]), "b": 0.0}
    return ad.objective(loss, start, X, y, float(alpha)).minimize(method, **options)


def reference(X: Any, y: Any, alpha: float = 1.0) -> dict[str, Any]:
    """The same parameters by scikit-learn."""
    model = Ridge(alpha=alpha, solver="cholesky").fit(X, y)
    return {"w": model.coef_, "b": model.intercept_}
