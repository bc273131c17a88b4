"""Producers into consumers: elementwise nests become part of the loops that read them.

A nest that sums nothing moves into its users where that does not repeat dear work: it has one user
that visits each of its entries once, or it is only a few additions and multiplications. A nest
that is larger than everything it reads, such as ``exp(-(x[i] - y[j])**2)``, moves into all users
that reduce it, so that ``sum_j f(x[i], y[j])`` takes memory linear in i and j; its operations are
then repeated for each user.
"""

from __future__ import annotations

from dataclasses import replace

from .program import Program
from .steps import Contract, Labels, Nest, Step, Term, Value, load

#: Operations of one nest, at most: long bodies compile slowly.
LIMIT = 64
#: Additions and multiplications that are repeated rather than stored.
CHEAP = 3

#: The values made by the steps that read a value, in order.
Readers = dict[Value, dict[Value, None]]


def fused(program: Program) -> Program:
    """The program with producers inside the loops of their consumers, verified."""
    steps = {step.value: step for step in program.steps}
    readers: Readers = {value: {} for value in steps}
    for step in program.steps:
        _note(readers, step)
    outputs, before = set(program.outputs), -1
    while len(steps) != before:
        before = len(steps)
        for step in reversed(list(steps.values())):
            nest = steps[step.value]
            if isinstance(nest, Nest) and not nest.reduced and nest.value not in outputs:
                _move(steps, readers, nest)
    return program.with_steps(steps.values())


def _note(readers: Readers, step: Step) -> None:
    for operand in step.operands():
        readers[operand][step.value] = None


def _move(steps: dict[Value, Step], readers: Readers, nest: Nest) -> None:
    """Put the nest inside its readers, if that pays."""
    own = [_as_loops(steps[value], nest.value) for value in readers[nest.value]]
    nests = [reader for reader in own if isinstance(reader, Nest) and _fits(nest, reader)]
    if not own or len(nests) < len(own):
        return
    if not (_is_cheap(nest.term) or _reads_once(nest, nests) or _is_outer(nest, nests)):
        return
    for reader in nests:
        steps[reader.value] = replace(reader, term=_substituted(reader.term, nest))
        _note(readers, steps[reader.value])
    for operand in nest.operands():
        readers[operand].pop(nest.value, None)
    del steps[nest.value]


def _as_loops(step: Step, value: Value) -> Step:
    """A contraction that visits each entry of ``value`` once, as the nest that says the same."""
    if not isinstance(step, Contract):
        return step
    if step.left is step.right and step.subscripts[0] != step.subscripts[1]:
        return step
    mine = step.subscripts[0] if step.left is value else step.subscripts[1]
    sizes = step.sizes()
    if set(mine) != set(sizes) or any(v.kind != "real" for v in step.operands()):
        return step
    pairs = zip(step.operands(), step.subscripts, strict=True)
    term = Term("multiply", tuple(load(operand, own) for operand, own in pairs))
    ordered = {label: sizes[label] for label in (*step.output, *mine)}
    reduced = tuple(label for label in mine if label not in step.output)
    return Nest(step.value, term, step.output, reduced, ordered)


def _fits(nest: Nest, reader: Nest) -> bool:
    times = sum(value is nest.value for value, _ in reader.term.loads())
    return reader.term.size() + times * nest.term.size() <= LIMIT


def _is_cheap(term: Term) -> bool:
    operators = {each.operator for each in term.walk()}
    return operators <= {"load", "constant", "size", "add", "multiply"} and term.size() <= CHEAP


def _reads_once(nest: Nest, readers: list[Nest]) -> bool:
    """Whether every entry is needed once."""
    if len(readers) > 1:
        return False
    loads = [own for value, own in readers[0].term.loads() if value is nest.value]
    labels = {*readers[0].output, *readers[0].reduced}
    return len(loads) == 1 and set(loads[0]) == labels


def _is_outer(nest: Nest, readers: list[Nest]) -> bool:
    """Whether the nest has more entries than what it reads, and nobody keeps them all."""
    rank = len(nest.output)
    return (
        rank > 1
        and all(value.ndim < rank for value, _ in nest.term.loads())
        and all(reader.reduced and _visits_once(nest.value, reader) for reader in readers)
    )


def _visits_once(value: Value, reader: Nest) -> bool:
    """Whether the reader's loops are no more than those of the value."""
    labels = {*reader.output, *reader.reduced}
    return all(set(own) == labels for other, own in reader.term.loads() if other is value)


def _substituted(term: Term, nest: Nest) -> Term:
    def inside(value: Value, own: Labels) -> Term:
        is_own = value is nest.value
        return nest.term.renamed(_names(nest.output, own)) if is_own else load(value, own)

    return term.with_loads(inside)


def _names(inner: Labels, outer: Labels) -> dict[int, int]:
    return dict(zip(inner, outer, strict=True))
