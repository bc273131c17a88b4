"""Small tensors that partial derivatives are built from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..applications import power
from ..nodes import Delta
from ..products import broadcast, kronecker, product, scale, transpose
from ..sums import add


def contract(operands: Sequence[Any], subscripts: Sequence[str], output: str) -> Any:
    """A product whose core labels are letters; operands without batch axes go with every batch."""
    ranks = [o.ndim - len(s) for o, s in zip(operands, subscripts, strict=True)]
    batch = tuple(range(max(ranks)))
    labels = [(*batch[: rank or 0], *s) for rank, s in zip(ranks, subscripts, strict=True)]
    return product(operands, labels, (*batch, *output))


def swapped(node: Any) -> Any:
    """``node`` with its last two axes exchanged."""
    return transpose(node, (*range(node.ndim - 2), node.ndim - 1, node.ndim - 2))


def symmetrized(node: Any) -> Any:
    """Half of ``node`` and half of its transpose in the last two axes."""
    return add(scale(0.5, node), scale(0.5, swapped(node)))


def identity_like(node: Any) -> Any:
    """The identity over the last two axes of ``node``, repeated over its batch axes."""
    core = (node.ndim - 2, node.ndim - 1)
    return broadcast(kronecker(node.extents[-1:]), core, node.extents)


def diagonal_matrix(node: Any) -> Any:
    """``node[..., i] delta[i, j]`` over the last axis."""
    return contract((node, kronecker(node.extents[-1:])), ("i", "ij"), "ij")


def lower_triangle(extent: Any) -> Any:
    """``out[i, j] = [i >= j]``: some ``s`` has ``i - j - s = 0``."""
    rows = Delta((((1, -1, -1), 0),), (extent, extent, extent))
    return product((rows,), (("i", "j", "s"),), ("i", "j"))


def constant_like(node: Any, value: float) -> Any:
    """``value`` in the shape of ``node``."""
    return scale(value, power(node, 0))
