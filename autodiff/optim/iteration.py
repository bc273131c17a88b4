"""What the methods share: the loop with its stopping rules, history, callback and progress bar."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from ..objectives import METHODS, Objective
from ..result import Result

#: Relative rounding of a value: differences below it say nothing about descent.
ROUNDING = 20 * np.finfo(float).eps


class Point(NamedTuple):
    """Where a method is: vector, value and gradient."""

    x: Any
    value: float
    gradient: Any

    @property
    def norm(self) -> float:
        """Euclidean norm of the gradient."""
        return float(np.linalg.norm(self.gradient))


class Stopped(Exception):
    """A method that cannot go on says why; ``success`` if that is where it should be."""

    def __init__(self, reason: str, success: bool = False) -> None:
        super().__init__(reason)
        self.success = success


def method(*names: str) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Register a function of an objective as a method of ``minimize``, under these names.

    The function itself takes an :class:`Objective`, or a function, its parameters and further
    arguments of that function.
    """

    def register(solver: Callable[..., Result]) -> Callable[..., Result]:
        METHODS.update(dict.fromkeys(names, solver))

        @functools.wraps(solver)
        def called(problem: Any, *args: Any, **options: Any) -> Result:
            if not isinstance(problem, Objective):
                problem, args = Objective(problem, args[0], args[1:], {}), ()
            return solver(problem, *args, **options)

        return called

    return register


def point_at(problem: Objective, x: Any) -> Point:
    """Value and gradient at ``x``."""
    return Point(x, problem.fun(x), problem.jac(x))


def local_point(problem: Objective, x: Any) -> Point:
    """Value and gradient at ``x``, computed together with the curvature."""
    value, gradient, _ = problem.local(x)
    return Point(x, value, gradient)


def small_gradient(point: Point) -> float:
    """What must become small in problems without constraints."""
    return point.norm


def iterate(
    problem: Objective,
    steps: Iterator[Point],
    name: str,
    *,
    gtol: float,
    maxiter: int,
    callback: Callable[[Any], Any] | None = None,
    progress: bool = False,
    measure: Callable[[Point], float] = small_gradient,
) -> Result:
    """Run a method to its end: ``steps`` yields its start and the point after every iteration.

    It ends when ``measure`` is at most ``gtol``, after ``maxiter`` iterations, when the callback
    raises StopIteration, or when the method itself raises :class:`Stopped`.
    """
    started, before = perf_counter(), dict(problem.counts)
    history: list[dict[str, float]] = []
    message, success, point = "maximum number of iterations reached", False, None
    bar = _bar(progress)
    try:
        for point in steps:
            size = measure(point)
            seconds = perf_counter() - started
            history.append({"fun": point.value, "gradient_norm": size, "seconds": seconds})
            if len(history) > 1:
                _told(bar, callback, point)
            if not np.isfinite(point.value):
                raise Stopped("the value is not finite")
            if size <= gtol:
                message, success = f"gradient norm {size:.3g} is at most gtol = {gtol:g}", True
                break
            if len(history) > maxiter:
                break
    except StopIteration:
        message = "the callback ended the iteration"
    except Stopped as stopped:
        message, success = str(stopped), stopped.success
    finally:
        if bar is not None:
            bar.close()
    assert point is not None
    spent = {key: problem.counts[key] - before[key] for key in before}
    return Result(
        problem,
        x=point.x,
        fun=point.value,
        jac=point.gradient,
        gradient_norm=point.norm,
        optimality=measure(point),
        nit=len(history) - 1,
        **spent,
        success=success,
        status=0 if success else 1,
        message=message,
        history=history,
        method=name,
    )


def _told(bar: Any, callback: Callable[[Any], Any] | None, point: Point) -> None:
    if bar is not None:
        bar.update()
        bar.set_postfix(fun=point.value, gradient=point.norm)
    if callback is not None:
        callback(point.x)


def _bar(progress: bool) -> Any:
    if not progress:
        return None
    from tqdm import tqdm

    return tqdm(unit=" iterations")
