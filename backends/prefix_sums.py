"""Cumulative sums: a sum over ``j <= i`` or ``j >= i`` in one pass instead of one for each ``i``.

In the calculus ``cumsum`` is a contraction with ``[0 <= i - j < n]``; its derivatives are such
contractions too, the other way round. Targets have a function for it, a row of the table, which
takes as many additions as there are entries.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from tensorcalc.table import TABLE

from .cores import multiplied
from .liveness import read_steps
from .program import Program
from .steps import Affine, Call, Contract, Indicator, Labels, Nest, Step, Term, Value, View, load

#: Masks of square matrices: 1 for ``[j <= i]``, -1 for ``[j >= i]``.
Triangles = dict[Value, int]


def prefix_sums(program: Program) -> Program:
    """The program with cumulative sums as steps of their own."""
    triangles: Triangles = {}
    steps: list[Step] = []
    for step in _summed_early(program):
        way = _triangle(step) or _as_numbers(step, triangles)
        if way is not None:
            triangles[step.value] = way
        steps += _cumulated(step, triangles) or [step]
    return program.with_steps(read_steps(steps, program.outputs))


# -- triangles ------------------------------------------------------------------------------------
def _triangle(step: Step) -> int | None:
    """Which triangle the step indicates."""
    if not isinstance(step, Indicator) or step.value.ndim != 2 or len(step.rows) != 1:
        return None
    (form, low, high), (n, m) = step.rows[0], step.value.extents
    if n != m or not _is_zero(low) or high != n or not _is_zero(form.offset):
        return None
    for way in (1, -1):
        if sorted(form.terms, key=lambda term: term[0]) == [(0, way), (1, -way)]:
            return way
    return None


def _is_zero(size: Any) -> bool:
    return isinstance(size, int) and size == 0


def _as_numbers(step: Step, triangles: Triangles) -> int | None:
    """Which triangle a matrix of the numbers 0 and 1 is."""
    if not isinstance(step, Nest) or step.reduced or step.term.operator != "select":
        return None
    mask, number = step.term.arguments
    if mask.operator != "load" or number.operator != "constant" or number.payload != 1:
        return None
    value, labels = mask.payload
    return triangles.get(value) if labels == step.output else None


# -- sums with a triangle -------------------------------------------------------------------------
def _cumulated(step: Step, triangles: Triangles) -> list[Step] | None:
    """The steps in place of one that sums with a triangle."""
    if isinstance(step, Contract):
        pairs = list(zip(step.operands(), step.subscripts, strict=True))
        for (mask, own), (other, labels) in (pairs, pairs[::-1]):
            summed = _summed(own, labels, step.output)
            if mask in triangles and other not in triangles and summed is not None:
                is_second = own[1] == summed
                way = triangles[mask] if is_second else -triangles[mask]
                pair = own if is_second else own[::-1]
                return _passes(step.value, other, labels, pair, step.output, way)
    if isinstance(step, Nest) and step.term.operator == "select":
        chosen, term = step.term.arguments
        if chosen.operator == "load" and chosen.payload[0] in triangles:
            if len(step.reduced) == 1:
                return _cumulated_nest(step, triangles, chosen, term)
            if not step.output and set(step.reduced) == set(chosen.payload[1]):
                return _cumulated_whole(step, triangles, chosen, term)
    return None


def _summed(own: Labels, labels: Labels, output: Labels) -> int | None:
    """The label over which a mask and another operand are summed, if that is all that they do."""
    shared = set(own) & set(labels)
    if len(set(own)) != 2 or len(set(labels)) != len(labels) or len(shared) != 1:
        return None
    (summed,) = shared
    return summed if {*own, *labels} - shared == set(output) else None


def _passes(
    made: Value, source: Value, labels: Labels, own: Labels, output: Labels, way: int
) -> list[Step] | None:
    """``out[output] = sum of mask[own] source[labels]``: a pass along the last axis of a view.

    ``own`` is the kept label and the summed one. None if the entries are not numbers.
    """
    kept, summed = own
    if source.kind != "real":
        return None
    rest = [label for label in labels if label != summed]
    last = len(rest)
    extents = tuple(source.extents[labels.index(label)] for label in (*rest, summed))
    steps: list[Step] = []
    if labels != (*rest, summed) or way < 0:
        places = {label: k for k, label in enumerate((*rest, summed))}
        forms = [_form(places[x], x == summed, way, extents[last]) for x in labels]
        steps.append(View(Value(f"{made.name}_turned", extents), source, tuple(forms)))
        source = steps[-1].value
    if output == (*rest, kept) and way > 0:
        return [*steps, Call(made, TABLE["prefix_sum"], (source,))]
    sums = Value(f"{made.name}_sums", extents)
    forms = [_form(output.index(x), x == kept, way, extents[last]) for x in (*rest, kept)]
    return [*steps, Call(sums, TABLE["prefix_sum"], (source,)), View(made, sums, tuple(forms))]


def _form(axis: int, is_turned: bool, way: int, n: Any) -> Affine:
    """An axis as it is, or from its end."""
    return Affine(((axis, -1),), n - 1) if is_turned and way < 0 else Affine(((axis, 1),))


def _cumulated_nest(step: Nest, triangles: Triangles, mask: Term, term: Term) -> list[Step] | None:
    """The same for ``out[i] = sum over j of select(mask[i, j], a[i] b[j])``."""
    value, own = mask.payload
    (inner,) = step.reduced
    if _summed(own, (inner,), step.output) is None:
        return None
    factors = list(term.arguments) if term.operator == "multiply" else [term]
    inside = [factor for factor in factors if inner in factor.labels()]
    outside = [factor for factor in factors if inner not in factor.labels()]
    if not inside or any(factor.labels() != {inner} for factor in inside):
        return None
    name, output = step.value.name, step.output
    way = triangles[value] if own[1] == inner else -triangles[value]
    sums = Value(f"{name}_prefixes", step.value.extents) if outside else step.value
    steps: list[Step] = []
    terms = _loaded(inside)
    if terms is None:
        terms = Value(f"{name}_terms", step.value.extents)
        steps.append(Nest(terms, multiplied(inside), (inner,), (), {inner: step.sizes[inner]}))
    steps += _passes(sums, terms, (inner,), (*output, inner), output, way) or ()
    if outside:
        whole = multiplied([*outside, load(sums, output)])
        sizes = {label: step.sizes[label] for label in output}
        steps.append(Nest(step.value, whole, output, (), sizes))
    return steps


def _cumulated_whole(step: Nest, triangles: Triangles, mask: Term, term: Term) -> list[Step] | None:
    """The same for the sum over both labels: the rows first."""
    kept, summed = step.reduced
    rows = Value(f"{step.value.name}_rows", (step.sizes[kept],))
    inner = Nest(rows, step.term, (kept,), (summed,), step.sizes)
    steps = _cumulated_nest(inner, triangles, mask, term)
    if steps is None:
        return None
    whole = Nest(step.value, load(rows, (kept,)), (), (kept,), {kept: step.sizes[kept]})
    return [*steps, whole]


def _loaded(factors: list[Term]) -> Value | None:
    """The vector of numbers that the product is, if it is no more than that."""
    if len(factors) != 1 or factors[0].operator != "load":
        return None
    value: Value = factors[0].payload[0]
    return value if value.kind == "real" and value.ndim == 1 else None


# -- sums that may come first ---------------------------------------------------------------------
def _summed_early(program: Program) -> list[Step]:
    """The steps with masked matrices summed over what one contraction alone sums, before it."""
    readers = Counter(v for step in program.steps for v in step.operands())
    readers.update(program.outputs)
    nests = {
        step.value: step
        for step in program.steps
        if isinstance(step, Nest) and step.term.operator == "select" and readers[step.value] == 1
    }
    made: dict[Value, Nest] = {}
    steps: list[Step] = []
    for step in program.steps:
        if isinstance(step, Contract):
            for side in (0, 1):
                step = _early(step, side, nests, made)
        steps.append(step)
    return [made.get(step.value, step) for step in steps]


def _early(
    step: Contract, side: int, nests: dict[Value, Nest], made: dict[Value, Nest]
) -> Contract:
    """The contraction with one operand summed before, put into ``made`` by the old value."""
    operand, own = step.operands()[side], step.subscripts[side]
    nest = nests.get(operand)
    alone = set(own) - set(step.subscripts[1 - side]) - set(step.output)
    if nest is None or nest.reduced or len(own) != 2 or len(set(own)) != 2 or len(alone) != 1:
        return step
    axis = own.index(*alone)
    value = Value(f"{operand.name}_early", (operand.extents[1 - axis],))
    output, reduced = (nest.output[1 - axis],), (nest.output[axis],)
    made[operand] = Nest(value, nest.term, output, reduced, nest.sizes)
    kept, (left, right) = (own[1 - axis],), step.subscripts
    if side == 0:
        return replace(step, left=value, subscripts=(kept, right))
    return replace(step, right=value, subscripts=(left, kept))
