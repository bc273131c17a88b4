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

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from . import deltas
from .canonical import canonical_order
from .deltas import Contradiction, LabelRow
from .errors import ShapeError
from .extents import is_equal, same_extents
from .nodes import Apply, Constant, Delta, Node, Product, Sum, Variable, extent_scalar, ones

Label = Hashable

#: Merges equal factors into powers; set by :mod:`tensorcalc.applications`, which comes later.
power_of: Any = None
#: Adds nodes; set by :mod:`tensorcalc.sums`, which comes later.
sum_of: Any = None
#: Sign, canonical form and whether it is transposed of a sum among other factors; set likewise.
canonical_sum: Any = None
#: Whether a sum has a term with a negative coefficient; set likewise.
has_negative_terms: Any = None


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


def is_zero(node: Node) -> bool:
    """Whether ``node`` is the zero tensor."""
    return split_coefficient(node)[0] == 0


def is_ones(node: Node) -> bool:
    """Whether ``node`` is a single all-ones Delta."""
    return isinstance(node, Delta) and not node.rows


def split_coefficient(node: Node) -> tuple[float, Node]:
    """``(c, rest)`` with ``node = c * rest`` and no constant left in ``rest``."""
    if isinstance(node, Constant):
        return node.value, Constant(1)
    if not isinstance(node, Product) or not isinstance(node.operands[0], Constant):
        return 1, node
    coefficient = node.operands[0].value
    return coefficient, _rebuilt(node.operands[1:], node.subscripts[1:], node.output, node.extents)


def is_boolean(node: Node) -> bool:
    """Whether every entry is 0 or 1 by construction, so that the node can select."""
    if isinstance(node, Delta):
        return True
    if isinstance(node, Apply):
        return node.operation.result == "boolean"
    if isinstance(node, Variable):
        return "boolean" in node.flags
    if isinstance(node, Product):
        return all(map(is_boolean, node.operands)) and not _freely_summed(node)
    return False


def is_view(node: Product) -> bool:
    """Whether ``node`` only rearranges: one operand besides Deltas, and nothing freely summed."""
    others = [operand for operand in node.operands if not isinstance(operand, (Delta, Constant))]
    return len(others) <= 1 and not _freely_summed(node)


def is_outer(node: Product) -> bool:
    """Whether ``node`` only spreads: nothing summed, and more axes than any operand.

    A scalar product of scalars counts as well. Storing such a product never saves work.
    """
    if any(label not in node.output for own in node.subscripts for label in own):
        return False
    return not node.ndim or all(operand.ndim < node.ndim for operand in node.operands)


def is_kronecker(node: Node) -> bool:
    """Whether ``node`` is the Kronecker delta."""
    square = node.ndim == 2 and same_extents(node.extents[:1], node.extents[1:])
    return square and node is Delta((((1, -1), 0),), node.extents)


def is_symmetric(node: Node) -> bool:
    """Whether ``node`` is known to be unchanged when its last two axes swap."""
    known = node.facts.get("symmetric")
    if known is None:
        known = node.facts["symmetric"] = _is_symmetric(node)
    return known


def axis_classes(node: Node) -> tuple[int, ...] | None:
    """A class per axis such that axes of one class may swap; None where all differ."""
    if isinstance(node, Delta):
        if "classes" not in node.facts:
            node.facts["classes"] = _delta_classes(node)
        return node.facts["classes"]
    if is_symmetric(node):
        return (*range(node.ndim - 1), node.ndim - 2)
    return None


def _delta_classes(node: Delta) -> tuple[int, ...] | None:
    if is_kronecker(node):
        return (0, 0)
    if len(node.rows) != 1:
        return None
    keys = [(str(c), str(e)) for c, e in zip(node.rows[0][0], node.extents, strict=True)]
    return tuple(map(keys.index, keys)) if len(set(keys)) < len(keys) else None


def _is_symmetric(node: Node) -> bool:
    if node.ndim < 2 or not same_extents(node.extents[-1:], node.extents[-2:-1]):
        return False
    if isinstance(node, Variable):
        return bool(node.flags & {"symmetric", "psd"})
    if isinstance(node, Delta):
        return is_kronecker(node)
    if isinstance(node, Apply):
        rule = node.operation.symmetric
        if rule == "inherited":
            return all(map(is_symmetric, node.operands))
        return rule == "always"
    if isinstance(node, (Product, Constant)):
        return _product_is_symmetric(node)
    return isinstance(node, Sum) and _sum_is_symmetric(node)


