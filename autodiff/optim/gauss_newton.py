"""Nonlinear least squares: Gauss-Newton and Levenberg-Marquardt, with bounds.

The function returns residuals ``r`` (an array, or arrays nested at will); minimised is
``sum(r^2) / 2``. ``J' J`` is an expression whose structure is used as that of a Hessian is; where
it has none, the step comes from ``J`` by QR, whose error grows with the condition number and not
with its square.

Source: Nocedal, Wright, *Numerical Optimization*, chapter 10; More, *The Levenberg-Marquardt
algorithm: implementation and theory* (1978).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np

from .. import pytrees, rules
from ..objectives import Objective
from ..result import Result
from ..transforms import Transform
from .bounds import Box, box_of, reduced_solution
from .iteration import Point, Stopped, iterate, local_point, method
from .line_search import LineSearch
from .newton import gain, newton

#: How to weigh parameters against each other.
Scale = Literal["auto", "columns", "start"]
#: Undamped steps at the end, at most.
POLISHING = 5
#: A column of ``J`` that has shrunk to this part of its largest norm has vanished.
LOST = 1e-10


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
    """Steps ``-inv(J' J + damping I) J' r`` with a line search; a singular ``J' J`` is shifted.

    >>> import numpy as np, autodiff as ad
    >>> residuals = lambda x: np.stack([1 - x[0], 10 * (x[1] - x[0] ** 2)])
    >>> found = ad.objective(residuals, np.array([-1.2, 1.0])).minimize("gauss-newton")
    >>> found.x.round(3)
    array([1., 1.])
    """
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
    scale: Scale = "auto",
    gtol: float = 1e-10,
    xtol: float = 1e-13,
    maxiter: int = 1000,
    callback: Callable[[Any], Any] | None = None,
    progress: bool = False,
) -> Result:
    """Steps that minimise ``|r + J s|^2 + mu |D s|^2`` with ``mu`` adapted, within bounds.

    ``D`` holds, for ``scale="columns"``, the largest norms that the columns of ``J`` have had (the
    identity where ``J' J`` is structured), for ``"start"`` the reciprocals of the parameters at the
    start. ``"auto"`` takes the columns first; where they end without a minimum it begins again from
    the start with the other scale and finishes from there by columns. ``bounds`` is a pair (lower,
    upper), each nested as the parameters, a number or None.

    It ends when the cosine between ``r`` and every column of ``J`` is at most ``gtol``, or a step
    is at most ``xtol`` relative to the parameters. A point where the residuals have ceased to
    depend on a parameter is reported as a plateau, without success.

    >>> import numpy as np, autodiff as ad
    >>> residuals = lambda x: np.stack([1 - x[0], 10 * (x[1] - x[0] ** 2)])
    >>> found = ad.objective(residuals, np.array([-1.2, 1.0])).minimize("levenberg-marquardt")
    >>> found.x.round(3)
    array([1., 1.])

    Raises ValueError for another scale.
    """
    if scale not in ("auto", "columns", "start"):
        raise ValueError(f"scale={scale!r} is none of 'auto', 'columns', 'start'")
    box = box_of(problem, bounds)

    def run(kind: str, start: Any) -> Result:
        model = _Damped(problem, box, xtol, kind, start)
        result = iterate(
            model.objective,
            model.steps(damping),
            "levenberg-marquardt",
            gtol=gtol,
            maxiter=maxiter,
            callback=callback,
            progress=progress,
            measure=model.largest_cosine,
        )
        return model.judged(result)

    result = run("start" if scale == "start" else "columns", problem.x0)
    if scale != "auto" or result.success or "callback" in result.message:
        return result
    again = run("start", problem.x0)
    finished = run("columns", again.x)
    if finished.fun <= result.fun and (finished.success or not np.isfinite(result.fun)):
        return _joined([result, again, finished])
    return result


def _joined(results: Sequence[Result]) -> Result:
    """The last result, with the counts and the histories of all."""
    last = results[-1]
    for key in ("nit", "nfev", "njev", "nhev"):
        last[key] = sum(result[key] for result in results)
    last.history = [entry for result in results for entry in result.history]
    return last


class _Damped:
    """The linearised residuals at a point, and steps that are damped until they decrease."""

    def __init__(self, problem: Objective, box: Box, xtol: float, kind: str, start: Any) -> None:
        self.objective, self.box, self.xtol = problem.least_squares(), box, xtol
        self._jacobian = Jacobian(problem)
        self._start, self._by_start = box.projected(start), kind == "start"
        self._scale = self._largest = self._norms = np.zeros(len(start))

    def judged(self, result: Result) -> Result:
        """The result, without success if a free parameter has lost its influence."""
        point = Point(result.x, result.fun, result.jac)
        lost = (self._norms <= LOST * self._largest) & self.box.free(point) & (self._largest > 0)
        if result.success and result.fun > 0 and np.any(lost):
            names = ", ".join(map(str, np.flatnonzero(lost)))
            result.success, result.status = False, 2
            result.message = (
                f"a plateau: the residuals have ceased to depend on entry {names} of x ("
                f"{result.message}); try another start, bounds, or scale='start'"
            )
        return result

    def steps(self, mu: float) -> Iterator[Point]:
        """Accepted points, ``mu`` adapted by Nielsen's rule."""
        point = self._linearised(self._start)
        growth = 2.0
        while True:
            yield point
            while True:
                step = self.box.limited(point, self._step(point, mu))
                predicted = -(point.gradient @ step + step @ (self._operator @ step) / 2)
                ratio, trial = gain(self.objective, point, step, predicted, self._free_norm)
                small = np.linalg.norm(step) <= self.xtol * np.linalg.norm(point.x)
                if ratio > 0 or small:
                    break
                mu, growth = mu * growth, 2 * growth
            if ratio > 0:
                mu, growth = max(mu * max(1 / 3, 1 - (2 * min(ratio, 1) - 1) ** 3), 1e-20), 2.0
                point = self._linearised(trial)
            if small:
                yield self._polished(point)
                raise Stopped(f"a step is at most xtol = {self.xtol:g}", True)

    def _polished(self, point: Point) -> Point:
        """Steps without damping while they are small and halve: values cannot tell any more."""
        length = 1e-4 * np.linalg.norm(point.x)
        for _ in range(POLISHING if self._J is not None else 0):
            step, before = self.box.limited(point, self._step(point, 0.0)), point
            if not np.linalg.norm(step) <= length / 2:
                break
            length = np.linalg.norm(step)
            point = self._linearised(point.x + step)
            if not point.value <= before.value * (1 + 1e-8):
                return self._linearised(before.x)
        return point

    def _linearised(self, x: Any) -> Point:
        point = local_point(self.objective, x)
        self._operator = self.objective.operator(x)
        norms = np.sqrt(self._operator.diagonal().ravel())
        self._columns = np.where(norms > 0, norms, 1.0)
        self._norms, self._largest = norms, np.maximum(self._largest, norms)
        self._J = None
        if self._operator.nbytes < 4 * len(x) ** 2:  # compressed: solved with its structure
            self._scale = np.full(len(x), max(norms.max(initial=0.0), 1e-300))
        else:
            self._J, self._r = self._jacobian(x), self._jacobian.residuals(x)
            self._scale = self._start_scale() if self._by_start else self._next_scale()
        return point

    def _next_scale(self) -> Any:
        return np.maximum(self._scale, self._columns)

    def _start_scale(self) -> Any:
        """Reciprocals of the parameters, times the largest change that one of them makes."""
        if self._scale.any():
            return self._scale
        size = np.abs(np.where(self._start == 0, 1.0, self._start))
        return np.max(self._norms * size, initial=1e-300) / size

    def _step(self, point: Point, mu: float) -> Any:
        """The damped step in the free parameters; by QR where ``J`` is at hand."""
        free = self.box.free(point)
        if self._J is None:
            damping = mu * self._scale[0] ** 2
            return -reduced_solution(self._operator, point.gradient, free, damping)
        step = np.zeros(len(free))
        scaled = self._scale[free]
        stacked = np.concatenate([self._J[:, free] / scaled, np.sqrt(mu) * np.eye(len(scaled))])
        right = np.concatenate([-self._r, np.zeros(len(scaled))])
        step[free] = np.linalg.lstsq(stacked, right, rcond=None)[0] / scaled
        return step

    def largest_cosine(self, point: Point) -> float:
        """Between the residuals and the columns of ``J`` of free parameters."""
        scale = self._columns * max(np.sqrt(2 * point.value), 1e-300)
        return float(np.max(np.abs(self.box.free_gradient(point)) / scale, initial=0.0))

    def _free_norm(self, point: Point) -> float:
        return float(np.linalg.norm(self.box.free_gradient(point)))


class Jacobian:
    """Residuals and their Jacobian as functions of the vector."""

    def __init__(self, problem: Objective) -> None:
        self._problem = problem
        self._value = Transform(problem.function, rules.value, "value")
        self._jacobian = Transform(problem.function, rules.jacobian, "jacobian")

    def residuals(self, x: Any) -> Any:
        """All residuals as one vector."""
        leaves, _ = pytrees.flatten(self._problem.call(self._value, x))
        return np.concatenate([np.ravel(leaf) for leaf in leaves])

    def __call__(self, x: Any) -> Any:
        """One row per residual, one column per entry of the vector."""
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


__all__ = ["Jacobian", "gauss_newton", "levenberg_marquardt"]
