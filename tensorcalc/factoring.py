"""Factoring sums: ``sum(X a) + sum(X b) = sum(X (a + b))``.

Two terms are factored only if what is left of each runs over the same labels, so that the rest is
a sum of equal shapes: ``y*F + (1-y)*F`` and ``A x + A' x`` are factored, ``diag(p) - p p'`` is not.
Nor is a term whose rest would be an outer product or hold a delta: its entries would be stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from functools import reduce
from operator import and_
from typing import Any

from .nodes import Constant, Delta, Node, Product, Sum
from .products import is_boolean, is_ones, product, split_coefficient
from .sums import add

Factors = list[tuple[Node, tuple[Hashable, ...]]]

#: Sums of more terms than this are not searched pair by pair.
TERM_LIMIT = 24


def factored(node: Node) -> Node:
    """``node`` with common factors of its terms taken out, as far as that merges terms."""
    while isinstance(node, Sum) and len(node.operands) <= TERM_LIMIT:
        merged = _merge_a_pair(list(node.operands))
        if merged is None:
            return _scalars_taken_out(node)
        node = merged
    return node


def _scalars_taken_out(node: Sum) -> Node:
    """``s A + s B = s (A + B)`` for scalars that all terms have."""
    scalars = [
        Counter(o for o in split_coefficient(term)[1].operands if not o.ndim)
        for term in node.operands
        if isinstance(split_coefficient(term)[1], Product)
    ]
    common = reduce(and_, scalars) if len(scalars) == len(node.operands) else Counter()
    if not common:
        return node
    inner = add(*[_without_scalars(term, common) for term in node.operands])
    factors = [*common.elements(), inner]
    return product(factors, [*[()] * (len(factors) - 1), range(node.ndim)], range(node.ndim))


def _without_scalars(term: Node, scalars: Counter[Node]) -> Node:
    """``term`` divided by scalars that are among its operands."""
    assert isinstance(term, Product)
    left = scalars.copy()
    operands: list[Node] = []
    subscripts: list[tuple[int, ...]] = []
    for operand, own in zip(term.operands, term.subscripts, strict=True):
        if left[operand] > 0:
            left[operand] -= 1
        else:
            operands.append(operand)
            subscripts.append(own)
    return product(operands or [Constant(1)], subscripts or [()], term.output)


def _merge_a_pair(terms: list[Node]) -> Node | None:
    tensors = [_tensors(term) for term in terms]
    for a in range(len(terms)):
        for b in range(a + 1, len(terms)):
            if tensors[a].isdisjoint(tensors[b]):
                continue
            merged = _merged(terms[a], terms[b])
            if merged is not None:
                rest = [term for k, term in enumerate(terms) if k not in (a, b)]
                return add(merged, *rest)
    return None


def _tensors(term: Node) -> set[Node]:
    """The factors that would be worth taking out."""
    factors = _factors(term, "own")
    return {node for node, _ in factors if node.ndim and not is_boolean(node)}


def _merged(left: Node, right: Node) -> Node | None:
    """``left + right`` as one product, or None if they have nothing suitable in common."""
    left_factors, right_factors = _factors(left, "left"), _factors(right, "right")
    common, left_rest, right_rest = _matched(left_factors, right_factors)
    if not any(node.ndim and not is_boolean(node) for node, _ in common):
        return None
    outside = {label for _, labels in common for label in labels} | set(range(left.ndim))
    labels = _common_labels(_labels(left_rest, outside), _labels(right_rest, outside))
    if labels is None or _is_outer(common, labels):
        return None
    if _is_spread(left_rest, outside) or _is_spread(right_rest, outside):
        return None
    order = tuple(labels)
    extents = _extents(left_rest + right_rest)
    parts = ((left, left_rest), (right, right_rest))
    inner = add(*[_residue(term, rest, order, extents) for term, rest in parts])
    return product(
        [node for node, _ in common] + [inner],
        [labels for _, labels in common] + [order],
        range(left.ndim),
    )


def _factors(term: Node, side: str) -> Factors:
    """Operands without the coefficient; output labels are shared by both sides, others are not."""
    _, rest = split_coefficient(term)
    if not isinstance(rest, Product):
        return [(rest, tuple(range(rest.ndim)))]
    names: dict[Any, Hashable] = {label: label for label in rest.output}
    return [
        (operand, tuple(names.setdefault(label, (side, label)) for label in own))
        for operand, own in zip(rest.operands, rest.subscripts, strict=True)
    ]


def _matched(left: Factors, right: Factors) -> tuple[Factors, Factors, Factors]:
    """Factors of both sides that agree once summed labels of the right are renamed."""
    renamed: dict[Hashable, Hashable] = {}
    common: Factors = []
    left_rest: Factors = []
    right_rest = list(right)
    for node, labels in sorted(left, key=lambda factor: -factor[0].ndim):
        same = (f for f in right_rest if f[0] is node and _unify(f[1], labels, renamed))
        found = next(same, None)
        if found is None:
            left_rest.append((node, labels))
        else:
            right_rest = [factor for factor in right_rest if factor is not found]
            pairs = zip(found[1], labels, strict=True)
            renamed.update({r: label for r, label in pairs if not isinstance(r, int)})
            common.append((node, labels))
    rest = [(node, tuple(renamed.get(x, x) for x in own)) for node, own in right_rest]
    return common, left_rest, rest


def _unify(
    right: tuple[Hashable, ...], left: tuple[Hashable, ...], renamed: dict[Hashable, Hashable]
) -> bool:
    """Whether ``right`` can be renamed into ``left`` consistently."""
    mapping = dict(renamed)
    for r, label in zip(right, left, strict=True):
        if isinstance(r, int) or isinstance(label, int):
            if r != label:
                return False
        elif mapping.setdefault(r, label) != label:
            return False
    return len(set(mapping.values())) == len(mapping)


def _labels(rest: Factors, outside: set[Hashable]) -> list[Hashable]:
    """Labels of a residue that are visible outside it."""
    return sorted({label for _, own in rest for label in own if label in outside}, key=str)


def _common_labels(left: list[Hashable], right: list[Hashable]) -> list[Hashable] | None:
    """Labels of the sum of two residues: equal ones, or those of one if the other is a number."""
    if left == right or not right:
        return left
    return None if left else right


def _extents(factors: Factors) -> dict[Hashable, Any]:
    return {x: e for node, own in factors for x, e in zip(own, node.extents, strict=True)}


def _is_spread(rest: Factors, outside: set[Hashable]) -> bool:
    """Whether the rest has more axes than any of its factors, so that it is better not stored."""
    if any(isinstance(node, Delta) and node.rows for node, _ in rest):
        return True
    labels = {label for node, own in rest if not is_ones(node) for label in own}
    return len(labels & outside) > max((node.ndim for node, _ in rest), default=0)


def _is_outer(common: Factors, rest: list[Hashable]) -> bool:
    """Whether nothing would be contracted between the common factors and the rest.

    ``x a' + x b'`` stays: factoring it would hide the symmetry of ``x a' + a x'``.
    """
    labels = {label for _, own in common for label in own}
    contracts = any(not isinstance(label, int) for label in labels)
    return not contracts and not set(rest) <= labels and not labels <= set(rest)


def _residue(
    term: Node, rest: Factors, order: Iterable[Hashable], extents: dict[Hashable, Any]
) -> Node:
    coefficient, _ = split_coefficient(term)
    nodes = [Constant(coefficient), *(node for node, _ in rest)]
    return product(nodes, [(), *(labels for _, labels in rest)], tuple(order), extents)
