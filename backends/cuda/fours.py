"""Nests over one axis whose threads take four neighbouring entries: 128-bit loads and stores.

A thread that loads one number at a time has too few bytes on their way to fill the memory's
bandwidth, and a store keeps later loads from being issued before it. Four entries are one load of
128 bits in float32 and two in float64. Memory that does not begin at a multiple of 16 bytes, as
part of an array of another library may, and the last few entries are taken one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..numba_terms import Loops
from ..steps import Nest, Term, Value
from .actions import Grid
from .nests import KernelWriter
from .terms import Known, Place

#: Operations and arrays of a nest up to which four copies of each find registers.
LIMIT, ARRAYS = 12, 4
#: Entries of one thread.
LANES = range(4)

#: Writes what becomes of the value of one entry, or of the values of four.
Store = Callable[[Sequence[str]], None]


class FoursWriter(KernelWriter):
    """Terms of four entries: arrays over the axis are loaded at once, once each."""

    def __init__(self, known: Known) -> None:
        super().__init__(known)
        #: The entry that is being written, None for the loop over single ones.
        self.lane: int | None = None
        #: Pointers that are loaded four entries at a time.
        self.wide: dict[str, None] = {}

    def load(self, value: Value, indices: Sequence[str]) -> str:
        """The entry of the lane, if the array lies along the axis."""
        if self.lane is None or not indices:
            return super().load(value, indices)
        name = self.pointer(self.places[value][0])
        self.wide[name] = None
        return f"({name}_{self.lane} != 0)" if value.kind == "boolean" else f"{name}_{self.lane}"

    def over_fours(
        self, nest: Nest, wanted: str, written: Sequence[str], store: Store, store_fours: Store
    ) -> Grid:
        """Both loops around the values of the nest's only label; ``written`` pointers are wide."""
        (label,) = (*nest.output, *nest.reduced)
        loops = Loops({label: 1}, 1)
        values = []
        for self.lane in LANES:
            values.append(self.term(nest.term, loops, wanted))
        own, loops.lines[1] = loops.lines[1], []
        self.lane = None
        value = self.term(nest.term, loops, wanted)
        self.emit(loops, 0)
        size = self.size(nest.sizes[label])
        pointers = [*written, *self.wide]
        aligned = " and ".join(f"aligned({name})" for name in pointers)
        self.line(f"fours = {self.integer(nest.sizes[label])} // 4 if {aligned} else int64(0)")
        self.opened("x", "cuda.grid(1)", "fours")  # a, b, ..., w are pointers
        for name in self.wide:
            lanes = ", ".join(f"{name}_{lane}" for lane in LANES)
            self.line(f"{lanes} = load_four({name}, x)")
        for text in own:
            self.line(text)
        store_fours(values)
        self.closed("x", "cuda.gridsize(1)")
        self.opened(f"i{label}", "4 * fours + cuda.grid(1)", size)
        for text in loops.lines[1]:
            self.line(text)
        store([value])
        self.closed(f"i{label}", "cuda.gridsize(1)")
        return Grid("fours", (nest.sizes[label],))


def suits(nest: Nest, places: Mapping[Value, Place]) -> bool:
    """Whether a nest has one axis, little work, and few arrays, each a number or along the axis."""
    labels = (*nest.output, *nest.reduced)
    loads = list(nest.term.loads())
    return (
        len(labels) == 1
        and 0 < len({value for value, own in loads if own}) <= ARRAYS
        and all(value in places and own in ((), labels) for value, own in loads)
        and _operations(nest.term) <= LIMIT
    )


def _operations(term: Term) -> int:
    return bool(term.arguments) + sum(map(_operations, term.arguments))


__all__ = ["FoursWriter", "suits"]
