"""Huber regression with its scale: ``sum(s + h(r / s) s) + alpha |w|^2``, ``s = exp(log_scale)``.

``h`` is the square up to ``epsilon`` and linear beyond. Source: Owen, *A robust hybrid of lasso and
ridge regression* (2007).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import HuberRegressor

import autodiff as ad


def loss(params: Any, X: Any, y: Any, alpha: Any, epsilon: Any) -> Any:
    """The penalised loss, jointly convex in weights and scale."""
    scale = np.exp(params["log_scale"])
    r = (X @ params["w"] + params["b"] - y) / scale
    size = np.abs(r)
    h = np.where(size < epsilon, r**2, 2 * epsilon * size - epsilon**2)
    return np.sum(scale + h * scale) + alpha * np.sum(params["w"] ** 2)


def fit(
    X: Any,
    y: Any,
    alpha: float = 1e-4,
    epsilon: float = 1.35,
    method: str = "newton",
    **options: Any,
) -> Any:
    """``{"w", "b", "log_scale"}``."""
    start = {
        "w": np.zeros(X.shape[1]),
        "b": float(np.median(y)),
        "log_scale": float(np.log(np.std(y))),
    }
    problem = ad.objective(loss, start, X, y, float(alpha), float(epsilon))
    return problem.minimize(method, **options)


def reference(X: Any, y: Any, alpha: float = 1e-4, epsilon: float = 1.35) -> dict[str, Any]:
    """The same parameters by scikit-learn."""
    model = HuberRegressor(alpha=alpha, epsilon=epsilon, tol=1e-10, max_iter=10_000).fit(X, y)
    return {"w": model.coef_, "b": model.intercept_, "log_scale": np.log(model.scale_)}
