"""Pairwise values that are too large, some rows at a time: memory is linear in both of their axes.

Kernels of :mod:`.pairs` keep no pairwise value. What they cannot say, such as distances of points
with several coordinates, made by cuBLAS, or a softmax along them, is an array ``[n, m]``. Beyond
:data:`LARGE` entries the steps that make and read such arrays (:mod:`..row_tiles`) are a plan of
their own, which runs for a block of rows after the other. Slices of rows are addresses; sums over
rows add up in the order of the blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tensorcalc.extents import Extent, evaluate, symbols_of

from ..program import Program
from ..row_tiles import Tile, pairwise_values, tiled
from ..steps import Indicator, Input, Nest, Step, Term, Value, View, load
from .actions import Action, Buffer, Fill, number
from .elementwise import elementwise
from .nests import product_of
from .plan import Plan, Smallness
from .product_choice import IsSmall
from .row_operations import BODIES
from .scalings import with_scalings_inlined

if TYPE_CHECKING:
    from .lowering import PlanMaker

#: Entries of a pairwise value from which it is made in blocks: a gigabyte in float64.
LARGE = 2**27
#: Entries of a block, about, and its rows, at least: products of matrices need some.
ENTRIES, ROWS = 2**24, 32


@dataclass(frozen=True, eq=False)
class Blocked(Input):
    """A value that a region makes; the first of a region stands for its steps."""

    tile: Tile | None = None


@dataclass(frozen=True, eq=False)
class Blocks(Action):
    """A plan for some rows, for all rows: ``extent`` of them, the symbol ``rows`` at a time."""

    plan: Plan
    extent: Any
    rows: Extent
    #: Entries of a row of the widest array.
    width: Any
    #: Arrays outside, whose first axis are the rows, by the part of them that the plan knows.
    parts: Mapping[Buffer, Buffer] = field(default_factory=dict)

    def reads(self) -> list[Buffer]:
        """Arrays outside that the plan reads."""
        made = {buffer for action in self.plan.actions for buffer in action.writes()}
        read = [buffer for action in self.plan.actions for buffer in action.reads()]
        outside = [b for b in read if b in self.plan.arguments and b not in made]
        return list(dict.fromkeys(self.parts.get(buffer, buffer) for buffer in outside))

    def writes(self) -> list[Buffer]:
        """Arrays outside that the plan writes, and memory that stays zero."""
        written = [buffer for action in self.plan.actions for buffer in action.writes()]
        outside = [b for b in written if b in self.parts or b in self.plan.arguments]
        zeroed = [b for b in written if b.memory.role == "zeroed"]
        return list(dict.fromkeys(self.parts.get(b, b) for b in [*outside, *zeroed]))

    def flat(self) -> Iterator[Action]:
        """The actions of a block."""
        yield from self.plan.flat()

    def spans(self, sizes: Mapping[str, int]) -> Iterator[tuple[int, dict[str, int]]]:
        """The first row of each block, and the sizes with its number of rows."""
        extent = number(self.extent, sizes)
        most = rows_of_block(number(self.width, sizes))
        for start in range(0, extent, most):
            yield start, {**sizes, str(self.rows): min(most, extent - start)}

    def most(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """The sizes with the rows of the largest block."""
        return next(self.spans(sizes), (0, {**sizes, str(self.rows): 0}))[1]


def rows_of_block(width: int) -> int:
    """Rows of a block whose widest array has so many entries in a row."""
    return max(ROWS, ENTRIES // max(width, 1))


def row_of(buffer: Buffer) -> Any:
    """Entries of a row of an array whose first axis are the rows."""
    return product_of(buffer.extents[1:])


# -- programs -------------------------------------------------------------------------------------
def with_regions(program: Program, is_small: IsSmall) -> Program:
    """The program with what makes and reads large pairwise values as single steps."""
    while any(not is_small(value.extents, LARGE) for value in pairwise_values(program)):
        found = tiled(program, BODIES)
        if found is None or not _can_be_sliced(*found):
            return program
        ordered, tile = found
        made = [Blocked(value, None, tile) for value in (*tile.kept, *tile.sums)]  # type: ignore[arg-type]
        first = next(k for k, step in enumerate(ordered.steps) if step.value in tile.made)
        rest = [step for step in ordered.steps if step.value not in tile.made]
        program = program.with_steps([*rest[:first], *made, *rest[first:]])
    return program


def _can_be_sliced(program: Program, tile: Tile) -> bool:
    """Whether all that a region reads from outside lies in memory without being pairwise."""
    makers = {step.value: step for step in program.steps}
    outside = {v for step in program.steps if step.value in tile.made for v in step.operands()}
    return all(
        not isinstance(makers[value], (Indicator, View)) and value.kind != "integer"
        for value in outside - tile.made
    )


# -- plans ----------------------------------------------------------------------------------------
def in_blocks(maker: PlanMaker, step: Blocked) -> None:
    """The actions for a region, once for all values that it makes."""
    tile = step.tile
    if tile is None or step.value in maker.places:
        return
    slices = {part: _Slice(maker, *each, tile.rows) for part, each in tile.slices.items()}
    turned = [_turned(*kept) for kept in tile.kept.values()]
    program = _as_program(tile, turned)
    inner = type(maker)(program, _smallness(tile, maker.is_small))
    inner.places.update(maker.places)
    inner.places.update({part: each.place for part, each in slices.items()})
    inner.run()
    parts = {each.place[0]: each.whole for each in slices.values()}
    for (value, (_, axis)), result in zip(tile.kept.items(), inner.plan.results, strict=True):
        parts[result] = _kept(maker, value, axis)
    for value, part in tile.sums.items():
        _added_up(maker, inner, value, part)
    plan = inner.plan
    plan.arguments = [*parts, *_outside(plan, maker)]
    plan.verify()
    name = str(tile.rows)
    of_all = [d for d in plan.decisions if not any(name in symbols_of(e) for e in d.extents)]
    maker.plan.decisions += of_all
    maker.plan.actions.append(Blocks(plan, tile.extent, tile.rows, tile.width, parts))


def _as_program(tile: Tile, turned: Sequence[tuple[Value, Step | None]]) -> Program:
    """The steps of a block, and what they are given."""
    steps = [*tile.steps, *(step for _, step in turned if step is not None)]
    made = {step.value for step in steps}
    read = dict.fromkeys(value for step in steps for value in step.operands())
    given: list[Step] = [Blocked(value, None) for value in read if value not in made]  # type: ignore[arg-type]
    results = [value for value, _ in turned]
    program = Program([*given, *steps], [*results, *tile.sums.values()])
    return Program(with_scalings_inlined(program).steps, results)


def _smallness(tile: Tile, outside: Smallness) -> Smallness:
    """What is small for a block, as far as sizes are known when the plan is made."""
    rows = rows_of_block(evaluate(tile.width, outside.known([tile.width])))
    return Smallness({**outside.sizes, str(tile.rows): rows})


class _Slice:
    """Some rows of an array: what lies in memory with the rows first, and the part's place."""

    def __init__(self, maker: PlanMaker, value: Value, axis: int, rows: Extent) -> None:
        self.whole, axes = maker.places[value]
        if axes[0] != axis:
            axes = (axis, *(k for k in range(value.ndim) if k != axis))
            self.whole = maker.permuted(value, tuple(range(value.ndim)), axes)
        extents = rows, *self.whole.extents[1:]
        part = Buffer(f"{self.whole.name}_rows", extents, self.whole.kind, "argument")
        self.place = part, axes


