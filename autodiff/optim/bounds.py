"""Boxes: projections, free parameters and systems restricted to those."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import linalg

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
    """``(lower, upper)``, each nested as the parameters, a number or None.

    Raises ValueError if a lower bound is above its upper one.
    """
    lower, upper = (None, None) if bounds is None else bounds
    box = Box(_filled(problem, lower, -np.inf), _filled(problem, upper, np.inf))
    if np.any(box.lower > box.upper):
        k = int(np.argmax(box.lower > box.upper))
        raise ValueError(f"bounds: lower {box.lower[k]:g} is above upper {box.upper[k]:g}")
    return box


def _filled(problem: Objective, bound: Any, default: float) -> Any:
    if bound is None or isinstance(bound, (int, float)):
        return np.full(len(problem.x0), default if bound is None else float(bound))
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
