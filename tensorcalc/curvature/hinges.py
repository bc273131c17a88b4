"""Functions of two pieces that meet at a point, and norms of any order.

Source: Boyd, Vandenberghe, *Convex Optimization*, sections 3.1.4 (second-order condition) and 3.2.4
(composition with a norm).
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from ..nodes import Apply, Node, Product, Variable, ones, postorder
from ..products import scale
from ..rules.patterns import argument
from ..simplify import simplify, substitute_nodes
from ..sums import add
from .domains import SmoothDomain
from .ranges import Ranges
from .special_forms import COMPARISONS, ROUNDING, entrywise_derivative, is_entrywise, vanishes


def bend_of_halves(
    node: Apply, bend: Callable[[Node], int | None], dependent: Collection[Node]
) -> int | None:
    """The bend of ``where(z < c, f(z), g(z))``, ``z`` affine and ``c`` fixed: expectiles, ELU.

    Convex if both pieces are so on their side of ``c``, agree there, and the slope does not fall.
    """
    halves = _halves(node, bend, dependent)
    if halves is None:
        return None
    v, below, above = halves  # below(v) = f(c - v) and above(v) = g(c + v) for v >= 0
    at_zero: dict[Node, Node] = {v: scale(0, v)}
    left, right = (substitute_nodes(piece, at_zero) for piece in (below, above))
    if not vanishes(simplify(add(left, scale(-1, right)))):
        return None
    slopes = [entrywise_derivative(piece, v) for piece in (below, above)]
    ends = [substitute_nodes(slope, at_zero) for slope in slopes]
    jump = simplify(add(*ends))
    ranges = Ranges()
    signs = [ranges(entrywise_derivative(slope, v)) for slope in slopes]
    if not vanishes(jump):
        signs.append(ranges(jump))
    if all(sign.is_nonnegative for sign in signs):
        return 1
    return -1 if all(sign.is_nonpositive for sign in signs) else None


def _halves(
    node: Apply, bend: Callable[[Node], int | None], dependent: Collection[Node]
) -> tuple[Variable, Node, Node] | None:
    """The distance ``v`` from ``c`` and both pieces as functions of it, entry by entry."""
    condition, first, second = node.operands
    if not isinstance(condition, Apply) or condition.operation.name not in COMPARISONS:
        return None
    z, c = condition.operands
    below = COMPARISONS[condition.operation.name]
    if z not in dependent:
        z, c, below = c, z, not below
    if c in dependent or bend(z) != 0 or z.extents != node.extents:
        return None
    if c.extents not in ((), z.extents):
        return None
    v = Variable("distance from the bend", z.extents, {"nonnegative"})
    start = c if c.ndim else c * ones(z.extents)
    pieces = []
    for sign, piece in zip((-1, 1), (first, second) if below else (second, first), strict=True):
        moved = add(start, scale(sign, v))
        found = substitute_nodes(piece, {z: moved, simplify(scale(-1, z)): scale(-1, moved)})
        if any(each in dependent for each in postorder(found)):
            return None
        found = simplify(found)
        is_entry = is_entrywise(found, {v}, lambda each: each.operation.is_elementwise)
        if not (is_entry and _is_smooth(found, v)):
            return None
        pieces.append(found)
    return v, pieces[0], pieces[1]


def _is_smooth(piece: Node, v: Variable) -> bool:
    """Whether a piece is twice differentiable for all ``v >= 0``, zero and its slope included."""
    return SmoothDomain(v, Ranges(), lambda node: None, lambda matrix: "").check(piece)[0]


def is_power_of_norm(
    base: Node,
    exponent: float,
    bend: Callable[[Node], int | None],
    dependent: Collection[Node],
    ranges: Ranges,
) -> bool:
    """Whether ``sum(c |g|^p)^e`` is convex: ``c >= 0``, ``p >= 1``, ``p e >= 1``.

    ``g`` is affine, or convex and nonnegative: the p-norm grows in each of the sizes.
    """
    if not isinstance(base, Product):
        return False
    pairs = list(zip(base.operands, base.subscripts, strict=True))
    moving = [pair for pair in pairs if pair[0] in dependent]
    fixed = [pair for pair in pairs if pair[0] not in dependent]
    node, labels = moving[0]
    if any(other is not node or own != labels for other, own in moving):
        return False
    if not all(ranges(each).is_nonnegative for each, _ in fixed):
        return False
    inner, order = node, float(len(moving))
    if isinstance(node, Apply) and node.operation.name == "power" and len(moving) == 1:
        inner, order = node.operands[0], float(dict(node.params)["exponent"])
    size = argument(inner, "abs")
    is_affine = bend(size if size is not None else inner) == 0
    grows = ranges(inner).is_nonnegative
    even = order % 2 == 0
    shown = (is_affine and (grows or even)) or (grows and bend(inner) in (0, 1))
    return shown and order >= 1 and order * exponent >= 1 - ROUNDING


def is_root_of_product(
    base: Node, exponent: float, bend: Callable[[Node], int | None], ranges: Ranges
) -> bool:
    """Whether ``prod(g)^e`` is concave: ``g`` concave and nonnegative, ``e`` at most 1 / count."""
    entries = argument(base, "prod")
    if entries is None or not isinstance(entries.extents[-1], int) or exponent <= 0:
        return False
    count = entries.extents[-1]
    return (
        bend(entries) in (0, -1)
        and ranges(entries).is_nonnegative
        and exponent * count <= 1 + ROUNDING
    )


def euclidean_degree(node: Node) -> tuple[Node, int] | None:
    """``z`` and ``d``, 1 or 2, of a scalar that is ``norm(z)**d``."""
    if isinstance(node, Apply) and node.operation.name in ("norm", "frobenius_norm"):
        return node.operands[0], 1
    if not isinstance(node, Product) or len(node.operands) != 2 or node.ndim:
        return None
    (z, other), (own, also) = node.operands, node.subscripts
    return (z, 2) if z is other and own == also and len(set(own)) == len(own) else None


__all__ = ["bend_of_halves", "euclidean_degree", "is_power_of_norm", "is_root_of_product"]
