"""Kernels with a thread for each entry: nests, structured writes, gathers, scatters.

Threads along x step through the last axis, so that a warp writes neighbouring entries; y and z
count the axes before it. Nests whose arrays all have the same axes in the same order are one axis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..numba_terms import Loops
from ..steps import Affine, Gather, Insert, Labels, Nest, Scatter, Term, Value, load
from .actions import Buffer, Grid, Kernel, Launch
from .fours import FoursWriter, suits
from .grids import THREADS
from .nests import KernelWriter, canonical, collapsed, product_of
from .terms import Known, stored

#: Writes the lines for one entry: the loops, and the depth of the innermost.
Body = Callable[[Loops, int], None]


class EntryWriter(KernelWriter):
    """A kernel whose threads each take entries over some labels."""

    def over(self, labels: Labels, sizes: Mapping[int, Any], body: Body) -> Grid:
        """Loops over all entries around the body."""
        if not labels:
            self._block(Loops({}, 0), 0, body)
            return Grid("single", ())
        if len(labels) == 1:
            return self._flat(labels[0], sizes, body)
        return self._tiles(labels, sizes, body)

    def _flat(self, label: int, sizes: Mapping[int, Any], body: Body) -> Grid:
        loops = Loops({label: 1}, 1)
        inner, emitted = self._recorded(loops, 1, body)
        self.emit(loops, 0)
        self.opened(f"i{label}", "cuda.grid(1)", self.size(sizes[label]))
        self._replay(loops, 1, inner, emitted)
        self.closed(f"i{label}", "cuda.gridsize(1)")
        return Grid("flat", (sizes[label],))

    def _tiles(self, labels: Labels, sizes: Mapping[int, Any], body: Body) -> Grid:
        """The last label along x, the one before along y, all others along z."""
        *outer, middle, inner = labels
        depths = dict.fromkeys(outer, 1) | {middle: 1 + bool(outer), inner: 2 + bool(outer)}
        loops = Loops(depths, depths[inner])
        lines, emitted = self._recorded(loops, depths[inner], body)
        self.emit(loops, 0)
        x, y, z = f"i{inner}", f"i{middle}", f"i{outer[0]}" if len(outer) == 1 else "z"
        if outer:
            self.line(f"{x}, y, {z} = cuda.grid(3)")
            self.line(f"while {z} < {self.volume([sizes[k] for k in outer])}:")
            self.indent += 1
            self.taken_apart(z, outer, sizes)
            self.emit(loops, 1)
            self.line(f"{y} = y")
        else:
            self.line(f"{x}, {y} = cuda.grid(2)")
        self.line(f"while {y} < {self.size(sizes[middle])}:")
        self.indent += 1
        self.emit(loops, depths[middle])
        self.line(f"if {x} < {self.size(sizes[inner])}:")
        self.indent += 1
        self._replay(loops, depths[inner], lines, emitted)
        self.indent -= 1
        self._next(y, "y")
        if outer:
            self._next(z, "z")
        extents = product_of([sizes[k] for k in outer]), sizes[middle], sizes[inner]
        return Grid("tiles", extents)

    def _next(self, index: str, axis: str) -> None:
        """The next entry along an axis that the grid could not cover.

        The way out in the middle also keeps the loop, which hardly ever runs twice, from being
        unrolled, which takes registers.
        """
        self.line(f"if cuda.gridDim.{axis} < HIGHEST:")
        self.line("    break")
        self.closed(index, f"cuda.gridDim.{axis} * cuda.blockDim.{axis}")

    def _block(self, loops: Loops, depth: int, body: Body) -> None:
        lines, emitted = self._recorded(loops, depth, body)
        self._replay(loops, depth, lines, emitted)

    def _recorded(self, loops: Loops, depth: int, body: Body) -> tuple[list[str], int]:
        """The body's own lines, written before the loops around them: it fills their lines."""
        outside, self.lines = self.lines, []
        level, self.indent = self.indent, 0
        body(loops, depth)
        inner, self.lines = self.lines, outside
        self.indent = level
        return inner, len(loops.lines[depth])

    def _replay(self, loops: Loops, depth: int, inner: Sequence[str], emitted: int) -> None:
        """The innermost lines of the loops, then the body's own."""
        for text in (*loops.lines[depth][:emitted], *inner):
            self.line(text)


