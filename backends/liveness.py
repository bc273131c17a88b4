"""Where the values of a program are read, by whom if at all, and how many bytes live at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeGuard

from .program import Program
from .steps import Input, Insert, Reshape, Step, Value, View, shares_memory


def is_view(step: Step) -> TypeGuard[View | Reshape]:
    """Whether the step's entries are those of another value, or zero beyond its bounds."""
    return isinstance(step, (View, Reshape))


class Uses:
    """Where values are read, through views as well; results are read at the end.

    ``looks`` says which steps are views that are not copied.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        outputs: Sequence[Value],
        looks: Callable[[Step], TypeGuard[View | Reshape]] = shares_memory,
    ) -> None:
        self.base: dict[Value, Value] = {}
        self.made: dict[Value, int] = {}
        self.read: dict[Value, list[int]] = {}
        for position, step in enumerate(steps):
            self.made[step.value] = position
            if looks(step):
                self.base[step.value] = self.owner(step.source)
            for value in {*step.operands(), *map(self.owner, step.operands())}:
                self.read.setdefault(value, []).append(position)
        for value in outputs:
            for each in {value, self.owner(value)}:
                self.read.setdefault(each, []).append(len(steps))

    def owner(self, value: Value) -> Value:
        """The value whose memory a value is."""
        return self.base.get(value, value)

    def last(self, value: Value) -> int:
        """The last read of a value or a view of it."""
        return max(self.read.get(self.owner(value), [self.made[value]]))


def read_steps(steps: Sequence[Step], outputs: Iterable[Value]) -> list[Step]:
    """The steps that somebody reads, and the arguments."""
    needed, kept = set(outputs), list[Step]()
    for step in reversed(steps):
        if step.value in needed or isinstance(step, Input):
            needed.update(step.operands())
            kept.append(step)
    return kept[::-1]


def peak(program: Program, bytes_of: Callable[[Value], int]) -> int:
    """Bytes of the arrays that a program makes, at the step where most of them live.

    An array lives from the step that makes it to its last reader; a result lives to the end.
    """
    uses = Uses(program.steps, program.outputs)
    living = most = 0
    ends: dict[int, int] = {}
    for position, step in enumerate(program.steps):
        if isinstance(step, Insert) and step.base is not None:
            living -= ends.pop(position, 0)  # it may write into the array that it starts from
        if not isinstance(step, Input) and not shares_memory(step):
            own = bytes_of(step.value)
            living += own
            last = uses.last(step.value)
            ends[last] = ends.get(last, 0) + own
        most = max(most, living)
        living -= ends.pop(position, 0)
    return most
