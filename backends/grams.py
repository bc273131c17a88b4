"""Products that are a matrix by itself, ``B'B``: one triangle is enough, by syrk.

``sum(d[s] A[s,i] A[s,j] over s)`` is ``sum(B[s,i] B[s,j] over s)`` with ``B = sqrt(d) A`` if ``d``
is nonnegative. Several factors may come in pairs: ``sum(p[s,c] X[s,i] p[s,d] X[s,j] over s)`` is
that of ``B[s,c,i] = p[s,c] X[s,i]``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tensorcalc.contraction_order import MATRIX_RATE, best_tree, tree_cost
from tensorcalc.extents import evaluate
from tensorcalc.nodes import Node
from tensorcalc.table import TABLE

from .cores import Core, multiplied, source_term
from .ranges import is_nonnegative
from .steps import Labels, Term

if TYPE_CHECKING:
    from .lowering import Lowering

SQUARE_ROOT = (("at_zero", None), ("exponent", 0.5))

Pairs = list[tuple[int, int]]


def gram_pairs(lowering: Lowering, core: Core) -> Pairs:
    """Positions of equal factors ``A[s, i], A[s, j]``; none unless the product is ``B'B``.

    One pair with nonnegative factors over ``s`` is enough. Where several come in pairs, nothing
    else may be left, and ``B'B`` must be cheaper than the best order of single contractions.
    """
    twins = _twins(core)
    if twins and _saves(lowering, core, twins):
        return twins
    for a, (left, own) in enumerate(core.factors):
        for b, (right, other) in enumerate(core.factors[a + 1 :], a + 1):
            if right is left and _is_gram(core, own, other):
                rest = _others(core, [(a, b)])
                differing = set(own) ^ set(other)
                if not any(differing & set(labels) for _, labels in rest) and _sign(rest):
                    return [(a, b)]
    return []


def renamed_labels(core: Core, pairs: Pairs) -> dict[int, int]:
    """Labels of the first half by those of the second."""
    return {
        i: j
        for a, b in pairs
        for i, j in zip(core.factors[a][1], core.factors[b][1], strict=True)
        if i != j
    }


def half_of_gram(lowering: Lowering, core: Core, pairs: Pairs) -> tuple[Term, list[Term]]:
    """``B``, and scalars for the result: they go where they cost least."""
    alpha = core.alpha(lowering)
    halves = [source_term(lowering, *core.factors[a]) for a, _ in pairs]
    weights = [source_term(lowering, source, own) for source, own in _others(core, pairs)]
    if weights:
        if core.coefficient > 0 and not core.scalars:
            weights, alpha = alpha + weights, []
        root = Term("apply", (multiplied(weights),), (TABLE["power"], SQUARE_ROOT))
        halves.insert(0, root)
    return multiplied(halves), alpha


def _others(core: Core, pairs: Pairs) -> list[Any]:
    taken = {k for pair in pairs for k in pair}
    return [factor for k, factor in enumerate(core.factors) if k not in taken]


def _is_gram(core: Core, own: Labels, other: Labels) -> bool:
    differ = [(i, j) for i, j in zip(own, other, strict=True) if i != j]
    common = set(own) & set(other)
    return (
        len(differ) == 1
        and set(differ[0]) <= set(core.output)
        and bool(common)
        and not common & set(core.output)
        and len(common) == len(own) - 1 == len(other) - 1
    )


def _sign(rest: list[Any]) -> bool:
    """Whether the product of the other factors is nonnegative: their squares are."""
    counts = Counter(rest)
    nodes = [source for (source, _), count in counts.items() if count % 2]
    return all(isinstance(node, Node) and is_nonnegative(node) for node in nodes)


# -- several pairs --------------------------------------------------------------------------------
def _twins(core: Core) -> Pairs:
    """Pairs of equal factors that use up all: one renaming of labels turns half into half."""
    places: dict[Any, list[int]] = {}
    for k, (source, _) in enumerate(core.factors):
        places.setdefault(source, []).append(k)
    if len(places) < 2 or any(len(own) != 2 for own in places.values()):
        return []
    names: dict[int, int] = {}
    pairs: Pairs = []
    for a, b in places.values():
        fitting = next((p for p in ((a, b), (b, a)) if _extends(core, names, *p)), None)
        if fitting is None:
            return []
        pairs.append(fitting)
        names.update(renamed_labels(core, [fitting]))
    firsts, seconds = set(names), set(names.values())
    common = {x for _, own in core.factors for x in own} - firsts - seconds
    apart = not firsts & seconds and len(firsts) == len(seconds)
    placed = firsts | seconds == set(core.output) and not common & set(core.output)
    return pairs if apart and placed and common and len(firsts) > 1 else []


def _extends(core: Core, names: dict[int, int], a: int, b: int) -> bool:
    """Whether the labels of one factor become those of the other by names known so far."""
    new = zip(core.factors[a][1], core.factors[b][1], strict=True)
    differ = {(i, j) for i, j in new if i != j}
    firsts, seconds = set(names), set(names.values())
    return bool(differ) and all(
        names[i] == j if i in names else i not in seconds and j not in firsts | seconds
        for i, j in differ
    )


class GramChoice(NamedTuple):
    """Whether ``B'B`` was taken for a product of pairs, which sizes decide."""

    labels: tuple[frozenset[int], ...]
    output: frozenset[int]
    half: frozenset[int]
    extents: Mapping[int, Any]
    taken: bool

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Whether the choice is also the best for these sizes."""
        numbers = {k: max(evaluate(extent, sizes), 1) for k, extent in self.extents.items()}
        return self.saves(numbers) == self.taken

    def saves(self, sizes: Mapping[int, float]) -> bool:
        """Whether writing ``B`` and half of ``B'B`` costs less than the best contractions."""
        tree = best_tree(self.labels, self.output, sizes)
        written, result = (math.prod(sizes[k] for k in own) for own in (self.half, self.output))
        summed = math.prod(sizes[k] for k in self.half - self.output)
        gram = 2 * written + result * (1 + summed * MATRIX_RATE / 2)
        return bool(gram < tree_cost(self.labels, self.output, sizes, tree))


def _saves(lowering: Lowering, core: Core, pairs: Pairs) -> bool:
    """Whether ``B'B`` is the better way for the sizes that are assumed; noted as a choice."""
    labels = tuple(frozenset(own) for _, own in core.factors)
    half = frozenset().union(*(labels[a] for a, _ in pairs))
    choice = GramChoice(labels, frozenset(core.output), half, dict(core.sizes), True)
    taken = choice.saves({label: lowering.size(extent) for label, extent in core.sizes.items()})
    lowering.choices.append(choice._replace(taken=taken))
    return taken
