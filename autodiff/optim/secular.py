"""Steps ``-inv(H + mu I) g`` whose length is a given function of ``mu``.

The trust region's step has a fixed length where the constraint is active, the cubic model's has
the length ``mu / sigma``: both are one equation in one unknown, solved with one structured
solve per trial and no factorization of anything larger than the cores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import brentq

from ..structured import NotPositiveDefinite, StructuredOperator

#: Relative accuracy of the damping; near a singular matrix the length is far more sensitive.
ACCURACY = 1e-11


def damped_step(
    operator: StructuredOperator, gradient: Any, length: Callable[[float], float]
) -> Any:
    """The step ``s = -inv(H + mu I) g``, ``mu >= 0``, ``H + mu I`` semidefinite, of this length.

    ``length`` is constant or increasing. If the Newton step ``mu = 0`` is definite and no longer
    than ``length(0)``, it is the step. In the hard case, where the gradient has no part along the
    eigenvector of the smallest eigenvalue and every definite step is too short, a multiple of that
    eigenvector makes up the length.

    Source: More, Sorensen, *Computing a trust region step* (1983).
    """
    steps: dict[float, Any] = {}

    def step(mu: float) -> Any:
        if mu not in steps:
            steps[mu] = -operator.solve(gradient, damping=mu)
        return steps[mu]

    def excess(mu: float) -> float:
        """``1/|s(mu)| - 1/length(mu)``: increasing, negative where the step is too long."""
        wanted = length(mu)
        inverse = 1 / max(float(np.linalg.norm(step(mu))), 1e-300)
        return inverse - 1 / wanted if wanted else -np.inf

    try:
        newton = step(0.0)
        if np.linalg.norm(newton) <= length(0.0):
            return newton
        low = 0.0
    except NotPositiveDefinite as error:
        low = _definite_from(step, max(-error.smallest, 0.0), operator)
        if excess(low) >= 0:
            return _hard_case(operator, gradient, step(low), length(low))
    high = max(2 * low, 1e-3 * _scale(operator), float(np.linalg.norm(gradient)) * 1e-6, 1e-12)
    while excess(high) < 0:
        high *= 10
    if not np.isfinite(excess(low)):
        low = _finite_from(excess, high)
    return step(brentq(excess, low, high, rtol=ACCURACY, xtol=1e-300))


def _scale(operator: StructuredOperator) -> float:
    return float(np.abs(operator.diagonal()).max(initial=0.0))


def _definite_from(step: Callable[[float], Any], mu: float, operator: StructuredOperator) -> float:
    """A damping just above the least that makes the matrix definite."""
    margin = 1e-8 * max(mu, _scale(operator), 1e-8)
    while True:
        try:
            step(mu + margin)
            return mu + margin
        except NotPositiveDefinite as error:
            margin = max(10 * margin, -2 * error.smallest)


def _finite_from(excess: Callable[[float], float], high: float) -> float:
    """A positive ``mu`` where a length that vanishes at zero is still too short for the step."""
    low = high
    while excess(low) >= 0 and low > 1e-300:
        low /= 100
    return low


def _hard_case(operator: StructuredOperator, gradient: Any, step: Any, length: float) -> Any:
    """The short step plus what is missing along the eigenvector of the smallest eigenvalue."""
    _, vectors = operator.eigsh(1, "SA")
    direction = vectors[:, 0]
    if direction @ gradient > 0:
        direction = -direction
    along = step @ direction
    missing = max(length**2 - step @ step + along**2, 0.0)
    return step + (np.sqrt(missing) - along) * direction
