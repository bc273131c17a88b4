"""Boxes: projections, free parameters and systems restricted to those."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import linalg
from scipy.optimize import Bounds

from ..objectives import Objective
from ..structured import NotPositiveDefinite, ProductOperator, StructuredOperator
from .iteration import Point

#: Up to this many unknowns a restricted system is solved by a dense factorization.
DENSE_LIMIT = 2000


class Box(NamedTuple):
    """Lower and upper bounds of every parameter."""

    lower: Any
    upper: Any

    def projected(self, x: Any) -> Any:
        """The nearest point of the box."""
        return np.clip(x, self.lower, self.upper)

    def limited(self, point: Point, step: Any) -> Any:
        """The step to the projection of where it would lead."""
        if np.all(np.isneginf(self.lower)) and np.all(np.isposinf(self.upper)):
            return step
        return self.projected(point.x + step) - point.x

    def free(self, point: Point) -> Any:
        """Which parameters are not held at a bound by the gradient."""
        x, g = point.x, point.gradient
        return ~(((x <= self.lower) & (g > 0)) | ((x >= self.upper) & (g < 0)))

    def free_gradient(self, point: Point) -> Any:
        """The gradient without what is held at a bound; zero at a minimum."""
        return np.where(self.free(point), point.gradient, 0.0)


def box_of(problem: Objective, bounds: Any) -> Box:
    """``(lower, upper)``, each nested as the parameters, a number or None; or bounds as SciPy's
    ``minimize`` takes them: ``scipy.optimize.Bounds``, or a pair ``(low, high)`` per parameter.

    Raises ValueError if a lower bound is above its upper one, or if the form is neither.
    """
    lower, upper = _two_sides(problem, bounds)
    box = Box(_filled(problem, lower, -np.inf), _filled(problem, upper, np.inf))
    if np.any(box.lower > box.upper):
        k = int(np.argmax(box.lower > box.upper))
        raise ValueError(f"bounds: lower {box.lower[k]:g} is above upper {box.upper[k]:g}")
    return box


def _two_sides(problem: Objective, bounds: Any) -> tuple[Any, Any]:
    if bounds is None:
        return None, None
    if isinstance(bounds, Bounds):
        shape = problem.x0.shape
        return np.broadcast_to(bounds.lb, shape), np.broadcast_to(bounds.ub, shape)
    n, given = len(problem.x0), list(bounds)
    # two pairs for two parameters are (lower, upper) in a tuple, as in SciPy's least_squares
    if len(given) == n and all(map(_is_pair, given)) and (n != 2 or isinstance(bounds, list)):
        sides = np.array(
            [[-np.inf if a is None else a, np.inf if b is None else b] for a, b in given]
        )
        return sides[:, 0], sides[:, 1]
    if len(given) == 2:
        return given[0], given[1]
    raise ValueError(
        f"bounds of length {len(given)} for {n} parameters: pass a pair (lower, upper), each a "
        "number, None or nested as the parameters, or one pair (low, high) per parameter"
    )


def _is_pair(each: Any) -> bool:
    return (
        isinstance(each, (tuple, list))
        and len(each) == 2
        and all(side is None or isinstance(side, (int, float, np.number)) for side in each)
    )


def _filled(problem: Objective, bound: Any, default: float) -> Any:
    if bound is None or isinstance(bound, (int, float)):
        return np.full(len(problem.x0), default if bound is None else float(bound))
    if np.shape(bound) == problem.x0.shape and isinstance(bound, np.ndarray):
        return bound.astype(float)
    return problem.vector(bound)


def reduced_solution(operator: StructuredOperator, b: Any, free: Any, damping: float) -> Any:
    """``x`` with ``(H + damping I)[free, free] x[free] = b[free]``, zero elsewhere.

    With all parameters free that is a structured solve. Raises NotPositiveDefinite.
    """
    if np.all(free):
        return operator.solve(b, damping=damping)
    x = np.zeros(len(b))
    if not np.any(free):
        return x
    if len(b) <= DENSE_LIMIT:
        H = operator.todense()[np.ix_(free, free)] + damping * np.eye(int(free.sum()))
        try:
            x[free] = linalg.cho_solve(linalg.cho_factor(H), b[free])
        except np.linalg.LinAlgError:
            smallest = float(np.linalg.eigvalsh(H)[0])
            raise NotPositiveDefinite("the Hessian in the free parameters", smallest) from None
        return x

    def masked(v: Any) -> Any:
        return np.where(free, operator @ np.where(free, v, 0.0), v)

    system = ProductOperator(masked, (len(b),))
    x[free] = system.solve(np.where(free, b, 0.0), damping=damping)[free]
    return x
