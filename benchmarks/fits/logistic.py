"""Logistic regression: ``sum(log(1 + exp(-y (X w + b)))) + |w|^2 / (2 C)``."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

import autodiff as ad


def loss(params: Any, X: Any, y: Any, C: Any) -> Any:
    """The penalised negative log-likelihood; the intercept is free."""
    margin = y * (X @ params["w"] + params["b"])
    return np.sum(np.log1p(np.exp(-margin))) + np.sum(params["w"] ** 2) / (2 * C)


def fit(X: Any, y: Any, C: float = 1.0, method: str = "newton", **options: Any) -> Any:
    """``{"w", "b"}`` for labels -1 and 1."""
    start = {"w": np.zeros(X.shape[1]), "b": 0.0}
    return ad.objective(loss, start, X, y, float(C)).minimize(method, **options)


def reference(X: Any, y: Any, C: float = 1.0) -> dict[str, Any]:
    """The same parameters by scikit-learn."""
    model = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-12, max_iter=100).fit(X, y)
    return {"w": model.coef_[0], "b": model.intercept_[0]}
