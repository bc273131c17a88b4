"""The canonical order of the factors of a product.

Two products that differ only in the order of their operands or the names of their labels must be
one node. Output labels are numbered by position; summed labels are told apart by colour refinement
and, where that leaves ties, by trying each and keeping the least encoding.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from .nodes import Node

Factor = tuple[Node, tuple[Hashable, ...]]
Encoding = list[tuple[bytes, tuple[int, ...], int]]

#: Leaves of the search for the least encoding; beyond it the first order found is kept.
SEARCH_LIMIT = 48


def canonical_order(
    factors: Sequence[Factor],
    output: Sequence[Hashable],
    classes: Sequence[tuple[int, ...] | None],
) -> tuple[list[int], list[tuple[int, ...]]]:
    """Order of the factors and their integer labels.

    ``classes[k]`` gives every axis of factor ``k`` a class; the factor is unchanged when axes of
    one class swap. None says that all axes differ.
    """
    numbers: dict[Hashable, int] = {label: k for k, label in enumerate(output)}
    digests = [node.digest for node, _ in factors]
    if len(set(digests)) == len(digests) and not any(classes):
        return _distinct_order(factors, numbers, digests)
    summed = {label for _, labels in factors for label in labels if label not in numbers}
    search = _Search(factors, digests, classes)
    encoding = search.least({**numbers, **dict.fromkeys(summed, len(numbers))}, len(summed))
    return [k for _, _, k in encoding], [labels for _, labels, _ in encoding]


def _distinct_order(
    factors: Sequence[Factor], numbers: dict[Hashable, int], digests: list[bytes]
) -> tuple[list[int], list[tuple[int, ...]]]:
    order = sorted(range(len(factors)), key=digests.__getitem__)
    labels = [
        tuple(numbers.setdefault(label, len(numbers)) for label in factors[k][1]) for k in order
    ]
    return order, labels


class _Search:
    """Individualisation and refinement over the summed labels of one product."""

    def __init__(
        self,
        factors: Sequence[Factor],
        digests: list[bytes],
        classes: Sequence[tuple[int, ...] | None],
    ) -> None:
        self.factors = factors
        self.digests = digests
        self.classes = classes
        self.leaves = 0

    def least(self, colours: dict[Hashable, int], summed: int) -> Encoding:
        colours = self._refine(colours)
        tied = self._first_tie(colours)
        if not tied:
            self.leaves += 1
            return self._encode(colours)
        branches = tied if self.leaves < SEARCH_LIMIT else tied[:1]
        found = [self.least(_individualise(colours, label), summed) for label in branches]
        return min(found, key=lambda encoding: [item[:2] for item in encoding])

    def _refine(self, colours: dict[Hashable, int]) -> dict[Hashable, int]:
        while True:
            seen: dict[Hashable, list[tuple[bytes, int, tuple[int, ...]]]] = {
                label: [] for label in colours
            }
            for k, (_, labels) in enumerate(self.factors):
                pattern = self._pattern(k, colours)
                for axis, label in enumerate(labels):
                    seen[label].append((self.digests[k], self._axis_class(k, axis), pattern))
            keys = {label: (colours[label], tuple(sorted(seen[label]))) for label in colours}
            ranks = {}
            position = 0
            for key in sorted(set(keys.values())):
                members = [label for label in colours if keys[label] == key]
                for label in members:
                    ranks[label] = position
                position += len(members)
            if ranks == colours:
                return colours
            colours = ranks

    def _first_tie(self, colours: dict[Hashable, int]) -> list[Hashable]:
        classes: dict[int, list[Hashable]] = {}
        for label, colour in colours.items():
            classes.setdefault(colour, []).append(label)
        ties = [members for _, members in sorted(classes.items()) if len(members) > 1]
        return ties[0] if ties else []

    def _pattern(self, k: int, colours: dict[Hashable, int]) -> tuple[int, ...]:
        """Colours of the labels, sorted among interchangeable axes."""
        numbers = [colours[label] for label in self.factors[k][1]]
        classes = self.classes[k]
        if classes is None:
            return tuple(numbers)
        pools: dict[int, list[int]] = {}
        for own, number in sorted(zip(classes, numbers, strict=True)):
            pools.setdefault(own, []).append(number)
        return tuple(pools[c].pop(0) for c in classes)

    def _axis_class(self, k: int, axis: int) -> int:
        classes = self.classes[k]
        return axis if classes is None else classes[axis]

    def _encode(self, colours: dict[Hashable, int]) -> Encoding:
        return sorted(
            (self.digests[k], self._pattern(k, colours), k) for k in range(len(self.factors))
        )


def _individualise(colours: dict[Hashable, int], label: Hashable) -> dict[Hashable, int]:
    """Put ``label`` before the others of its colour."""
    colour = colours[label]
    return {other: c + 1 if c == colour and other != label else c for other, c in colours.items()}