def _turned(part: Value, axis: int) -> tuple[Value, Step | None]:
    """A block of a result with the rows as its first axis, and the step that makes it so."""
    if axis == 0:
        return part, None
    order = axis, *(k for k in range(part.ndim) if k != axis)
    value = Value(f"{part.name}_turned", tuple(part.extents[k] for k in order), part.kind)
    labels = tuple(range(part.ndim))
    term = load(part, tuple(order.index(k) for k in labels))
    return value, Nest(value, term, labels, (), dict(enumerate(value.extents)))


def _kept(maker: PlanMaker, value: Value, axis: int) -> Buffer:
    """Where the rows of a result are stored, the rows first."""
    if axis == 0:
        return maker.buffer(value)
    order = axis, *(k for k in range(value.ndim) if k != axis)
    buffer = maker.workspace(value.name, [value.extents[k] for k in order], value.kind)
    maker.places[value] = buffer, order
    return buffer


def _added_up(maker: PlanMaker, inner: PlanMaker, value: Value, part: Value) -> None:
    """A total that begins as zero, and the kernel that adds what a block makes."""
    total = maker.buffer(value)
    maker.plan.actions.append(Fill(total))
    inner.places[value] = maker.places[value]
    labels = tuple(range(value.ndim))
    term = Term("add", (load(value, labels), load(part, labels)))
    nest = Nest(value, term, labels, (), dict(enumerate(value.extents)))
    launch = replace(elementwise(nest, total, inner.known), updates=True)
    inner.plan.actions.append(replace(launch, comment=f"{total.name} grows by {part.name}"))


def _outside(plan: Plan, maker: PlanMaker) -> list[Buffer]:
    """What a plan uses of the arrays outside, whole."""
    known = {buffer for buffer, _ in maker.places.values()}
    used = [b for action in plan.actions for b in (*action.reads(), *action.writes())]
    return [buffer for buffer in dict.fromkeys(used) if buffer in known]


__all__ = ["Blocked", "Blocks", "in_blocks", "with_regions"]
