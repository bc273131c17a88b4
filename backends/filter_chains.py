"""Filters after filters: what sums over the taps of one is made before the next is applied.

A chain of convolutions is a single product in the calculus, and so is the chain backwards that is
its gradient: ``sum c[l] c[k] u[a] v[b] [l + b = a] [k + d = b]``. With all deltas used up at once
the taps of all filters meet in one array, which grows by the number of taps with every filter. A
part that sums over taps of its own and leaves no more entries than its factors have is therefore a
value by itself: ``(sum c[l] u[a] [l + b = a])[b]`` first.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tensorcalc.applications import apply
from tensorcalc.nodes import Delta, Node, Product, postorder
from tensorcalc.products import product
from tensorcalc.simplify import rebuilt

from .distribution import assumed_number


class Part(NamedTuple):
    """Positions of factors that may be multiplied first, and the labels that are left of them."""

    inside: set[int]
    kept: tuple[int, ...]
    deltas: int
    volume: float


def chained(roots: Sequence[Node]) -> list[Node]:
    """The roots with the parts of products as values of their own, one filter after the other.

    >>> import numpy as np, tensorcalc as tc
    >>> x, c = tc.variables("x: 100, c: 3")
    >>> y = np.convolve(np.tanh(np.convolve(x, c, "same")), c, "same")
    >>> (gradient,) = chained([tc.gradient(np.sum(y**2), x)])
    >>> sum(isinstance(node, Delta) for node in gradient.operands)
    1
    """
    new: dict[Node, Node] = {}
    for node in postorder(*roots):
        new[node] = _in_parts(rebuilt(node, new))
    return [new[root] for root in roots]


def _in_parts(node: Node) -> Node:
    """The product with its parts stored, those of parts as well."""
    if not isinstance(node, Product) or sum(map(_is_delta, node.operands)) < 2:
        return node
    part = min(_parts(node), key=lambda each: (each.deltas, each.volume), default=None)
    if part is None:
        return node
    extents = node.label_extents()
    factors = _factors(node)
    inside = [factor for k, factor in enumerate(factors) if k in part.inside]
    outside = [factor for k, factor in enumerate(factors) if k not in part.inside]
    inner = _in_parts(_product(inside, part.kept, extents))
    outside.append((apply("stored", inner), part.kept))
    return _in_parts(_product(outside, node.output, extents))


def _product(
    factors: Sequence[tuple[Node, tuple[int, ...]]], output: tuple[int, ...], extents: Any
) -> Node:
    nodes, subscripts = zip(*factors, strict=True)
    return product(nodes, subscripts, output, extents)


def _parts(node: Product) -> Iterator[Part]:
    """What a factor and the deltas of its summed labels make, if it leaves another delta."""
    extents = {
        label: max(assumed_number(extent), 1) for label, extent in node.label_extents().items()
    }
    own = [node.output, *(o for f, o in _factors(node) if not _is_delta(f))]
    largest = max(_volume(labels, extents) for labels in own)
    deltas = sum(map(_is_delta, node.operands))
    for factor, labels in _factors(node):
        summed = set(labels) - set(node.output)
        part = None if _is_delta(factor) else _part_of(node, set(labels), summed, extents)
        if part is not None and part.deltas < deltas and part.volume <= largest:
            yield part


def _part_of(
    node: Product, labels: set[int], summed: set[int], extents: Mapping[int, float]
) -> Part | None:
    """The deltas that hold one of the summed labels, and all factors over the labels of these.

    None where they sum over no taps: a row of a delta only says what one label is, or its digits.
    """
    factors = _factors(node)
    near = [set(own) for factor, own in factors if _is_delta(factor) and summed & set(own)]
    labels = labels.union(*near)
    inside = {k for k, (_, own) in enumerate(factors) if own and labels.issuperset(own)}
    used = set(node.output).union(*(o for k, (_, o) in enumerate(factors) if k not in inside))
    kept = labels & used
    deltas = {k for k in inside if _is_delta(factors[k][0])}
    inside = {k for k in inside if k in deltas or not kept.issuperset(factors[k][1])}
    if not near or len(labels - kept) <= sum(_determined(*factors[k], extents) for k in deltas):
        return None
    return Part(inside, tuple(sorted(kept)), len(deltas), _volume(kept, extents))


def _determined(delta: Any, labels: tuple[int, ...], extents: Mapping[int, float]) -> int:
    """Labels that a delta gives once the others are known: one by each row, digits together.

    ``k - 3 i - j`` with j < 3 gives both i and j.
    """
    found = 0
    for coefficients, _ in delta.rows:
        sizes = [
            (abs(assumed_number(c)), extents[x]) for x, c in zip(labels, coefficients, strict=True)
        ]
        least = min((extent for size, extent in sizes if size == 1), default=math.inf)
        found += 1 + sum(size > 1 and size >= least for size, _ in sizes)
    return found


def _factors(node: Product) -> list[tuple[Node, tuple[int, ...]]]:
    return list(zip(node.operands, node.subscripts, strict=True))


def _is_delta(node: Node) -> bool:
    return isinstance(node, Delta) and bool(node.rows)


def _volume(labels: Collection[int], extents: Mapping[int, float]) -> float:
    return math.prod(extents[label] for label in set(labels))
