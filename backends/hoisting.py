"""Factors that all terms of a sum have are taken out where an axis leaves the sum with them.

``x[a,i] u[a,j] + x[a,i] v[b,j] w[a,b]`` is ``x[a,i] S[a,j]``: the sum is smaller by the axis ``i``,
and the order in which ``x`` is contracted with what comes later is free. The same holds for
``δ[i,k]``: a sum of diagonals is the diagonal of a sum. A product opens factors that are of this
form, so they rise until they meet a term that lacks them. Derivatives by the rows of an array that
a function treats one by one so become one block for each row.

The formula keeps its form; this is a rewriting before the steps are chosen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from tensorcalc.applications import apply
from tensorcalc.factoring import factored
from tensorcalc.nodes import Apply, Constant, Delta, Node, Product, Sum, postorder
from tensorcalc.products import product, split_coefficient
from tensorcalc.sums import add

Factor = tuple[Node, tuple[Any, ...]]


class Split(NamedTuple):
    """A node as a product: factors that alone have some axis, and the rest."""

    factors: list[Factor]
    rest: Node
    axes: tuple[int, ...]


def hoisted(roots: Sequence[Node]) -> list[Node]:
    """The roots with common factors taken out of sums.

    >>> import numpy as np, tensorcalc as tc
    >>> x, u, v = tc.variables("x: n, u: m, v: m")
    >>> total = tc.einsum("i,j->ij", x, np.sin(u)) + tc.einsum("i,j->ij", x, np.cos(v))
    >>> hoisted([total])[0]
    x[i]*(cos(v[j]) + sin(u[j]))
    """
    work = _Hoisting()
    for node in postorder(*roots):
        work.new[node] = work.rewritten(node)
    return [work.new[root] for root in roots]


class _Hoisting:
    def __init__(self) -> None:
        self.new: dict[Node, Node] = {}
        #: Nodes that a product opens.
        self.splits: dict[Node, Split] = {}

    def rewritten(self, node: Node) -> Node:
        operands = [self.new[operand] for operand in node.operands]
        changed = any(a is not b for a, b in zip(operands, node.operands, strict=True))
        if isinstance(node, Product):
            return self._product(node, operands, changed)
        if changed and isinstance(node, Apply):
            return apply(node.operation.name, *operands, **dict(node.params))
        if isinstance(node, Sum):
            return self._total(add(*operands) if changed else node)
        return node

    def _total(self, node: Node) -> Node:
        """Two contractions with the same factors are one, also where the formula is longer so."""
        if isinstance(node, Sum):
            node = factored(node)
        return self._sum(node) if isinstance(node, Sum) else node

    def _product(self, node: Product, operands: Sequence[Node], changed: bool) -> Node:
        opens = any(operand in self.splits for operand in operands)
        if changed or opens:
            factors = [
                factor
                for operand, own in zip(operands, node.subscripts, strict=True)
                for factor in self._opened(operand, own)
            ]
            nodes, subscripts = zip(*factors, strict=True)
            made = product(nodes, subscripts, node.output, node.label_extents())
        else:
            made = node
        if isinstance(made, Product) and (opens or _has_delta(made)) and made not in self.splits:
            split = _split(made)
            if split is not None:
                self.splits[made] = split
        return made

    def _opened(self, node: Node, labels: tuple[Any, ...]) -> list[Factor]:
        if node not in self.splits:
            return [(node, labels)]
        factors, rest, axes = self.splits[node]
        named = [(factor, tuple(labels[axis] for axis in own)) for factor, own in factors]
        return [*named, (rest, tuple(labels[axis] for axis in axes))]

    def _sum(self, node: Sum) -> Node:
        """``F S`` if every term has the factors ``F``, and ``S`` has fewer axes for it."""
        terms = [_factors(term, k) for k, term in enumerate(node.operands)]
        common = _common(terms)
        rests = [_without(own, common) for own in terms]
        used = {label for own in rests for _, labels in own for label in labels}
        axes = tuple(axis for axis in range(node.ndim) if axis in used)
        held = {label for _, labels in common for label in labels}
        if not held - used:
            return node
        extents = dict(enumerate(node.extents))
        coefficients = [split_coefficient(term)[0] for term in node.operands]
        parts = [_joined(c, own, axes, extents) for c, own in zip(coefficients, rests, strict=True)]
        inner = add(*parts)
        nodes = [*(factor for factor, _ in common), inner]
        subscripts = [*(labels for _, labels in common), axes]
        made = product(nodes, subscripts, range(node.ndim), extents)
        if isinstance(made, Product):
            self.splits[made] = Split(common, inner, axes)
        return made


def _factors(term: Node, number: int) -> list[Factor]:
    """The factors of a sum's term, without the coefficient.

    Labels of the output are its axes; those summed over differ from those of the other terms.
    """
    _, rest = split_coefficient(term)
    if not isinstance(rest, Product):
        return [(rest, tuple(range(rest.ndim)))]
    names = {label: axis for axis, label in enumerate(rest.output)}
    pairs = zip(rest.operands, rest.subscripts, strict=True)
    return [(node, tuple(names.get(x, (number, x)) for x in own)) for node, own in pairs]


def _common(terms: Sequence[list[Factor]]) -> list[Factor]:
    """Factors over axes of the sum that every term has."""
    first, *others = (Counter(own) for own in terms)
    for other in others:
        first &= other
    return [
        (node, labels)
        for node, labels in first.elements()
        if labels and all(isinstance(label, int) for label in labels)
    ]


def _without(factors: Sequence[Factor], common: Sequence[Factor]) -> list[Factor]:
    left = Counter(common)
    rest: list[Factor] = []
    for factor in factors:
        if left[factor] > 0:
            left[factor] -= 1
        else:
            rest.append(factor)
    return rest


def _joined(
    coefficient: float, factors: Sequence[Factor], axes: Sequence[int], extents: dict[int, Any]
) -> Node:
    nodes = [Constant(coefficient), *(node for node, _ in factors)]
    return product(nodes, [(), *(labels for _, labels in factors)], axes, extents)


def _has_delta(node: Product) -> bool:
    """Whether an equation between axes of the product is among its factors."""
    pairs = zip(node.operands, node.subscripts, strict=True)
    return any(
        isinstance(operand, Delta) and operand.rows and set(own) <= set(node.output)
        for operand, own in pairs
    )


def _split(node: Product) -> Split | None:
    """The factors that alone have an axis of the product, if something is left."""
    factors: list[Factor] = list(zip(node.operands, node.subscripts, strict=True))
    holders = Counter(label for _, own in factors for label in set(own))
    own = [
        (operand, labels)
        for operand, labels in factors
        if set(labels) <= set(node.output) and any(holders[label] == 1 for label in labels)
    ]
    rest = _without(factors, own)
    used = {label for _, labels in rest for label in labels}
    axes = tuple(axis for axis, label in enumerate(node.output) if label in used)
    if not own or not any(labels for _, labels in rest):
        return None
    nodes, subscripts = zip(*rest, strict=True)
    inner = product(nodes, subscripts, [node.output[axis] for axis in axes])
    placed = [(operand, tuple(map(node.output.index, labels))) for operand, labels in own]
    return Split(placed, inner, axes)
