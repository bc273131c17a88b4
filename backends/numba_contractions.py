"""Contractions for numba: matrices for BLAS where the labels allow it, loops where they do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorcalc.extents import same_extents

from .numba_flat import NumbaFlat
from .program import Program
from .steps import Contract, Labels, Nest, Term, Value, View, load


class NumbaContractions(NumbaFlat):
    """Writes contractions, and lays values out as arrays."""

    def __init__(self, program: Program, precision: str) -> None:
        super().__init__(program, precision)
        #: Copies made so far, by the value and the order of its axes.
        self.copies: dict[tuple[Value, tuple[int, ...]], str] = {}

    def contract(self, step: Contract) -> None:
        """``out[output] = sum of left * right``."""
        left, right = step.subscripts
        sizes = step.sizes()
        batch = [x for x in left if x in right and x in step.output]
        summed = [x for x in left if x in right and x not in step.output]
        rows = [x for x in left if x not in right]
        columns = [x for x in right if x not in left]
        lonely = [x for x in (*rows, *columns) if x not in step.output]
        if lonely and summed:
            self.contract(self._without_lonely(step, lonely))
            return
        if lonely or not summed or (batch and not (rows and columns)):
            self.nest(_as_nest(step, sizes))
            return
        self._product(step, batch, rows, summed, columns)

    def _without_lonely(self, step: Contract, lonely: Sequence[int]) -> Contract:
        """The contraction after a factor is summed over labels that nothing else has."""
        factors: list[Value] = []
        subscripts: list[Labels] = []
        for value, own in zip(step.operands(), step.subscripts, strict=True):
            rest = tuple(x for x in own if x not in lonely)
            if rest != own:
                sizes = dict(zip(own, value.extents, strict=True))
                reduced = tuple(x for x in own if x in lonely)
                extents = tuple(sizes[x] for x in rest)
                total = Value(f"{value.name}_sum", extents)
                self.nest(Nest(total, _real(value, own), rest, reduced, sizes))
                value = total
            factors.append(value)
            subscripts.append(rest)
        left, right = factors
        return Contract(step.value, left, right, (subscripts[0], subscripts[1]), step.output)

    def _product(
        self,
        step: Contract,
        batch: Sequence[int],
        rows: Sequence[int],
        summed: Sequence[int],
        columns: Sequence[int],
    ) -> None:
        if not batch and step.left is step.right and rows and columns:
            text = self._gram(step, rows, summed, columns)
            if text:
                self._named(text, step, [rows, columns])
                return
        a = self._matrix(step.left, step.subscripts[0], batch, rows, summed)
        b = self._matrix(step.right, step.subscripts[1], batch, summed, columns)
        function = "batched" if batch else _function(rows, columns)
        groups = [list(batch), list(rows), list(columns)]
        self._named(f"{function}({a}, {b}", step, [group for group in groups if group])

    def _named(self, call: str, step: Contract, groups: Sequence[Sequence[int]]) -> None:
        """The result of a call under a name, with an axis for every label."""
        if not groups:
            name = self.fresh()
            self.line(f"{name} = {call})")
            self.arrays[step.value] = name, ()
            return
        natural = [x for group in groups for x in group]
        name = self.new_array(step.value, order=tuple(step.output.index(x) for x in natural))
        flat = self._merged(name, step.value, step.output, groups, contiguous=True)
        self.line(f"{call}, {flat})")

    def _gram(
        self, step: Contract, rows: Sequence[int], summed: Sequence[int], columns: Sequence[int]
    ) -> str:
        """A matrix by itself: one triangle is enough; "" if the labels lie otherwise."""
        partner = dict(zip(step.subscripts[0], step.subscripts[1], strict=True))
        if any(partner[x] != x for x in summed) or [partner[x] for x in rows] != list(columns):
            return ""
        groups = [tuple(rows), tuple(summed)]
        name, places = self._memory(step.left, step.subscripts[0], *groups)
        for function, order in (("row_gram", groups), ("gram", groups[::-1])):
            if places == (*order[0], *order[1]):
                matrix = self._merged(name, step.left, step.subscripts[0], order)
                return f"{function}({matrix}"
        return ""

    def _matrix(self, value: Value, own: Labels, *groups: Sequence[int]) -> str:
        """The value with each group of labels as one axis; transposed, not copied, if it can be."""
        batch, first, second = groups
        name, places = self._memory(value, own, *groups)
        if places == (*batch, *second, *first) and not batch and places != (*first, *second):
            return f"{self._merged(name, value, own, (batch, second, first))}.T"
        wanted = (*batch, *first, *second)
        if batch and places != wanted and places[-1] not in batch and _are_single(groups):
            axes = tuple(places.index(label) for label in wanted)
            return f"{name}.transpose({axes})"  # of which BLAS reads each matrix as it lies
        if places != wanted:
            name = self._permuted(value, own, (*batch, *first, *second))
        return self._merged(name, value, own, groups)

    def _memory(self, value: Value, own: Labels, *groups: Sequence[int]) -> tuple[str, Labels]:
        """An array of real numbers and its labels in the order of its axes.

        Where there is none, it is made with the groups of labels one after the other: the first
        first, or the last where that makes longer runs of what is copied.
        """
        found = self._array_of(value, own)
        if found is not None:
            return found
        orders = [tuple(label for group in groups for label in group)]
        if not (len(groups) == 3 and groups[0]):
            orders.append(tuple(label for group in groups[::-1] for label in group))
        known = [each for each in orders if self._key(value, own, each) in self.copies]
        extents = dict(zip(own, value.extents, strict=True))
        longer = [each for each in orders if not isinstance(extents[each[-1]], int)]
        order = (*known, *longer, *orders)[0]
        return self._permuted(value, own, order), order

    def _array_of(self, value: Value, own: Labels) -> tuple[str, Labels] | None:
        """An array that holds the value's real numbers, and its labels in the order of its axes."""
        if value not in self.arrays:
            if isinstance(step := self.makers[value], View) and value.kind == "real":
                permutation = _permutation(step)
                if permutation is not None:
                    return self._array_of(step.source, tuple(own[k] for k in permutation))
            return None
        if value.kind != "real":
            return None
        name, axes = self.arrays[value]
        self.reads.add(name)
        return name, tuple(own[axis] for axis in axes)

    def _permuted(self, value: Value, own: Labels, order: Labels) -> str:
        """A copy with its axes in an order; one for all that want it."""
        key = self._key(value, own, order)
        if key not in self.copies:
            extents = dict(zip(own, value.extents, strict=True))
            copy = Value(f"{value.name}_copy", tuple(extents[x] for x in order))
            self.ordered.add(copy.name)
            self.nest(Nest(copy, load(value, own), order, (), extents))
            self.copies[key] = self.arrays[copy][0]
        self.reads.add(self.copies[key])
        return self.copies[key]

    @staticmethod
    def _key(value: Value, own: Labels, order: Labels) -> tuple[Value, tuple[int, ...]]:
        return value, tuple(own.index(label) for label in order)

    def _merged(
        self,
        name: str,
        value: Value,
        own: Labels,
        groups: Sequence[Sequence[int]],
        contiguous: bool = False,
    ) -> str:
        """The array with one axis for each group of labels."""
        if _are_single(groups):
            return name
        extents = dict(zip(own, value.extents, strict=True))
        volumes: list[Any] = []
        for group in groups:
            volume: Any = 1
            for x in group:
                volume = volume * extents[x]
            volumes += [volume] if group else []
        array = name if contiguous else f"np.ascontiguousarray({name})"
        return f"{array}.reshape({self.shape(volumes)})"

    def laid_out(self, value: Value) -> str:
        """The name of an array with the value's axes in order; a copy if there is none."""
        if value in self.arrays:
            name, axes = self.arrays[value]
            if axes == tuple(range(value.ndim)):
                self.reads.add(name)
                return name
        labels = tuple(range(value.ndim))
        sizes = dict(enumerate(value.extents))
        copy = Value(value.name, value.extents, value.kind)
        self.ordered.add(copy.name)
        self.nest(Nest(copy, load(value, labels), labels, (), sizes))
        self.arrays[value] = self.arrays[copy]
        return self.arrays[value][0]


