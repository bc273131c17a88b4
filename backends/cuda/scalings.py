"""Numbers into sums: ``2 * (A @ B)`` is one call with a factor, ``-sum(x)`` one kernel."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..program import Program
from ..steps import Contract, Labels, Nest, Step, Term, Value, constant


@dataclass(frozen=True, eq=False)
class Scaled(Contract):
    """``out[output] = alpha * sum of left * right``."""

    alpha: float = 1.0


def with_scalings_inlined(program: Program) -> Program:
    """The program with multiples of sums made where the sums are."""
    steps: list[Step] = list(program.steps)
    readers: dict[Value, list[Step]] = {}
    for step in steps:
        for operand in step.operands():
            readers.setdefault(operand, []).append(step)
    makers = {step.value: step for step in steps}
    changed: dict[Value, Step | None] = {}
    for step in steps:
        found = _scaling(step)
        if found is None:
            continue
        value, own, alpha = found
        if value in program.outputs or len(readers[value]) > 1:
            continue
        new = _times(makers[value], step, own, alpha)
        if new is not None:
            changed[value] = new
            changed[step.value] = None
    kept = (changed.get(step.value, step) for step in steps)
    result = Program([step for step in kept if step is not None], program.outputs)
    result.verify()
    return result


def _scaling(step: Step) -> tuple[Value, Labels, float] | None:
    """What is multiplied by a number and by nothing else, and the number."""
    if not isinstance(step, Nest) or step.reduced or step.term.operator != "multiply":
        return None
    loads = [term for term in step.term.arguments if term.operator == "load"]
    numbers = [term.payload for term in step.term.arguments if term.operator == "constant"]
    if len(loads) != 1 or len(numbers) != len(step.term.arguments) - 1:
        return None
    value, own = loads[0].payload
    whole = sorted(own) == sorted(step.output) and value.kind == "real"
    return (value, own, math.prod(numbers)) if whole else None


def _times(maker: Step, reader: Step, own: Labels, alpha: float) -> Step | None:
    """The sum with the number in it, its axes in the reader's order; None if it is no sum."""
    assert isinstance(reader, Nest)
    order = [own.index(label) for label in reader.output]
    if isinstance(maker, Contract):
        output = tuple(maker.output[k] for k in order)
        return Scaled(reader.value, maker.left, maker.right, maker.subscripts, output, float(alpha))
    if not isinstance(maker, Nest) or not maker.reduced:
        return None
    term = Term("multiply", (constant(alpha), maker.term))
    output = tuple(maker.output[k] for k in order)
    return replace(maker, value=reader.value, term=term, output=output)


__all__ = ["Scaled", "with_scalings_inlined"]
