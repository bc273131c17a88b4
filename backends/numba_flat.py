"""Nests over whole arrays as one loop: a short inner loop costs more than its few entries.

``out[i, j] = f(a[i, j], b[i, j])`` of arrays that lie in memory in one order is one loop over all
entries. ``taskset -c 0 python -m benchmarks --suite models --quick --target numba --problem
convolution`` shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .numba_groups import NumbaGroups
from .program import Program
from .steps import Labels, Nest, Term, Value, load


class NumbaFlat(NumbaGroups):
    """Writes nests, those over whole arrays as one loop."""

    def __init__(self, program: Program, precision: str) -> None:
        super().__init__(program, precision)
        #: Names of arrays that lie in one piece, in the order of their axes.
        self.whole: set[str] = set()
        #: Names of values that must lie in the order of their axes.
        self.ordered: set[str] = set()
        #: Arrays of one axis over the same memory, and the kernel that each belongs to.
        self._flat_names: dict[str, tuple[list[str], str]] = {}
        #: Arrays that exist for values of one axis.
        self._prepared: dict[Value, str] = {}

    def new_array(self, value: Value, how: str = "empty", order: Labels | None = None) -> str:
        """A new array for a value, or the one that was made for it."""
        if value in self._prepared:
            name = self._prepared.pop(value)
            self.arrays[value] = name, (0,)
            return name
        name = super().new_array(value, how, order)
        self.whole.add(name)
        return name

    def _elementwise(self, step: Nest, wanted: str) -> None:
        (flat,) = self._flattened([step], [True])
        super()._elementwise(flat, wanted)

    def group(self, nests: Sequence[Nest], kept: Sequence[bool]) -> None:
        """All nests of a group; those not ``kept`` are read inside it alone and get no array."""
        super().group(self._flattened(nests, kept), kept)

    def _flattened(self, nests: Sequence[Nest], kept: Sequence[bool]) -> Sequence[Nest]:
        """The nests over one label for all that they have; as they are if memory lies otherwise."""
        labels = (*nests[0].output, *nests[0].reduced)
        order = self._common_memory(nests, kept) if len(labels) > 1 and self.indent == 1 else None
        if order is None:
            return nests
        volume: Any = 1
        for label in order:
            volume = volume * nests[0].sizes[label]
        flat = _Flat(self, order[-1], volume)
        return [flat.nest(nest, keep, order) for nest, keep in zip(nests, kept, strict=True)]

    def _common_memory(self, nests: Sequence[Nest], kept: Sequence[bool]) -> Labels | None:
        """The order in which all arrays of some nests lie, each with every label; None if none."""
        made = {nest.value: nest.output for nest in nests}
        orders: set[Labels] = set()
        for nest in nests:
            if nest.output and nest.reduced:
                return None
            for value, own in nest.term.loads():
                if value in made:
                    if own != made[value]:
                        return None
                elif own or value not in self.arrays:
                    name, axes = self.arrays.get(value, ("", ()))
                    if name not in self.whole:
                        return None
                    orders.add(tuple(own[axis] for axis in axes))
        outputs = [nest for nest in nests if nest.output]
        orders |= {n.output for n in outputs if n.value.name in self.lent | self.ordered}
        order = next(iter(orders), None)
        labels = {*nests[0].output, *nests[0].reduced}
        whole = order is not None and len(orders) == 1 and {*order} == labels
        return order if whole and len(order or ()) == len(labels) else None

    def flat_name(self, name: str, volume: Any) -> str:
        """The array as one axis."""
        self.reads.add(name)
        lines, known = self._flat_names.get(name, ([], ""))
        if lines is not self.lines:
            known = self.fresh()
            self.line(f"{known} = {name}.reshape({self.shape([volume])})")
            self._flat_names[name] = self.lines, known
        return known

    def prepare(self, value: Value, name: str) -> None:
        """Let the next new array for a value be this one."""
        self._prepared[value] = name


class _Flat:
    """Nests over several labels as nests over one."""

    def __init__(self, writer: NumbaFlat, label: int, volume: Any) -> None:
        self.writer, self.label, self.volume = writer, label, volume
        self.values: dict[Value, Value] = {}

    def nest(self, nest: Nest, keep: bool, order: Labels) -> Nest:
        """The same entries in the order of memory."""
        term = nest.term.with_loads(self._load)
        output, reduced = ((self.label,), ()) if nest.output else ((), (self.label,))
        value = nest.value
        if output:
            value = self._flat(nest.value)
            if keep:
                axes = tuple(nest.output.index(label) for label in order)
                name = self.writer.new_array(nest.value, order=axes)
                self.writer.prepare(value, self.writer.flat_name(name, self.volume))
        return Nest(value, term, output, reduced, {self.label: self.volume})

    def _flat(self, value: Value) -> Value:
        if value not in self.values:
            self.values[value] = Value(f"{value.name}_flat", (self.volume,), value.kind)
        return self.values[value]

    def _load(self, value: Value, own: Labels) -> Term:
        if not own:
            return load(value, own)
        if value not in self.values:
            name, _ = self.writer.arrays[value]
            self.writer.arrays[self._flat(value)] = self.writer.flat_name(name, self.volume), (0,)
        return load(self._flat(value), (self.label,))


__all__ = ["NumbaFlat"]
