"""Pairs of operands of a product that are contracted with each other and with nobody else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from .nodes import Node, Product, postorder
from .products import product, split_coefficient


class Pair(NamedTuple):
    """Two operands of a product, the summed labels that nobody else has, and what makes twins."""

    left: int
    right: int
    summed: frozenset[int]
    key: Any


def exclusive_pairs(node: Product) -> list[Pair]:
    """Pairs of different operands that share summed labels with nobody else."""
    users: dict[int, list[int]] = {}
    for k, own in enumerate(node.subscripts):
        for label in own:
            users.setdefault(label, []).append(k)
    pairs: dict[tuple[int, int], set[int]] = {}
    for label, positions in users.items():
        if label not in node.output and len(positions) == 2:
            pairs.setdefault((positions[0], positions[1]), set()).add(label)
    return [
        Pair(a, b, frozenset(summed), _pair_key(node, a, b, summed))
        for (a, b), summed in pairs.items()
        if node.operands[a] is not node.operands[b]
    ]


def _pair_key(node: Product, a: int, b: int, summed: set[int]) -> Any:
    """The operands and the pattern of their common labels."""
    left, right = node.subscripts[a], node.subscripts[b]
    shared = [label for label in left if label in right]
    pattern = tuple(
        (shared.index(label), label in summed) if label in shared else None
        for label in (*left, *right)
    )
    return node.operands[a].digest, node.operands[b].digest, pattern


def contraction(node: Product, pair: Pair) -> Node:
    """The two operands of a pair contracted over the labels that are theirs alone."""
    operands = node.operands[pair.left], node.operands[pair.right]
    subscripts = node.subscripts[pair.left], node.subscripts[pair.right]
    return product(operands, subscripts, _outer_labels(node, pair))


def contracted(node: Product, pairs: Iterable[Pair]) -> Node:
    """``node`` with each of the disjoint ``pairs`` as one nested operand."""
    pairs = list(pairs)
    used = {k for pair in pairs for k in pair[:2]}
    operands = [o for k, o in enumerate(node.operands) if k not in used]
    subscripts = [own for k, own in enumerate(node.subscripts) if k not in used]
    for pair in pairs:
        operands.append(contraction(node, pair))
        subscripts.append(_outer_labels(node, pair))
    return product(operands, subscripts, node.output)


def _outer_labels(node: Product, pair: Pair) -> tuple[int, ...]:
    labels = (*node.subscripts[pair.left], *node.subscripts[pair.right])
    return tuple(dict.fromkeys(label for label in labels if label not in pair.summed))


def is_reduction(node: Product, pair: Pair) -> bool:
    """Whether the contraction has fewer axes than one of the two, as a matrix times a vector."""
    rank = max(node.operands[pair.left].ndim, node.operands[pair.right].ndim)
    return len(_outer_labels(node, pair)) < rank


def repeated_reductions(roots: Iterable[Node]) -> dict[Product, list[Pair]]:
    """Reductions that several products make, disjoint within each product.

    Products that differ in their coefficient count once: they are computed once.
    """
    found = {
        node: [pair for pair in exclusive_pairs(node) if is_reduction(node, pair)]
        for node in postorder(*roots)
        if isinstance(node, Product) and len(node.operands) > 2
    }
    distinct = {split_coefficient(node)[1]: pairs for node, pairs in found.items()}
    counts = Counter(key for pairs in distinct.values() for key in {pair.key for pair in pairs})
    return {
        node: chosen
        for node, pairs in found.items()
        if (chosen := _disjoint([pair for pair in pairs if counts[pair.key] > 1], counts))
    }


def _disjoint(pairs: list[Pair], counts: Counter[Any]) -> list[Pair]:
    """The pairs made most often, each operand in at most one."""
    chosen: list[Pair] = []
    used: set[int] = set()
    for pair in sorted(pairs, key=lambda pair: (-counts[pair.key], pair.key[:2])):
        if not used & {*pair[:2]}:
            used |= {*pair[:2]}
            chosen.append(pair)
    return chosen
