"""Natural gradient: steps by the exact Fisher information of exponential families.

The function returns a pair ``(eta, y)``: natural parameters, computed from the parameters by any
differentiable code, and observed sufficient statistics. The loss is the negative log-likelihood
``A(eta) - sum(eta * y)``; its Fisher information ``J' A''(eta) J`` is an expression like any other.

Source: Amari, *Natural gradient works efficiently in learning* (1998); Martens, *New insights
and perspectives on the natural gradient method* (2020), section 9: for natural parameters it is the
generalised Gauss-Newton matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..objectives import Objective
from ..result import Result
from .iteration import method
from .line_search import LineSearch
from .newton import newton


def gaussian(eta: Any) -> Any:
    """``sum(eta^2) / 2``: unit variance, ``eta`` the mean."""
    return np.sum(eta**2) / 2


def bernoulli(eta: Any) -> Any:
    """``sum(log(1 + exp(eta)))``: ``eta`` the log-odds."""
    return np.sum(np.log1p(np.exp(eta)))


def poisson(eta: Any) -> Any:
    """``sum(exp(eta))``: ``eta`` the logarithm of the rate."""
    return np.sum(np.exp(eta))


def categorical(eta: Any) -> Any:
    """``sum(logsumexp(eta))`` over the last axis: ``eta`` the scores, ``y`` one-hot."""
    return np.sum(np.log(np.sum(np.exp(eta), axis=-1)))


def exponential(eta: Any) -> Any:
    """``-sum(log(-eta))``: ``-eta`` the rate."""
    return -np.sum(np.log(-eta))


#: Log-partition functions ``A`` by the name of the family.
FAMILIES: dict[str, Callable[[Any], Any]] = {
    "gaussian": gaussian,
    "bernoulli": bernoulli,
    "poisson": poisson,
    "categorical": categorical,
    "exponential": exponential,
}


@method("natural-gradient", "fisher-scoring")
def natural_gradient(
    problem: Objective,
    *,
    family: str | Callable[[Any], Any],
    line_search: str | float | LineSearch | None = "armijo",
    damping: float = 0.0,
    gtol: float = 1e-8,
    maxiter: int = 200,
    callback: Callable[[Any], Any] | None = None,
    progress: bool = False,
) -> Result:
    """Steps ``-inv(F + damping I) g`` with the Fisher information ``F`` of the family.

    ``family`` is a name of :data:`FAMILIES` or a log-partition function ``A(eta)`` in NumPy code.
    With the full step this is Fisher scoring.

    >>> import numpy as np, autodiff as ad
    >>> X, y = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), np.array([1.0, 2.0, 4.0])
    >>> problem = ad.objective(lambda w: (X @ w, y), np.zeros(2))
    >>> found = problem.minimize("natural-gradient", family="poisson")
    >>> np.exp(X @ found.x).round(3)
    array([1., 2., 4.])

    Raises ValueError for another name.
    """
    if not callable(family) and family not in FAMILIES:
        raise ValueError(f"family={family!r} is none of {', '.join(FAMILIES)}, nor a function")
    log_partition = family if callable(family) else FAMILIES[family]
    result = newton(
        problem.likelihood(log_partition),
        line_search=line_search,
        damping=damping,
        gtol=gtol,
        maxiter=maxiter,
        callback=callback,
        progress=progress,
    )
    result.method = "natural-gradient"
    return result


__all__ = ["FAMILIES", "natural_gradient"]