def _sum_is_symmetric(node: Sum) -> bool:
    """Whether transposing the terms only permutes them."""
    rank = node.ndim
    swapped = {transpose(o, (*range(rank - 2), rank - 1, rank - 2)) for o in node.operands}
    return swapped == set(node.operands)


def _product_is_symmetric(node: Node) -> bool:
    if not isinstance(node, Product):
        return False
    *rest, a, b = node.output
    swapped = _rebuilt(node.operands, node.subscripts, (*rest, b, a), node.extents)
    return swapped is node


def _rebuilt(
    operands: Sequence[Node], subscripts: Sequence[Sequence[Label]], output: Sequence[Label], extents: Any
) -> Node:
    """A product of factors that are already in normal form."""
    return _assembled(1, list(zip(operands, map(tuple, subscripts), strict=True)), output)


def _freely_summed(node: Product) -> bool:
    """Whether a summed label runs over more than one nonzero term."""
    extents = node.label_extents()
    free = {label for label, extent in extents.items() if type(extent) is not int or extent != 1}
    free -= set(node.output)
    rows = [
        dict(zip(labels, operand.rows[0][0], strict=True))
        for operand, labels in zip(node.operands, node.subscripts, strict=True)
        if isinstance(operand, Delta) and operand.rows
    ]
    progress = True
    while free and progress:
        progress = False
        for row in rows:
            unknown = {label: c for label, c in row.items() if label in free}
            if unknown and deltas.determines(unknown, extents):
                free -= unknown.keys()
                progress = True
    return bool(free)


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
        self.factors: list[tuple[Node, tuple[Label, ...]]] = []
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

    def _hoist_masks(self, node: Product, labels: tuple[Label, ...]) -> None:
        """A nested product that is zero under a mask is so outside: 0 * inf stays 0."""
        names = dict(zip(node.output, labels, strict=True))
        for operand, inner in zip(node.operands, node.subscripts, strict=True):
            if isinstance(operand, Apply) and is_boolean(operand) and set(inner) <= names.keys():
                self.factors.append((operand, tuple(names[label] for label in inner)))

    # -- deltas -----------------------------------------------------------------------------
    def finish(self) -> Node:
        if self.coefficient == 0:
            raise Contradiction
        self._settle_products()
        self._normalise_sums()
        while self.rows and self._step():
            pass
        self.rows = deltas.canonical_rows(self.rows)
        self.coefficient, self.factors = _powers_merged(self.coefficient, self.factors)
        self._count_unused_labels()
        factors = self.factors + [self._delta(row) for row in self.rows] + list(self._ones())
        return _assembled(self.coefficient, factors, self.output)

    def _settle_products(self) -> None:
        """A nested product that stands alone is opened; among others, its outer factors part."""
        if len(self.factors) == 1 and isinstance(self.factors[0][0], Product):
            ((node, labels),) = self.factors
            if len(set(labels)) == len(labels):
                self.factors = []
                self._inline(node, labels)
                return
        settled, self.factors = self.factors, []
        for node, labels in settled:
            if isinstance(node, Product):
                self._part(node, labels)
            else:
                self.factors.append((node, labels))

    def _part(self, node: Product, labels: tuple[Label, ...]) -> None:
        parts = outer_parts(node)
        if len(parts) > 1:
            for part, axes in parts:
                self.add(part, tuple(labels[axis] for axis in axes), ((), (), ()))
        else:
            self.factors.append((node, labels))
            self._hoist_masks(node, labels)

    def _normalise_sums(self) -> None:
        """Sums among other factors have a canonical orientation and sign."""
        if len(self.factors) < 2:
            return
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
        if len(row[0]) > 1:
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


