"""Proximal Newton: smooth objectives plus an l1 penalty, within a box.

Source: Lee, Sun, Saunders, *Proximal Newton-type methods for minimizing composite functions*
(2014); Beck, Teboulle, *A fast iterative shrinkage-thresholding algorithm* (2009).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..objectives import Objective
from ..result import Result
from ..structured import NotPositiveDefinite, StructuredOperator
from .bounds import Box, box_of, reduced_solution
from .iteration import ROUNDING, Point, Stopped, iterate, local_point, method
from .line_search import HALVINGS

#: Iterations for the quadratic subproblem.
INNER = 500


class Penalty(NamedTuple):
    """``sum(weights * |x|)`` within a box."""

    weights: Any
    box: Box

    def value(self, x: Any) -> float:
        """The penalty of a point of the box."""
        return float(self.weights @ np.abs(x))

    def prox(self, x: Any, t: Any) -> Any:
        """``argmin |z - x|^2 / (2 t) + penalty(z)``: soft thresholding, then projection."""
        shrunk = np.sign(x) * np.maximum(np.abs(x) - t * self.weights, 0.0)
        return self.box.projected(shrunk)

    def residual(self, x: Any, gradient: Any) -> Any:
        """``x - prox(x - gradient)``: zero exactly at a solution."""
        return x - self.prox(x - gradient, 1.0)


@method("proximal-newton")
def proximal_newton(
    problem: Objective,
    *,
    l1: Any = 0.0,
    bounds: Any = None,
    gtol: float = 1e-8,
    maxiter: int = 200,
    callback: Callable[[Any], Any] | None = None,
    progress: bool = False,
) -> Result:
    """Minimise ``f(x) + sum(l1 |x|)`` within ``bounds = (lower, upper)``.

    Every step minimises the quadratic model of ``f`` plus the penalty, with the Hessian as a
    structured operator, and is searched by backtracking. ``l1`` and the bounds are numbers or
    nested as the parameters (0 for those without a penalty). The value of the result includes the
    penalty; it ends when ``|x - prox(x - g)|`` is at most ``gtol``.

    >>> import numpy as np, autodiff as ad
    >>> def rosenbrock(x):
    ...     return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    >>> found = ad.objective(rosenbrock, np.array([-1.2, 1.0])).minimize("proximal-newton")
    >>> found.x.round(3)
    array([1., 1.])

    Raises ValueError for a penalty that is negative or does not fit the parameters.
    """
    plain = isinstance(l1, (int, float))
    weights = np.full(len(problem.x0), float(l1)) if plain else problem.vector(l1)
    if weights.shape != problem.x0.shape or not (weights >= 0).all():
        raise ValueError(
            f"l1={l1!r}: pass a number that is not negative, or such numbers nested as the "
            f"parameters, which have {problem.x0.size} entries"
        )
    penalty = Penalty(weights, box_of(problem, bounds))

    def with_penalty(point: Point) -> Point:
        return point._replace(value=point.value + penalty.value(point.x))

    def steps() -> Iterator[Point]:
        point = with_penalty(local_point(problem, penalty.box.projected(problem.x0)))
        while True:
            yield point
            operator = problem.operator(point.x)
            size = float(np.linalg.norm(penalty.residual(point.x, point.gradient)))
            target = _model_minimum(operator, point, penalty, min(0.1, size) * size * 0.1)
            x = _searched(problem, penalty, point, target - point.x)
            point = with_penalty(local_point(problem, x))

    return iterate(
        problem,
        steps(),
        "proximal-newton",
        gtol=gtol,
        maxiter=maxiter,
        callback=callback,
        progress=progress,
        measure=lambda p: float(np.linalg.norm(penalty.residual(p.x, p.gradient))),
    )


def _searched(problem: Objective, penalty: Penalty, point: Point, step: Any) -> Any:
    """Backtracking on the value with its penalty."""
    change = penalty.value(point.x + step) - penalty.value(point.x)
    decrease = float(point.gradient @ step) + change
    allowance = ROUNDING * abs(point.value)
    t = 1.0
    for _ in range(HALVINGS):
        x = point.x + t * step
        if problem.value(x) + penalty.value(x) <= point.value + 1e-4 * t * decrease + allowance:
            if np.array_equal(x, point.x):
                break
            return x
        t /= 2
    raise Stopped("the line search found no decrease: the value is at its rounding error")


def _model_minimum(
    operator: StructuredOperator, point: Point, penalty: Penalty, tolerance: float
) -> Any:
    """The minimiser of ``g.(z - x) + (z - x).H (z - x) / 2 + penalty(z)``.

    Proximal gradient steps find which parameters are zero or at a bound; a solve in the others,
    cut where a parameter would change its sign, does the rest. A Hessian that is not positive
    semidefinite is shifted to be so.
    """
    x, shift = point.x, 0.0
    largest = float(operator.eigsh(1, "LA")[0][0])
    smallest = operator.smallest_eigenvalue()
    if smallest <= 0:
        shift = 1e-10 * max(largest, 1e-10) - 2 * smallest
    bound = 1.001 * max(largest + shift, 1e-12)

    def slope(z: Any) -> Any:
        return point.gradient + operator @ (z - x) + shift * (z - x)

    def value(z: Any, g: Any) -> float:
        return float((point.gradient + g) @ (z - x)) / 2 + penalty.value(z)

    z, g = x, point.gradient
    for _ in range(INNER):
        z = penalty.prox(z - g / bound, 1 / bound)
        g = slope(z)
        if np.linalg.norm(penalty.residual(z, g)) <= tolerance:
            break
        candidate = _in_free(operator, penalty, z, g, shift)
        slope_there = slope(candidate)
        if value(candidate, slope_there) < value(z, g):
            z, g = candidate, slope_there
            if np.linalg.norm(penalty.residual(z, g)) <= tolerance:
                break
    return z


def _in_free(
    operator: StructuredOperator, penalty: Penalty, z: Any, gradient: Any, shift: float
) -> Any:
    """A Newton step of the model in the parameters that are neither zero nor at a bound."""
    lower, upper = penalty.box
    held = (z <= lower) | (z >= upper) | ((z == 0) & (penalty.weights > 0))
    right = gradient + penalty.weights * np.sign(z)
    try:
        step = -reduced_solution(operator, right, ~held, shift)
    except NotPositiveDefinite:
        return z
    crossed = (np.sign(z + step) != np.sign(z)) & (penalty.weights > 0) & ~held
    return penalty.box.projected(np.where(crossed, 0.0, z + step))


__all__ = ["proximal_newton"]
