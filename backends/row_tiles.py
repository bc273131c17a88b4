"""Pairwise intermediates in blocks of rows: ``sum_j f(x[i], y[j])`` in memory linear in i and j.

A value is pairwise if no argument and no result has both of its extents, such as the distances
``d[i, j]`` between rows of ``x[i, k]`` and ``y[j, k]``. The steps that make and read pairwise
values form a region. Each step of it either keeps the row index, or sums over it; so the region
can run for a few rows at a time, and only a few rows of a pairwise value exist at any moment.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from tensorcalc.cost import volume
from tensorcalc.extents import Extent, same_extents, symbol

from .pairwise_orders import in_one_order
from .program import Program
from .steps import Call, Contract, Input, Labels, Nest, Step, Value, load
from .transposed_sums import split


@dataclass
class Tile:
    """A region over ``rows`` of an extent, its steps rewritten for a block of rows.

    ``slices`` are rows of arrays from outside, ``kept`` results whose rows are stored (with the
    axis of the rows), ``sums`` results to which every block adds.
    """

    extent: Any
    rows: Extent
    steps: list[Step] = field(default_factory=list)
    slices: dict[Value, tuple[Value, int]] = field(default_factory=dict)
    kept: dict[Value, tuple[Value, int]] = field(default_factory=dict)
    sums: dict[Value, Value] = field(default_factory=dict)
    #: Entries of a row of the widest pairwise value.
    width: Any = 1
    made: set[Value] = field(default_factory=set)

    def inner(self) -> set[Value]:
        """Values of which no more than a block of rows exists."""
        return self.made - self.kept.keys() - self.sums.keys()


def pairwise_values(program: Program) -> list[Value]:
    """Values of a program that are larger than what it is given and what it returns."""
    ends = [step.value for step in program.inputs] + program.outputs
    return [
        step.value
        for step in program.steps
        if isinstance(step, (Nest, Contract, Call))
        and step.value.kind == "real"
        and any(
            all(isinstance(extent, Extent) for extent in pair)
            and not any(_has_both(end, pair) for end in ends)
            for pair in combinations(step.value.extents, 2)
        )
    ]


def _has_both(value: Value, pair: Sequence[Any]) -> bool:
    """Whether two axes of a value have the extents of a pair."""
    rest = list(value.extents)
    for extent in pair:
        match = next((e for e in rest if same_extents((e,), (extent,))), None)
        if match is None:
            return False
        rest.remove(match)
    return True


def tiled(program: Program, row_wise: Collection[str] = ()) -> tuple[Program, Tile] | None:
    """The program with the steps of a region in a row, and the region; None if there is none.

    ``row_wise`` names rows of the operation table that may run inside: along their last axis.
    """
    pairs = set(pairwise_values(program))
    program = split(in_one_order(program, pairs), pairs)
    pairs = set(pairwise_values(program))
    for seed in (step.value for step in program.steps if step.value in pairs):
        for axis in range(seed.ndim):
            region = _region(program, pairs, seed, axis)
            if region is not None and _can_run(program, region, row_wise):
                return _ordered(program, region, pairs, seed.extents[axis])
    return None


def _can_run(program: Program, region: Rows, row_wise: Collection[str]) -> bool:
    calls = [s for s in program.steps if s.value in region and isinstance(s, Call)]
    return all(call.name in row_wise for call in calls)


#: The axis of the rows of every value of a region; None for a sum over rows.
Rows = dict[Value, int | None]


def _region(program: Program, pairs: set[Value], seed: Value, axis: int) -> Rows | None:
    """Which axis of each value of the region runs over its rows; None if they contradict."""
    rows: Rows = {seed: axis}
    changed = True
    while changed:
        changed = False
        for step in program.steps:
            members = [v for v in (*step.operands(), step.value) if v in pairs and v in rows]
            between = step.value not in rows and _lies_between(program, step, rows)
            if not members and not between:
                continue
            found = _propagated(step, rows, pairs)
            if found is None:
                return None
            changed |= any(value not in rows for value in found)
            rows |= found
    complete = all(_is_consistent(step, rows) for step in program.steps if step.value in rows)
    return rows if complete else None


def _lies_between(program: Program, step: Step, rows: Rows) -> bool:
    """Whether a step reads the region and the region needs it."""
    reached = set(rows)
    for each in program.steps:
        if each is step and not set(each.operands()) & reached:
            return False
        if set(each.operands()) & reached:
            reached.add(each.value)
    needed: set[Value] = {
        operand for s in program.steps if s.value in rows for operand in s.operands()
    }
    for each in reversed(program.steps):
        if each.value in needed:
            needed |= set(each.operands())
    return step.value in needed and not isinstance(step, Input)


def _labels(step: Step) -> list[tuple[Value, Labels]] | None:
    """Every value a step reads, and the one it makes last, with their labels."""
    if isinstance(step, Nest):
        return [*step.term.loads(), (step.value, step.output)]
    if isinstance(step, Contract):
        own = zip(step.operands(), step.subscripts, strict=True)
        return [*own, (step.value, step.output)]
    if isinstance(step, Call) and _is_row_wise(step):
        (argument,) = step.arguments
        labels = (*range(argument.ndim - 1), LAST)
        return [(argument, labels), (step.value, labels[: step.value.ndim])]
    return None


#: The label of the axis along which a call works: no row index.
LAST = -1


def _is_row_wise(step: Call) -> bool:
    """Whether every row of the result is that of one row of one argument."""
    signature = "" if isinstance(step.operation, str) else str(step.operation.signature)
    return signature in ("(n)->()", "(n)->(n)")


def _propagated(step: Step, rows: Rows, pairs: set[Value]) -> Rows | None:
    """Axes of the rows of what a step makes, and of the pairwise values it reads."""
    labelled = _labels(step)
    if labelled is None:
        return None
    places = {(own[axis]) for value, own in labelled if (axis := rows.get(value)) is not None}
    if len(places) != 1:
        return None
    (label,) = places
    if label == LAST:
        return None
    found: Rows = {}
    for value, own in labelled[:-1]:
        if value in pairs:
            if label not in own:
                return None
            found[value] = own.index(label)
    value, own = labelled[-1]
    found[value] = own.index(label) if label in own else None
    return found


def _is_consistent(step: Step, rows: Rows) -> bool:
    """Whether the step has one row label, and no sum over rows is read inside the region."""
    labelled = _labels(step)
    if labelled is None or any(value in rows and rows[value] is None for value, _ in labelled[:-1]):
        return False
    places = {own[axis] for value, own in labelled if (axis := rows.get(value)) is not None}
    return len(places) == 1 and all(
        own.index(next(iter(places))) == rows[value]
        for value, own in labelled
        if value in rows and rows[value] is not None and next(iter(places)) in own
    )


def _ordered(
    program: Program, rows: Rows, pairs: set[Value], extent: Any
) -> tuple[Program, Tile] | None:
    """What the region needs, the region, and the rest."""
    late: set[Value] = set(rows)
    before: list[Step] = []
    region: list[Step] = []
    after: list[Step] = []
    for step in program.steps:
        if step.value in rows:
            region.append(step)
        elif set(step.operands()) & late:
            late.add(step.value)
            after.append(step)
        else:
            before.append(step)
    if {s.value for s in after} & {v for step in region for v in step.operands()}:
        return None
    ordered = program.with_steps([*before, *region, *after])
    return ordered, _tile(region, rows, pairs, _needed(after, program), extent)


def _needed(after: Sequence[Step], program: Program) -> set[Value]:
    return {value for step in after for value in step.operands()} | set(program.outputs)


def _tile(
    region: Sequence[Step], rows: Rows, pairs: set[Value], needed: set[Value], extent: Any
) -> Tile:
    tile = Tile(extent, symbol(f"rows_of_{region[0].value.name}"))
    local: dict[Value, Value] = {}
    for step in region:
        new = _rewritten(step, rows, local, tile)
        tile.steps.append(new)
        tile.made.add(step.value)
        axis = rows[step.value]
        if axis is None:
            tile.sums[step.value] = new.value
            continue
        local[step.value] = new.value
        if step.value in needed:
            tile.kept[step.value] = new.value, axis
        if step.value in pairs:
            tile.width = volume(e for k, e in enumerate(step.value.extents) if k != axis)
    return tile


def _rewritten(step: Step, rows: Rows, local: dict[Value, Value], tile: Tile) -> Step:
    """The step for a block of rows."""
    labelled = _labels(step)
    assert labelled is not None
    label = next(own[axis] for v, own in labelled if (axis := rows.get(v)) is not None)

    def part(value: Value, own: Labels) -> Value:
        if value in local:
            return local[value]
        if label not in own:
            return value
        axis = own.index(label)
        known = next((name for name, each in tile.slices.items() if each == (value, axis)), None)
        if known is None:
            known = _with_rows(value, axis, tile.rows, f"_{axis}")
            tile.slices[known] = value, axis
        return known

    axis = rows[step.value]
    made = step.value if axis is None else _with_rows(step.value, axis, tile.rows)
    made = Value(f"{step.value.name}_block", made.extents, made.kind)
    if isinstance(step, Contract):
        left, right = (
            part(v, own) for v, own in zip(step.operands(), step.subscripts, strict=True)
        )
        return Contract(made, left, right, step.subscripts, step.output)
    if isinstance(step, Call):
        arguments = tuple(part(value, own) for value, own in labelled[:-1])
        return replace(step, value=made, arguments=arguments)
    assert isinstance(step, Nest)
    sizes = {**step.sizes, label: tile.rows}
    term = step.term.with_loads(lambda value, own: load(part(value, own), own))
    return replace(step, value=made, term=term, sizes=sizes)


def _with_rows(value: Value, axis: int, rows: Extent, suffix: str = "") -> Value:
    extents = (*value.extents[:axis], rows, *value.extents[axis + 1 :])
    return Value(f"{value.name}_rows{suffix}", extents, value.kind)


def without(program: Program, values: set[Value]) -> Program:
    """Steps of a program other than those that make these values; for counting memory."""
    return Program([s for s in program.steps if s.value not in values], program.outputs)
