"""Products freed of their deltas: rows become views, structured writes, or masks.

A row ``sum(c*label) + c0 = 0`` of a product is used up by the first of

- a summed label that only the row has: the rest lies in an interval, a mask;
- a full mixed radix, ``flat = n*i + j``: the factor with ``i, j`` is reshaped, or the inverse with
  ``flat``, which then is not made but solved with, where that is possible;
- an output label that nothing else has: the result is zero but on an affine set, so the rest is
  computed there and written into zeros;
- a summed label: its factors become (padded, strided) views;
- otherwise a mask of the row itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tensorcalc.deltas import always_inside, substituted
from tensorcalc.extents import is_nonnegative, same_extents
from tensorcalc.nodes import Constant, Delta, Node, Product
from tensorcalc.products import is_boolean

from .cores import Core, Row
from .gathers import flattened, gathered, slides, solution_of
from .selections import use_up_selections
from .solves import opened
from .steps import Affine, AffineRow, Indicator, Labels

if TYPE_CHECKING:
    from .lowering import Lowering


def reduced_to_core(lowering: Lowering, node: Node) -> Core:
    """The product ``node`` with all its deltas used up."""
    work = _collected(lowering, node)
    output = work.output
    placed: dict[int, Affine] = {}
    while work.rows:
        _use_up(lowering, work, work.rows.pop(), placed)
    if placed:
        work.axes = tuple(placed.get(label, Affine(((label, 1),))) for label in output)
    use_up_selections(lowering, work)
    _count_unused(work, (*output, *work.output))
    return work


def _collected(lowering: Lowering, node: Node) -> Core:
    if isinstance(node, Delta):
        labels = tuple(range(node.ndim))
        core = Core(labels, dict(enumerate(node.extents)))
        _collect(lowering, core, node, labels)
        return core
    assert isinstance(node, Product)
    core = Core(node.output, node.label_extents())
    for operand, own in zip(node.operands, node.subscripts, strict=True):
        _collect(lowering, core, operand, own)
    return core


def _collect(lowering: Lowering, core: Core, operand: Node, own: Labels) -> None:
    if isinstance(operand, Constant):
        core.coefficient *= operand.value
    elif isinstance(operand, Delta):
        for coefficients, offset in operand.rows:
            terms: dict[int, Any] = {}
            for label, c in zip(own, coefficients, strict=True):
                terms[label] = terms.get(label, 0) + c
            core.rows.append((terms, offset))
    elif has_rows(operand) and (inner := lowering.core_of(operand)).axes is not None:
        _collect_structured(lowering, core, inner, own, operand.extents)
    elif is_boolean(operand):
        core.masks.append((operand, own))
    elif not own:
        core.scalars.append(operand)
    else:
        core.factors.append((operand, own))


def _collect_structured(
    lowering: Lowering, core: Core, inner: Core, own: Labels, extents: Any
) -> None:
    """A factor that is zero but on an affine set: its core, and rows that confine the labels."""
    assert inner.axes is not None
    names: dict[int, int] = {}
    for form, label, extent in zip(inner.axes, own, extents, strict=True):
        k = form.label
        if k is not None and k not in names and same_extents((inner.sizes[k],), (extent,)):
            names[k] = label
            continue
        terms: dict[int, Any] = {label: 1}
        for k, c in form.terms:
            if k not in names:
                names[k] = max(core.sizes) + 1
                core.sizes[names[k]] = inner.sizes[k]
            terms[names[k]] = terms.get(names[k], 0) - c
        core.rows.append((terms, -form.offset))
    ref = lowering.core(inner)
    labels = tuple(names[k] for k in ref.axes)
    if labels:
        core.factors.append((ref.value, labels))
    else:
        core.scalars.append(ref.value)


def has_rows(node: Node) -> bool:
    """Whether a node or one of its factors has affine deltas."""
    if isinstance(node, Delta):
        return bool(node.rows)
    if not isinstance(node, Product):
        return False
    known = node.facts.get("has rows")
    if known is None:
        known = node.facts["has rows"] = any(map(has_rows, node.operands))
    return known


def _count_unused(core: Core, output: Labels) -> None:
    """A summed label that nothing has counts its extent."""
    used = core.used() | set(output)
    for label in [label for label in core.sizes if label not in used]:
        core.counts.append(core.sizes.pop(label))


def _use_up(lowering: Lowering, core: Core, row: Row, placed: dict[int, Affine]) -> None:
    slack = _slack(core, row)
    if slack is not None:
        if not _place(core, row, placed):
            _interval_mask(lowering, core, row, slack)
    elif not (
        opened(lowering, core, row)
        or flattened(lowering, core, row)
        or (slides(core, row) and gathered(lowering, core, row))
        or _place(core, row, placed)
        or gathered(lowering, core, row)
    ):
        _equation_mask(lowering, core, row)


def _slack(core: Core, row: Row) -> int | None:
    """A summed label with coefficient 1 or -1 that nothing but the row has."""
    taken = core.used() | set(core.output) | {label for terms, _ in core.rows for label in terms}
    for label in row[0]:
        if label not in taken and solution_of(row, label) is not None:
            return label
    return None


def _interval_mask(lowering: Lowering, core: Core, row: Row, slack: int) -> None:
    solution = solution_of(row, slack)
    assert solution is not None
    size = core.sizes.pop(slack)
    labels = tuple(sorted(solution[0]))
    form = Affine(tuple((k, solution[0][label]) for k, label in enumerate(labels)), solution[1])
    _add_indicator(lowering, core, labels, AffineRow(form, 0, size))


def _equation_mask(lowering: Lowering, core: Core, row: Row) -> None:
    labels = tuple(sorted(row[0]))
    form = Affine(tuple((k, row[0][label]) for k, label in enumerate(labels)), row[1])
    _add_indicator(lowering, core, labels, AffineRow(form))


def _add_indicator(lowering: Lowering, core: Core, labels: Labels, row: AffineRow) -> None:
    extents = tuple(core.sizes[label] for label in labels)
    if not labels:
        extents = ()
    value = lowering.once(
        ("indicator", extents, row),
        lambda: lowering.emit(Indicator(lowering.value(extents, "boolean"), (row,))),
    )
    core.masks.append((value, labels))


def _place(core: Core, row: Row, placed: dict[int, Affine]) -> bool:
    """Confine the product to the affine set of a row.

    An output label that nothing else has is given by the others, if different indices of those
    that are summed give different places.
    """
    taken = core.used() | {label for terms, _ in core.rows for label in terms}
    for label in sorted(set(row[0]) & set(core.output), reverse=True):
        solution = solution_of(row, label)
        if solution is None or not _can_place(core, label, solution[0], placed):
            continue
        if label in taken and not _renames(core, label, solution):
            continue
        terms, offset = solution
        summed = {other: c for other, c in terms.items() if other not in core.output}
        if not _is_injective(summed, core.sizes):
            continue
        placed[label] = Affine(tuple(terms.items()), offset)
        core.inside = core.inside and always_inside(terms, offset, core.sizes, core.sizes[label])
        if label in taken:
            _rename(core, label, next(iter(terms)))
        core.output = (*(k for k in core.output if k != label), *sorted(summed))
        return True
    return False


def _renames(core: Core, label: int, solution: Any) -> bool:
    """Whether a row says that a label equals another output label over the same extent."""
    terms, offset = solution
    form = Affine(tuple(terms.items()), offset)
    other = form.label
    return other in core.output and same_extents((core.sizes[other],), (core.sizes[label],))


def _rename(core: Core, old: int, new: int) -> None:
    def renamed(labels: Labels) -> Labels:
        return tuple(new if label == old else label for label in labels)

    core.factors = [(source, renamed(own)) for source, own in core.factors]
    core.masks = [(source, renamed(own)) for source, own in core.masks]
    core.rows = [substituted(row, old, {new: 1}, 0) for row in core.rows]


def _can_place(
    core: Core, label: int, terms: Mapping[int, Any], placed: Mapping[int, Affine]
) -> bool:
    """No axis may depend on one that is placed itself."""
    depended = {k for form in placed.values() for k, _ in form.terms}
    return label not in depended and not any(k in placed for k in terms)


def _is_injective(terms: Mapping[int, Any], sizes: Mapping[int, Any]) -> bool:
    """Whether an affine form has different values at different indices: a mixed radix."""
    reach: Any = 0
    for label in sorted(terms, key=lambda k: _magnitude_key(terms[k])):
        magnitude = terms[label] if is_nonnegative(terms[label]) else -terms[label]
        if not is_nonnegative(magnitude - 1 - reach):
            return False
        reach = reach + magnitude * (sizes[label] - 1)
    return True


def _magnitude_key(c: Any) -> tuple[bool, int, int]:
    """Numbers before symbols, small before large."""
    if isinstance(c, int):
        return False, abs(c), 0
    return True, max(sum(p for _, p in monomial) for monomial in c.terms), len(c.terms)
