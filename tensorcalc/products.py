"""The constructor of products: every einsum, view, mask and broadcast in normal form.

Normal form of a Product:

- at most one Constant operand, other than 1 and first; no Constant elsewhere in the tree below it
  that could be pulled out;
- views (transpositions, broadcasts, slices) of other products are inlined, contractions are not:
  flattening those is a pass (:mod:`tensorcalc.simplify`), since a shared one would be duplicated;
- every Delta has one row or is a vector of ones; deltas that select are gone, affine deltas that
  compose are composed (:mod:`tensorcalc.deltas`);
- a factor without labels in common with the output is a nested scalar;
- equal factors on equal labels are merged into powers; operands are in canonical order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from . import deltas, normal_form
from .deltas import Contradiction, LabelRow
from .errors import ShapeError
from .extents import is_equal
from .nodes import Constant, Delta, Node, Product, Sum, extent_scalar, ones
from .normal_form import (
    Factor,
    Label,
    assembled,
    axis_classes,
    components,
    is_boolean,
    is_elementwise,
    is_kronecker,
    is_ones,
    is_outer,
    is_symmetric,
    is_view,
    is_zero,
    masks_of,
    powers_merged,
    split_coefficient,
)

__all__ = [
    "axis_classes",
    "broadcast",
    "is_boolean",
    "is_kronecker",
    "is_ones",
    "is_symmetric",
    "is_view",
    "is_zero",
    "kronecker",
    "multiply",
    "outer_parts",
    "product",
    "scale",
    "split_coefficient",
    "transpose",
    "zeros",
]

#: Adds nodes; set by :mod:`tensorcalc.sums`, which comes later.
sum_of: Any = None
#: Sign, canonical form and whether it is transposed of a sum among other factors; set likewise.
canonical_sum: Any = None
#: Whether a sum has a term with a negative coefficient; set likewise.
has_negative_terms: Any = None
#: Masks that all terms of a sum have, and the sum without them; set likewise.
common_masks: Any = None


def product(
    operands: Sequence[Node],
    subscripts: Sequence[Sequence[Label]],
    output: Sequence[Label],
    extents: Mapping[Any, Any] | None = None,
) -> Node:
    """``out[output] = sum over the other labels of prod(operands[k][subscripts[k]])``.

    Labels are any hashables; a label of the output that no operand has is a broadcast and needs
    its extent in ``extents``.

    Raises ShapeError if a label has two extents or the ranks do not fit.
    """
    work = _Work(output)
    try:
        for operand, labels in zip(operands, subscripts, strict=True):
            _check_rank(operand, labels)
            work.add(operand, tuple(labels), (operands, subscripts, output))
        for label in output:
            if label not in work.extents:
                work.extents[label] = (extents or {})[label]
        return work.finish()
    except Contradiction:
        return zeros(work.extents[label] for label in output)


def scale(coefficient: float, node: Node) -> Node:
    """``coefficient * node``."""
    if coefficient == 1:
        return node
    labels = range(node.ndim)
    return product((Constant(coefficient), node), ((), labels), labels)


def multiply(*operands: Node) -> Node:
    """Elementwise product of operands of one shape; scalars may be among them."""
    rank = max(operand.ndim for operand in operands)
    labels = tuple(range(rank))
    return product(operands, [labels if operand.ndim else () for operand in operands], labels)


def transpose(node: Node, axes: Sequence[int]) -> Node:
    """``out[i0, i1, ...]`` with axis ``k`` of the result being axis ``axes[k]`` of ``node``."""
    return product((node,), (range(node.ndim),), axes)


def broadcast(node: Node, axes: Sequence[int], extents: Sequence[Any]) -> Node:
    """``node`` as a tensor of shape ``extents``; its axis ``k`` becomes axis ``axes[k]``."""
    return product((node,), (axes,), range(len(extents)), dict(enumerate(extents)))


def kronecker(extents: Sequence[Any]) -> Node:
    """The identity on tensors of shape ``extents``: axes ``extents + extents``."""
    rank = len(extents)
    factors = [Delta((((1, -1), 0),), (extent, extent)) for extent in extents]
    if not factors:
        return Constant(1)
    return product(factors, [(k, rank + k) for k in range(rank)], range(2 * rank))


def zeros(extents: Iterable[Any]) -> Node:
    """The zero tensor."""
    extents = tuple(extents)
    factors = (Constant(0), *(ones((extent,)) for extent in extents))
    if len(factors) == 1:
        return factors[0]
    subscripts = ((), *((k,) for k in range(len(extents))))
    return Product(factors, subscripts, tuple(range(len(extents))), extents)


def _check_rank(operand: Node, labels: Sequence[Label]) -> None:
    if len(labels) != operand.ndim:
        raise ShapeError(
            f"{len(labels)} indices for {operand.ndim} axes",
            [f"operand: {operand}, shape {operand.extents}"],
            "give one index per axis",
        )


class _Work:
    """A product under construction: coefficient, factors with labels, affine rows, extents."""

    def __init__(self, output: Sequence[Label]) -> None:
        self.coefficient: float = 1
        self.factors: list[Factor] = []
        self.rows: list[LabelRow] = []
        self.extents: dict[Label, Any] = {}
        self.output = tuple(output)
        self.fresh = 0

    # -- collecting -------------------------------------------------------------------------
    def add(self, node: Node, labels: tuple[Label, ...], context: Any) -> None:
        for label, extent in zip(labels, node.extents, strict=True):
            known = self.extents.setdefault(label, extent)
            if known is not extent and not is_equal(known, extent):
                raise _extent_mismatch(label, *context)
        if isinstance(node, Constant):
            self.coefficient *= node.value
        elif isinstance(node, Delta):
            self._add_rows(node, labels)
        elif isinstance(node, Product):
            self._add_product(node, labels)
        else:
            self.factors.append((node, labels))

    def _add_rows(self, node: Delta, labels: tuple[Label, ...]) -> None:
        for coefficients, offset in node.rows:
            terms: dict[Label, Any] = {}
            for label, c in zip(labels, coefficients, strict=True):
                terms[label] = terms.get(label, 0) + c
            self.rows.append((terms, offset))

    def _add_product(self, node: Product, labels: tuple[Label, ...]) -> None:
        if is_view(node) or is_outer(node):
            self._inline(node, labels)
            return
        coefficient, rest = split_coefficient(node)
        self.coefficient *= coefficient
        self.factors.append((rest, labels))

    def _inline(self, node: Product, labels: tuple[Label, ...]) -> None:
        names: dict[Label, Label] = dict(zip(node.output, labels, strict=True))
        for operand, inner in zip(node.operands, node.subscripts, strict=True):
            for label in inner:
                if label not in names:
                    self.fresh += 1
                    names[label] = ("fresh", self.fresh)
            self.add(operand, tuple(names[label] for label in inner), ((), (), ()))

    # -- deltas -----------------------------------------------------------------------------
    def finish(self) -> Node:
        if self.coefficient == 0:
            raise Contradiction
        self._settle_products()
        self._normalise_sums()
        while (self.rows and self._step()) or self._slice_opens() or self._diagonal_of_sum():
            pass
        self.rows = deltas.canonical_rows(self.rows)
        self.coefficient, self.factors = powers_merged(self.coefficient, self.factors)
        self._count_unused_labels()
        factors = self.factors + [self._delta(row) for row in self.rows] + list(self._ones())
        return _finished(self.coefficient, factors, self.output)

    def _settle_products(self) -> None:
        """A nested product that stands alone is opened; among others, its outer factors part."""
        if len(self.factors) == 1:
            ((node, labels),) = self.factors
            if isinstance(node, Product) and len(set(labels)) == len(labels):
                self.factors = []
                self._inline(node, labels)
                return
        settled, self.factors = self.factors, []
        for node, labels in settled:
            if isinstance(node, Product):
                self._part(node, labels)
            else:
                self.factors.append((node, labels))

    def _slice_opens(self) -> bool:
        """An elementwise product of which one slice is wanted is opened: that is less to do."""
        sliced = {label for terms, _ in self.rows if len(terms) == 1 for label in terms}
        for k, (node, labels) in enumerate(self.factors):
            if isinstance(node, Product) and sliced & set(labels) and is_elementwise(node):
                del self.factors[k]
                self._inline(node, labels)
                self._settle_products()
                self._normalise_sums()
                return True
        return False

    def _diagonal_of_sum(self) -> bool:
        """The trace of a sum, or a partial one, is the sum of the traces of its terms."""
        if len(self.factors) != 1:
            return False
        ((node, labels),) = self.factors
        distinct = tuple(dict.fromkeys(labels))
        summed = set(labels) != set(self.output)
        if not (isinstance(node, Sum) and len(distinct) < len(labels) and summed):
            return False
        terms = [product((term,), (labels,), distinct) for term in node.operands]
        self.factors = []
        self.add(sum_of(terms), distinct, ((), (), ()))
        self._settle_products()
        self._normalise_sums()
        return True

    def _part(self, node: Product, labels: tuple[Label, ...]) -> None:
        parts = outer_parts(node)
        if len(parts) > 1:
            for part, axes in parts:
                self.add(part, tuple(labels[axis] for axis in axes), ((), (), ()))
        else:
            self.factors.append((node, labels))
            self._add_masks(masks_of(node), labels)

    def _add_masks(self, masks: Iterable[Any], labels: tuple[Label, ...]) -> None:
        """What is zero under a mask is so beside all other factors: 0 * inf stays 0."""
        self.factors += [(mask, tuple(labels[axis] for axis in axes)) for mask, axes in masks]

    def _part_masks(self) -> None:
        """The masks that all terms of a sum have stand beside it."""
        settled, self.factors = self.factors, []
        for node, labels in settled:
            masks, rest = common_masks(node) if isinstance(node, Sum) else ((), node)
            if masks:
                self.add(rest, labels, ((), (), ()))
                self._add_masks(masks, labels)
            else:
                self.factors.append((node, labels))

    def _normalise_sums(self) -> None:
        """Sums among other factors have a canonical orientation and sign."""
        if len(self.factors) < 2:
            return
        self._part_masks()
        for k, (node, labels) in enumerate(self.factors):
            if isinstance(node, Sum):
                others = (own for j, (_, own) in enumerate(self.factors) if j != k)
                meets = any(label in own for own in others for label in labels)
                sign, oriented, swapped = canonical_sum(node, turns=meets)
                self.coefficient *= sign
                self.factors[k] = (oriented, labels[::-1] if swapped else labels)

    def _step(self) -> bool:
        """Apply one rule of the delta algebra; whether anything changed."""
        normal = [deltas.normalised_row(*row, self.extents) for row in self.rows]
        self.rows = [row for row in normal if row is not None]
        for k, row in enumerate(self.rows):
            if self._delta_selects(k, row) or self._delta_composes(k, row):
                return True
            if self._delta_pins(k, row):
                return True
            parts = deltas.split_rows(row, self.extents)
            if len(parts) > 1:
                self.rows[k : k + 1] = parts
                return True
        return len(self.rows) != len(normal)

    def _delta_selects(self, k: int, row: LabelRow) -> bool:
        """A Kronecker delta renames one of its labels into the other."""
        pair = deltas.kronecker_pair(row, self.extents)
        if pair is None:
            return False
        a, b = pair
        kept = [label for label in pair if label in self.output]
        if len(kept) < 2:
            keep = kept[0] if kept else a
            old = b if keep == a else a
            del self.rows[k]
            self._rename(old, keep)
            del self.extents[old]
            return True
        first, second = sorted(pair, key=self.output.index)
        others = [r for j, r in enumerate(self.rows) if j != k]
        used = any(second in labels for _, labels in self.factors) or any(
            second in terms for terms, _ in others
        )
        if used:
            self._rename(second, first)
            self.rows[k] = ({first: 1, second: -1}, 0)
        return used

    def _rename(self, old: Label, new: Label) -> None:
        self.factors = [
            (node, tuple(new if label == old else label for label in labels))
            for node, labels in self.factors
        ]
        self.rows = [deltas.substituted(row, old, {new: 1}, 0) for row in self.rows]

    def _delta_composes(self, k: int, row: LabelRow) -> bool:
        """A summed label that only deltas have is solved for, if it cannot leave its range."""
        for label in row[0]:
            if label in self.output or any(label in labels for _, labels in self.factors):
                continue
            solution = deltas.solved_for(row, label)
            if solution and deltas.always_inside(*solution, self.extents, self.extents[label]):
                del self.rows[k]
                self.rows = [deltas.substituted(other, label, *solution) for other in self.rows]
                del self.extents[label]
                return True
        return False

    def _delta_pins(self, k: int, row: LabelRow) -> bool:
        """A label that a delta fixes to a number is that number in the other deltas."""
        if len(row[0]) != 1:  # without a label it says that two extents agree
            return False
        (label,) = row[0]
        solution = deltas.solved_for(row, label)
        if not solution or not any(label in terms for terms, _ in self.rows if terms is not row[0]):
            return False
        self.rows = [
            other if j == k else deltas.substituted(other, label, *solution)
            for j, other in enumerate(self.rows)
        ]
        return True

    def _count_unused_labels(self) -> None:
        """A summed label that nothing has counts its extent."""
        used = {label for _, labels in self.factors for label in labels}
        used |= {label for terms, _ in self.rows for label in terms} | set(self.output)
        for extent in [extent for label, extent in self.extents.items() if label not in used]:
            if isinstance(extent, int):
                self.coefficient *= extent
            else:
                self.factors.append((extent_scalar(extent), ()))

    def _ones(self) -> Iterator[tuple[Node, tuple[Label, ...]]]:
        used = {label for _, labels in self.factors for label in labels}
        used |= {label for terms, _ in self.rows for label in terms}
        for label in self.output:
            if label not in used:
                yield ones((self.extents[label],)), (label,)

    def _delta(self, row: LabelRow) -> tuple[Node, tuple[Label, ...]]:
        labels, (coefficients, offset) = deltas.ordered_terms(row, self.extents)
        node = Delta(((coefficients, offset),), tuple(self.extents[label] for label in labels))
        return node, tuple(labels)


def _finished(coefficient: float, factors: list[Factor], output: Sequence[Label]) -> Node:
    """The node of settled factors; a sum that stands alone takes signs and transpositions in."""
    output = tuple(output)
    if len(factors) == 1 and coefficient < 0:
        ((node, labels),) = factors
        if isinstance(node, Sum) and has_negative_terms(node):
            return _finished(-coefficient, [(sum_of(map(negated, node.operands)), labels)], output)
    tensors = [factor for factor in factors if factor[1]]
    if len(tensors) == 1 and _is_transposed_sum(*tensors[0], output):
        return _transposition_inside(coefficient, factors, output)
    return assembled(coefficient, factors, output)


def negated(node: Node) -> Node:
    """``-node``."""
    return scale(-1, node)


def _is_transposed_sum(node: Node, labels: tuple[Label, ...], output: tuple[Label, ...]) -> bool:
    return isinstance(node, Sum) and labels != output and set(labels) == set(output)


def _transposition_inside(
    coefficient: float, factors: list[Factor], output: tuple[Label, ...]
) -> Node:
    """``(A + B)' = A' + B'``, also under scalar factors."""
    moved = [
        (sum_of([product((term,), (labels,), output) for term in node.operands]), output)
        if labels
        else (node, labels)
        for node, labels in factors
    ]
    nodes, subscripts = zip(*moved, strict=True)
    return product((Constant(coefficient), *nodes), ((), *subscripts), output)


