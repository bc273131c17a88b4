"""What a step costs: arithmetic operations and bytes moved, as polynomials of the extents."""

from __future__ import annotations

from typing import Any

from tensorcalc.cost import ITEM, Cost, row_flops, volume

from .steps import (
    FACTORS,
    FROM_FACTORS,
    SIGNED_GRAM,
    Call,
    Contract,
    Input,
    Insert,
    Nest,
    Scatter,
    Step,
    shares_memory,
)


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
    if step.name == "solve":
        matrix, side = step.arguments
        both = 2 * matrix.extents[-1] * volume(side.extents)
        return row_flops("solve", [matrix.extents]) + both
    if step.name == SIGNED_GRAM:
        return volume(step.arguments[0].extents) * step.value.extents[0]
    if step.name in FROM_FACTORS:
        size = step.arguments[0].extents[-1]
        if step.name == FACTORS:
            return row_flops("solve", [(size, size)])
        sides = step.arguments[-1] if len(step.arguments) > 1 else step.value
        return 2 * size * volume(sides.extents) if sides.ndim else size
    return row_flops(step.name, [argument.extents for argument in step.arguments])


def moved(step: Step) -> Any:
    """Bytes read and written; a view moves none, nor does an argument."""
    if isinstance(step, Input) or shares_memory(step):
        return 0
    distinct = {operand.name: operand for operand in step.operands()}
    return ITEM * sum(volume(v.extents) for v in (*distinct.values(), step.value))
