"""Softmax regression: ``sum(logsumexp(X W)) - sum(Y * X W) + |W|^2 / (2 C)``.

Its Hessian is ``A' D A`` with one block of classes by classes per sample, plus ``I / C``: the data
and those blocks are all that is stored, and ``method="newton-conjugate-gradient"`` with
``products="structured"`` solves with nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

import autodiff as ad


def loss(W: Any, X: Any, Y: Any, C: Any) -> Any:
    """The penalised negative log-likelihood of one-hot labels."""
    scores = X @ W
    fitted = np.sum(np.log(np.sum(np.exp(scores), axis=1))) - np.sum(Y * scores)
    return fitted + np.sum(W**2) / (2 * C)


def fit(X: Any, labels: Any, C: float = 1.0, method: str = "newton", **options: Any) -> Any:
    """The matrix ``W`` of features by classes, without intercepts."""
    Y = np.eye(int(labels.max()) + 1)[labels]
    start = np.zeros((X.shape[1], Y.shape[1]))
    return ad.objective(loss, start, X, Y, float(C)).minimize(method, **options)


def reference(X: Any, labels: Any, C: float = 1.0, solver: str = "lbfgs", tol: float = 1e-8) -> Any:
    """The same matrix by scikit-learn."""
    model = LogisticRegression(C=C, solver=solver, tol=tol, max_iter=10_000, fit_intercept=False)
    return model.fit(X, labels).coef_.T
