"""Kernels that add up: everything, rows, columns. No order depends on the run.

=========== ===================================================================================
everything  each block adds up a part; the last block that finishes adds the parts of all
rows        a warp for each entry of the result, a block if rows are long; lanes along the row
columns     threads along the columns, blocks for parts of their height; a second kernel adds these
few         one thread for each entry of the result (:func:`.elementwise.elementwise`)
pairs       ``sum_j f(x[i], y[j])`` for more than a few ``i`` (:mod:`.pairs`)
=========== ===================================================================================

Lanes go along the label that most arrays step through in memory, so loads are coalesced.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tensorcalc.extents import symbol

from ..numba_terms import Loops
from ..steps import Labels, Nest, Term, Value, load
from . import grids
from .actions import Action, Buffer, Count, Grid, Launch
from .elementwise import elementwise
from .fours import FoursWriter, suits
from .nests import KernelWriter, collapsed, innermost, is_stored, product_of
from .terms import Known

#: Terms of a sum that one thread adds up.
FEW = 32


def everything(step: Nest, out: Buffer, known: Known) -> list[Action]:
    """``out[] = sum of term``."""
    merged, known = collapsed(step, known)
    if suits(merged, known.places):
        return _everything_by_four(merged, out, known)
    inner = innermost(merged, known.places)
    outer = [label for label in merged.reduced if label != inner]
    writer = KernelWriter(known)
    loops = Loops({**dict.fromkeys(outer, 1), inner: 1 + bool(outer)}, 1 + bool(outer))
    value = writer.term(merged.term, loops)
    writer.emit(loops, 0)
    writer.line("total = real(0)")
    first = "cuda.grid(1)"
    if outer:
        writer.line("x, y = cuda.grid(2)")
        first = "x"
        rows = writer.volume([merged.sizes[k] for k in outer])
        counter = f"i{outer[0]}" if len(outer) == 1 else "row"
        writer.opened(counter, "y", rows)
        writer.taken_apart(counter, outer, merged.sizes)
        writer.emit(loops, 1)
    writer.opened(f"i{inner}", first, writer.size(merged.sizes[inner]))
    writer.emit(loops, 1 + bool(outer))
    writer.line(f"total += {value}")
    writer.closed(f"i{inner}", "cuda.gridDim.x * cuda.blockDim.x")
    if outer:
        writer.closed(counter, "cuda.gridDim.y * cuda.blockDim.y")
    length = merged.sizes[inner]
    grid = Grid("line", (length,))
    if outer:
        grid = Grid("parts", (product_of([merged.sizes[k] for k in outer]), length))
    return [grid_sum(writer, out, grid)]


def _everything_by_four(step: Nest, out: Buffer, known: Known) -> list[Action]:
    writer = FoursWriter(known)
    writer.line("total = real(0)")
    writer.over_fours(
        step,
        "real",
        [],
        lambda values: writer.line(f"total += {values[0]}"),
        lambda values: writer.line("total += ({} + {}) + ({} + {})".format(*values)),
    )
    return [grid_sum(writer, out, Grid("line", (step.sizes[step.reduced[0]],)))]


def grid_sum(
    writer: KernelWriter, out: Buffer, grid: Grid, name: str = "everything", total: str = "total"
) -> Launch:
    """The kernel of the lines so far, whose threads each have a part of the total, launched."""
    writer.line(f"grid_sum(out, parts, counter, {total})")
    parts = Buffer(f"{out.name}_parts", (grids.PARTS,))
    done = Buffer(f"{out.name}_counter", (1,), "counter", "zeroed")
    outputs = {"out": out, "parts": parts, "counter": done}
    return writer.launched(name, outputs, "The sum of all terms.", grid)


def reduction(step: Nest, out: Buffer, known: Known, name: str) -> list[Action]:
    """``out[output] = sum over reduced of term``, along rows or columns."""
    merged, known = collapsed(step, known)
    inner = innermost(merged, known.places)
    if inner in merged.reduced:
        return [_rows(merged, inner, out, known)]
    return _columns(step, merged, inner, out, known, name)


def _rows(step: Nest, inner: int, out: Buffer, known: Known) -> Launch:
    writer = KernelWriter(known)
    sums = [label for label in step.reduced if label != inner]
    depths = dict.fromkeys(step.output, 1)
    depths |= {label: 2 + k for k, label in enumerate((*sums, inner))}
    loops = Loops(depths, len(sums) + 2)
    value = writer.term(step.term, loops)
    writer.emit(loops, 0)
    row = f"i{step.output[0]}" if len(step.output) == 1 else "row"
    extents = [step.sizes[k] for k in step.output]
    first = "cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y"
    writer.opened(row, first, writer.volume(extents))
    writer.taken_apart(row, step.output, step.sizes)
    writer.emit(loops, 1)
    writer.line("total = real(0)")
    for k, label in enumerate(sums):
        writer.line(f"for i{label} in range({writer.size(step.sizes[label])}):")
        writer.indent += 1
        writer.emit(loops, 2 + k)
    writer.opened(f"i{inner}", "cuda.threadIdx.x", writer.size(step.sizes[inner]))
    writer.emit(loops, len(sums) + 2)
    writer.line(f"total += {value}")
    writer.closed(f"i{inner}", "cuda.blockDim.x")
    writer.indent -= len(sums)
    writer.line("total = team_sum(total)")
    writer.line("if cuda.threadIdx.x == 0:")
    writer.line(f"    out[{row}] = total")
    writer.closed(row, "cuda.gridDim.x * cuda.blockDim.y")
    grid = Grid("rows", (product_of(extents), step.sizes[inner]))
    launch = writer.launched("rows", {"out": out}, "Sums along rows, a team for each.", grid)
    return replace(launch, entries=_reads_along(step, known, (*step.output, *sums, inner)))


def _reads_along(step: Nest, known: Known, loops: Labels) -> Any:
    """Entries read by nested loops: an array is read whenever an index of it changes."""
    total: Any = 0
    for value, own in dict.fromkeys(step.term.loads()):
        if own and is_stored(value, known):
            deepest = max(map(loops.index, own))
            total = total + product_of([step.sizes[k] for k in loops[: deepest + 1]])
    return total


def _columns(
    step: Nest,
    merged: Nest,
    inner: int,
    out: Buffer,
    known: Known,
    name: str,
) -> list[Action]:
    writer = KernelWriter(known)
    others = [label for label in merged.output if label != inner]
    depths = {inner: 1, **dict.fromkeys(others, 1 + bool(others))}
    depths |= dict.fromkeys(merged.reduced, 2 + bool(others))
    loops = Loops(depths, 2 + bool(others))
    value = writer.term(merged.term, loops)
    writer.emit(loops, 0)
    width = writer.size(merged.sizes[inner])
    writer.line(f"x = cuda.grid(1)\n    i{inner} = min(x, {width} - 1)")
    writer.emit(loops, 1)
    entries = [merged.sizes[k] for k in merged.output]
    if others:
        other = f"i{others[0]}" if len(others) == 1 else "other"
        writer.opened(other, "cuda.blockIdx.z", writer.volume([merged.sizes[k] for k in others]))
        writer.taken_apart(other, others, merged.sizes)
        writer.emit(loops, 2)
    writer.line("total = real(0)")
    row = f"i{merged.reduced[0]}" if len(merged.reduced) == 1 else "row"
    first = "cuda.blockIdx.y * cuda.blockDim.y + cuda.threadIdx.y"
    writer.opened(row, first, writer.volume([merged.sizes[k] for k in merged.reduced]))
    writer.taken_apart(row, merged.reduced, merged.sizes)
    writer.emit(loops, 2 + bool(others))
    writer.line(f"total += {value}")
    writer.closed(row, "cuda.gridDim.y * cuda.blockDim.y")
    writer.line("total = column_sum(total)")
    writer.line(f"if x < {width} and cuda.threadIdx.y == 0:")
    place = writer.flat([f"i{k}" for k in merged.output], entries)
    writer.line(f"    parts[cuda.blockIdx.y * {_product_text(writer, entries)} + {place}] = total")
    if others:
        writer.closed(other, "cuda.gridDim.z")
    height = product_of([merged.sizes[k] for k in merged.reduced])
    count = Count("splits", (merged.sizes[inner], height))
    parts = Buffer(f"{name}_parts", (count, *step.value.extents))
    outer = product_of([merged.sizes[k] for k in others])
    grid = Grid("columns", (merged.sizes[inner], height, outer))
    launch = writer.launched("columns", {"parts": parts}, "Sums of parts of columns.", grid)
    launch = replace(launch, comment=f"parts of sums for {name}")
    return [launch, parts_added(out, parts, count)]


def _product_text(writer: KernelWriter, extents: list[Any]) -> str:
    text = writer.volume(extents)
    return text if text.isalnum() else f"({text})"


def parts_added(out: Buffer, parts: Buffer, count: Count) -> Launch:
    """``out[k] = sum over so many p of parts[p, k]`` in order, a thread for each entry."""
    number = symbol("parts_")
    entries = product_of(out.extents)
    value = Value("parts", (number, entries))
    term: Term = load(value, (1, 0))
    nest = Nest(Value("out", (entries,)), term, (0,), (1,), {0: entries, 1: number})
    launch = elementwise(nest, out, Known({}, {value: (parts, (0, 1))}))
    sizes = tuple(count if str(size) == "parts_" else size for size in launch.sizes)
    comment = f"the sum of all parts of {out.name}"
    return Launch(launch.kernel, (out,), launch.inputs, sizes, launch.grid, False, comment)
