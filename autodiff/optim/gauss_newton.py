"""Nonlinear least squares: Gauss-Newton and Levenberg-Marquardt, with bounds.

The function returns residuals ``r`` (an array, or arrays nested at will); minimised is
``sum(r^2) / 2``. ``J' J`` is an expression whose structure is used as that of a Hessian is; where
it has none, the step comes from ``J`` by QR, whose error grows with the condition number and not
with its square.

Source: Nocedal, Wright, *Numerical Optimization*, chapter 10; More, *The Levenberg-Marquardt
algorithm: implementation and theory* (1978).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import pytrees, rules
from ..objective import Objective
from ..result import Result
from ..transforms import Transform
from .bounds import Box, box_of, reduced_solution
from .iteration import Point, Stopped, iterate, local_point, method
from .line_search import LineSearch
from .newton import gain, newton


@method("gauss-newton")
def gauss_newton(
    problem: Objective,
    *,
    line_search: str | float | LineSearch | None = "armijo",
    damping: float = 0.0,
    gtol: float = 1e-8,
    maxiter: int = 200,
    callback: Callable[[Any], Any] | None = None,
    progress: bool = False,
) -> Result:
    """Steps ``-inv(J' J + damping I) J' r`` with a line search; a singular ``J' J`` is shifted."""
    result = newton(
        problem.least_squares(),
        line_search=line_search,
        damping=damping,
        gtol=gtol,
        maxiter=maxiter,
        callback=callback,
        progress=progress,
    )
    result.method = "gauss-newton"
    return result


@method("levenberg-marquardt")
def levenberg_marquardt(
    problem: Objective,
    *,
    bounds: Any = None,
    damping: float = 1e-3,
    gtol: float = 1e-10,
    xtol: float = 1e-13,
    maxiter: int = 1000,
    callback: Callable[[Any], Any] | None = None,
    progress: bool = False,
) -> Result:
    """Steps that minimise ``|r + J s|^2 + mu |D s|^2`` with ``mu`` adapted, within bounds.

    ``D`` holds the largest norms that the columns of ``J`` have had (the identity where ``J' J`` is
    structured). ``bounds`` is a pair (lower, upper), each nested as the parameters, a number or
    None. It ends when the cosine between ``r`` and every column of ``J`` is at most ``gtol``, or
    a step is at most ``xtol`` relative to the parameters.
    """
    model = problem.least_squares()
    box = box_of(problem, bounds)
    jacobian = _Jacobian(problem)
    gradients: dict[str, Any] = {}

    def measure(point: Point) -> float:
        scale = gradients["columns"] * max(np.sqrt(2 * point.value), 1e-300)
        return float(np.max(np.abs(box.free_gradient(point)) / scale, initial=0.0))

    def free_norm(point: Point) -> float:
        return float(np.linalg.norm(box.free_gradient(point)))

    def steps() -> Iterator[Point]:
        point = local_point(model, box.projected(problem.x0))
        mu, growth, scale = damping, 2.0, np.zeros(len(point.x))
        while True:
            operator = model.operator(point.x)
            compressed = operator.nbytes < 4 * len(point.x) ** 2
            J = None if compressed else jacobian(point.x)
            norms = np.sqrt(operator.diagonal().ravel())
            gradients["columns"] = np.where(norms > 0, norms, 1.0)
            yield point
            unscaled = np.full(len(norms), max(norms.max(initial=0.0), 1e-300))
            scale = unscaled if compressed else np.maximum(scale, gradients["columns"])
            r = None if compressed else jacobian.residuals(point.x)
            while True:
                step = box.limited(point, _damped(operator, J, r, point, mu, scale, box))
                moved = operator @ step
                predicted = -(point.gradient @ step + step @ moved / 2)
                ratio, trial = gain(model, point, step, predicted, free_norm)
                relative = np.linalg.norm(step) / max(float(np.linalg.norm(point.x)), 1e-300)
                if ratio > 0:
                    break
                if relative <= xtol:
                    raise Stopped(f"a step is at most xtol = {xtol:g}", True)
                mu, growth = mu * growth, 2 * growth
            mu, growth = max(mu * max(1 / 3, 1 - (2 * min(ratio, 1) - 1) ** 3), 1e-20), 2.0
            point = local_point(model, trial)
            if relative <= xtol:
                yield point
                raise Stopped(f"a step is at most xtol = {xtol:g}", True)

    return iterate(
        model,
        steps(),
        "levenberg-marquardt",
        gtol=gtol,
        maxiter=maxiter,
        callback=callback,
        progress=progress,
        measure=measure,
    )


def _damped(operator: Any, J: Any, r: Any, point: Point, mu: float, scale: Any, box: Box) -> Any:
    """The damped step in the free parameters; by QR where ``J`` is given."""
    free = box.free(point)
    if J is None:
        return -reduced_solution(operator, point.gradient, free, mu * scale[0] ** 2)
    step = np.zeros(len(free))
    scaled = scale[free]
    stacked = np.concatenate([J[:, free] / scaled, np.sqrt(mu) * np.eye(len(scaled))])
    right = np.concatenate([-r, np.zeros(len(scaled))])
    step[free] = np.linalg.lstsq(stacked, right, rcond=None)[0] / scaled
    return step


class _Jacobian:
    """Residuals and their Jacobian as functions of the vector."""

    def __init__(self, problem: Objective) -> None:
        self._problem = problem
        self._value = Transform(problem.function, rules.value, "value")
        self._jacobian = Transform(problem.function, rules.jacobian, "jacobian")

    def residuals(self, x: Any) -> Any:
        leaves, _ = pytrees.flatten(self._problem.call(self._value, x))
        return np.concatenate([np.ravel(leaf) for leaf in leaves])

    def __call__(self, x: Any) -> Any:
        leaves, _ = pytrees.flatten(self._problem.call(self._jacobian, x))
        columns = self._problem.leaves
        shaped = [
            np.reshape(leaf, (-1, columns[k % len(columns)])) for k, leaf in enumerate(leaves)
        ]
        rows = [
            np.concatenate(shaped[k : k + len(columns)], axis=1)
            for k in range(0, len(shaped), len(columns))
        ]
        return np.concatenate(rows)


__all__ = ["gauss_newton", "levenberg_marquardt"]
