"""Trust regions: exact, dogleg and Steihaug steps of one loop.

Source: Nocedal, Wright, *Numerical Optimization*, chapter 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np

from ..objectives import Objective
from ..result import Result
from .iteration import Point, Stopped, iterate, method, point_at
from .newton import gain, newton_solution
from .secular import damped_step
from .truncated_cg import to_boundary, truncated_cg

#: A step within a radius, and the model's product with a vector.
Model = tuple[Callable[[float], Any], Callable[[Any], Any]]


@method("trust-region")
def trust_region(
    problem: Objective,
    *,
    step: Literal["exact", "dogleg", "steihaug"] = "exact",
    radius: float = 1.0,
    max_radius: float = 1e10,
    gtol: float = 1e-8,
    maxiter: int = 500,
    callback: Callable[[Any], Any] | None = None,
    progress: bool = False,
) -> Result:
    """Minimise the quadratic model within a radius that follows how well the model predicts.

    ``"exact"`` solves the model's problem by structured solves; ``"dogleg"`` goes from the Cauchy
    point to the Newton point (of the Hessian shifted to be definite); ``"steihaug"`` needs Hessian
    products only.

    >>> import numpy as np, autodiff as ad
    >>> def rosenbrock(x):
    ...     return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    >>> found = ad.objective(rosenbrock, np.array([-1.2, 1.0])).minimize("trust-region")
    >>> found.x.round(3)
    array([1., 1.])

    Raises ValueError for another ``step`` and for a radius that is not positive.
    """
    if not 0 < radius <= max_radius:
        raise ValueError(f"radius={radius!r} must be positive, at most max_radius={max_radius!r}")
    if step not in _MODELS:
        raise ValueError(f"step={step!r} is none of {', '.join(map(repr, _MODELS))}")

    def steps() -> Iterator[Point]:
        point, size = point_at(problem, problem.x0), radius
        while True:
            yield point
            within, product = _MODELS[step](problem, point)
            while True:
                s = within(size)
                predicted = -(point.gradient @ s + s @ product(s) / 2)
                ratio, trial = gain(problem, point, s, predicted)
                length = float(np.linalg.norm(s))
                if ratio < 0.25:
                    size = length / 4
                elif ratio > 0.75 and length > 0.99 * size:
                    size = min(2 * size, max_radius)
                if ratio > 1e-4:
                    break
                if length <= 1e-16 * (1 + np.linalg.norm(point.x)):
                    raise Stopped("the trust region is below the rounding of the parameters")
            point = point_at(problem, trial)

    return iterate(
        problem,
        steps(),
        f"trust-region ({step})",
        gtol=gtol,
        maxiter=maxiter,
        callback=callback,
        progress=progress,
    )


def _exact(problem: Objective, point: Point) -> Model:
    operator = problem.operator(point.x)
    return lambda size: damped_step(operator, point.gradient, lambda mu: size), operator.__matmul__


def _dogleg(problem: Objective, point: Point) -> Model:
    operator, g = problem.operator(point.x), point.gradient
    newton = -newton_solution(operator, g, 0.0, "shift")
    curvature = g @ (operator @ g)
    squared = g @ g

    def within(size: float) -> Any:
        if np.linalg.norm(newton) <= size:
            return newton
        cauchy = -(squared / curvature) * g if curvature > 0 else -np.inf * g
        if curvature <= 0 or np.linalg.norm(cauchy) >= size:
            return -(size / np.sqrt(squared)) * g
        leg = newton - cauchy
        return cauchy + to_boundary(cauchy, leg, size) * leg

    return within, operator.__matmul__


def _steihaug(problem: Objective, point: Point) -> Model:
    def product(v: Any) -> Any:
        return problem.hessp(point.x, v)

    norm = point.norm
    tolerance = min(0.5, np.sqrt(norm)) * norm
    return lambda size: truncated_cg(product, point.gradient, tolerance, size), product


_MODELS: dict[str, Callable[[Objective, Point], Model]] = {
    "exact": _exact,
    "dogleg": _dogleg,
    "steihaug": _steihaug,
}

__all__ = ["trust_region"]