def _are_single(groups: Sequence[Sequence[int]]) -> bool:
    return all(len(group) <= 1 for group in groups)


def _function(rows: Sequence[int], columns: Sequence[int]) -> str:
    if rows and columns:
        return "matrix_matrix"
    if rows:
        return "matrix_vector"
    return "vector_matrix" if columns else "dot"


def _as_nest(step: Contract, sizes: dict[int, Any]) -> Nest:
    """The same sum as a loop nest."""
    left, right = map(_real, step.operands(), step.subscripts)
    reduced = tuple(x for x in sizes if x not in step.output)
    return Nest(step.value, Term("multiply", (left, right)), step.output, reduced, sizes)


def _real(value: Value, own: Labels) -> Term:
    """A load as a number."""
    return load(value, own) if value.kind == "real" else Term("select", (load(value, own), _ONE))


_ONE = Term("constant", (), 1)


def _permutation(step: View) -> list[int] | None:
    """The label of every source axis if the view only orders whole axes anew."""
    labels = [form.label for form in step.axes]
    if None in labels or len(set(labels)) != len(labels) or len(labels) != step.value.ndim:
        return None
    if not step.inside:
        return None
    sizes = [step.value.extents[label] for label in labels if label is not None]
    whole = same_extents(tuple(sizes), step.source.extents)
    return [label for label in labels if label is not None] if whole else None


__all__ = ["NumbaContractions"]
