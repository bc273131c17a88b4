"""Pairwise values read in one order of their axes, so that each step needs only some rows.

A potential ``sum_ij k(|x_i - x_j|)`` has derivatives with ``K + K'`` and sums of ``K`` over either
axis. They need whole columns of ``K`` beside its rows, unless it is known to be symmetric: a matrix
of inner products ``X X'``, and what is made of symmetric values by a formula that stays the same
when both indices trade places. A product such as ``V X'`` that a step reads in both orders is made
in both, ``V X'`` and ``X V'``. Diagonals, which Hessian blocks need, are computed by themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from tensorcalc.extents import same_extents

from .liveness import read_steps
from .program import Program
from .steps import Contract, Labels, Nest, Step, Term, Value, View, load


def in_one_order(program: Program, pairs: Collection[Value]) -> Program:
    """The program with symmetric pairwise values read with the labels of results first."""
    symmetric: set[Value] = set()
    steps: list[Step] = []
    for step in program.steps:
        step = _ordered(step, symmetric)
        if step.value in pairs and _is_symmetric(step, symmetric):
            symmetric.add(step.value)
        steps.append(step)
    return _with_turned(_with_diagonals(program.with_steps(steps), pairs), pairs)


def _with_diagonals(program: Program, pairs: Collection[Value]) -> Program:
    """The program with ``K[i, i]`` computed without ``K``."""
    makers = {step.value: step for step in program.steps}
    steps: list[Step] = []
    for step in program.steps:
        found = None
        if isinstance(step, View) and step.source in pairs and _is_diagonal(step):
            found = _diagonal(makers[step.source], step.value, makers, pairs)
        steps += found or [step]
    return program.with_steps(read_steps(steps, program.outputs))


def _is_diagonal(step: View) -> bool:
    square = same_extents(step.source.extents[:1], step.source.extents[1:])
    return square and step.inside and [form.label for form in step.axes] == [0, 0]


def _diagonal(
    maker: Step, made: Value, makers: Mapping[Value, Step], pairs: Collection[Value]
) -> list[Step] | None:
    """The steps that make the diagonal of a pairwise value; None if they are not known."""
    if isinstance(maker, Contract):
        kept, other = maker.output
        left, right = (tuple(kept if k == other else k for k in s) for s in maker.subscripts)
        repeated = len(set(left)) < len(left) or len(set(right)) < len(right)
        return (
            None
            if repeated
            else [replace(maker, value=made, subscripts=(left, right), output=(kept,))]
        )
    if not isinstance(maker, Nest) or maker.reduced:
        return None
    kept, other = maker.output
    before: list[Step] = []
    inner: dict[Value, Value] = {}
    for value, own in dict.fromkeys(maker.term.loads()):
        if value.ndim < 2 or value in inner:
            continue
        part = Value(f"{made.name}_{value.name}", made.extents)
        steps = _diagonal(makers[value], part, makers, pairs) if value in pairs else None
        if steps is None or len(own) != 2:
            return None
        before += steps
        inner[value] = part

    def change(value: Value, own: Labels) -> Term:
        return load(inner.get(value, value), (kept,) if own else ())

    sizes = {kept: maker.sizes[kept]}
    return [*before, Nest(made, maker.term.with_loads(change), (kept,), (), sizes)]


def _with_turned(program: Program, pairs: Collection[Value]) -> Program:
    """The program with products that one step reads in both orders made in both."""
    makers = {step.value: step for step in program.steps}
    turned: dict[Value, Value] = {}
    steps: list[Step] = []
    for step in program.steps:
        if isinstance(step, Nest):
            both = _read_in_both(step, makers, pairs)
            for maker in both:
                if maker.value not in turned:
                    twin = Value(f"{maker.value.name}_turned", maker.value.extents[::-1])
                    turned[maker.value] = twin
                    steps.append(replace(maker, value=twin, output=maker.output[::-1]))
            step = _with_loads_of(step, {maker.value: turned[maker.value] for maker in both})
        steps.append(step)
    return program.with_steps(steps)


def _read_in_both(
    step: Nest, makers: Mapping[Value, Step], pairs: Collection[Value]
) -> list[Contract]:
    """What makes the pairwise products that a step reads in both orders."""
    loads = dict.fromkeys(step.term.loads())
    found = (value for value, own in loads if value in pairs and (value, own[::-1]) in loads)
    made = (makers[value] for value in dict.fromkeys(found) if value.ndim == 2)
    return [maker for maker in made if isinstance(maker, Contract)]


def _with_loads_of(step: Nest, turned: Mapping[Value, Value]) -> Nest:
    """The step with what it reads against the order of its loops read from the twin."""
    loops = (*step.output, *step.reduced)

    def change(value: Value, own: Labels) -> Term:
        against = value in turned and own != _sorted(own, loops)
        return load(turned[value], own[::-1]) if against else load(value, own)

    return replace(step, term=step.term.with_loads(change))


def _ordered(step: Step, symmetric: Collection[Value]) -> Step:
    """The step with its labels of symmetric values in the order of its loops."""
    if isinstance(step, Nest):
        loops = (*step.output, *step.reduced)

        def change(value: Value, own: Labels) -> Term:
            return load(value, _sorted(own, loops) if value in symmetric else own)

        return replace(step, term=step.term.with_loads(change))
    if isinstance(step, Contract):
        loops = (*step.output, *(k for k in step.sizes() if k not in step.output))
        left, right = (
            _sorted(own, loops) if value in symmetric else own
            for value, own in zip(step.operands(), step.subscripts, strict=True)
        )
        return replace(step, subscripts=(left, right))
    return step


def _sorted(own: Labels, loops: Labels) -> Labels:
    return tuple(sorted(own, key=loops.index))


def _is_symmetric(step: Step, symmetric: Collection[Value]) -> bool:
    """Whether the value stays the same when its two axes trade places."""
    if step.value.ndim != 2 or not same_extents(step.value.extents[:1], step.value.extents[1:]):
        return False
    if isinstance(step, Contract):
        first, second = step.output
        traded = tuple(_traded(k, first, second) for k in step.subscripts[0])
        return step.left is step.right and traded == step.subscripts[1]
    if isinstance(step, Nest) and not step.reduced:
        first, second = step.output
        names = {first: second, second: first}
        return _form(step.term, symmetric) == _form(step.term.renamed(names), symmetric)
    return False


def _traded(label: int, first: int, second: int) -> int:
    return {first: second, second: first}.get(label, label)


def _form(term: Term, symmetric: Collection[Value]) -> Any:
    """What equal terms have in common: sums and products in any order, symmetric values too."""
    if term.operator == "load":
        value, own = term.payload
        return value, frozenset(own) if value in symmetric else own
    forms = [_form(argument, symmetric) for argument in term.arguments]
    if term.operator in ("add", "multiply"):
        return term.operator, frozenset(Counter(forms).items())
    return term.operator, term.payload, tuple(forms)


__all__ = ["in_one_order"]
