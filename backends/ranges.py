"""Intervals that contain every entry of a node: what makes ``X' diag(s) X`` a syrk."""

from __future__ import annotations

import math
from collections import Counter

from tensorcalc.nodes import Apply, Constant, Delta, Node, Product, Sum, Variable

Interval = tuple[float, float]
EVERYTHING: Interval = (-math.inf, math.inf)


def is_nonnegative(node: Node) -> bool:
    """Whether no entry of ``node`` is below zero."""
    return interval(node)[0] >= 0


def interval(node: Node) -> Interval:
    """Least and greatest value an entry can have."""
    known = node.facts.get("interval")
    if known is None:
        known = node.facts["interval"] = _interval(node)
    return known


def _interval(node: Node) -> Interval:
    if isinstance(node, Constant):
        return node.value, node.value
    if isinstance(node, Delta):
        return 0, 1
    if isinstance(node, Variable):
        return _of_variable(node)
    if isinstance(node, Apply):
        return node.operation.value_range(**dict(node.params))
    if isinstance(node, Sum):
        return _of_sum(node)
    assert isinstance(node, Product)
    return _of_product(node)


def _of_variable(node: Variable) -> Interval:
    if "boolean" in node.flags:
        return 0, 1
    return (0, math.inf) if node.flags & {"positive", "nonnegative"} else EVERYTHING


def _of_sum(node: Sum) -> Interval:
    bounds = [interval(operand) for operand in node.operands]
    return sum(low for low, _ in bounds), sum(high for _, high in bounds)


def _of_product(node: Product) -> Interval:
    """Squares are nonnegative; a sum of products keeps only the sign."""
    pairs = Counter(zip(node.operands, node.subscripts, strict=True))
    low, high = 1.0, 1.0
    for (operand, _), count in pairs.items():
        bounds = interval(operand)
        if count % 2 == 0:
            bounds = _times(bounds, bounds)
            bounds = max(bounds[0], 0), bounds[1]
        low, high = _times((low, high), bounds)
    summed = {label for own in node.subscripts for label in own} - set(node.output)
    if summed:
        return (0 if low >= 0 else -math.inf), (0 if high <= 0 else math.inf)
    return low, high


def _times(left: Interval, right: Interval) -> Interval:
    corners = [_corner(a, b) for a in left for b in right]
    return min(corners), max(corners)


def _corner(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else a * b
