"""Products freed of their deltas: rows become views, structured writes, or masks.

A row ``sum(c*label) + c0 = 0`` of a product is used up by the first of

- a summed label that only the row has: the rest lies in an interval, a mask;
- a summed label with coefficient 1 or -1: its factors become (padded, strided) views;
- an output label with coefficient 1 or -1 of a row without summed labels: the result is zero but
  on that affine set, so the rest is computed there and written into zeros;
- otherwise a mask of the row itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tensorcalc.deltas import always_inside, solved_for, substituted
from tensorcalc.nodes import Constant, Delta, Node, Product
from tensorcalc.products import is_boolean

from .steps import (
    Affine,
    AffineRow,
    Indicator,
    Labels,
    Term,
    Value,
    constant,
)

if TYPE_CHECKING:
    from .lowering import Lowering

Row = tuple[dict[int, Any], Any]


@dataclass(eq=False)
class Core:
    """A product without structural deltas: scalars, factors and masks over labels.

    ``factors`` and ``masks`` are pairs of a node or a value and its labels. ``axes`` says where the
    core goes in the whole product, None if it is the whole.
    """

    output: Labels
    sizes: dict[int, Any]
    coefficient: float = 1
    scalars: list[Node] = field(default_factory=list)
    counts: list[Any] = field(default_factory=list)
    factors: list[tuple[Node | Value, Labels]] = field(default_factory=list)
    masks: list[tuple[Node | Value, Labels]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    axes: tuple[Affine, ...] | None = None
    inside: bool = True

    @property
    def is_elementwise(self) -> bool:
        """Whether nothing is summed."""
        return self.used() <= set(self.output)

    def used(self) -> set[int]:
        """Labels of factors and masks."""
        return {label for _, own in (*self.factors, *self.masks) for label in own}

    def output_sizes(self) -> dict[int, Any]:
        """Extents of the output labels, in order."""
        return {label: self.sizes[label] for label in self.output}

    def sizes_in_order(self) -> dict[int, Any]:
        """Extents of all labels, those of the output first."""
        return {**self.output_sizes(), **self.sizes}

    def alpha(self, lowering: Lowering) -> list[Term]:
        """The scalar factors."""
        terms = [constant(self.coefficient)] if self.coefficient != 1 else []
        terms += [Term("size", (), extent) for extent in self.counts]
        return terms + [lowering.term(node, ()) for node in self.scalars]

    def term(self, lowering: Lowering, names: Mapping[int, int] | None = None) -> Term:
        """The product as a scalar expression; ``names`` renames its labels."""
        numeric = self.alpha(lowering) + [
            real_term(lowering, source, _renamed(own, names)) for source, own in self.factors
        ]
        term = multiplied(numeric)
        for source, own in self.masks:
            term = Term("select", (source_term(lowering, source, _renamed(own, names)), term))
        return term


def _renamed(labels: Labels, names: Mapping[int, int] | None) -> Labels:
    return labels if names is None else tuple(names[label] for label in labels)


def source_term(lowering: Lowering, source: Node | Value, labels: Labels) -> Term:
    """A factor as a term."""
    if isinstance(source, Value):
        return lowering.loaded(source, labels)
    return lowering.term(source, labels)


def real_term(lowering: Lowering, source: Node | Value, labels: Labels) -> Term:
    return source_term(lowering, source, labels)


def multiplied(terms: list[Term]) -> Term:
    """The product of terms; 1 if there are none."""
    if len(terms) == 1:
        return terms[0]
    return Term("multiply", tuple(terms)) if terms else constant(1)


def reduced_to_core(lowering: Lowering, node: Node) -> Core:
    """The product ``node`` with all its deltas used up."""
    work = _collected(node)
    output = work.output
    placed: dict[int, Affine] = {}
    while work.rows:
        _use_up(lowering, work, work.rows.pop(), placed)
    if placed:
        forms = [placed.get(label, Affine(((label, 1),))) for label in output]
        work.axes = tuple(forms)
        work.output = tuple(label for label in output if label not in placed)
    _count_unused(work, output)
    return work


def _collected(node: Node) -> Core:
    if isinstance(node, Delta):
        labels = tuple(range(node.ndim))
        core = Core(labels, dict(enumerate(node.extents)))
        _collect(core, node, labels)
        return core
    assert isinstance(node, Product)
    core = Core(node.output, node.label_extents())
    for operand, own in zip(node.operands, node.subscripts, strict=True):
        _collect(core, operand, own)
    return core


def _collect(core: Core, operand: Node, own: Labels) -> None:
    if isinstance(operand, Constant):
        core.coefficient *= operand.value
    elif isinstance(operand, Delta):
        for coefficients, offset in operand.rows:
            terms: dict[int, Any] = {}
            for label, c in zip(own, coefficients, strict=True):
                terms[label] = terms.get(label, 0) + c
            core.rows.append((terms, offset))
    elif is_boolean(operand):
        core.masks.append((operand, own))
    elif not own:
        core.scalars.append(operand)
    else:
        core.factors.append((operand, own))


def _count_unused(core: Core, output: Labels) -> None:
    """A summed label that nothing has counts its extent."""
    used = core.used() | set(output)
    for label in [label for label in core.sizes if label not in used]:
        core.counts.append(core.sizes.pop(label))


def _use_up(lowering: Lowering, core: Core, row: Row, placed: dict[int, Affine]) -> None:
    slack = _slack(core, row)
    if slack is not None:
        _interval_mask(lowering, core, row, slack)
        return
    if all(label in core.output for label in row[0]) and _place(lowering, core, row, placed):
        return
    _equation_mask(lowering, core, row)


def _slack(core: Core, row: Row) -> int | None:
    """A summed label with coefficient 1 or -1 that nothing but the row has."""
    taken = core.used() | set(core.output) | {label for terms, _ in core.rows for label in terms}
    for label in row[0]:
        if label not in taken and solved_for(row, label) is not None:
            return label
    return None


def _interval_mask(lowering: Lowering, core: Core, row: Row, slack: int) -> None:
    solution = solved_for(row, slack)
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


def _place(lowering: Lowering, core: Core, row: Row, placed: dict[int, Affine]) -> bool:
    """Confine the product to the affine set of a row between output labels."""
    used = core.used()
    for label in sorted(row[0], key=lambda each: (each in used, -each)):
        solution = solved_for(row, label)
        if solution is None or not _can_place(core, label, solution[0], placed):
            continue
        if label in used:
            continue
        terms, offset = solution
        placed[label] = Affine(tuple(terms.items()), offset)
        inside = always_inside(terms, offset, core.sizes, core.sizes[label])
        core.inside = core.inside and inside
        core.rows = [substituted(other, label, terms, offset) for other in core.rows]
        return True
    return False


def _can_place(core: Core, label: int, terms: Iterable[int], placed: Mapping[int, Affine]) -> bool:
    """No axis may depend on one that is placed itself."""
    depended = {k for form in placed.values() for k, _ in form.terms}
    return label not in placed and label not in depended and not any(k in placed for k in terms)
