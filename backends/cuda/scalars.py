"""Scalars into their readers: every thread computes again what would be a launch of its own."""

from __future__ import annotations

from dataclasses import replace

from ..nest_fusion import LIMIT
from ..program import Program
from ..steps import Nest, Step, Term, Value

#: Operations of a scalar that are cheaper in every thread than a launch.
SCALAR = 16


def with_scalars_inlined(program: Program) -> Program:
    """The program with numbers that are functions of numbers inside the nests that read them."""
    steps: list[Step] = list(program.steps)
    outputs = set(program.outputs)
    for step in reversed(program.steps):
        if isinstance(step, Nest) and not step.output and not step.reduced:
            if step.value not in outputs and step.term.size() <= SCALAR:
                steps = _moved(steps, step)
    result = Program(steps, program.outputs)
    result.verify()
    return result


def _moved(steps: list[Step], scalar: Nest) -> list[Step]:
    current = next(step for step in steps if step.value is scalar.value)
    assert isinstance(current, Nest)
    readers = [step for step in steps if scalar.value in step.operands()]
    if not all(_fits(current, reader) for reader in readers):
        return steps
    new: dict[Value, Step] = {
        reader.value: replace(reader, term=_substituted(reader.term, current))
        for reader in readers
        if isinstance(reader, Nest)
    }
    return [new.get(step.value, step) for step in steps if step is not current]


def _fits(scalar: Nest, reader: Step) -> bool:
    if not isinstance(reader, Nest):
        return False
    times = sum(value is scalar.value for value, _ in reader.term.loads())
    return reader.term.size() + times * scalar.term.size() <= LIMIT


def _substituted(term: Term, scalar: Nest) -> Term:
    if term.operator == "load":
        return scalar.term if term.payload[0] is scalar.value else term
    arguments = tuple(_substituted(argument, scalar) for argument in term.arguments)
    return Term(term.operator, arguments, term.payload)
