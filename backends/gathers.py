"""Rows with a summed label: its factors become strided, padded or flattened views."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tensorcalc.deltas import always_inside, solved_for, substituted
from tensorcalc.extents import same_extents
from tensorcalc.nodes import Node

from .cores import Core, Row, multiplied, reshaped, source_value
from .steps import Affine, Insert, Labels, Ref, Term, Value, View, load

if TYPE_CHECKING:
    from .lowering import Lowering

Solution = tuple[dict[Any, Any], Any]
Source = tuple["Node | Value", Labels]


def solution_of(row: Row, label: int) -> Solution | None:
    """The row as ``label = sum(terms) + offset``, if it can be solved for the label."""
    return solved_for(row, label)


def gathered(lowering: Lowering, core: Core, row: Row) -> bool:
    """Use up a row by a summed label of factors; whether that was possible.

    The largest label goes, which leaves the fewest terms to add: convolutions make windows of
    their input, not a band matrix of their kernel.
    """
    choices = [choice for label in row[0] if (choice := _choice(lowering, core, row, label))]
    if not choices:
        return False
    *_, label = min(choices)
    if abs(row[0][label]) != 1:
        label, row = _dilated(lowering, core, row, label)
    row = _forwards(lowering, core, row, label)
    solution = solution_of(row, label)
    assert solution is not None
    inside = always_inside(*solution, core.sizes, core.sizes[label])
    core.factors = [_viewed(lowering, core, f, label, solution, inside) for f in core.factors]
    core.masks = [_viewed(lowering, core, f, label, solution, inside) for f in core.masks]
    core.rows = [substituted(other, label, *solution) for other in core.rows]
    del core.sizes[label]
    return True


def slides(core: Core, row: Row) -> bool:
    """Whether a factor's axis is cut by the other labels without ever leaving it."""
    held = {label for _, own in (*core.factors, *core.masks) for label in own}
    return any(
        label in held and label not in core.output and always_inside_row(core, row, label)
        for label in row[0]
    )


def _choice(
    lowering: Lowering, core: Core, row: Row, label: int
) -> tuple[float, float, int] | None:
    """What solving the row for ``label`` spares, negated, and the volume of the widest view."""
    if label in core.output or not isinstance(row[0][label], int):
        return None
    holders = [own for _, own in (*core.factors, *core.masks) if label in own]
    elsewhere = any(label in terms for terms, _ in core.rows)
    if not holders or (elsewhere and not always_inside_row(core, row, label)):
        return None
    masked = any(label in own for _, own in core.masks)
    if abs(row[0][label]) != 1 and (len(holders) > 1 or elsewhere or masked):
        return None
    if not _enforces_range(lowering, core, label):
        return None
    volume = max(_view_volume(lowering, core, row, label, own) for own in holders)
    return -lowering.size(core.sizes[label]), volume, label


def _forwards(lowering: Lowering, core: Core, row: Row, label: int) -> Row:
    """The row with summed labels that ``label`` falls with counted from their other end.

    Windows then step through memory forwards, and rows of several positions are copied as one.
    """
    for k in list(row[0]):
        backwards = row[0][k] == row[0][label]
        held = any(k in own for _, own in core.factors)
        if k == label or k in core.output or not backwards or not held:
            continue
        if any(k in own for _, own in core.masks):
            continue
        turned: Solution = {k: -1}, core.sizes[k] - 1
        core.factors = [_viewed(lowering, core, f, k, turned, True) for f in core.factors]
        core.rows = [substituted(other, k, *turned) for other in core.rows]
        row = substituted(row, k, *turned)
    return row


def always_inside_row(core: Core, row: Row, label: int) -> bool:
    """Whether the label never leaves its range, so that other rows may do without it."""
    solution = solution_of(row, label)
    return solution is not None and always_inside(*solution, core.sizes, core.sizes[label])


def _enforces_range(lowering: Lowering, core: Core, label: int) -> bool:
    """Whether some factor really has the label's axis, so that its view is zero outside."""
    return any(
        isinstance(source, Value) or label in _value_labels(lowering, source, own)
        for source, own in (*core.factors, *core.masks)
        if label in own
    )


