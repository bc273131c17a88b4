"""Products of middling matrices: tiles of the result, whose factors pass through shared memory.

A block of threads makes a tile of ``out[batch, rows, columns]``. Panels of both factors, some terms
of the sum deep, are read along memory whatever its order, what elementwise steps make of them is
computed on the way, and every entry serves a whole row or column of the tile. There are two pairs
of panels: one is filled while slower threads still add up the other. What an elementwise step makes
of the product is computed where it is written.

Source: Volkov and Demmel, *Benchmarking GPUs to Tune Dense Linear Algebra* (SC 2008).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..numba_terms import Loops
from ..steps import Contract, Labels, Nest, Term, Value, load
from . import grids
from .actions import Buffer, Grid, Launch
from .contractions import Groups, alpha_of, as_real
from .nests import KernelWriter, innermost, product_of
from .terms import Known, stored


@dataclass(frozen=True, eq=False)
class Panels:
    """A product, what its factors are made of on the way, and what is made of it."""

    step: Contract
    groups: Groups
    #: Elementwise steps that make factors, by the factor.
    before: Mapping[Value, Nest]
    #: The elementwise step that alone reads the product.
    after: Nest | None

    @property
    def value(self) -> Value:
        """What is written."""
        return self.after.value if self.after else self.step.value

    def factors(self) -> list[Term]:
        """Both factors as expressions of the labels of the product."""
        pairs = zip(self.step.operands(), self.step.subscripts, strict=True)
        return [self._factor(value, own) for value, own in pairs]

    def _factor(self, value: Value, own: Labels) -> Term:
        maker = self.before.get(value)
        if maker is None:
            return as_real(value, own)
        return maker.term.renamed(dict(zip(maker.output, own, strict=True)))


class PanelWriter(KernelWriter):
    """The kernel of one product."""

    def __init__(self, known: Known, panels: Panels) -> None:
        super().__init__(known)
        self.panels = panels
        self.extents = panels.step.sizes()
        self.product = ""

    def load(self, value: Value, indices: Sequence[str]) -> str:
        """An entry of an array, or the sum of a thread."""
        return self.product if value is self.panels.step.value else super().load(value, indices)

    def written(self, out: Buffer) -> Launch:
        """The launch that makes the tiles."""
        batch, rows, summed, columns = self.panels.groups
        tile, deep = grids.TILE, grids.DEEP
        height, width = self._volume(rows), self._volume(columns)
        for name in ("left", "right"):
            self.line(f"{name} = cuda.shared.array((2, {deep}, {tile + 1}), real)")
        self.line("x, y = cuda.threadIdx.x, cuda.threadIdx.y")
        self.line("thread = y * cuda.blockDim.x + x")
        self.line(f"tiles = ({width} + {tile - 1}) // {tile}")
        self.line(
            f"top, first = cuda.blockIdx.x // tiles * {tile}, cuda.blockIdx.x % tiles * {tile}"
        )
        self.line("turn = 0")
        counter = f"i{batch[0]}" if len(batch) == 1 else "matrix"
        self.opened(counter, "cuda.blockIdx.z", self._volume(batch))
        self.taken_apart(counter, batch, self.extents)
        sums = [f"s{i}{j}" for i in range(grids.EACH) for j in range(grids.EACH)]
        self.line(f"{' = '.join(sums)} = real(0)")
        self.opened("start", "0", self._volume(summed))
        terms = self.panels.factors()
        self._filled("left", terms[0], ("row", "top", height), rows)
        self._filled("right", terms[1], ("column", "first", width), columns)
        self.line("cuda.syncthreads()")
        self._added()
        self.line("turn = 1 - turn")
        self.closed("start", str(deep))
        self._stored(out, height, width)
        self.closed(counter, "cuda.gridDim.z")
        sizes = [product_of([self.extents[k] for k in group]) for group in (batch, rows, columns)]
        comment = "A product in tiles, its factors through shared memory."
        return self.launched("panels", {"out": out}, comment, Grid("panels", tuple(sizes)))

    def _volume(self, labels: Sequence[int]) -> str:
        return self.volume([self.extents[k] for k in labels])

    def _filled(
        self, name: str, term: Term, line: tuple[str, str, str], labels: Sequence[int]
    ) -> None:
        """A panel of a factor, its neighbours in memory by neighbouring threads."""
        index, corner, bound = line
        summed = self.panels.groups.summed
        free = (*self.panels.groups.batch, *labels)
        nest = Nest(self.panels.step.value, term, free, tuple(summed), self.extents)
        tile, deep = grids.TILE, grids.DEEP
        along = innermost(nest, self.places) in summed
        length = deep if along else tile
        slow, fast = f"entry >> {length.bit_length() - 1}", f"entry & {length - 1}"
        across, down = (slow, fast) if along else (fast, slow)
        self.line(f"for entry in range(thread, {tile * deep}, cuda.blockDim.x * cuda.blockDim.y):")
        self.indent += 1
        self.line(f"across, down = {across}, {down}")
        self.line(f"{index}, term = {corner} + across, start + down")
        self.line("entering = real(0)")
        self.line(f"if {index} < {bound} and term < {self._volume(summed)}:")
        self.indent += 1
        self._apart(index, labels)
        self._apart("term", summed)
        self.line(f"entering = {self._valued(term)}")
        self.indent -= 1
        self.line(f"{name}[turn, down, across] = entering")
        self.indent -= 1

    def _apart(self, index: str, labels: Sequence[int]) -> None:
        if len(labels) == 1:
            self.line(f"i{labels[0]} = {index}")
        else:
            self.taken_apart(index, labels, self.extents)

    def _valued(self, term: Term, kind: str = "real") -> str:
        """Lines that compute a term here; its text."""
        loops = Loops(dict.fromkeys(self.extents, 0), 0)
        value = self.term(term, loops, kind)
        self.emit(loops, 0)
        return value

    def _added(self) -> None:
        """All products of the panels into the sums of a thread."""
        each, step = range(grids.EACH), grids.TILE // grids.EACH
        self.line(f"for down in range({grids.DEEP}):")
        self.indent += 1
        for i in each:
            self.line(f"left_{i} = left[turn, down, y + {i * step}]")
            self.line(f"right_{i} = right[turn, down, x + {i * step}]")
        for i in each:
            for j in each:
                self.line(f"s{i}{j} += left_{i} * right_{j}")
        self.indent -= 1

    def _stored(self, out: Buffer, height: str, width: str) -> None:
        """The entries of a thread, as the step after the product makes them."""
        each, step = range(grids.EACH), grids.TILE // grids.EACH
        for i in each:
            for j in each:
                row, column = f"top + y + {i * step}", f"first + x + {j * step}"
                self.line(f"row, column = {row}, {column}")
                self.line(f"if row < {height} and column < {width}:")
                self.indent += 1
                self._apart("row", self.panels.groups.rows)
                self._apart("column", self.panels.groups.columns)
                self._entry(out, f"s{i}{j}")
                self.indent -= 1

    def _entry(self, out: Buffer, total: str) -> None:
        step, after = self.panels.step, self.panels.after
        alpha = alpha_of(step)
        if alpha != 1:
            self.line(f"{total} *= {self.number(alpha)}")
        self.product = total
        order, term = step.output, load(step.value, step.output)
        if after is not None:
            (own,) = {own for value, own in after.term.loads() if value is step.value}
            names = dict(zip(own, step.output, strict=True))
            order, term = tuple(names[k] for k in after.output), after.term.renamed(names)
        kind = self.panels.value.kind
        value = stored(kind, self._valued(term, kind))
        place = self.flat([f"i{k}" for k in order], [self.extents[k] for k in order])
        self.line(f"out[{place}] = {value}")


def panels(found: Panels, out: Buffer, known: Known) -> Launch:
    """``out[output] = after(alpha * sum of left * right)`` by one kernel."""
    return PanelWriter(known, found).written(out)


__all__ = ["Panels", "panels"]
