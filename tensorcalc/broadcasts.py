"""Axes along which a node is constant, and nodes that are only transposed."""

from __future__ import annotations

from collections.abc import Sequence

from .nodes import Constant, Delta, Node, Product
from .products import broadcast, is_ones, product


def permutation_of(node: Node) -> tuple[int, ...] | None:
    """Axes such that ``node = transpose(operand, axes)``, if it is just that."""
    if not isinstance(node, Product) or len(node.operands) != 1:
        return None
    (labels,) = node.subscripts
    if len(labels) != len(node.output) or len(set(labels)) != len(labels):
        return None
    return tuple(labels.index(label) for label in node.output)


def constant_axes(node: Node) -> set[int]:
    """Axes along which ``node`` is constant by construction."""
    if is_ones(node):
        return set(range(node.ndim))
    if not isinstance(node, Product):
        return set()
    return {
        labels[0]
        for operand, labels in zip(node.operands, node.subscripts, strict=True)
        if is_ones(operand) and labels[0] in node.output
    }


def without_axes(node: Node, kept: Sequence[int]) -> Node:
    """``node`` less the axes not in ``kept``, along which it is constant."""
    if not node.ndim:
        return node
    if isinstance(node, Delta):
        return broadcast(Constant(1), (), [node.extents[k] for k in kept])
    assert isinstance(node, Product)
    pairs = [
        (operand, labels)
        for operand, labels in zip(node.operands, node.subscripts, strict=True)
        if not (is_ones(operand) and labels[0] not in kept and labels[0] in node.output)
    ]
    operands, subscripts = zip(*(pairs or [(Constant(1), ())]), strict=True)
    return product(operands, subscripts, kept)
