"""Line searches: Armijo backtracking, strong Wolfe, or a fixed step.

Source: Nocedal, Wright, *Numerical Optimization*, chapter 3; the allowance for rounding near a
minimum is the idea of Hager, Zhang, *A new conjugate gradient method* (2005).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize._linesearch import scalar_search_wolfe2

from ..objectives import Objective
from .iteration import ROUNDING, Point, Stopped

#: A step length, from where, along what, and a first guess.
LineSearch = Callable[[Objective, Point, Any, float], float]

#: Halvings after which a direction is given up.
HALVINGS = 60
#: Where the decrease that the slope promises is less than this part of the value, sums with
#: cancellation in them cannot show it, and the gradient decides.
UNSEEN = 1e-9


def armijo(
    problem: Objective, point: Point, direction: Any, first: float = 1.0, sufficient: float = 1e-4
) -> float:
    """The first of ``first, first/2, ...`` with ``f(x + t d) <= f(x) + sufficient * t * g.d``.

    Where that decrease is less than the rounding of the value, the value may stay as it is: within
    rounding of a minimum no comparison of values can show descent. A step whose promised decrease
    is that small is taken as well if it makes the gradient smaller.

    Raises Stopped if no step length does it.
    """
    slope = float(point.gradient @ direction)
    if not slope < 0:
        raise Stopped("the direction is not one of descent")
    allowance = ROUNDING * abs(point.value)
    t = first
    if -t * slope <= UNSEEN * abs(point.value):
        if np.linalg.norm(problem.jac(point.x + t * direction)) < point.norm:
            return t
    for _ in range(HALVINGS):
        value = problem.value(point.x + t * direction)
        if value <= point.value + sufficient * t * slope + allowance:
            return t
        t /= 2
    raise Stopped("the line search found no decrease: the value is at its rounding error")


def wolfe(
    problem: Objective,
    point: Point,
    direction: Any,
    first: float = 1.0,
    sufficient: float = 1e-4,
    curvature: float = 0.9,
) -> float:
    """A step with sufficient decrease and ``|g(x + t d).d| <= curvature * |g(x).d|``.

    SciPy's search from ``first``, then from the Armijo step, which has the right scale; where it
    finds none, which happens within rounding of a minimum, the Armijo step itself.

    Raises Stopped if there is none either.
    """
    slope = float(point.gradient @ direction)
    if not slope < 0:
        raise Stopped("the direction is not one of descent")

    def value(t: float) -> float:
        return problem.fun(point.x + t * direction)

    def derivative(t: float) -> float:
        return float(problem.jac(point.x + t * direction) @ direction)

    def search(start: float) -> float | None:
        # SciPy starts at min(1, 1.01 * 2 (f - f_old) / slope): an f_old that makes it `start`.
        older = point.value - start * slope / 2.02
        found: float | None = scalar_search_wolfe2(
            value, derivative, point.value, older, slope, c1=sufficient, c2=curvature, maxiter=30
        )[0]
        return found

    t = search(first)
    if t is None:
        shorter = armijo(problem, point, direction, first, sufficient)
        t = search(shorter) or shorter
    return float(t)


def fixed(length: float) -> LineSearch:
    """The step ``length``, whatever comes of it."""

    def step(problem: Objective, point: Point, direction: Any, first: float = 1.0) -> float:
        return length

    return step


def line_search_of(choice: str | float | LineSearch | None) -> LineSearch:
    """``"armijo"``, ``"wolfe"``, a number for a fixed step, None for the full step, or a function.

    Raises ValueError for another name.
    """
    if callable(choice):
        return choice
    if choice is None or isinstance(choice, (int, float)):
        return fixed(1.0 if choice is None else float(choice))
    searches: dict[str, LineSearch] = {"armijo": armijo, "wolfe": wolfe}
    if choice not in searches:
        raise ValueError(f"line_search={choice!r} is none of 'armijo', 'wolfe', a number, None")
    return searches[choice]


def moved(point: Point, direction: Any, t: float) -> Any:
    """``x + t d``. Raises Stopped if that is ``x`` in floating point."""
    x = point.x + t * direction
    if np.array_equal(x, point.x):
        raise Stopped("the step is below the rounding of the parameters")
    return x


__all__ = ["LineSearch", "armijo", "fixed", "line_search_of", "moved", "wolfe"]
