"""Terms that are one number everywhere, which a sum says without indices."""

from __future__ import annotations

from ..nodes import Constant, Node, Product
from ..products import is_ones, product


def broadcast_scalar(node: Node) -> Node | None:
    """The scalar of which ``node`` is a broadcast over all its axes, if it is one."""
    if is_ones(node):
        return Constant(1)
    if not isinstance(node, Product) or not node.ndim:
        return None
    pairs = zip(node.operands, node.subscripts, strict=True)
    if not all(is_ones(operand) for operand, labels in pairs if labels):
        return None
    scalars = [operand for operand in node.operands if not operand.ndim] or [Constant(1)]
    return product(scalars, [()] * len(scalars), ())
