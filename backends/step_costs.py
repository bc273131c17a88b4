"""What a step costs: arithmetic operations and bytes moved, as polynomials of the extents."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .steps import Call, Contract, Indicator, Insert, Nest, Reshape, Scatter, Step, Value, View

#: Bytes of a float64; costs are stated for it.
ITEM = 8

#: Leading coefficient of n^3 in operations of linear algebra on an n by n matrix.
CUBIC = {
    "inv": 2.0,
    "det": 2 / 3,
    "logdet": 2 / 3,
    "cholesky": 1 / 3,
    "solve": 2 / 3,
    "eigh": 9.0,
    "svd": 20.0,
}


@dataclass(frozen=True)
class Cost:
    """Operations and bytes; numbers or polynomials of extents."""

    flops: Any = 0
    bytes: Any = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.flops + other.flops, self.bytes + other.bytes)

    def __str__(self) -> str:
        return f"{self.flops} flops, {self.bytes} bytes"


def volume(extents: Iterable[Any]) -> Any:
    """Number of entries of a shape."""
    return math.prod(extents)


def cost(step: Step) -> Cost:
    """Operations of ``step`` and the bytes it reads and writes."""
    return Cost(flops(step), moved(step))


def flops(step: Step) -> Any:
    """Arithmetic operations; a multiplication with its addition counts two."""
    if isinstance(step, Nest):
        labels = (*step.output, *step.reduced)
        return (step.term.size() + bool(step.reduced)) * volume(step.sizes[k] for k in labels)
    if isinstance(step, Contract):
        return 2 * volume(step.sizes().values())
    if isinstance(step, Insert):
        return 0 if step.base is None else volume(step.sizes.values())
    if isinstance(step, Scatter):
        return volume(step.core.extents)
    if isinstance(step, Call):
        return _call_flops(step)
    return 0


def _call_flops(step: Call) -> Any:
    largest = step.arguments[0]
    coefficient = CUBIC.get(step.name)
    if coefficient is None:
        return 4 * sum(volume(argument.extents) for argument in step.arguments)
    n = largest.extents[-1]
    thirds = round(3 * coefficient)
    return thirds * volume(largest.extents) * n // 3


def moved(step: Step) -> Any:
    """Bytes read and written; a view moves none."""
    if isinstance(step, Reshape) or (isinstance(step, View) and step.inside):
        return 0
    distinct = {operand.name: operand for operand in step.operands()}
    return ITEM * sum(volume(v.extents) for v in (*distinct.values(), step.value)) if distinct else (
        ITEM * volume(step.value.extents) if isinstance(step, (Nest, Insert, Indicator)) else 0
    )


def memory(value: Value) -> Any:
    """Bytes of a value."""
    return ITEM * volume(value.extents)