# -- nests ----------------------------------------------------------------------------------------
def elementwise(step: Nest, out: Buffer, known: Known) -> Launch:
    """``out[output] = term``, or the sum over a few terms by one thread."""
    merged, known = collapsed(step, known)
    if merged.output and suits(merged, known.places):
        return _entries_by_four(merged, out, known)
    writer = EntryWriter(known)
    kind = step.value.kind
    extents = [merged.sizes[k] for k in merged.output]

    def body(loops: Loops, depth: int) -> None:
        target = f"out[{writer.flat([f'i{k}' for k in merged.output], extents)}]"
        if merged.reduced:
            value = _summed(writer, merged, loops, depth)
        else:
            value = writer.term(merged.term, loops, kind)
        writer.line(f"{target} = {stored(kind, value)}")

    grid = writer.over(merged.output, merged.sizes, body)
    name = "sum_of_few" if merged.reduced else "entries"
    return writer.launched(name, {"out": out}, "One entry a thread.", grid)


def _entries_by_four(step: Nest, out: Buffer, known: Known) -> Launch:
    writer, kind = FoursWriter(known), step.value.kind

    def store(values: Sequence[str]) -> None:
        writer.line(f"out[i0] = {stored(kind, values[0])}")

    def store_fours(values: Sequence[str]) -> None:
        writer.line(f"store_four(out, x, {', '.join(stored(kind, v) for v in values)})")

    grid = writer.over_fours(step, kind, ["out"], store, store_fours)
    return writer.launched("entries", {"out": out}, "Four entries a thread.", grid)


def _summed(writer: EntryWriter, step: Nest, loops: Loops, depth: int) -> str:
    """Lines that add up terms over the reduced labels, one after the other."""
    inner = Loops(
        {**loops.depths} | {label: depth + 1 + k for k, label in enumerate(step.reduced)},
        depth + len(step.reduced),
    )
    value = writer.term(step.term, inner)
    for place, lines in enumerate(inner.lines[: depth + 1]):
        loops.lines[place].extend(lines)
    writer.line("total = real(0)")
    top = writer.indent
    for k, label in enumerate(step.reduced):
        writer.line(f"for i{label} in range({writer.size(step.sizes[label])}):")
        writer.indent += 1
        writer.emit(inner, depth + 1 + k)
    writer.line(f"total += {value}")
    writer.indent = top
    return "total"


# -- structured writes ----------------------------------------------------------------------------
def insertion(
    step: Insert,
    core: Term,
    out: Buffer,
    known: Known,
) -> Launch:
    """``out[axes] (+)= core`` for all labels: each entry is written once."""
    order = tuple(step.sizes)
    names = {label: k for k, label in enumerate(order)}
    sizes = {names[k]: extent for k, extent in step.sizes.items()}
    axes = tuple(Affine(tuple((names[k], c) for k, c in a.terms), a.offset) for a in step.axes)
    writer = EntryWriter(known)
    indices = [f"i{k}" for k in range(len(order))]

    def body(loops: Loops, depth: int) -> None:
        value = writer.term(core.renamed(names), loops)
        forms = [writer.affine(form, indices) for form in axes]
        if not step.inside:
            writer.line(f"if {writer.bounds(forms, step.value.extents)}:")
            writer.indent += 1
        assign = "=" if step.base is None else "+="
        writer.line(f"out[{writer.flat(forms, step.value.extents)}] {assign} {value}")
        writer.indent -= not step.inside

    grid = writer.over(tuple(range(len(order))), sizes, body)
    return writer.launched("insertion", {"out": out}, "Entries of an affine set.", grid, True)


