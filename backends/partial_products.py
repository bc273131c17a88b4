"""Partial contractions that several products have in common are made once.

A part of a product is known by its factors, how their labels are tied, and which labels are left;
neither the names of labels nor the order of axes in the result matter. What is already there costs
nothing when the order of another product is chosen: in ``tr(A X B X)``, ``tr(A X C X)`` and so on
every ``A X`` is made once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

from .steps import Labels, Value


class Factor(NamedTuple):
    """A value and its labels."""

    value: Value
    labels: Labels


class PartialProducts:
    """The partial contractions of a program so far."""

    def __init__(self) -> None:
        self._made: dict[Any, Factor] = {}

    def find(self, factors: Sequence[Factor], needed: frozenset[int]) -> Factor | None:
        """The product of the factors summed over what is not needed, if it was noted."""
        key, names = _key(factors, needed)
        if key not in self._made:
            return None
        value, numbers = self._made[key]
        labels = dict(zip(names.values(), names, strict=True))
        return Factor(value, tuple(labels[number] for number in numbers))

    def note(self, factors: Sequence[Factor], needed: frozenset[int], made: Factor) -> None:
        """Remember a product."""
        key, names = _key(factors, needed)
        self._made.setdefault(key, Factor(made.value, tuple(names[x] for x in made.labels)))

    def alike(self, factors: Sequence[Factor], output: frozenset[int]) -> dict[int, int]:
        """Sets of factors, as the bits of a number, with a number for those of equal product.

        It is 0 for what is there already; sets whose product is like no other are left out.
        """
        positions = range(len(factors))
        sets: dict[Any, list[int]] = {}
        for count in range(2, len(factors) + 1):
            for inside in combinations(positions, count):
                outside = [factors[k].labels for k in positions if k not in inside]
                key, _ = _key([factors[k] for k in inside], output.union(*outside))
                sets.setdefault(key, []).append(sum(1 << k for k in inside))
        found: dict[int, int] = {}
        for number, (key, bits) in enumerate(sets.items(), 1):
            if key in self._made or len(bits) > 1:
                found |= dict.fromkeys(bits, 0 if key in self._made else number)
        return found


def _key(factors: Sequence[Factor], needed: frozenset[int]) -> tuple[Any, dict[int, int]]:
    """The factors in order with their labels numbered, and the numbers that are needed."""
    ordered = sorted(factors, key=lambda factor: factor.value.name)
    names: dict[int, int] = {}
    for factor in ordered:
        for label in factor.labels:
            names.setdefault(label, len(names))
    own = tuple((value, tuple(names[x] for x in labels)) for value, labels in ordered)
    return (own, frozenset(names[x] for x in names if x in needed)), names
