"""Least squares under constraints by SciPy's methods, whose Jacobians are derived.

``isotonic``: ``mean((w - y)^2)`` with ``w[i] <= w[i + 1]``, by SLSQP or trust-constr.
``bounded_norm``: ``mean((X w - y)^2)`` with ``|w|^2 <= bound``, which is not linear; its
solution is that of ridge regression with the multiplier as penalty.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import NonlinearConstraint
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import Ridge

import autodiff as ad

#: Stopping rules of SciPy's two methods.
TIGHT: dict[str, dict[str, Any]] = {
    "SLSQP": {"tol": 1e-10, "maxiter": 1000},
    "trust-constr": {"gtol": 1e-10, "xtol": 1e-12, "maxiter": 2000},
}


def isotonic(y: Any, method: str = "SLSQP") -> Any:
    """The nearest increasing sequence."""
    increasing = {"type": "ineq", "fun": np.diff}
    if method == "trust-constr":
        increasing = NonlinearConstraint(np.diff, 0, np.inf)
    problem = ad.objective(lambda w, y: np.mean((w - y) ** 2), np.sort(y), y)
    return problem.minimize(method, constraints=increasing, **TIGHT[method])


def isotonic_reference(y: Any) -> Any:
    """The same by pooling of neighbours that violate the order."""
    return IsotonicRegression().fit_transform(np.arange(len(y)), y)


def bounded_norm(X: Any, y: Any, bound: float, method: str = "trust-constr") -> Any:
    """Weights of bounded length."""
    inside: Any = {"type": "ineq", "fun": lambda w: bound - np.sum(w**2)}
    if method == "trust-constr":
        inside = NonlinearConstraint(lambda w: np.sum(w**2), -np.inf, bound)
    loss = ad.objective(lambda w, X, y: np.mean((X @ w - y) ** 2), np.zeros(X.shape[1]), X, y)
    return loss.minimize(method, constraints=inside, **TIGHT[method])


def bounded_norm_reference(X: Any, y: Any, alpha: float) -> Any:
    """Ridge regression: the solution for the bound that its own weights attain."""
    return Ridge(alpha=alpha, fit_intercept=False, solver="cholesky").fit(X, y).coef_