def _assembled(
    coefficient: float, factors: list[tuple[Node, tuple[Label, ...]]], output: Sequence[Label]
) -> Node:
    """Nest closed scalars, merge powers, order canonically and intern."""
    output = tuple(output)
    factors = _closed_scalars_nested(factors, output)
    scalars = [factor for factor in factors if not factor[1]]
    if len(scalars) > 1:
        coefficient, scalars = _powers_merged(coefficient, scalars)
        factors = [factor for factor in factors if factor[1]] + scalars
    if not factors:
        return Constant(coefficient)
    if len(factors) == 1:
        node, labels = factors[0]
        if coefficient == 1 and labels == output:
            return node
        if coefficient < 0 and isinstance(node, Sum) and has_negative_terms(node):
            return _assembled(-coefficient, [(sum_of([scale(-1, o) for o in node.operands]), labels)], output)
    tensors = [factor for factor in factors if factor[1]]
    if len(tensors) == 1 and _is_transposed_sum(*tensors[0], output):
        return _transposition_inside(coefficient, factors, output)
    order, labels = canonical_order(factors, output, [axis_classes(node) for node, _ in factors])
    operands = tuple(factors[k][0] for k in order)
    if coefficient == 1 and len(operands) == 1 and labels[0] == tuple(range(len(output))):
        return operands[0]
    extents = {
        label: extent
        for node, own in zip(operands, labels, strict=True)
        for label, extent in zip(own, node.extents, strict=True)
    }
    rank = range(len(output))
    if coefficient != 1:
        operands, labels = (Constant(coefficient), *operands), [(), *labels]
    return Product(operands, tuple(labels), tuple(rank), tuple(extents[k] for k in rank))


def _is_transposed_sum(node: Node, labels: tuple[Label, ...], output: tuple[Label, ...]) -> bool:
    return isinstance(node, Sum) and labels != output and set(labels) == set(output)


def _transposition_inside(
    coefficient: float, factors: list[tuple[Node, tuple[Label, ...]]], output: tuple[Label, ...]
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


def _closed_scalars_nested(
    factors: list[tuple[Node, tuple[Label, ...]]], output: tuple[Label, ...]
) -> list[tuple[Node, tuple[Label, ...]]]:
    """Factors that share no label with the output, directly or not, become scalar operands."""
    groups = _components(factors)
    if len(groups) == 1:
        return factors
    kept: list[tuple[Node, tuple[Label, ...]]] = []
    for group in groups:
        labels = {label for k in group for label in factors[k][1]}
        members = [factors[k] for k in group]
        if labels & set(output) or not labels:
            kept.extend(members)
        else:
            kept.append((_assembled(1, members, ()), ()))
    return kept


def outer_parts(node: Product) -> list[tuple[Node, tuple[int, ...]]]:
    """The factors of an outer product of contractions, each with its axes in ``node``."""
    factors = list(zip(node.operands, node.subscripts, strict=True))
    parts = []
    for group in _components(factors):
        members = [factors[k] for k in group]
        used = {label for _, own in members for label in own}
        axes = tuple(axis for axis, label in enumerate(node.output) if label in used)
        parts.append((_assembled(1, members, [node.output[axis] for axis in axes]), axes))
    return parts


def _components(factors: list[tuple[Node, tuple[Label, ...]]]) -> list[list[int]]:
    """Indices of factors connected by common labels."""
    owner: dict[Label, int] = {}
    parent = list(range(len(factors)))

    def find(k: int) -> int:
        while parent[k] != k:
            k = parent[k]
        return k

    for k, (_, labels) in enumerate(factors):
        for label in labels:
            parent[find(k)] = find(owner.setdefault(label, k))
    groups: dict[int, list[int]] = {}
    for k in range(len(factors)):
        groups.setdefault(find(k), []).append(k)
    return list(groups.values())


def _powers_merged(
    coefficient: float, factors: list[tuple[Node, tuple[Label, ...]]]
) -> tuple[float, list[tuple[Node, tuple[Label, ...]]]]:
    """Equal factors on equal labels become powers; a mask times itself is itself."""
    groups: dict[Any, list[tuple[Node, tuple[Label, ...]]]] = {}
    for node, labels in factors:
        base = power_of.base(node) if power_of else node
        groups.setdefault((base, labels), []).append((node, labels))
    merged: list[tuple[Node, tuple[Label, ...]]] = []
    for (_, labels), members in groups.items():
        nodes = [node for node, _ in members]
        if len(nodes) > 1:
            nodes = [nodes[0]] if is_boolean(nodes[0]) else power_of.merged(nodes)
        for node in nodes:
            if isinstance(node, Constant):
                coefficient *= node.value
            else:
                merged.append((node, labels))
    return coefficient, merged


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
            shape = "(" + ", ".join(map(str, operand.extents)) + ("," if operand.ndim == 1 else "") + ")"
            details.append(f"operand {k}: {operand}, shape {shape}, {names[label]} = {extent}")
    return ShapeError(
        f"index '{names[label]}' has two extents in product "
        f'"{text}->{"".join(names[each] for each in output)}"',
        details,
        "transpose an operand, or rename one of the two indices",
    )
