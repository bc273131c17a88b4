"""First-order methods for whole objectives: gradient descent, momentum, Nesterov.

They are here for comparison; training of networks has its own optimizers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..objectives import Objective
from ..result import Result
from .iteration import ROUNDING, Point, Stopped, iterate, method, point_at
from .line_search import LineSearch, line_search_of, moved


@method("gradient-descent", "steepest-descent")
def gradient_descent(
    problem: Objective,
    *,
    line_search: str | float | LineSearch | None = "armijo",
    gtol: float = 1e-6,
    maxiter: int = 10000,
    callback: Callable[[Any], Any] | None = None,
    progress: bool = False,
) -> Result:
    """Steps ``-t g``; the search starts at twice the last step, a number is a fixed ``t``.

    >>> import numpy as np, autodiff as ad
    >>> def rosenbrock(x):
    ...     return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    >>> found = ad.objective(rosenbrock, np.array([-1.2, 1.0])).minimize("gradient-descent")
    >>> found.x.round(3)
    array([1., 1.])
    """
    search = line_search_of(line_search)

    def steps() -> Iterator[Point]:
        point = point_at(problem, problem.x0)
        first = 1 / max(point.norm, 1e-300)
        while True:
            yield point
            t = search(problem, point, -point.gradient, first)
            first = 2 * t
            point = point_at(problem, moved(point, -point.gradient, t))

    return iterate(
        problem,
        steps(),
        "gradient-descent",
        gtol=gtol,
        maxiter=maxiter,
        callback=callback,
        progress=progress,
    )


@method("momentum")
def momentum(
    problem: Objective,
    *,
    learning_rate: float,
    momentum: float = 0.9,
    gtol: float = 1e-6,
    maxiter: int = 10000,
    callback: Callable[[Any], Any] | None = None,
    progress: bool = False,
) -> Result:
    """``v = momentum v - learning_rate g(x)``, ``x = x + v``. Source: Polyak (1964).

    >>> import numpy as np, autodiff as ad
    >>> problem = ad.objective(lambda x: np.sum((x - 1) ** 2), np.zeros(3))
    >>> found = problem.minimize("momentum", learning_rate=0.1)
    >>> found.x.round(3)
    array([1., 1., 1.])
    """

    def steps() -> Iterator[Point]:
        point = point_at(problem, problem.x0)
        velocity = np.zeros_like(point.x)
        while True:
            yield point
            velocity = momentum * velocity - learning_rate * point.gradient
            point = point_at(problem, point.x + velocity)

    return iterate(
        problem,
        steps(),
        "momentum",
        gtol=gtol,
        maxiter=maxiter,
        callback=callback,
        progress=progress,
    )


@method("nesterov")
def nesterov(
    problem: Objective,
    *,
    learning_rate: float | None = None,
    gtol: float = 1e-6,
    maxiter: int = 10000,
    callback: Callable[[Any], Any] | None = None,
    progress: bool = False,
) -> Result:
    """Gradient steps from points extrapolated by ``k / (k + 3)``, restarted where values rise.

    Without a learning rate the step is halved until ``f(y - t g) <= f(y) - t |g|^2 / 2``. Source:
    Nesterov (1983); the restart: O'Donoghue, Candes, *Adaptive restart* (2015).

    >>> import numpy as np, autodiff as ad
    >>> found = ad.objective(lambda x: np.sum((x - 1) ** 2), np.zeros(3)).minimize("nesterov")
    >>> found.x.round(3)
    array([1., 1., 1.])
    """

    def steps() -> Iterator[Point]:
        point = point_at(problem, problem.x0)
        older, k = point.x, 0
        t = learning_rate or 1 / max(point.norm, 1e-300)
        while True:
            yield point
            ahead = point_at(problem, point.x + k / (k + 3) * (point.x - older))
            if learning_rate is None:
                t = _majorised(problem, ahead, 2 * t)
            new = point_at(problem, ahead.x - t * ahead.gradient)
            if np.array_equal(new.x, point.x):
                raise Stopped("the step is below the rounding of the parameters")
            k = 0 if new.value > point.value else k + 1
            older, point = point.x, new

    return iterate(
        problem,
        steps(),
        "nesterov",
        gtol=gtol,
        maxiter=maxiter,
        callback=callback,
        progress=progress,
    )


def _majorised(problem: Objective, point: Point, t: float) -> float:
    """The first of ``t, t/2, ...`` for which ``1/t`` bounds the curvature along the gradient."""
    squared = point.norm**2
    allowance = ROUNDING * abs(point.value)
    while t > 1e-300:
        value = problem.value(point.x - t * point.gradient)
        if value <= point.value - t * squared / 2 + allowance:
            return t
        t /= 2
    raise Stopped("no step along the gradient decreases the value")


__all__ = ["gradient_descent", "momentum", "nesterov"]
