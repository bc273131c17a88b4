"""Functions that join and split arrays: sums of parts embedded by affine deltas, and slices."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..extents import floor_divide, is_equal
from ..nodes import Node
from ..sums import add
from .convert import as_node
from .functions import described, implements, normal_axis
from .indexing import getitem
from .shapes import (
    Size,
    affine_view,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_arrays,
    expand_dims,
    ravel,
    reshape,
    same,
    with_leading_axes,
)


@implements(np.concatenate)
def concatenate(arrays: Sequence[Any], axis: Any = 0) -> Node:
    """``out[i] = sum over k of arrays[k][i - offset_k]`` along ``axis``; None joins them raveled.

    Raises ShapeError if another axis differs.
    """
    nodes = list(map(as_node, arrays))
    if axis is None:
        nodes, axis = list(map(ravel, nodes)), 0
    _check_joinable(nodes, axis)
    along = normal_axis(axis, nodes[0].ndim)
    total = sum((node.extents[along] for node in nodes[1:]), nodes[0].extents[along])
    parts, offset = [], 0
    for node in nodes:
        parts.append(embedded(node, along, offset, total))
        offset = offset + node.extents[along]
    return add(*parts)


def embedded(node: Node, axis: int, offset: Size, total: Size) -> Node:
    """``node`` at ``offset`` along an axis of size ``total``, zero elsewhere."""
    if same(node.extents[axis], total):
        return node
    labels: list[Any] = list(range(node.ndim))
    labels[axis] = "in"
    return affine_view(
        node, labels, range(node.ndim), {axis: total}, [({axis: 1, "in": -1}, -offset)]
    )


def _check_joinable(nodes: Sequence[Node], axis: Any) -> None:
    if not nodes:
        raise ShapeError("concatenation of no arrays", hint="pass at least one")
    first = nodes[0]
    for k, node in enumerate(nodes):
        along = normal_axis(axis, first.ndim)
        fits = node.ndim == first.ndim and all(
            is_equal(a, b)
            for j, (a, b) in enumerate(zip(node.extents, first.extents, strict=True))
            if j != along
        )
        if not fits:
            raise ShapeError(
                f"concatenation along axis {along}: operand {k} does not fit operand 0",
                described(*nodes),
                "all axes but the joined one must agree",
            )


@implements(np.stack)
def stack(arrays: Sequence[Any], axis: Any = 0) -> Node:
    """``out[k, ...] = arrays[k][...]`` with the new axis at ``axis``.

    Raises ShapeError if the shapes differ.
    """
    nodes = list(map(as_node, arrays))
    if not nodes:
        raise ShapeError("stack of no arrays", hint="pass at least one")
    if len({node.ndim for node in nodes}) > 1:
        raise ShapeError(
            "stack of arrays of different rank", described(*nodes), "give all one shape"
        )
    along = normal_axis(axis, nodes[0].ndim + 1)
    return concatenate([expand_dims(node, along) for node in nodes], along)


@implements(np.vstack)
def vstack(tup: Sequence[Any]) -> Node:
    """Joined along the first axis; vectors are rows."""
    return concatenate([atleast_2d(a) for a in tup], 0)


@implements(np.hstack)
def hstack(tup: Sequence[Any]) -> Node:
    """Joined along the second axis; vectors along their only one."""
    nodes = [atleast_1d(a) for a in tup]
    return concatenate(nodes, min(nodes[0].ndim - 1, 1))


@implements(np.dstack)
def dstack(tup: Sequence[Any]) -> Node:
    """Joined along the third axis."""
    return concatenate([atleast_3d(a) for a in tup], 2)


@implements(np.column_stack)
def column_stack(tup: Sequence[Any]) -> Node:
    """Vectors as columns, matrices side by side."""
    nodes = list(map(as_node, tup))
    return concatenate([reshape(a, (-1, 1)) if a.ndim < 2 else a for a in nodes], 1)


@implements(np.block)
def block(arrays: Any) -> Node:
    """Nested lists of blocks: the innermost lists are joined along the last axis, and so on out."""
    depth = _list_depth(arrays)
    rank = max([depth, *(node.ndim for node in _leaves(arrays))])

    def joined(part: Any, level: int) -> Node:
        if not isinstance(part, list):
            return with_leading_axes(as_node(part), rank)
        return concatenate([joined(each, level + 1) for each in part], rank - depth + level)

    return joined(arrays, 0)


def _list_depth(arrays: Any) -> int:
    return 1 + _list_depth(arrays[0]) if isinstance(arrays, list) else 0


def _leaves(arrays: Any) -> list[Node]:
    if isinstance(arrays, list):
        return [leaf for part in arrays for leaf in _leaves(part)]
    return [as_node(arrays)]


@implements(np.append)
def append(arr: Any, values: Any, axis: Any = None) -> Node:
    """``values`` after ``arr``."""
    return concatenate([arr, values], axis)


@implements(np.meshgrid)
def meshgrid(
    *xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy"
) -> tuple[Node, ...]:
    """Coordinate matrices: ``out_k[i_0, i_1, ...] = xi[k][i_k]``."""
    nodes = [reshape(x, (-1,)) for x in map(as_node, xi)]
    rank = len(nodes)
    places = list(range(rank))
    if indexing == "xy" and rank > 1:
        places[:2] = [1, 0]
    spread = [
        expand_dims(node, tuple(k for k in range(rank) if k != place))
        for node, place in zip(nodes, places, strict=True)
    ]
    return tuple(spread) if sparse else broadcast_arrays(*spread)


# -- splitting ------------------------------------------------------------------------------------
@implements(np.split)
def split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[Node]:
    """Equal parts, or the slices between positions.

    Raises ShapeError if the axis does not divide.
    """
    node = as_node(ary)
    along = normal_axis(axis, node.ndim)
    if np.ndim(indices_or_sections) == 0:
        size = floor_divide(node.extents[along], indices_or_sections)
        if not is_equal(size * indices_or_sections, node.extents[along]):
            raise ShapeError(
                f"split of {node.extents[along]} entries into {indices_or_sections} equal parts",
                described(node),
                "use np.array_split, or give the positions of the cuts",
            )
        indices_or_sections = [size * k for k in range(1, indices_or_sections)]
    return _cut(node, list(indices_or_sections), along)


@implements(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[Node]:
    """Parts whose sizes differ by one at most; unequal parts pin the size."""
    node = as_node(ary)
    along = normal_axis(axis, node.ndim)
    if np.ndim(indices_or_sections):
        return _cut(node, list(indices_or_sections), along)
    extent = node.extents[along]
    size = floor_divide(extent, indices_or_sections)
    if same(size * indices_or_sections, extent):
        return _cut(node, [size * k for k in range(1, indices_or_sections)], along)
    size, longer = divmod(extent.__index__(), indices_or_sections)
    return _cut(node, [size * k + min(k, longer) for k in range(1, indices_or_sections)], along)


def _cut(node: Node, positions: list[Any], axis: int) -> list[Node]:
    before = (slice(None),) * axis
    bounds = [None, *positions, None]
    return [getitem(node, (*before, slice(a, b))) for a, b in pairwise(bounds)]


@implements(np.vsplit)
def vsplit(ary: Any, indices_or_sections: Any) -> list[Node]:
    """Split along the first axis."""
    return split(ary, indices_or_sections, 0)


@implements(np.hsplit)
def hsplit(ary: Any, indices_or_sections: Any) -> list[Node]:
    """Split along the second axis, a vector along its only one."""
    return split(ary, indices_or_sections, min(as_node(ary).ndim - 1, 1))


@implements(np.dsplit)
def dsplit(ary: Any, indices_or_sections: Any) -> list[Node]:
    """Split along the third axis."""
    return split(ary, indices_or_sections, 2)


@implements(np.unstack)
def unstack(x: Any, *, axis: Any = 0) -> tuple[Node, ...]:
    """The slices along an axis, whose size is pinned."""
    node = as_node(x)
    before = (slice(None),) * normal_axis(axis, node.ndim)
    count = node.extents[len(before)].__index__()
    return tuple(getitem(node, (*before, k)) for k in range(count))