def outer_parts(node: Product) -> list[tuple[Node, tuple[int, ...]]]:
    """The factors of an outer product of contractions, each with its axes in ``node``."""
    if "parts" not in node.facts:
        node.facts["parts"] = _outer_parts(node)
    return node.facts["parts"]


def _outer_parts(node: Product) -> list[tuple[Node, tuple[int, ...]]]:
    factors: list[Factor] = list(zip(node.operands, node.subscripts, strict=True))
    parts = []
    for group in components(factors):
        members = [factors[k] for k in group]
        used = {label for _, own in members for label in own}
        axes = tuple(axis for axis, label in enumerate(node.output) if label in used)
        parts.append((_finished(1, members, [node.output[axis] for axis in axes]), axes))
    return parts


def _extent_mismatch(label: Label, operands: Any, subscripts: Any, output: Any) -> ShapeError:
    names: dict[Label, str] = {}
    for own in (*subscripts, output):
        for each in own:
            names.setdefault(each, each if isinstance(each, str) else chr(ord("i") + len(names)))
    text = ",".join("".join(names[each] for each in own) for own in subscripts)
    details = []
    for k, (operand, own) in enumerate(zip(operands, subscripts, strict=True)):
        if label in own:
            extent = operand.extents[list(own).index(label)]
            shape = f"shape {operand.extents}, {names[label]} = {extent}"
            details.append(f"operand {k}: {operand}, {shape}")
    return ShapeError(
        f"index '{names[label]}' has two extents in product "
        f'"{text}->{"".join(names[each] for each in output)}"',
        details,
        "transpose an operand, or rename one of the two indices",
    )


normal_form.transpose_of = transpose
