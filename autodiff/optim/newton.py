"""Newton's method: structured solves with a line search, by Hessian products, damped, cubic.

Source: Nocedal, Wright, *Numerical Optimization*, chapters 3 and 7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np

from ..objectives import Objective
from ..result import Result
from ..structured import NotPositiveDefinite, StructuredOperator
from .iteration import (
    Point,
    Stopped,
    iterate,
    local_point,
    method,
    point_at,
    small_gradient,
)
from .line_search import LineSearch, line_search_of, moved
from .secular import damped_step
from .truncated_cg import truncated_cg

#: What to do with a Hessian that is not positive definite.
Indefinite = Literal["shift", "absolute", "raise"]


@method("newton")
def newton(
    problem: Objective,
    *,
    line_search: str | float | LineSearch | None = "armijo",
    damping: float = 0.0,
    indefinite: Indefinite = "shift",
    gtol: float = 1e-8,
    maxiter: int = 200,
    callback: Callable[[Any], Any] | None = None,
    progress: bool = False,
) -> Result:
    """Steps ``-inv(H + damping I) g``, solved with the structure of the Hessian.

    Where the matrix is not positive definite, ``indefinite="shift"`` adds what mirrors its smallest
    eigenvalue, ``"absolute"`` takes magnitudes of eigenvalues, ``"raise"`` lets
    :class:`NotPositiveDefinite` through. ``line_search`` is ``"armijo"``, ``"wolfe"``, a number for
    a fixed step, or None for the full step.

    >>> import numpy as np, autodiff as ad
    >>> def rosenbrock(x):
    ...     return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    >>> found = ad.objective(rosenbrock, np.array([-1.2, 1.0])).minimize("newton")
    >>> found.x.round(3)
    array([1., 1.])
    """
    search = line_search_of(line_search)

    def steps() -> Iterator[Point]:
        point = point_at(problem, problem.x0)
        while True:
            yield point
            operator = problem.operator(point.x)
            direction = -newton_solution(operator, point.gradient, damping, indefinite)
            t = search(problem, point, direction, 1.0)
            point = point_at(problem, moved(point, direction, t))

    return iterate(
        problem, steps(), "newton", gtol=gtol, maxiter=maxiter, callback=callback, progress=progress
    )


def newton_solution(
    operator: StructuredOperator, gradient: Any, damping: float, indefinite: Indefinite
) -> Any:
    """``inv(H + damping I) g`` with the stated choice for matrices that are not definite."""
    if indefinite not in ("shift", "absolute", "raise"):
        raise ValueError(f"indefinite={indefinite!r} is none of 'shift', 'absolute', 'raise'")
    try:
        return operator.solve(gradient, damping=damping)
    except NotPositiveDefinite as error:
        if indefinite == "raise":
            raise
        if indefinite == "absolute":
            return operator.solve(gradient, damping=damping, modified="absolute")
        return _shifted(operator, gradient, damping, error.smallest)


def _shifted(operator: StructuredOperator, gradient: Any, damping: float, smallest: float) -> Any:
    """A solve damped so that the smallest eigenvalue changes its sign, or more until it works."""
    scale = float(np.abs(operator.diagonal()).max(initial=0.0)) or 1.0
    shift = max(-2 * smallest, 1e-8 * scale)
    while np.isfinite(shift):
        try:
            return operator.solve(gradient, damping=damping + shift)
        except NotPositiveDefinite:
            shift *= 10
    raise Stopped("no damping makes the Hessian positive definite: it is not finite")


@method("newton-conjugate-gradient", "hessian-free")
def newton_conjugate_gradient(
    problem: Objective,
    *,
    line_search: str | float | LineSearch | None = "armijo",
    products: Literal["hvp", "structured"] = "hvp",
    gtol: float = 1e-8,
    maxiter: int = 200,
    callback: Callable[[Any], Any] | None = None,
    progress: bool = False,
) -> Result:
    """Newton's method with Hessian products alone: systems by truncated conjugate gradients.

    ``products="hvp"`` derives products with vectors: no Hessian is stored, and the residual of a
    system is at most ``min(1/2, sqrt|g|) |g|``, which makes the convergence superlinear.
    ``"structured"`` stores the cores of the Hessian at each point, multiplies with those and
    preconditions with what the structure offers; residuals fall as the gradient did in the step
    before, squared. Directions of negative curvature end a system.

    >>> import numpy as np, autodiff as ad
    >>> def rosenbrock(x):
    ...     return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    >>> problem = ad.objective(rosenbrock, np.array([-1.2, 1.0]))
    >>> found = problem.minimize("newton-conjugate-gradient")
    >>> found.x.round(3)
    array([1., 1.])

    Source of the accuracies: Eisenstat, Walker, *Choosing the forcing terms in an inexact Newton
    method* (1996), the second choice. Raises ValueError for another name.
    """
    if products not in _SYSTEMS:
        raise ValueError(f"products={products!r} is none of {', '.join(map(repr, _SYSTEMS))}")
    search, system = line_search_of(line_search), _SYSTEMS[products]
    located = point_at if products == "hvp" else local_point

    def steps() -> Iterator[Point]:
        point = located(problem, problem.x0)
        before = 2 * point.norm
        while True:
            yield point
            direction = system(problem, point, before, gtol)
            t = search(problem, point, direction, 1.0)
            before, point = point.norm, located(problem, moved(point, direction, t))

    return iterate(
        problem,
        steps(),
        "newton-conjugate-gradient",
        gtol=gtol,
        maxiter=maxiter,
        callback=callback,
        progress=progress,
    )


def _by_products(problem: Objective, point: Point, before: float, gtol: float) -> Any:
    accuracy = min(0.5, np.sqrt(point.norm)) * point.norm
    return truncated_cg(lambda v: problem.hessp(point.x, v), point.gradient, accuracy)


def _by_structure(problem: Objective, point: Point, before: float, gtol: float) -> Any:
    operator = problem.operator(point.x)
    known = operator.nearby()
    inverse = None if known is None else known.solve
    forcing = min(0.1, 0.9 * (point.norm / max(before, 1e-300)) ** 2)
    accuracy = max(forcing * point.norm, gtol / 2)
    return truncated_cg(operator.__matmul__, point.gradient, accuracy, inverse=inverse)


_SYSTEMS: dict[str, Callable[[Objective, Point, float, float], Any]] = {
    "hvp": _by_products,
    "structured": _by_structure,
}


@method("levenberg")
def levenberg(
    problem: Objective,
    *,
    damping: float = 1e-3,
    gtol: float = 1e-8,
    maxiter: int = 200,
    callback: Callable[[Any], Any] | None = None,
    progress: bool = False,
) -> Result:
    """Newton steps ``-inv(H + mu I) g`` with ``mu`` adapted to how well the model predicts.

    ``damping`` is relative to the largest diagonal entry of the first Hessian. Source: Nielsen,
    *Damping parameter in Marquardt's method* (1999).

    >>> import numpy as np, autodiff as ad
    >>> def rosenbrock(x):
    ...     return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    >>> found = ad.objective(rosenbrock, np.array([-1.2, 1.0])).minimize("levenberg")
    >>> found.x.round(3)
    array([1., 1.])
    """

    def steps() -> Iterator[Point]:
        point = point_at(problem, problem.x0)
        mu = damping * max(float(np.abs(problem.operator(point.x).diagonal()).max()), 1e-8)
        growth = 2.0
        while True:
            yield point
            operator = problem.operator(point.x)
            while True:
                step, mu = _definite_step(operator, point.gradient, mu)
                predicted = -(point.gradient @ step + step @ (operator @ step) / 2)
                ratio, trial = gain(problem, point, step, predicted)
                if ratio > 0:
                    break
                mu, growth = mu * growth, 2 * growth
                if np.linalg.norm(step) <= 1e-16 * (1 + np.linalg.norm(point.x)):
                    raise Stopped("the step is below the rounding of the parameters")
            mu, growth = mu * max(1 / 3, 1 - (2 * min(ratio, 1) - 1) ** 3), 2.0
            point = point_at(problem, trial)

    return iterate(
        problem,
        steps(),
        "levenberg",
        gtol=gtol,
        maxiter=maxiter,
        callback=callback,
        progress=progress,
    )


def _definite_step(operator: StructuredOperator, gradient: Any, mu: float) -> tuple[Any, float]:
    try:
        return -operator.solve(gradient, damping=mu), mu
    except NotPositiveDefinite as error:
        mu = mu + max(-2 * error.smallest, mu)
        return _definite_step(operator, gradient, mu)


def gain(
    problem: Objective,
    point: Point,
    step: Any,
    predicted: float,
    measure: Callable[[Point], float] = small_gradient,
) -> tuple[float, Any]:
    """Actual decrease over predicted, and the trial vector.

    Where both are within the rounding of the value, ``measure`` (of the gradient) decides.
    """
    trial = point.x + step
    value = problem.value(trial)
    if not np.isfinite(value):
        return -1.0, trial
    actual = point.value - value
    if max(abs(actual), abs(predicted)) <= 1e-13 * max(abs(point.value), abs(value)):
        better = measure(Point(trial, value, problem.jac(trial))) <= measure(point)
        return (0.5 if better else -1.0), trial
    return (actual / predicted if predicted > 0 else -1.0), trial


@method("cubic")
def cubic_regularization(
    problem: Objective,
    *,
    weight: float = 1.0,
    gtol: float = 1e-8,
    maxiter: int = 200,
    callback: Callable[[Any], Any] | None = None,
    progress: bool = False,
) -> Result:
    """Steps that minimise ``g.s + s.H s / 2 + sigma |s|^3 / 3`` globally, ``sigma`` adapted.

    The minimiser solves ``(H + sigma |s| I) s = -g``; ``weight`` is the first ``sigma``. Source:
    Cartis, Gould, Toint, *Adaptive cubic regularisation methods* (2011).

    >>> import numpy as np, autodiff as ad
    >>> def rosenbrock(x):
    ...     return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    >>> found = ad.objective(rosenbrock, np.array([-1.2, 1.0])).minimize("cubic")
    >>> found.x.round(3)
    array([1., 1.])
    """

    def steps() -> Iterator[Point]:
        point, sigma = point_at(problem, problem.x0), weight
        while True:
            yield point
            operator = problem.operator(point.x)
            while True:
                step = damped_step(operator, point.gradient, lambda mu, s=sigma: mu / s)  # type: ignore[misc]
                length = np.linalg.norm(step)
                predicted = -(
                    point.gradient @ step + step @ (operator @ step) / 2 + sigma * length**3 / 3
                )
                ratio, trial = gain(problem, point, step, predicted)
                if ratio >= 0.1:
                    break
                sigma *= 3
                if length <= 1e-16 * (1 + np.linalg.norm(point.x)):
                    raise Stopped("the step is below the rounding of the parameters")
            if ratio > 0.9:
                sigma = max(sigma / 3, 1e-12)
            point = point_at(problem, trial)

    return iterate(
        problem, steps(), "cubic", gtol=gtol, maxiter=maxiter, callback=callback, progress=progress
    )


__all__ = ["cubic_regularization", "levenberg", "newton", "newton_conjugate_gradient"]
