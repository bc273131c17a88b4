"""Tensors whose axes have index names, and what surrounds a formula."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..nodes import Node
from ..products import product
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
