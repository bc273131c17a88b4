"""Nonlinear conjugate gradients.

Source: Hager, Zhang, *A survey of nonlinear conjugate gradient methods* (2006).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ..objectives import Objective
from ..result import Result
from .iteration import Point, iterate, method, point_at
from .line_search import moved, wolfe


def fletcher_reeves(g: Any, old: Any, d: Any) -> float:
    """``g.g / g_old.g_old`` (1964)."""
    return float(g @ g / (old @ old))


def polak_ribiere(g: Any, old: Any, d: Any) -> float:
    """``max(0, g.(g - g_old) / g_old.g_old)``: Polak-Ribiere+, which restarts where it is 0."""
    return max(0.0, float(g @ (g - old) / (old @ old)))


def hager_zhang(g: Any, old: Any, d: Any) -> float:
    """``(y - 2 d y.y / d.y).g / d.y`` with ``y = g - g_old``, bounded from below (2005)."""
    y = g - old
    denominator = d @ y
    if denominator == 0:
        return 0.0
    beta = float((y - 2 * d * (y @ y) / denominator) @ g / denominator)
    bound = -1 / (np.linalg.norm(d) * min(0.01, float(np.linalg.norm(old))))
    return max(beta, float(bound))


#: The coefficient of the last direction, by name.
BETAS: dict[str, Callable[[Any, Any, Any], float]] = {
    "fletcher-reeves": fletcher_reeves,
    "polak-ribiere": polak_ribiere,
    "hager-zhang": hager_zhang,
}


@method("nonlinear-conjugate-gradient", "conjugate-gradient")
def nonlinear_conjugate_gradient(
    problem: Objective,
    *,
    beta: str = "hager-zhang",
    gtol: float = 1e-6,
    maxiter: int = 10000,
    callback: Callable[[Any], Any] | None = None,
    progress: bool = False,
) -> Result:
    """Directions ``-g + beta d``, steps by the strong Wolfe conditions.

    ``beta`` is a name of :data:`BETAS`. A direction that does not descend starts anew from ``-g``.
    Raises ValueError for another name.

    >>> import numpy as np, autodiff as ad
    >>> def rosenbrock(x):
    ...     return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    >>> problem = ad.objective(rosenbrock, np.array([-1.2, 1.0]))
    >>> found = problem.minimize("nonlinear-conjugate-gradient")
    >>> found.x.round(3)
    array([1., 1.])
    """
    if beta not in BETAS:
        raise ValueError(f"beta={beta!r} is none of {', '.join(BETAS)}")
    search = partial(wolfe, curvature=0.1)

    def steps() -> Iterator[Point]:
        point = point_at(problem, problem.x0)
        direction, first = -point.gradient, 1 / max(point.norm, 1e-300)
        while True:
            yield point
            slope = point.gradient @ direction
            t = search(problem, point, direction, first)
            new = point_at(problem, moved(point, direction, t))
            direction = (
                -new.gradient + BETAS[beta](new.gradient, point.gradient, direction) * direction
            )
            if not new.gradient @ direction < 0:
                direction = -new.gradient
            first = min(1e10, t * slope / (new.gradient @ direction))
            point = new

    return iterate(
        problem,
        steps(),
        f"conjugate-gradient ({beta})",
        gtol=gtol,
        maxiter=maxiter,
        callback=callback,
        progress=progress,
    )


__all__ = ["nonlinear_conjugate_gradient"]
