"""Rules of algebra: powers of powers and of products, inverses, transposes."""

from __future__ import annotations

from typing import Any

from ..applications import PRODUCT_RULES, apply, power, rule
from ..broadcasts import permutation_of
from ..nodes import Apply, Constant, Node, Product
from ..products import kronecker, multiply, product, scale, split_coefficient, transpose


def applied(node: Node, name: str) -> Apply | None:
    """``node`` if it is the table row ``name``."""
    return node if isinstance(node, Apply) and node.operation.name == name else None


@rule("power")
def power_of_power(x: Node, exponent: float, at_zero: float | None) -> Node | None:
    """``(y**a)**b = y**(a*b)`` for integer ``b``, or ``a`` that is no even integer."""
    inner = applied(x, "power")
    if inner is None or at_zero is not None:
        return None
    params = dict(inner.params)
    a = params["exponent"]
    if params["at_zero"] is not None or (exponent % 1 and a % 2 == 0):
        return None
    return power(inner.operands[0], a * exponent)


@rule("power")
def power_of_scaled(x: Node, exponent: float, at_zero: float | None) -> Node | None:
    """``(c*y)**p = c**p * y**p`` for positive ``c``, or integer ``p``."""
    coefficient, rest = split_coefficient(x)
    if coefficient == 1 or (not rest.ndim and isinstance(rest, Constant)):
        return None
    if coefficient < 0 and exponent % 1:
        return None
    return scale(float(coefficient) ** exponent, power(rest, exponent, at_zero))


@rule("power")
def power_of_product(x: Node, exponent: float, at_zero: float | None) -> Node | None:
    """``(a*b)**p = a**p * b**p`` for integer ``p`` and factors on the same axes."""
    if exponent % 1 or at_zero is not None or not isinstance(x, Product):
        return None
    if any(labels != x.output for labels in x.subscripts if labels):
        return None
    return multiply(*[power(operand, exponent) for operand in x.operands])


@rule("inv")
def inverse_of_inverse(a: Node) -> Node | None:
    """``inv(inv(A)) = A``."""
    inner = applied(a, "inv")
    return None if inner is None else inner.operands[0]


@rule("inv")
def inverse_of_scaled(a: Node) -> Node | None:
    """``inv(c*A) = inv(A)/c``."""
    coefficient, rest = split_coefficient(a)
    return None if coefficient in (0, 1) else scale(1 / coefficient, apply("inv", rest))


@rule("inv")
def inverse_of_transpose(a: Node) -> Node | None:
    """``inv(A') = inv(A)'`` over the last two axes."""
    base = _untransposed(a)
    return None if base is None else _swapped(apply("inv", base))


@rule("det")
def determinant_of_transpose(a: Node) -> Node | None:
    """``det(A') = det(A)``."""
    base = _untransposed(a)
    return None if base is None else apply("det", base)


@rule("logdet")
def logdet_of_transpose(a: Node) -> Node | None:
    """``logdet(A') = logdet(A)``."""
    base = _untransposed(a)
    return None if base is None else apply("logdet", base)


def _untransposed(a: Node) -> Node | None:
    axes = permutation_of(a)
    if axes is None or axes != (*range(a.ndim - 2), a.ndim - 1, a.ndim - 2):
        return None
    return a.operands[0]


def _swapped(node: Node) -> Node:
    return transpose(node, (*range(node.ndim - 2), node.ndim - 1, node.ndim - 2))


def inverse_cancels(node: Product) -> Node | None:
    """``inv(A)[..., i, j] A[..., j, k] = delta[i, k]`` where ``j`` has no other use."""
    for a, left in enumerate(node.operands):
        inverse = applied(left, "inv")
        if inverse is None:
            continue
        for b, right in enumerate(node.operands):
            if right is inverse.operands[0]:
                found = _cancelled(node, a, b)
                if found is not None:
                    return found
    return None


def _cancelled(node: Product, a: int, b: int) -> Node | None:
    *batch, i, j = node.subscripts[a]
    *other, k, m = node.subscripts[b]
    if other != batch:
        return None
    common = [label for label in (j, i) if label in (k, m)]
    for label in common:
        uses = sum(own.count(label) for own in node.subscripts)
        straight = (label == j) == (label == k)  # A[j,k] after inv(A)[i,j], not A[k,j]
        if uses == 2 and label not in node.output and straight:
            rest = (i if label == j else j, m if label == k else k)
            return _without_pair(node, a, b, rest, node.operands[a].extents[-1])
    return None


def _without_pair(node: Product, a: int, b: int, labels: Any, extent: Any) -> Node:
    kept = [k for k in range(len(node.operands)) if k not in (a, b)]
    operands = [node.operands[k] for k in kept] + [kronecker((extent,))]
    subscripts = [node.subscripts[k] for k in kept] + [labels]
    return product(operands, subscripts, node.output, node.label_extents())


PRODUCT_RULES.append(inverse_cancels)
