"""The order in which the factors of a product are contracted, pair by pair.

Few factors are searched exhaustively; opt_einsum (Smith and Gray, JOSS 2018) orders many.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from .extents import evaluate

#: Products of more factors than this are left to opt_einsum.
EXHAUSTIVE = 5

#: What one multiply-add inside a matrix product costs, in passes over an element in memory.
MATRIX_RATE = 1 / 12

#: No two contractions are the same.
NONE_ALIKE: Mapping[int, int] = MappingProxyType({})

#: A tree of positions: ``0`` or ``(left, right)``.
Tree = Any


def best_tree(
    labels: Sequence[frozenset[int]],
    output: frozenset[int],
    sizes: Mapping[int, float],
    alike: Mapping[int, int] = NONE_ALIKE,
) -> Tree:
    """The cheapest pairwise contraction as a tree.

    ``alike`` numbers sets of factors, which are the bits of its keys: contractions of the same
    number are the same and made once, those of number 0 are there already. Where opt_einsum
    chooses, they count as any others.
    """
    if len(labels) == 1:
        return 0
    if len(labels) == 2:
        return 0, 1
    if len(labels) > EXHAUSTIVE:
        return _opt_einsum_tree(labels, output, sizes)
    return _exhaustive(labels, output, sizes, alike)


class Choice(NamedTuple):
    """A product's factors by their labels, and the order that was chosen for them."""

    labels: tuple[frozenset[int], ...]
    output: frozenset[int]
    extents: Mapping[int, Any]
    tree: Tree
    alike: Mapping[int, int] = NONE_ALIKE

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Whether the order is also the best for these sizes."""
        numbers = {k: max(evaluate(extent, sizes), 1) for k, extent in self.extents.items()}
        return bool(best_tree(self.labels, self.output, numbers, self.alike) == self.tree)


def _exhaustive(
    labels: Sequence[frozenset[int]],
    output: frozenset[int],
    sizes: Mapping[int, float],
    alike: Mapping[int, int],
) -> Tree:
    count = len(labels)
    full = (1 << count) - 1
    kept = {subset: _kept(subset, labels, output) for subset in range(1, full + 1)}
    best: dict[int, _Best] = {1 << k: _Best(0.0, 0, k) for k in range(count)}
    for subset in sorted(range(1, full + 1), key=int.bit_count):
        if subset in best:
            continue
        lowest = subset & -subset
        candidates: list[_Best] = []
        left = (subset - 1) & subset
        while left:
            if left & lowest:
                right = subset ^ left
                a, b = best[left], best[right]
                own = pair_cost(kept[left], kept[right], kept[subset], sizes)
                same = left in alike and alike[left] == alike.get(right)
                cost = own + (a.cost if same else a.cost + b.cost)
                depth = 1 + max(a.depth, b.depth)
                candidates.append(_Best(cost, depth, (a.tree, b.tree)))
            left = (left - 1) & subset
        chosen = min(candidates, key=_Best.rank)
        best[subset] = chosen._replace(cost=0.0) if alike.get(subset) == 0 else chosen
    return best[full].tree


class _Best(NamedTuple):
    """The cheapest contraction of a set of factors."""

    cost: float
    depth: int
    tree: Tree

    def rank(self) -> tuple[float, int]:
        """Of trees that cost the same the flatter: others are likelier to need its parts."""
        return float(f"{self.cost:.9g}"), self.depth


def _kept(subset: int, labels: Sequence[frozenset[int]], output: frozenset[int]) -> frozenset[int]:
    """Labels of an intermediate that somebody outside it still needs."""
    inside = frozenset().union(*(own for k, own in enumerate(labels) if subset >> k & 1))
    outside = output.union(*(own for k, own in enumerate(labels) if not subset >> k & 1))
    return inside & outside


def tree_cost(
    labels: Sequence[frozenset[int]],
    output: frozenset[int],
    sizes: Mapping[int, float],
    tree: Tree,
) -> float:
    """Passes over memory that all contractions of a tree cost."""

    def walked(tree: Tree) -> tuple[float, int]:
        if isinstance(tree, int):
            return 0.0, 1 << tree
        (a, left), (b, right) = walked(tree[0]), walked(tree[1])
        kept = [_kept(subset, labels, output) for subset in (left, right, left | right)]
        return a + b + pair_cost(kept[0], kept[1], kept[2], sizes), left | right

    return walked(tree)[0]


def pair_cost(
    left: frozenset[int], right: frozenset[int], out: frozenset[int], sizes: Mapping[int, float]
) -> float:
    """Passes over memory that one pairwise contraction costs."""
    union = left | right
    volume = math.prod([sizes[k] for k in union])
    written = math.prod([sizes[k] for k in out])
    summed = union - out
    matrix = summed and left - right - summed and right - left - summed
    return volume * (MATRIX_RATE if matrix else 1) + written + 1


def _opt_einsum_tree(
    labels: Sequence[frozenset[int]], output: frozenset[int], sizes: Mapping[int, float]
) -> Tree:
    import opt_einsum

    path = opt_einsum.paths.auto(
        [set(own) for own in labels], set(output), {k: int(v) for k, v in sizes.items()}
    )
    trees: list[Tree] = list(range(len(labels)))
    for positions in path:
        picked = [trees.pop(k) for k in sorted(positions, reverse=True)]
        tree = picked[0]
        for other in picked[1:]:
            tree = (tree, other)
        trees.append(tree)
    return trees[0]
