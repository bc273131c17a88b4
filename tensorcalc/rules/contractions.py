"""Rules for whole products: contractions that repeat, and sums that are better distributed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..applications import PRODUCT_RULES
from ..nodes import Constant, Delta, Node, Product, Sum
from ..products import is_ones, product, split_coefficient
from ..sums import add


def twins_are_shared(node: Product) -> Node | None:
    """``A[i,k] x[k] A[j,l] x[l] = u[i] u[j]`` with ``u = A x``: one contraction instead of two.

    Also where ``u`` is an operand already.
    """
    pairs = _exclusive_pairs(node)
    for a, (first, second, key) in enumerate(pairs):
        if _contraction(node, first, second) in set(node.operands):
            return _paired(node, [(first, second)])
        for third, fourth, other in pairs[a + 1 :]:
            if key == other and not {first, second} & {third, fourth}:
                return _paired(node, [(first, second), (third, fourth)])
    return None


def _exclusive_pairs(node: Product) -> list[tuple[int, int, Any]]:
    """Pairs of different operands that share exactly the summed labels nobody else has."""
    users: dict[int, list[int]] = {}
    for k, own in enumerate(node.subscripts):
        for label in own:
            users.setdefault(label, []).append(k)
    pairs: dict[tuple[int, int], list[int]] = {}
    for label, positions in users.items():
        if label not in node.output and len(positions) == 2 and positions[0] != positions[1]:
            pairs.setdefault((positions[0], positions[1]), []).append(label)
    return [(*pair, _pair_key(node, *pair)) for pair in pairs if _pair_key(node, *pair)]


def _pair_key(node: Product, a: int, b: int) -> Any:
    """What makes two pairs equal: the operands and the pattern of their common labels."""
    if node.operands[a] is node.operands[b]:
        return None
    left, right = node.subscripts[a], node.subscripts[b]
    shared = [label for label in left if label in right]
    pattern = tuple(tuple(shared.index(x) if x in shared else -1 for x in own) for own in (left, right))
    return node.operands[a].digest, node.operands[b].digest, pattern


def _paired(node: Product, pairs: list[tuple[int, int]]) -> Node:
    used = {k for pair in pairs for k in pair}
    operands = [o for k, o in enumerate(node.operands) if k not in used]
    subscripts = [own for k, own in enumerate(node.subscripts) if k not in used]
    for a, b in pairs:
        operands.append(_contraction(node, a, b))
        subscripts.append(_outer_labels(node, a, b))
    return product(operands, subscripts, node.output)


def _outer_labels(node: Product, a: int, b: int) -> tuple[int, ...]:
    left, right = node.subscripts[a], node.subscripts[b]
    return (*(x for x in left if x not in right), *(x for x in right if x not in left))


def _contraction(node: Product, a: int, b: int) -> Node:
    """Operands ``a`` and ``b`` contracted over the labels they share."""
    subscripts = node.subscripts[a], node.subscripts[b]
    return product((node.operands[a], node.operands[b]), subscripts, _outer_labels(node, a, b))


def spread_sums_distribute(node: Product) -> Node | None:
    """``(diag(p) - p p') v = p v - p (p'v)``: a sum of outer products and deltas is not stored.

    Applies where every term of the sum has more axes than each of its factors.
    """
    if sum(operand.ndim > 0 and not is_ones(operand) for operand in node.operands) < 2:
        return None
    for k, operand in enumerate(node.operands):
        if isinstance(operand, Sum) and all(map(_is_spread, operand.operands)):
            return _distributed(node, k, operand)
    return None


def _is_spread(term: Node) -> bool:
    _, rest = split_coefficient(term)
    if not isinstance(rest, Product):
        return _is_delta(rest)
    return all(o.ndim < term.ndim for o in _dense_operands(rest))


def _dense_operands(rest: Product) -> Iterator[Node]:
    return (o for o in rest.operands if not isinstance(o, Constant) and not _is_delta(o))


def _is_delta(node: Node) -> bool:
    return isinstance(node, Delta)


def _distributed(node: Product, k: int, operand: Sum) -> Node:
    terms = []
    for term in operand.operands:
        operands = [*node.operands[:k], term, *node.operands[k + 1 :]]
        terms.append(product(operands, node.subscripts, node.output))
    return add(*terms)


PRODUCT_RULES.extend([twins_are_shared, spread_sums_distribute])
