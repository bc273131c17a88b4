"""Functions that bend as wholes though their parts do not: piecewise, logarithms of sums, spectra.

Source: Boyd, Vandenberghe, *Convex Optimization*, sections 3.1.5 (log-sum-exp, largest eigenvalue)
and 3.5 (sums and products of log-convex functions are log-convex).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from ..derivatives import pullback
from ..nodes import Apply, Constant, Node, Product, Sum, Variable, ones, postorder
from ..products import is_zero, product
from ..rules.patterns import argument
from ..simplify import simplify, substitute_nodes
from ..sums import add
from .ranges import Ranges

#: Differences of literals below this, relative to 1, are their rounding.
ROUNDING = 1e-12

#: Comparisons by whether they say that the first operand is the smaller one.
COMPARISONS = {"less": True, "less_equal": True, "greater": False, "greater_equal": False}


def is_log_convex(
    node: Node, bend: Callable[[Node], int | None], dependent: Collection[Node], ranges: Ranges
) -> bool:
    """Whether ``log(node)`` is convex: nonnegative sums of products of exponentials of convex."""
    if node not in dependent:
        return ranges(node).is_nonnegative
    exponent = argument(node, "exp")
    if exponent is not None:
        return bend(exponent) in (0, 1)
    if isinstance(node, (Sum, Product)):
        return all(is_log_convex(each, bend, dependent, ranges) for each in node.operands)
    return False


class _Pieces(NamedTuple):
    """``inside(u)`` for ``u = |z| < bound`` and ``outside(u)`` beyond."""

    bound: Node
    inside: Node
    outside: Node
    u: Variable


def is_convex_in_two_pieces(
    node: Apply, bend: Callable[[Node], int | None], dependent: Collection[Node]
) -> bool:
    """Whether ``where(|z| < t, f(z), g(z))``, ``z`` affine, is convex: Huber's loss is.

    Both pieces are even functions of ``z``, convex above zero; ``f`` grows there; at ``t`` their
    values agree and the slope of ``g`` is no less than that of ``f``.
    """
    pieces = _pieces(node, bend, dependent)
    if pieces is None:
        return False
    bound, inside, outside, u = pieces
    ranges = Ranges()
    if not ranges(bound).is_nonnegative:
        return False
    slopes = [entrywise_derivative(piece, u) for piece in (inside, outside)]
    second = [entrywise_derivative(slope, u) for slope in slopes]
    if not all(ranges(each).is_nonnegative for each in (slopes[0], *second)):
        return False
    at_bound: dict[Node, Node] = {u: bound * ones(u.extents)}
    values = [substitute_nodes(piece, at_bound) for piece in (inside, outside)]
    ends = [substitute_nodes(slope, at_bound) for slope in slopes]
    gap = simplify(add(values[0], -1 * values[1]))
    jump = simplify(add(ends[1], -1 * ends[0]))
    return vanishes(gap) and (vanishes(jump) or ranges(jump).is_nonnegative)


def _pieces(
    node: Apply, bend: Callable[[Node], int | None], dependent: Collection[Node]
) -> _Pieces | None:
    """The pieces as functions of ``u >= 0``; None if they are not even functions of one ``z``."""
    condition, first, second = node.operands
    if not isinstance(condition, Apply) or condition.operation.name not in COMPARISONS:
        return None
    small, large = condition.operands
    below = COMPARISONS[condition.operation.name]
    if argument(small, "abs") is None:
        small, large, below = large, small, not below
    z = argument(small, "abs")
    if z is None or large in dependent or bend(z) != 0:
        return None
    if z.extents != node.extents or large.extents not in ((), z.extents):
        return None
    u = Variable("size of the argument", z.extents, {"nonnegative"})
    parts = []
    for piece in (first, second) if below else (second, first):
        if not is_entrywise(piece, {small, z}, _is_power):
            return None
        found = simplify(substitute_nodes(piece, {small: u, z: u}))
        mirrored = simplify(substitute_nodes(piece, {small: u, z: -1 * u}))
        if found is not mirrored or any(each in dependent for each in postorder(found)):
            return None
        parts.append(found)
    return _Pieces(large, parts[0], parts[1], u)


def is_entrywise(node: Node, arguments: Collection[Node], allowed: Callable[[Apply], bool]) -> bool:
    """Whether every entry is a function of the same entry of the arguments: sums and products of
    ``allowed`` operations.
    """
    if node in arguments or not any(each in arguments for each in postorder(node)):
        return True
    if isinstance(node, Apply) and not allowed(node):
        return False
    if isinstance(node, Product) and not all(s in ((), node.output) for s in node.subscripts):
        return False
    return all(is_entrywise(each, arguments, allowed) for each in node.operands)


def _is_power(node: Apply) -> bool:
    return node.operation.name == "power"


def entrywise_derivative(piece: Node, u: Variable) -> Node:
    """The derivative of every entry by its own argument."""
    total = product((piece,), (tuple(range(piece.ndim)),), ())
    (slope,) = pullback(total, [u], Constant(1), 0)
    return simplify(slope)


def vanishes(node: Node) -> bool:
    """Zero, up to the rounding of literals."""
    if is_zero(node):
        return True
    factors = node.operands if isinstance(node, Product) else (node,)
    constants = [each.value for each in factors if isinstance(each, Constant)]
    return bool(constants) and all(abs(c) <= ROUNDING for c in constants)


def is_geometric_mean(
    exponent: Node, bend: Callable[[Node], int | None], dependent: Collection[Node], ranges: Ranges
) -> bool:
    """Whether ``exponent`` is ``sum(c * log(g))`` with ``c >= 0``, ``sum(c) <= 1``, ``g`` concave.

    Then ``exp(exponent)`` is a weighted geometric mean, which is concave.
    """
    node, nonnegative = exponent, not exponent.ndim
    while isinstance(node, Product):
        moving = [each for each in node.operands if each in dependent]
        fixed = [each for each in node.operands if each not in dependent]
        if len(moving) != 1:
            return False
        nonnegative = nonnegative and all(ranges(each).is_nonnegative for each in fixed)
        (node,) = moving
    inner = argument(node, "log")
    if not nonnegative or inner is None:
        return False
    total = simplify(substitute_nodes(exponent, {node: ones(node.extents)}))
    at_most_one = simplify(add(Constant(1), -1 * total))
    concave = bend(inner) in (0, -1)
    return concave and (is_zero(at_most_one) or ranges(at_most_one).is_nonnegative)


__all__ = [
    "entrywise_derivative",
    "is_convex_in_two_pieces",
    "is_entrywise",
    "is_geometric_mean",
    "is_log_convex",
    "vanishes",
]
