"""Rules for whole products: contractions that repeat, and sums that are better distributed."""

from __future__ import annotations

from ..applications import PRODUCT_RULES
from ..nodes import Delta, Node, Product, Sum
from ..pairs import contracted, contraction, exclusive_pairs
from ..products import is_ones, outer_parts, product, split_coefficient
from ..sums import add


def twins_are_shared(node: Product) -> Node | None:
    """``A[i,k] x[k] A[j,l] x[l] = u[i] u[j]`` with ``u = A x``: one contraction instead of two.

    Also where ``u`` is an operand already.
    """
    pairs = exclusive_pairs(node)
    for a, pair in enumerate(pairs):
        if contraction(node, pair) in set(node.operands):
            return contracted(node, [pair])
        for other in pairs[a + 1 :]:
            if pair.key == other.key and not {*pair[:2]} & {*other[:2]}:
                return contracted(node, [pair, other])
    return None


def spread_sums_distribute(node: Product) -> Node | None:
    """``(diag(p) - p p') v = p v - p (p'v)``: a sum of outer products and deltas is not stored.

    Applies where every term of the sum has more axes than each of its factors, or all but one
    do and some axes of the sum, not all, are contracted: ``(A - x y') v = A v - x (y'v)``. It does
    not where that saves nothing and cancels: in ``(x[i] - y[j])**2``, or where another operand is
    as large as the sum, as in ``sum_j W[i,j] (x[i] - y[j])``.
    """
    alone = sum(operand.ndim > 0 and not is_ones(operand) for operand in node.operands) < 2
    for k, operand in enumerate(node.operands):
        if isinstance(operand, Sum) and _gains(node, k, operand, alone):
            return _distributed(node, k, operand)
    return None


def _gains(node: Product, k: int, operand: Sum, alone: bool) -> bool:
    if alone:  # a reduction of the sum: a delta in a term makes it none
        return _is_partly_contracted(node, k) and any(map(_has_delta, operand.operands))
    as_large = _as_large(node, k)
    if len(operand.operands) > 2 and any(isinstance(other, Sum) for other in as_large):
        return False  # as many terms as the product of the numbers of terms
    dense = sum(not _is_spread(term) for term in operand.operands)
    if dense:
        return dense == 1 and _is_partly_contracted(node, k)
    if any(map(_is_diagonal, operand.operands)):
        return True
    sparse = sum(map(_is_sparse, operand.operands))
    if set(node.subscripts[k]) <= set(node.output):
        return sparse == len(operand.operands)
    return sparse > 0 or all(other is operand for other in as_large)


def _has_delta(term: Node) -> bool:
    return _is_delta(term) or any(_is_delta(o) and not is_ones(o) for o in term.operands)


def _as_large(node: Product, k: int) -> list[Node]:
    """The other operands that have all axes of operand ``k``."""
    own = set(node.subscripts[k])
    pairs = enumerate(zip(node.operands, node.subscripts, strict=True))
    return [other for j, (other, labels) in pairs if j != k and own <= set(labels)]


def _is_sparse(term: Node) -> bool:
    """Whether a delta makes ``term`` zero at most places."""
    return bool(_zero_patterns(term))


def _is_diagonal(term: Node) -> bool:
    """Whether ``term`` is zero unless two of its indices fit."""
    return any(delta.ndim > 1 for delta in _zero_patterns(term))


def _zero_patterns(term: Node) -> list[Node]:
    """The deltas of a term between its own axes."""
    if not isinstance(term, Product):
        return [term] if _is_delta(term) and not is_ones(term) else []
    pairs = zip(term.operands, term.subscripts, strict=True)
    return [o for o, s in pairs if _is_delta(o) and not is_ones(o) and set(s) <= set(term.output)]


def _is_partly_contracted(node: Product, k: int) -> bool:
    kept = set(node.subscripts[k]) & set(node.output)
    return 0 < len(kept) < len(set(node.subscripts[k]))


def _is_spread(term: Node) -> bool:
    """Whether ``term`` is an outer product, a diagonal or a delta."""
    _, rest = split_coefficient(term)
    if not isinstance(rest, Product):
        return _is_delta(rest)
    if all(_is_delta(o) or o.ndim < term.ndim for o in rest.operands):
        return True
    return all(part.ndim < term.ndim for part, _ in outer_parts(rest))


def _is_delta(node: Node) -> bool:
    return isinstance(node, Delta)


def _distributed(node: Product, k: int, operand: Sum) -> Node:
    terms = []
    for term in operand.operands:
        operands = [*node.operands[:k], term, *node.operands[k + 1 :]]
        terms.append(product(operands, node.subscripts, node.output))
    return add(*terms)


PRODUCT_RULES.extend([twins_are_shared, spread_sums_distribute])