def gather(
    step: Gather,
    out: Buffer,
    status: Buffer,
    known: Known,
) -> Launch:
    """``out[output] = source[..., index, ...]``; an index out of range is reported."""
    sizes = dict(zip(step.output, step.value.extents, strict=True))
    writer = EntryWriter(known)
    kind = step.value.kind
    indices = [f"i{k}" for k in step.output]

    def body(loops: Loops, depth: int) -> None:
        extent = step.source.extents[step.labels.index(step.selected)]
        _place(writer, step, extent, loops)
        source = writer.load(step.source, [f"i{k}" for k in step.labels])
        target = writer.flat(indices, step.value.extents)
        writer.line(f"out[{target}] = {stored(kind, source)}")

    grid = writer.over(step.output, sizes, body)
    outputs = {"out": out, "status": status}
    return writer.launched("gather", outputs, "Entries by an index.", grid)


def scatter(
    step: Scatter,
    out: Buffer,
    status: Buffer,
    known: Known,
) -> Launch:
    """``out[..., index, ...] += core``; equal indices are added in no particular order."""
    sizes = dict(zip(step.output, step.value.extents, strict=True))
    sizes |= dict(zip(step.index_labels, step.index.extents, strict=True))
    order = (*step.index_labels, *(k for k in step.output if k not in step.index_labels))
    order = tuple(k for k in order if k != step.selected)
    writer = EntryWriter(known)

    def body(loops: Loops, depth: int) -> None:
        extent = step.value.extents[step.output.index(step.selected)]
        _place(writer, step, extent, loops)
        core = writer.load(step.core, [f"i{k}" for k in step.labels])
        core = core if step.core.kind == "real" else f"real({core})"
        target = writer.flat([f"i{k}" for k in step.output], step.value.extents)
        writer.line(f"atomic_add(out, {target}, {core})")

    grid = writer.over(order, {k: sizes[k] for k in order}, body)
    outputs = {"out": out, "status": status}
    comment = "Entries added up at the places of an index."
    return writer.launched("scatter", outputs, comment, grid, updates=True)


def _place(writer: EntryWriter, step: Gather | Scatter, extent: Any, loops: Loops) -> None:
    """The line that looks the selected place up, in the outermost loop that can."""
    index = writer.load(step.index, [f"i{k}" for k in step.index_labels])
    text = f"i{step.selected} = place(int64({index}), {writer.integer(extent)}, status)"
    loops.lines[loops.depth(step.index_labels)].append(text)


# -- matrices -------------------------------------------------------------------------------------
_MIRROR = '''\
def mirror(out, n0):
    """The lower triangle from the upper, in tiles that are read and written along rows."""
    tile = cuda.shared.array((32, 33), real)
    top, left = cuda.blockIdx.y * 32, cuda.blockIdx.x * 32
    if top <= left:
        for k in range(cuda.threadIdx.y, 32, cuda.blockDim.y):
            if top + k < n0 and left + cuda.threadIdx.x < n0:
                tile[k, cuda.threadIdx.x] = out[(top + k) * n0 + left + cuda.threadIdx.x]
        cuda.syncthreads()
        for k in range(cuda.threadIdx.y, 32, cuda.blockDim.y):
            i, j = left + k, top + cuda.threadIdx.x
            if j < i < n0:
                out[i * n0 + j] = tile[cuda.threadIdx.x, k]
'''


def mirror(out: Buffer, order: Any) -> Launch:
    """The upper triangle of a matrix into the lower."""
    kernel = Kernel("mirror", _MIRROR, ("real",), 1, THREADS)
    grid = Grid("squares", (order,))
    return Launch(kernel, (out,), (), (order,), grid, True, f"the lower triangle of {out.name}")


def copied(value: Value) -> Nest:
    """A value as a nest that loads it: what lays a view out in memory."""
    labels = tuple(range(value.ndim))
    step = Nest(value, load(value, labels), labels, (), dict(enumerate(value.extents)))
    return canonical(step)
