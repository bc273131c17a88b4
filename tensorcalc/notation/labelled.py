"""Tensors whose axes have index names, and what surrounds a formula."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..nodes import Node
from ..products import broadcast, product
from .reader import Labels


@dataclass(frozen=True)
class Labelled:
    """A tensor whose axes carry distinct index names."""

    node: Node
    labels: Labels

    def arranged(self, labels: Labels) -> Node:
        """The node with its axes in the order ``labels``."""
        return self.node if labels == self.labels else product((self.node,), (self.labels,), labels)


@dataclass(frozen=True)
class Scope:
    """What surrounds a formula: the kept indices and the sizes known so far."""

    kept: frozenset[str] = frozenset()
    sizes: Mapping[str, Any] = field(default_factory=dict)

    def keeping(self, labels: Iterable[str]) -> Scope:
        """The scope inside a bracket that keeps more indices."""
        return replace(self, kept=self.kept | set(labels))


@dataclass
class Factor:
    """A factor of a product: tensors with their labels, and how often each label counts."""

    tensors: list[tuple[Node, Labels]]
    counts: Counter[str]


def single(value: Labelled) -> Factor:
    """A tensor as a factor."""
    return Factor([(value.node, value.labels)], Counter(value.labels))


def sizes_of(value: Labelled | Factor) -> dict[str, Any]:
    """The sizes of indices that tensors tell."""
    tensors = value.tensors if isinstance(value, Factor) else [(value.node, value.labels)]
    return {
        label: extent
        for node, labels in tensors
        for label, extent in zip(labels, node.extents, strict=True)
    }


def of_one_shape(nodes: Sequence[Node]) -> list[Node]:
    """Scalars among the terms of a sum broadcast."""
    extents = next((node.extents for node in nodes if node.ndim), ())
    return [node if node.ndim == len(extents) else broadcast(node, (), extents) for node in nodes]