def _value_labels(lowering: Lowering, source: Node, own: Labels) -> Labels:
    return tuple(own[axis] for axis in lowering.ref(source).axes)


def _view_volume(lowering: Lowering, core: Core, row: Row, label: int, own: Labels) -> float:
    labels = (set(own) | set(row[0])) - {label}
    return math.prod([lowering.size(core.sizes[k]) for k in labels])


def _viewed(
    lowering: Lowering, core: Core, source: Source, label: int, solution: Any, inside: bool
) -> Source:
    """``source[..., label, ...]`` at ``label = sum(terms) + offset``."""
    if label not in source[1]:
        return source
    value, own = source_value(lowering, *source)
    if label not in own:
        return value, own
    terms, offset = solution
    labels = tuple(dict.fromkeys(k for x in own for k in (terms if x == label else (x,))))
    position = {k: axis for axis, k in enumerate(labels)}
    axes = tuple(
        Affine(tuple((position[k], c) for k, c in terms.items()), offset)
        if x == label
        else Affine(((position[x], 1),))
        for x in own
    )
    extents = tuple(core.sizes[k] for k in labels)

    def make() -> Value:
        made = lowering.value(extents, value.kind)
        return lowering.emit(_composed(lowering, View(made, value, axes, inside)))

    return lowering.once(("gather", value, axes, extents), make), labels


def _composed(lowering: Lowering, outer: View) -> View:
    """A view of a view as one view of the array behind it, where zeros outside stay the same.

    They do if axes that the outer view leaves run over whole axes of the array.
    """
    inner = lowering.makers.get(outer.source)
    if not isinstance(inner, View):
        return outer
    sizes: dict[Any, Any] = dict(enumerate(outer.value.extents))
    whole = {
        form.label
        for form, extent in zip(inner.axes, inner.source.extents, strict=True)
        if form.label is not None and same_extents((inner.value.extents[form.label],), (extent,))
    }
    for k, (form, extent) in enumerate(zip(outer.axes, inner.value.extents, strict=True)):
        terms: dict[Any, Any] = dict(form.terms)
        if k not in whole and not always_inside(terms, form.offset, sizes, extent):
            return outer
    axes = tuple(_substituted(form, outer.axes) for form in inner.axes)
    inside = outer.inside and inner.inside
    return View(outer.value, inner.source, axes, inside)


def _substituted(form: Affine, inner: tuple[Affine, ...]) -> Affine:
    """An affine form of labels that are affine forms themselves."""
    terms: dict[int, Any] = {}
    offset = form.offset
    for label, c in form.terms:
        offset = offset + c * inner[label].offset
        for k, d in inner[label].terms:
            terms[k] = terms.get(k, 0) + c * d
    return Affine(tuple((k, c) for k, c in terms.items() if type(c) is not int or c), offset)


def _dilated(lowering: Lowering, core: Core, row: Row, label: int) -> tuple[int, Row]:
    """A label with coefficient ``c`` as one with coefficient 1 over zeros in between."""
    c = row[0][label]
    stretched = max(core.sizes) + 1
    size = abs(c) * (core.sizes[label] - 1) + 1

    def dilated(source: Source) -> Source:
        if label not in source[1]:
            return source
        value, own = source_value(lowering, *source)
        axes = tuple(Affine(((k, abs(c) if x == label else 1),)) for k, x in enumerate(own))
        extents = [size if x == label else core.sizes[x] for x in own]
        labels = tuple(range(len(own)))
        sizes = dict(enumerate(value.extents))
        step = Insert(lowering.value(extents), None, value, labels, axes, sizes)
        return lowering.emit(step), tuple(stretched if x == label else x for x in own)

    core.factors = [dilated(source) for source in core.factors]
    del core.sizes[label]
    core.sizes[stretched] = size
    terms = {stretched if k == label else k: d for k, d in row[0].items()}
    terms[stretched] = 1 if c > 0 else -1
    return stretched, (terms, row[1])


