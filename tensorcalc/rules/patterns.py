"""What the rules look for: constants, rows, sums with a constant term."""

from __future__ import annotations

from typing import Any

from ..applications import power
from ..nodes import Apply, Constant, Node, Product, Sum
from ..products import is_ones, scale, split_coefficient
from ..sums import add


def applied(node: Node, name: str) -> Apply | None:
    """``node`` if it is the table row ``name``."""
    return node if isinstance(node, Apply) and node.operation.name == name else None


def argument(node: Node, name: str) -> Node | None:
    """``z`` if ``node`` is the one-operand table row ``name`` of ``z``."""
    found = applied(node, name)
    return found.operands[0] if found is not None else None


def constant_value(node: Node) -> float | None:
    """``c`` if ``node`` is ``c`` everywhere."""
    coefficient, rest = split_coefficient(node)
    factors: Any = rest.operands if isinstance(rest, Product) else (rest,)
    plain = all(is_ones(f) or (isinstance(f, Constant) and f.value == 1) for f in factors)
    if not plain or (isinstance(rest, Product) and len(set(rest.label_extents())) > rest.ndim):
        return None
    return coefficient


def constant_and_rest(node: Node) -> tuple[float, Node] | None:
    """``(c, z)`` if ``node`` is ``c + z`` with a constant term, which may be under a factor."""
    coefficient, rest = split_coefficient(node)
    if not isinstance(rest, Sum):
        return None
    for k, term in enumerate(rest.operands):
        constant = constant_value(term)
        if constant is not None:
            others = [o for j, o in enumerate(rest.operands) if j != k]
            return coefficient * constant, scale(coefficient, add(*others))
    return None


def plus_constant(constant: float, node: Node) -> Node:
    """``constant + node`` with constant terms merged."""
    split = constant_and_rest(node)
    if split is not None and split[0] + constant == 0:
        return split[1]
    if split is not None:
        constant, node = constant + split[0], split[1]
    return add(scale(constant, ones_like(node)), node)


def ones_like(node: Node) -> Node:
    """All ones in the shape of ``node``."""
    return power(node, 0)
