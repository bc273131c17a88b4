"""Elementwise steps in a row, run block by block: what one makes, the next reads from cache.

Twelve passes over arrays of megabytes, as an update by Adam needs them, go through memory twelve
times; over blocks of rows that fit into the second cache they go through it once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tensorcalc.operations.helpers import helper

from .steps import Nest, Step, Value

if TYPE_CHECKING:
    from .numpy_writer import NumpyWriter

#: Entries from which a group is worth it, and entries of a block.
SMALLEST, BLOCK = 2**20, 2**15

helper("""
def in_blocks(part, rows, step):
    # part of every slice of the first axis.
    for start in range(0, rows, step):
        part(slice(start, start + step))
""")


def group_from(steps: list[Step], start: int) -> list[Nest]:
    """The elementwise steps of one large shape that begin at a position; [] if they are not two."""
    group: list[Nest] = []
    sliced: dict[Value, bool] = {}
    first = steps[start]
    while start + len(group) < len(steps):
        step = steps[start + len(group)]
        if not isinstance(step, Nest) or not _joins(step, first.value, sliced):
            break
        group.append(step)
    return group if sum(step.term.size() for step in group) > 1 else []


def _joins(step: Nest, first: Value, sliced: dict[Value, bool]) -> bool:
    """Whether a step has the shape of the group and can be cut along the first axis."""
    extents = step.value.extents
    if step.reduced or extents != first.extents or not extents:
        return False
    if not all(isinstance(extent, int) for extent in extents) or extents[0] < 4:
        return False
    if math.prod(extents) < SMALLEST or step.term.labels() != set(step.output):
        return False
    lead = step.output[0]
    loads = list(step.term.loads())
    fit = all(lead not in own or own[0] == lead for _, own in loads) and all(
        sliced.get(value, lead in own) == (lead in own) for value, own in loads
    )
    if fit:
        sliced.update({value: lead in own for value, own in loads})
        sliced[step.value] = True
    return fit


class GroupWriter:
    """Writes one group into the text of a writer."""

    def __init__(self, writer: NumpyWriter, group: list[Nest], start: int) -> None:
        self.writer, self.group, self.start = writer, group, start
        values = {step.value for step in group}
        self.outer = {
            step.value: self._allocated(step.value) for step in group if self._is_needed(step.value)
        }
        self.head: list[str] = []
        self.inner: dict[Value, str] = {}
        for step in group:
            for value, own in step.term.loads():
                if value not in values and step.output[0] in own and value not in self.inner:
                    self.inner[value] = f"v{len(self.inner)}"
                    self.head.append(f"{self.inner[value]} = {writer.names[value]}[s]")
        self.whole = {
            value
            for step in group
            for value, _ in step.term.loads()
            if value not in values and value not in self.inner
        }

    def _is_needed(self, value: Value) -> bool:
        """Whether somebody outside the group reads the value or a view of it."""
        return self.writer.last_use.get(value, 0) >= self.start + len(self.group)

    def _allocated(self, value: Value) -> str:
        kind = self.writer.dtype() if value.kind == "real" else _DTYPES[value.kind]
        return self.writer.bind(f"empty({self.writer.shape(value.extents)}, {kind})")

    def write(self) -> None:
        """Add the function of a slice and the loop over slices; name the values that are needed."""
        writer = self.writer
        lines, writer.lines = writer.lines, []
        names, owned, prefix = dict(writer.names), set(writer.owned), writer.prefix
        writer.names.update(self.inner)
        writer.owned -= self.whole
        writer.prefix = "u"
        for k, step in enumerate(self.group):
            writer.position = self.start + k
            self._step(step)
        body, writer.lines = [*self.head, *writer.lines], lines
        writer.names, writer.owned, writer.prefix = names, owned, prefix
        self._finish(body)

    def _step(self, step: Nest) -> None:
        writer, value = self.writer, step.value
        writer.order, writer.loads = step.output, [v for v, _ in step.term.loads()]
        piece = writer.piece(step.term)
        if value not in self.outer:
            writer.names[value] = piece.owned or writer.bind(piece.text)
        else:
            name = writer.names[value] = f"w{len(self.head)}"
            self.head.append(f"{name} = {self.outer[value]}[s]")
            if piece.call and not piece.owned:
                writer.line(f"{piece.call}, out={name})")
            else:
                writer.line(f"{name}[...] = {writer.aligned(piece, step.output)}")
        if value not in self.outer:
            writer.owned.add(value)

    def _finish(self, body: list[str]) -> None:
        writer, extents = self.writer, self.group[0].value.extents
        writer.counter += 1
        name = f"part{writer.counter}"
        text = "\n".join(f"        {line}" for line in body)
        rows = max(BLOCK // max(math.prod(extents[1:]), 1), 1)
        writer.line(f"def {name}(s):\n{text}\n    in_blocks({name}, {extents[0]}, {rows})")
        for value, outer in self.outer.items():
            writer.names[value] = outer
            writer.owned.add(value)
            writer.row_major.add(value)


_DTYPES: dict[Any, str] = {"boolean": "bool", "integer": "int"}
