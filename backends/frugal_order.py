"""Steps in an order that holds less memory at once: for programs of fixed sizes, with large values.

A training step keeps what its forward pass makes until its backward pass reads it. Three moves,
each of which leaves every number as it was:

- a padded view, which is a copy, is made where it is first read, not where it could first be made;
- a mask of an array that nothing else reads any more is made at once: one byte for every entry
  instead of four;
- a cheap function of one array that is kept anyway is made again instead of kept.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from itertools import pairwise
from typing import Any

from .liveness import Uses
from .numba_terms import spelling
from .program import Program
from .steps import Nest, Step, Term, Value, View, load

# ``python -m benchmarks.thresholds frugal_orders`` prints what training steps hold with others.
#: Bytes from which a value counts (entries of arguments have four or eight).
LARGE = 2**16
#: Steps between two reads from which it is worth not to keep the value.
LONG = 48
#: Operations that are done again rather than kept.
CHEAP = 2

ITEMS = {"real": 4, "integer": 8, "boolean": 1}


def frugal(program: Program) -> Program:
    """The same program in a better order; itself if its sizes are not known."""
    values = [step.value for step in program.steps]
    if not all(isinstance(extent, int) for value in values for extent in value.extents):
        return program
    steps = _sunk(program.steps)
    steps = _again(steps, program.outputs)
    return program.with_steps(_raised(steps, program.outputs))


def _bytes(value: Value) -> int:
    return ITEMS[value.kind] * math.prod(value.extents)


# -- views ----------------------------------------------------------------------------------------
def _sunk(steps: Sequence[Step]) -> list[Step]:
    """Padded views right before their first reader."""
    waiting: dict[Value, Step] = {}
    found: list[Step] = []

    def emit(step: Step) -> None:
        for operand in step.operands():
            if operand in waiting:
                emit(waiting.pop(operand))
        found.append(step)

    for step in steps:
        if isinstance(step, View) and not step.inside:
            waiting[step.value] = step
        else:
            emit(step)
    for value in list(waiting):
        if value in waiting:
            emit(waiting.pop(value))
    return found


# -- masks ----------------------------------------------------------------------------------------
def _raised(steps: Sequence[Step], outputs: Sequence[Value]) -> list[Step]:
    """Nests that make less than what dies with them, as soon as nobody else reads that."""
    uses = Uses(steps, outputs)
    after: dict[int, list[Step]] = {}
    moved: set[Value] = set()
    for position, step in enumerate(steps):
        place = _earliest(step, position, uses)
        if place is not None:
            after.setdefault(place, []).append(step)
            moved.add(step.value)
    found: list[Step] = []
    for position, step in enumerate(steps):
        if step.value not in moved:
            found.append(step)
        found += after.get(position, [])
    return found


def _earliest(step: Step, position: int, uses: Uses) -> int | None:
    """After which step a nest should be made, None to leave it where it is."""
    if not isinstance(step, Nest):
        return None
    owners = {uses.owner(value) for value in step.operands()}
    dying = [v for v in owners if uses.last(v) == position and _bytes(v) >= LARGE]
    if sum(map(_bytes, dying)) <= _bytes(step.value):
        return None
    reads = [p for v in dying for p in uses.read[v] if p < position]
    made = [uses.made[v] for v in {*owners, *step.operands()}]
    place = max([*reads, *made])
    return place if position - place > LONG else None


# -- what is made again ---------------------------------------------------------------------------
def _again(steps: Sequence[Step], outputs: Sequence[Value]) -> list[Step]:
    """Cheap elementwise nests made a second time where they are read long after the first.

    From the last to the first: what a nest made again reads may be made again as well.
    """
    uses = Uses(steps, outputs)
    before: dict[int, list[Step]] = {}
    twins: dict[Value, tuple[int, Value]] = {}
    for step in reversed(steps):
        late = _late(step, uses)
        if late is not None:
            twin = Value(f"{step.value.name}_again", step.value.extents, step.value.kind)
            twins[step.value] = late, twin
            before.setdefault(late, []).insert(0, replace(step, value=twin))
            for operand in {*step.operands(), *map(uses.owner, step.operands())}:
                insort(uses.read[operand], late)
    found: list[Step] = []
    for position, step in enumerate(steps):
        for each in [*before.get(position, []), step]:
            own = set(each.operands()) & twins.keys()
            late_ones = {v: twins[v][1] for v in own if twins[v][0] <= position}
            found.append(_renamed(each, late_ones) if late_ones else each)
    return found


def _late(step: Step, uses: Uses) -> int | None:
    """The first read after a long pause, if what a cheap nest needs is kept till about then."""
    value = step.value
    is_cheap = isinstance(step, Nest) and not step.reduced and _is_cheap(step.term)
    large = {operand for operand in step.operands() if _bytes(operand) >= LARGE}
    if not is_cheap or _bytes(value) < LARGE or len(large) > 1 or value in uses.base.values():
        return None
    pauses = [(b - a, b) for a, b in pairwise(uses.read.get(value, []))]
    pause, late = max(pauses, default=(0, 0))
    if pause <= LONG or late > max(uses.made.values()):
        return None
    return late if all(uses.last(operand) >= late - LONG for operand in large) else None


def _is_cheap(term: Term) -> bool:
    """A few operations, without a function that takes tens of them, such as exp."""
    applied = [each.payload for each in term.walk() if each.operator == "apply"]
    texts = [spelling(operation, dict(params)) for operation, params in applied]
    return term.size() <= CHEAP and all(text and "vm." not in text for text in texts)


def _renamed(step: Step, names: Mapping[Value, Value]) -> Step:
    """A step that reads other values."""
    changes: dict[str, Any] = {}
    for field in fields(step):
        own = getattr(step, field.name)
        if field.name == "value":
            continue
        if isinstance(own, Value):
            changes[field.name] = names.get(own, own)
        elif isinstance(own, Term):
            changes[field.name] = own.with_loads(lambda v, axes: load(names.get(v, v), axes))
        elif field.name == "arguments":
            changes[field.name] = tuple(names.get(each, each) for each in own)
    return replace(step, **changes)
