"""L2-SVM: ``|w|^2 / 2 + C sum(max(0, 1 - y X w)^2)``, whose Hessian jumps but exists a.e.

Source: Keerthi, DeCoste, *A modified finite Newton method for fast solution of large scale linear
SVMs* (2005).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.svm import LinearSVC

import autodiff as ad


def loss(w: Any, X: Any, y: Any, C: Any) -> Any:
    """The primal objective without an intercept."""
    slack = np.maximum(0, 1 - y * (X @ w))
    return np.sum(w**2) / 2 + C * np.sum(slack**2)


def fit(X: Any, y: Any, C: float = 1.0, method: str = "newton", **options: Any) -> Any:
    """The weights for labels -1 and 1."""
    return ad.objective(loss, np.zeros(X.shape[1]), X, y, float(C)).minimize(method, **options)


def reference(X: Any, y: Any, C: float = 1.0) -> Any:
    """The same weights by liblinear."""
    model = LinearSVC(C=C, dual=False, fit_intercept=False, tol=1e-10, max_iter=100_000)
    return model.fit(X, y).coef_[0]
