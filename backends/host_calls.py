"""Operations that generated loops cannot say become steps of their own between the loops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from .node_kinds import kind_of
from .program import Program
from .steps import Call, Labels, Nest, Step, Term, Value, load


def with_host_calls(program: Program, can_say: Callable[[Term], bool]) -> Program:
    """The program with every ``apply`` that ``can_say`` refuses made by a Call of arrays."""
    splitting = _Splitting(can_say)
    for step in program.steps:
        splitting.add(step)
    return program.with_steps(splitting.steps)


class _Splitting:
    def __init__(self, can_say: Callable[[Term], bool]) -> None:
        self.can_say = can_say
        self.steps: list[Step] = []
        self.count = 0

    def add(self, step: Step) -> None:
        if isinstance(step, Nest):
            step = replace(step, term=self._term(step.term, step.sizes))
        self.steps.append(step)

    def _term(self, term: Term, sizes: Mapping[int, Any]) -> Term:
        arguments = tuple(self._term(argument, sizes) for argument in term.arguments)
        term = Term(term.operator, arguments, term.payload)
        if term.operator != "apply" or self.can_say(term):
            return term
        labels = tuple(label for label in sizes if label in term.labels())
        values = tuple(self._array(argument, labels, sizes) for argument in arguments)
        operation, params = term.payload
        value = self._value(labels, sizes, operation.result)
        self.steps.append(Call(value, operation, values, params))
        return load(value, labels)

    def _array(self, term: Term, labels: Labels, sizes: Mapping[int, Any]) -> Value:
        """The value of an operand over all labels of the operation."""
        if term.operator == "load" and term.payload[1] == labels:
            return term.payload[0]
        used = {label: sizes[label] for label in labels}
        value = self._value(labels, sizes, kind_of(term))
        self.steps.append(Nest(value, term, labels, (), used))
        return value

    def _value(self, labels: Labels, sizes: Mapping[int, Any], kind: Any) -> Value:
        self.count += 1
        return Value(f"h{self.count}", tuple(sizes[label] for label in labels), kind)
