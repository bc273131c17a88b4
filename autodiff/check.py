"""Derivatives against finite differences, by random projections.

With random ``u`` and ``v`` the number ``sum(u[i] J[i,k] v[k])`` is computed forward
(``u . jvp(v)``), in reverse (``vjp(u) . v``) and from differences of the function itself. The
derivative in direction ``v`` is a function like any other, so the check of order 2 is the check
of order 1 of that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tensorcalc.errors import TensorcalcError

from . import pytrees
from .arguments import arguments_of, is_traced, kind_of
from .transforms import jvp, vjp

#: Step of the differences relative to the argument: their error is h**4 and eps/h.
STEP = 1e-3


class CheckError(TensorcalcError, AssertionError):
    """A derivative and finite differences disagree.

    >>> import numpy as np, autodiff as ad
    >>> try:
    ...     ad.check(lambda x: np.floor(1e5 * x), 0.3)
    ... except ad.CheckError as error:
    ...     print(str(error).splitlines()[0][:40])
    a derivative and finite differences disa
    """


@dataclass(frozen=True)
class Comparison:
    """One number computed two ways."""

    argument: str
    order: int
    mode: str
    derived: float
    differences: float
    tolerance: float

    @property
    def error(self) -> float:
        """The difference of the two numbers."""
        return abs(self.derived - self.differences)

    @property
    def agrees(self) -> bool:
        """Whether the difference is within the tolerance."""
        return self.error <= self.tolerance

    def __str__(self) -> str:
        return (
            f"order {self.order}, {self.mode} mode, argument {self.argument}: "
            f"derived {self.derived:.12g}, finite differences {self.differences:.12g}"
        )


@dataclass
class Report:
    """All comparisons that a check has made; every one of them agreed."""

    comparisons: list[Comparison] = field(default_factory=list)

    @property
    def largest_error(self) -> float:
        """The largest difference that was found."""
        return max((c.error for c in self.comparisons), default=0.0)

    def __str__(self) -> str:
        head = f"{len(self.comparisons)} comparisons, largest error {self.largest_error:.1e}"
        return "\n".join([head, *map(str, self.comparisons)])


def check(
    fun: Callable[..., Any],
    *args: Any,
    order: int = 2,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    seed: int = 0,
) -> Report:
    """Compare derivatives up to ``order`` with finite differences, forward and reverse.

    Every real leaf of the arguments is moved in a random direction; integers, strings and the like
    stay as they are. Single precision is checked in double. ``atol`` is relative to the size of
    the function's value.

    >>> import numpy as np
    >>> check(lambda x: np.sum(np.tanh(x) ** 2), np.array([0.1, -0.4])).largest_error < 1e-9
    True

    Raises CheckError that names the argument, the order, the mode and both numbers.
    """
    report = Report()
    arguments = pytrees.map_leaves(_in_double, tuple(args))
    _check(fun, arguments, 1, order, (rtol, atol), np.random.default_rng(seed), report)
    return report


def _check(
    fun: Callable[..., Any],
    args: tuple[Any, ...],
    order: int,
    last: int,
    tolerances: tuple[float, float],
    random: np.random.Generator,
    report: Report,
) -> None:
    weights = pytrees.map_leaves(lambda y: random.normal(size=np.shape(y)), fun(*args))
    for position, path, direction in _directions(args, random):
        name = f"{position}{pytrees.path_text(path)}"
        tangents = tuple(direction if k == position else None for k in range(len(args)))
        numeric, scale = _differences(fun, args, position, direction, weights)
        tolerance = tolerances[0] * abs(numeric) + tolerances[1] * scale
        forward = _inner(weights, jvp(fun, args, tangents)[1])
        reverse = _reverse(fun, args, tangents, weights)
        for mode, derived in (("forward", forward), ("reverse", reverse)):
            comparison = Comparison(name, order, mode, derived, numeric, tolerance)
            report.comparisons.append(comparison)
            if not comparison.agrees:
                raise _disagreement(comparison)
        if order < last:
            derivative = _directional(fun, tangents)
            _check(derivative, args, order + 1, last, tolerances, random, report)


def _directional(fun: Callable[..., Any], tangents: tuple[Any, ...]) -> Callable[..., Any]:
    """The derivative of ``fun`` in a fixed direction as a function of the point."""

    def derivative(*args: Any) -> Any:
        return jvp(fun, args, tangents)[1]

    return derivative


def _reverse(
    fun: Callable[..., Any], args: tuple[Any, ...], tangents: tuple[Any, ...], weights: Any
) -> float:
    """``vjp(u) . v``, with the arguments that are not moved closed over."""
    moved = [k for k, tangent in enumerate(tangents) if tangent is not None]
    position = moved[0]

    def of_one(value: Any) -> Any:
        return fun(*args[:position], value, *args[position + 1 :])

    _, pullback = vjp(of_one, args[position])
    return _inner(tangents[position], pullback(weights)[0])


def _directions(
    args: tuple[Any, ...], random: np.random.Generator
) -> list[tuple[int, tuple[Any, ...], Any]]:
    """For every real leaf a direction of its argument that moves this leaf only."""
    result = []
    arguments = arguments_of(args, {})
    for position, definition in enumerate(arguments.positional):
        leaves = [arguments.leaves[k] for k in arguments.leaf_indices(position)]
        if not all(is_traced(leaf) and kind_of(leaf) == "f" for leaf in leaves):
            continue
        for moved, path in enumerate(pytrees.paths(definition)):
            parts = [
                random.normal(size=np.shape(leaf)) if k == moved else np.zeros(np.shape(leaf))
                for k, leaf in enumerate(leaves)
            ]
            result.append((position, path, pytrees.unflatten(definition, parts)))
    return result


def _differences(
    fun: Callable[..., Any], args: tuple[Any, ...], position: int, direction: Any, weights: Any
) -> tuple[float, float]:
    """The derivative by central differences of fourth order, and the size of the function."""

    def at(step: float) -> float:
        moved = pytrees.map_leaves(lambda x, v: x + step * v, args[position], direction)
        return _inner(weights, fun(*args[:position], moved, *args[position + 1 :]))

    near, far = at(STEP) - at(-STEP), at(2 * STEP) - at(-2 * STEP)
    scale = pytrees.map_leaves(lambda u, y: np.abs(u * y), weights, fun(*args))
    total = float(sum(map(np.sum, pytrees.flatten(scale)[0])))
    return (8 * near - far) / (12 * STEP), max(total, 1.0)


def _inner(left: Any, right: Any) -> float:
    pairs = zip(pytrees.flatten(left)[0], pytrees.flatten(right)[0], strict=True)
    return float(sum(np.sum(np.asarray(u) * np.asarray(v)) for u, v in pairs))


def _in_double(leaf: Any) -> Any:
    if isinstance(leaf, (np.ndarray, np.generic)) and leaf.dtype.kind == "f":
        return leaf.astype(float)
    return leaf


def _disagreement(comparison: Comparison) -> CheckError:
    return CheckError(
        "a derivative and finite differences disagree",
        [str(comparison), f"error {comparison.error:.3g}, allowed {comparison.tolerance:.3g}"],
        "a point next to a kink or a pole has no derivative to compare; move it, or report a bug",
    )


__all__ = ["CheckError", "Comparison", "Report", "check"]
