"""Nests over the same index space next to each other, so that one pass over memory makes them all.

Value, gradient and the diagonal of a Hessian read the same arrays; written as one loop they read
them once, and what they compute alike is computed once. Nests form a group if their labels can be
matched one to one, the labels of their results are nested (``()``, ``i``, ``i j``), the largest
results end with the same label, and each reads of the others only the entry at hand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, permutations

from tensorcalc.extents import same_extents

from .program import Program
from .steps import Labels, Nest, Step, Value

#: Operations of a group: long bodies compile slowly and run out of registers.
LIMIT = 96
#: Labels of a nest whose matchings are tried.
RANK = 3

Load = tuple[Value, Labels]


def grouped(program: Program) -> Program:
    """The program with its steps ordered so that the nests of a group follow each other."""
    items: list[list[Step]] = []
    for step in program.steps:
        if not (isinstance(step, Nest) and _joined(items, step)):
            items.append([step])
    return program.with_steps(step for item in items for step in item)


def groups(steps: Sequence[Step]) -> Iterator[Sequence[Step]]:
    """Steps in order, those of a group together and with the labels of its first nest."""
    pending: list[Step] = []
    for step in steps:
        member = _matched(pending, step) if pending else None
        if member is None:
            if pending:
                yield pending
            pending = [step]
        else:
            pending.append(member)
    if pending:
        yield pending


def _joined(items: list[list[Step]], step: Nest) -> bool:
    """Put a step into the last group that takes it, where it stands or where the step stands."""
    for k in reversed(range(len(items))):
        member = _matched(items[k], step)
        if member is None:
            continue
        between = items[k + 1 :]
        made = {other.value for item in between for other in item}
        if not made & set(step.operands()):
            items[k].append(member)
            return True
        own = {other.value for other in items[k]}
        if not any(own & set(other.operands()) for item in between for other in item):
            items.append([*items.pop(k), member])
            return True
    return False


def _matched(group: Sequence[Step], step: Step) -> Nest | None:
    """The step with the labels of the group, or None if it cannot be a member."""
    first = group[0]
    if not isinstance(first, Nest) or not isinstance(step, Nest):
        return None
    nests = [each for each in group if isinstance(each, Nest)]
    space = _space(first)
    if not 0 < len(space) <= RANK or len(_space(step)) != len(space):
        return None
    if not _values(nests).intersection(step.operands()):
        return None
    if sum(nest.term.size() for nest in (*nests, step)) > LIMIT:
        return None
    known = {each for nest in nests for each in nest.term.loads() if each[1]}
    known |= {(nest.value, nest.output) for nest in nests}
    best, most = None, 0
    for order in permutations(space):
        names = dict(zip(_space(step), order, strict=True))
        shared = _shared(known, step, names)
        if shared > most and _same_sizes(first, step, names):
            member = _renamed(step, names)
            if _fits(nests, member):
                best, most = member, shared
    return best


def _values(nests: Sequence[Nest]) -> set[Value]:
    """What a group makes and reads."""
    return {value for nest in nests for value in (nest.value, *nest.operands())}


def _space(nest: Nest) -> Labels:
    return (*nest.output, *nest.reduced)


def _renamed(nest: Nest, names: dict[int, int]) -> Nest:
    return replace(
        nest,
        term=nest.term.renamed(names),
        output=tuple(names[label] for label in nest.output),
        reduced=tuple(names[label] for label in nest.reduced),
        sizes={names[label]: size for label, size in nest.sizes.items()},
    )


def _same_sizes(first: Nest, step: Nest, names: Mapping[int, int]) -> bool:
    """Whether the step's labels have the extents of those of the group whose names they take."""
    return all(same_extents((first.sizes[new],), (step.sizes[x],)) for x, new in names.items())


def _shared(known: Collection[Load], step: Nest, names: Mapping[int, int]) -> int:
    """Loads that the step has in common with the group, and values of the group it reads."""
    loads = set(step.term.loads())
    return sum((value, tuple(names[x] for x in own)) in known for value, own in loads if own)


def _fits(nests: Sequence[Nest], member: Nest) -> bool:
    outputs = sorted([set(nest.output) for nest in (*nests, member)], key=len)
    nested = all(small <= large for small, large in pairwise(outputs))
    whole = [*nests, member]
    return nested and _reads_entries(nests, member) and _along_memory(whole) and _as_written(whole)


def _along_memory(nests: Sequence[Nest]) -> bool:
    """Whether sums can be the inner loops without striding through the arrays they read."""
    outside = {label for nest in nests if nest.reduced for label in nest.output}
    loads = [own for nest in nests for _, own in nest.term.loads() if len(own) > 1]
    return not any(own[-1] in outside for own in loads)


def _as_written(nests: Sequence[Nest]) -> bool:
    """Whether one order of loops writes all of the largest results as they lie in memory.

    What is written across memory takes longer than reading the operands again.
    """
    rank = max(len(nest.output) for nest in nests)
    return rank < 2 or len({nest.output[-1] for nest in nests if len(nest.output) == rank}) == 1


def _reads_entries(nests: Sequence[Nest], member: Nest) -> bool:
    """Whether the member reads of the others nothing but the entry that is being made."""
    made: dict[Value, Labels] = {nest.value: nest.output for nest in nests}
    whole = {nest.value for nest in nests if not nest.reduced}
    return all(
        value in whole and made[value] == own for value, own in member.term.loads() if value in made
    )
