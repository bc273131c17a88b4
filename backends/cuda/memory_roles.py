"""Whose memory each value is made in, decided before anything is: results, sharing, inlining."""

from __future__ import annotations

from ..program import Program
from ..steps import Contract, Indicator, Input, Insert, Labels, Nest, Reshape, Step, Value, View
from .actions import Buffer


class Roles:
    """Buffers of a program's values.

    A base that an :class:`Insert` writes into for good is made in the result of the insertion. A
    core that only an insertion reads is computed where it is written.
    """

    def __init__(self, program: Program) -> None:
        self.makers: dict[Value, Step] = {step.value: step for step in program.steps}
        self.readers: dict[Value, list[tuple[int, Step]]] = {}
        for position, step in enumerate(program.steps):
            for operand in dict.fromkeys(step.operands()):
                self.readers.setdefault(operand, []).append((position, step))
        self.outputs = set(program.outputs)
        #: The value in whose buffer a value is made.
        self.shared: dict[Value, Value] = {}
        #: Cores that are computed where they are inserted.
        self.inlined: set[Value] = set()
        for step in reversed(program.steps):
            if isinstance(step, Insert):
                self._insertion(step)
        self.results = self._results(program)
        self.buffers: dict[Value, Buffer] = {}

    def buffer(self, value: Value) -> Buffer:
        """The buffer of a value that is made."""
        root = value
        while root in self.shared:
            root = self.shared[root]
        if root not in self.buffers:
            role = "result" if root in self.results else "workspace"
            self.buffers[root] = Buffer(root.name, root.extents, root.kind, role)  # type: ignore[arg-type]
        return self.buffers[root]

    def _insertion(self, step: Insert) -> None:
        base = step.base
        if base is not None and self._ends_in(base, step):
            self.shared[base] = step.value
        core = self.makers[step.core]
        alone = [reader for _, reader in self.readers[step.core]] == [step]
        if (
            alone
            and step.core not in self.outputs
            and isinstance(core, Nest)
            and not core.reduced
            and core.value.kind == "real"
            and _in_order(core.output, step.labels)
        ):
            self.inlined.add(step.core)

    def _ends_in(self, base: Value, step: Insert) -> bool:
        """Whether a base is made by a kernel, and nobody but the insertion reads it."""
        maker = self.makers[base]
        return (
            isinstance(maker, (Nest, Contract, Insert))
            and base.kind == "real"
            and base not in self.outputs
            and [reader for _, reader in self.readers[base]] == [step]
            and step.core is not base
        )

    def _results(self, program: Program) -> set[Value]:
        """Values that are made in memory of the caller; each memory is one result."""
        found: set[Value] = set()
        for output in program.outputs:
            value = output
            while isinstance(step := self.makers[value], Reshape):
                value = step.source
            if not isinstance(step, (Input, View, Indicator)):
                found.add(value)
        return found


def _in_order(output: Labels, labels: Labels) -> bool:
    return len(output) == len(labels) and len(set(labels)) == len(labels)