# -- flattening -----------------------------------------------------------------------------------
def flattened(lowering: Lowering, core: Core, row: Row) -> bool:
    """``flat = n*i + j`` over all ``i, j`` of one factor joins its axes: a reshape."""
    order = radix_order(core, row)
    if order is None or set(order[1]) & set(core.output):
        return False
    flat, digits = order
    holders = [f for f in (*core.factors, *core.masks) if set(f[1]) & set(digits)]
    busy = any(set(terms) & set(digits) for terms, _ in core.rows)
    if len(holders) != 1 or not any(f is holders[0] for f in core.factors) or busy:
        return False
    value, own = source_value(lowering, *holders[0])
    if not set(digits) <= set(own) or len(set(own)) != len(own):
        return False
    joined = _joined(lowering, core, value, own, flat, digits)
    core.factors = [joined if f is holders[0] else f for f in core.factors]
    for label in digits:
        del core.sizes[label]
    return True


def radix_order(core: Core, row: Row) -> tuple[int, list[int]] | None:
    """The flat label and its digits, most significant first, if the row is a full mixed radix."""
    terms, offset = row
    if type(offset) is not int or offset != 0:
        return None
    for flat, c in terms.items():
        digits = {k: -d if c == 1 else d for k, d in terms.items() if k != flat}
        if type(c) is int and abs(c) == 1:
            order = _descending(digits, core.sizes, core.sizes[flat])
            if order is not None and len(order) > 1:
                return flat, order
    return None


def _descending(
    digits: Mapping[int, Any], sizes: Mapping[int, Any], total: Any
) -> list[int] | None:
    """Digits by weight: 1, then the size of the last, then the product of the last two, ..."""
    order: list[int] = []
    weight: Any = 1
    left = dict(digits)
    while left:
        found = [k for k, d in left.items() if _same(d, weight)]
        if not found:
            return None
        order.insert(0, found[0])
        weight = weight * sizes[found[0]]
        del left[found[0]]
    return order if _same(weight, total) else None


def _same(left: Any, right: Any) -> bool:
    return same_extents((left,), (right,))


def filled(lowering: Lowering, core: Core, extents: Sequence[Any]) -> Term | None:
    """A core whose places are all of the whole, as a term over its axes: a reshape, not a write.

    Each axis must be a full mixed radix of labels of its own, which the core has all.
    """
    if core.axes is None or core.scattered is not None:
        return None
    order: list[int] = []
    for form, extent in zip(core.axes, extents, strict=True):
        digits = _descending(dict(form.terms), core.sizes, extent)
        if digits is None or not same_extents((form.offset,), (0,)):
            return None
        order += digits
    if sorted(order) != sorted(core.output) or not set(order) <= core.used():
        return None
    alpha = core.alpha(lowering)
    plain = replace(core, output=tuple(order), coefficient=1, scalars=[], counts=[], axes=None)
    ref = lowering.core(plain)
    if sorted(ref.axes) != sorted(order):
        return None
    whole = Ref(ref.value, tuple(order.index(label) for label in ref.axes))
    value = lowering.laid_out(whole, [core.sizes[label] for label in order])
    entries = load(reshaped(lowering, value, tuple(extents)), tuple(range(len(extents))))
    return multiplied([*alpha, entries])


def _joined(
    lowering: Lowering, core: Core, value: Value, own: Labels, flat: int, digits: list[int]
) -> Source:
    others = [x for x in own if x not in digits]
    first = min(own.index(x) for x in digits)
    before = [x for x in others if own.index(x) < first]
    after = [x for x in others if own.index(x) > first]
    order = [*before, *digits, *after]
    if list(own) != order:
        axes = tuple(Affine(((order.index(x), 1),)) for x in own)
        extents = [core.sizes[x] for x in order]
        value = lowering.emit(View(lowering.value(extents, value.kind), value, axes))
    extents = [core.sizes[x] for x in (*before, flat, *after)]
    return reshaped(lowering, value, extents), (*before, flat, *after)
