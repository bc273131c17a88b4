"""Elastic net by proximal Newton.

``|X w + b - y|^2 / (2 m) + alpha (1 - ratio) |w|^2 / 2 + alpha ratio |w|_1``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import ElasticNet

import autodiff as ad


def smooth(params: Any, X: Any, y: Any, weight: Any) -> Any:
    """The loss without the l1 penalty."""
    residual = X @ params["w"] + params["b"] - y
    return np.mean(residual**2) / 2 + weight * np.sum(params["w"] ** 2) / 2


def fit(X: Any, y: Any, alpha: float = 1.0, ratio: float = 0.5, **options: Any) -> Any:
    """``{"w", "b"}`` with zeros that are exact."""
    n = X.shape[1]
    problem = ad.objective(smooth, {"w": np.zeros(n), "b": 0.0}, X, y, float(alpha * (1 - ratio)))
    l1 = {"w": np.full(n, alpha * ratio), "b": 0.0}
    return problem.minimize("proximal-newton", l1=l1, **options)


def reference(X: Any, y: Any, alpha: float = 1.0, ratio: float = 0.5) -> dict[str, Any]:
    """The same parameters by scikit-learn's coordinate descent."""
    model = ElasticNet(alpha=alpha, l1_ratio=ratio, tol=1e-14, max_iter=1_000_000).fit(X, y)
    return {"w": model.coef_, "b": model.intercept_}
