"""Cumulative sums: a sum over ``j <= i`` or ``j >= i`` in one pass instead of one for each ``i``.

In the calculus ``cumsum`` is a contraction with ``[0 <= i - j < n]``. Its derivatives are, too, the
other way round. NumPy has a function that takes as many additions as there are entries.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from tensorcalc.operations.helpers import helper

from .cores import multiplied
from .program import Program
from .steps import (
    PREFIX_SUM,
    ROW_PREFIX_SUM,
    ROW_SUFFIX_SUM,
    SUFFIX_SUM,
    Call,
    Contract,
    Indicator,
    Labels,
    Nest,
    Step,
    Term,
    Value,
    load,
)


def prefix_sums(program: Program) -> Program:
    """The program with cumulative sums along the first or last axis as steps of their own."""
    triangles: dict[Value, int] = {}
    steps: list[Step] = []
    for step in _summed_early(program):
        way = _triangle(step) or _as_numbers(step, triangles)
        if way is not None:
            triangles[step.value] = way
        steps += _cumulated(step, triangles) or [step]
    read, kept = set(program.outputs), []
    for step in reversed(steps):
        if step.value in read or step.value not in triangles:
            read.update(step.operands())
            kept.append(step)
    return program.with_steps(reversed(kept))


def _triangle(step: Step) -> int | None:
    """1 for ``[j <= i]``, -1 for ``[j >= i]`` of a square matrix, None for what is neither."""
    if not isinstance(step, Indicator) or step.value.ndim != 2 or len(step.rows) != 1:
        return None
    (form, low, high), (n, m) = step.rows[0], step.value.extents
    plain = type(low) is int and low == 0 and type(form.offset) is int and form.offset == 0
    if not plain or n != m or high != n or len(form.terms) != 2:
        return None
    coefficients = [dict(form.terms).get(axis) for axis in (0, 1)]
    if any(type(c) is not int for c in coefficients):
        return None
    return {(1, -1): 1, (-1, 1): -1}.get(tuple(coefficients))  # type: ignore[arg-type]


def _as_numbers(step: Step, triangles: dict[Value, int]) -> int | None:
    """Which triangle a matrix of the numbers 0 and 1 is."""
    if not isinstance(step, Nest) or step.reduced or step.term.operator != "select":
        return None
    mask, number = step.term.arguments
    if mask.operator != "load" or number.operator != "constant" or number.payload != 1:
        return None
    value, labels = mask.payload
    return triangles.get(value) if labels == step.output else None


def _cumulated(step: Step, triangles: dict[Value, int]) -> list[Step] | None:
    """The steps in place of one that sums with a triangle."""
    if isinstance(step, Contract):
        pairs = list(zip(step.operands(), step.subscripts, strict=True))
        for (mask, own), (other, labels) in (pairs, pairs[::-1]):
            way = _way(triangles.get(mask), own, labels, step.output)
            if way is not None and other not in triangles and other.kind == "real":
                return [Call(step.value, way, (other,))]
    if isinstance(step, Nest) and len(step.reduced) == 1 and step.term.operator == "select":
        chosen, term = step.term.arguments
        if chosen.operator == "load":
            return _cumulated_nest(step, triangles, chosen, term)
    return None


def _cumulated_nest(
    step: Nest, triangles: dict[Value, int], mask: Term, term: Term
) -> list[Step] | None:
    """The same for ``out[i] = sum over j of select(mask[i, j], a[i] b[j])``."""
    value, own = mask.payload
    (inner,) = step.reduced
    way = _way(triangles.get(value), own, (inner,), step.output)
    factors = list(term.arguments) if term.operator == "multiply" else [term]
    inside = [factor for factor in factors if inner in factor.labels()]
    outside = [factor for factor in factors if inner not in factor.labels()]
    if way is None or not inside or any(f.labels() != {inner} for f in inside):
        return None
    name = step.value.name
    steps: list[Step] = []
    source = multiplied(inside)
    if source.operator == "load":
        terms = source.payload[0]
    else:
        terms = Value(f"{name}_terms", step.value.extents)
        steps.append(Nest(terms, source, (inner,), (), {inner: step.sizes[inner]}))
    if not outside:
        return [*steps, Call(step.value, way, (terms,))]
    sums = Value(f"{name}_sums", step.value.extents)
    whole = multiplied([*outside, load(sums, step.output)])
    sizes = {label: step.sizes[label] for label in step.output}
    return [*steps, Call(sums, way, (terms,)), Nest(step.value, whole, step.output, (), sizes)]


def _summed_early(program: Program) -> list[Step]:
    """The steps with masked matrices summed over what one contraction alone sums, before it."""
    readers = Counter(v for step in program.steps for v in step.operands())
    readers.update(program.outputs)
    nests = {step.value: step for step in program.steps if isinstance(step, Nest)}
    made: dict[Value, Nest] = {}
    steps: list[Step] = []
    for step in program.steps:
        if isinstance(step, Contract):
            for side in (0, 1):
                step = _early(step, side, nests, readers, made)
        steps.append(step)
    return [made.get(step.value, step) for step in steps]


def _early(
    step: Contract,
    side: int,
    nests: dict[Value, Nest],
    readers: Counter[Value],
    made: dict[Value, Nest],
) -> Contract:
    """The contraction with one operand summed before, put into ``made`` by the old value."""
    operand, own = step.operands()[side], step.subscripts[side]
    nest = nests.get(operand)
    alone = set(own) - set(step.subscripts[1 - side]) - set(step.output)
    if nest is None or nest.reduced or readers[operand] > 1 or len(alone) != 1 or len(own) != 2:
        return step
    if nest.term.operator != "select" or len(nest.output) != 2:
        return step
    axis = own.index(*alone)
    kept = own[1 - axis]
    value = Value(f"{operand.name}_early", (operand.extents[1 - axis],))
    output, reduced = (nest.output[1 - axis],), (nest.output[axis],)
    made[operand] = Nest(value, nest.term, output, reduced, nest.sizes)
    left, right = step.subscripts
    if side == 0:
        return replace(step, left=value, subscripts=((kept,), right))
    return replace(step, right=value, subscripts=(left, (kept,)))


def _way(way: int | None, own: Labels, labels: Labels, output: Labels) -> str | None:
    """The function for ``sum over j of mask[own] * x[labels]``, j the first or last of these."""
    if way is None or len(set(own)) != 2 or len(set(labels)) != len(labels):
        return None
    shared = [label for label in own if label in labels]
    if len(shared) != 1 or shared[0] in output:
        return None
    (summed,) = shared
    (kept,) = {*own} - {summed}
    sign = way if own == (kept, summed) else -way
    names = (PREFIX_SUM, SUFFIX_SUM) if summed == labels[0] else (ROW_PREFIX_SUM, ROW_SUFFIX_SUM)
    place = 0 if summed == labels[0] else len(labels) - 1
    if labels[place] != summed or output != (*labels[:place], kept, *labels[place + 1 :]):
        return None
    return names[0] if sign > 0 else names[1]


helper("""
def prefix_sum(x):
    return np.cumsum(x, axis=0)
""")
helper("""
def suffix_sum(x):
    return np.cumsum(x[::-1], axis=0)[::-1]
""")
helper("""
def row_prefix_sum(x):
    return np.cumsum(x, axis=-1)
""")
helper("""
def row_suffix_sum(x):
    return np.cumsum(x[..., ::-1], axis=-1)[..., ::-1]
""")
