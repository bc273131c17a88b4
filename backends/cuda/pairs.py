"""Pairwise sums ``out[i] = sum_j f(x[i], y[j])``: a block shares every ``j`` among its ``i``.

Along rows (:mod:`.reductions`) a warp goes over all ``j`` for each ``i``: ``n * m`` reads of every
array of ``j``. Here a block of threads holds ``width`` entries ``i`` in registers, and reads
:data:`.grids.THREADS` entries of every array of ``j`` at a time into shared memory, where they
serve all of its ``i``: ``n * m / width`` reads. What is a function of ``j`` alone is computed on
the way there. There are two sets of tiles: one is filled while slower threads still read the other.
A thread adds up each tile by itself before it adds that to its total, so rounding errors grow with
the number of tiles, not with that of terms. Parts of the ``j`` go to blocks of their own until the
device is full; a second kernel adds their sums in order.

Several sums over the same pairs are one kernel, which reads and computes what they share once.

Source: Nyland, Harris and Prins, *Fast N-Body Simulation with CUDA* (GPU Gems 3, 2007), ch. 31.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tensorcalc.extents import same_extents

from ..node_kinds import kind_of
from ..numba_terms import Loops
from ..steps import Labels, Nest, Term
from . import grids
from .actions import Action, Buffer, Count, Grid, Kind, Launch
from .nests import KernelWriter, collapsed, is_stored, product_of
from .reductions import grid_sum, parts_added
from .terms import Known, stored

#: Arrays in shared memory, at most: two tiles of 8 bytes an entry of each are 32 KiB of the 48 that
#: a kernel may have without asking.
ARRAYS = 8
#: Rows up to which the warps of one block take one each and share what they read in its cache.
ROWS = 8
#: Operations of all sums of one kernel, and their number, at most: what finds registers.
LIMIT, SUMS = 64, 4


@dataclass(frozen=True, eq=False)
class Pairs:
    """A nest whose arrays have the label of the rows or the label of the terms, never both."""

    nest: Nest
    known: Known
    rows: int
    terms: int

    @property
    def others(self) -> Labels:
        """Labels of the result besides that of the rows."""
        return tuple(k for k in self.nest.output if k != self.rows)

    @property
    def extents(self) -> list[Any]:
        """Extents of the rows, the terms and the others: those of sums that can be one kernel."""
        return [self.nest.sizes[k] for k in (self.rows, self.terms, *self.others)]


def pairs_of(step: Nest, known: Known) -> Pairs | None:
    """The nest as a pairwise sum, its axes merged where they can be; None if it is none."""
    nest, known = collapsed(step, known)
    loads = {load for load in nest.term.loads() if is_stored(load[0], known)}
    for terms in reversed(nest.reduced):
        staged = [own for _, own in loads if terms in own]
        for rows in reversed((*nest.output, *nest.reduced)):
            summed = {*nest.reduced} == {terms} | ({rows} & {*nest.reduced})
            apart = rows != terms and not any(rows in own for own in staged)
            if summed and apart and 0 < len(staged) <= ARRAYS:
                return Pairs(nest, known, rows, terms)
    return None


def goes_with(found: Sequence[Pairs], other: Pairs) -> bool:
    """Whether a sum over the same pairs, with arrays in common, fits into a kernel with others."""
    first, together = found[0], [*found, other]
    arrays = {load for each in together for load in each.nest.term.loads() if each.terms in load[1]}
    return (
        len(together) <= SUMS
        and (first.rows, first.terms) == (other.rows, other.terms)
        and first.nest.output == other.nest.output
        and same_extents(tuple(first.extents), tuple(other.extents))
        and sum(each.nest.term.size() for each in together) <= LIMIT
        and len(arrays) <= ARRAYS
        and any({*each.nest.term.loads()} & {*other.nest.term.loads()} for each in found)
    )


class PairWriter(KernelWriter):
    """The kernel of pairwise sums over the same rows and terms."""

    def __init__(self, found: Sequence[Pairs]) -> None:
        places = {value: place for each in found for value, place in each.known.places.items()}
        super().__init__(found[0].known._replace(places=places))
        self.found = found
        self.rows, self.terms = found[0].rows, found[0].terms
        self.lengths = found[0].nest.sizes
        #: The name of the tile, the text of its entries and their kind, by what they are.
        self.tiles: dict[Term, tuple[str, str, Kind]] = {}
        #: Lines that compute the entries of tiles.
        self.entering = Loops(dict.fromkeys(self.lengths, 0), 0)
        #: Whether a number is computed from the index of a term.
        self.indexed = False

    def _term(self, term: Term, loops: Loops) -> str:
        """What is a function of the terms' label, and not of the rows', comes from a tile."""
        if loops is not self.entering and term.operator in ("load", "apply"):
            labels = term.labels()
            if self.terms in labels and self.rows not in labels:
                return self._bound(self._staged(term), labels, loops)
            self.indexed |= term.operator == "load" and self.terms in labels
        return super()._term(term, loops)

    def _bound(self, text: str, labels: Any, loops: Loops) -> str:
        """A name of its own in the lines that fill tiles, which run in between."""
        if loops is self.entering and text not in loops.known:
            loops.known[text] = f"entering{len(loops.known)}"
            loops.lines[0].append(f"{loops.known[text]} = {text}")
        return super()._bound(text, labels, loops)

    def _staged(self, term: Term) -> str:
        kind: Any = kind_of(term)
        if term not in self.tiles:
            text = super()._term(term, self.entering)
            self.tiles[term] = f"tile{len(self.tiles)}", stored(kind, text), kind
        text = f"{self.tiles[term][0]}[entry]"
        return f"({text} != 0)" if kind == "boolean" else text

    # -- lines ------------------------------------------------------------------------------
    def counted(self) -> tuple[Any, ...]:
        """Extents of rows, terms and the others together; arrays of the rows and of the terms."""
        rows, terms, *others = self.found[0].extents
        loads = {load for each in self.found for load in each.nest.term.loads()}
        arrays = [
            own for value, own in loads if is_stored(value, Known(self.makers, self.places)) and own
        ]
        staged = sum(self.terms in own for own in arrays)
        return rows, terms, product_of(others), len(arrays) - staged, staged

    def size_of(self, label: int) -> str:
        """The extent of a label as an operand."""
        return self.integer(self.lengths[label])

    def begun(self, loops: Loops) -> list[str]:
        """The values of all sums; shared memory, and the place of a thread in its block."""
        values = [self.term(each.nest.term, loops) for each in self.found]
        names = {"boolean": "uint8", "integer": "int64"}
        for name, _, kind in self.tiles.values():
            length, dtype = 2 * grids.THREADS, names.get(kind, "real")
            self.line(f"{name} = cuda.shared.array({length}, {dtype})")
        self.line("thread = cuda.threadIdx.y * cuda.blockDim.x + cuda.threadIdx.x")
        self.line("turn = uint64(0)")
        self.emit(loops, 0)
        return values

    def added(self, loops: Loops, depth: int, values: Sequence[str]) -> None:
        """The loop over tiles: ``total0``, ``total1``, ... grow by the sums of the values.

        Places in shared memory are unsigned, which are not looked at for being negative.
        """
        tile, index, size = grids.THREADS, f"i{self.terms}", self.size_of(self.terms)
        self.opened("start", f"cuda.blockIdx.y * {tile}", size)
        self.line(f"{index} = start + thread")
        self.line(f"if {index} < {size}:")
        self.indent += 1
        self.emit(self.entering, 0)
        for name, text, _ in self.tiles.values():
            self.line(f"{name}[turn + uint64(thread)] = {text}")
        self.indent -= 1
        self.line("cuda.syncthreads()")
        for k in range(len(values)):
            self.line(f"part{k} = real(0)")
        self.line(f"filled = turn + uint64(min(int64({tile}), {size} - start))")
        self.opened("entry", "turn + uint64(cuda.threadIdx.y)", "filled")
        if self.indexed:
            self.line(f"{index} = start + int64(entry - turn)")
        self.emit(loops, depth)
        for k, value in enumerate(values):
            self.line(f"part{k} += {value}")
        self.closed("entry", "uint64(cuda.blockDim.y)")
        for k in range(len(values)):
            self.line(f"total{k} += part{k}")
        self.line(f"turn = uint64({tile}) - turn")
        self.closed("start", f"cuda.gridDim.y * {tile}")


def pair_sums(found: Sequence[Pairs], outs: Sequence[Buffer], comment: str) -> list[Action]:
    """``out[output] = sum over terms`` for all, by one kernel and the sums of its parts."""
    writer, first = PairWriter(found), found[0]
    others, depth = first.others, 2 + bool(first.others)
    depths = {first.rows: 1, **dict.fromkeys(others, depth - 1), first.terms: depth}
    loops = Loops(depths, depth)
    values = writer.begun(loops)
    width = writer.size_of(first.rows)
    writer.line("x = cuda.grid(1)")
    writer.line(f"i{first.rows} = min(x, {width} - 1)")
    writer.emit(loops, 1)
    if others:
        counter = f"i{others[0]}" if len(others) == 1 else "other"
        volume = writer.volume([writer.lengths[k] for k in others])
        writer.opened(counter, "cuda.blockIdx.z", volume)
        writer.taken_apart(counter, others, writer.lengths)
        writer.emit(loops, 2)
    for k in range(len(found)):
        writer.line(f"total{k} = real(0)")
    writer.added(loops, depth, values)
    for k in range(len(found)):
        writer.line(f"total{k} = column_sum(total{k})")
    writer.line(f"if x < {width} and cuda.threadIdx.y == 0:")
    for k, each in enumerate(found):
        place = _place_of_part(writer, each)
        writer.line(f"    out{k}[{place}] = total{k}")
    if others:
        writer.closed(counter, "cuda.gridDim.z")
    return _launched(writer, outs, comment)


def _place_of_part(writer: PairWriter, found: Pairs) -> str:
    entries = [writer.lengths[label] for label in found.nest.output]
    place = writer.flat([f"i{label}" for label in found.nest.output], entries)
    return f"cuda.blockIdx.y * ({writer.volume(entries)}) + {place}"


def _launched(writer: PairWriter, outs: Sequence[Buffer], comment: str) -> list[Action]:
    """The kernel of the lines so far, which writes parts, and the kernels that add them."""
    rows, terms, *others = writer.found[0].extents
    count = Count("pair_splits", (rows, terms))
    parts = [Buffer(f"{out.name}_parts", (count, *out.extents)) for out in outs]
    grid = Grid("pairs", (rows, terms, product_of(others)))
    about = "Sums over pairs; what depends on the terms alone passes through shared memory."
    pointers = {f"out{k}": part for k, part in enumerate(parts)}
    launch = writer.launched("pairs", pointers, about, grid)
    launch = replace(launch, comment=comment, entries=Count("pair_entries", writer.counted()))
    added = [parts_added(out, part, count) for out, part in zip(outs, parts, strict=True)]
    return [launch, *added]


def sum_of_pairs(found: Pairs, out: Buffer) -> Launch:
    """``out[] = sum over rows and terms``: blocks take several tiles of rows in turn."""
    writer = PairWriter([found])
    loops = Loops({found.rows: 1, found.terms: 2}, 2)
    values = writer.begun(loops)
    width = writer.size_of(found.rows)
    writer.line("total0 = real(0)")
    writer.opened("first", "cuda.blockIdx.x * cuda.blockDim.x", width)
    writer.line("x = first + cuda.threadIdx.x")
    writer.line(f"i{found.rows} = min(x, {width} - 1)")
    writer.emit(loops, 1)
    writer.line("before = total0")
    writer.added(loops, 2, values)
    writer.line(f"total0 = total0 if x < {width} else before")
    writer.closed("first", "cuda.gridDim.x * cuda.blockDim.x")
    return grid_sum(writer, out, Grid("all_pairs", (*found.extents,)), "all_pairs", "total0")


__all__ = ["Pairs", "pair_sums", "pairs_of", "sum_of_pairs"]
