"""Functions that only rearrange: transposition, reshaping, stretching, joining.

Every one is a product of its operand with affine deltas (:mod:`tensorcalc.deltas`), so views of
views compose and adjoints need no rule.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..deltas import LabelRow
from ..errors import ShapeError, TraceError
from ..extents import Extent, floor_divide, is_equal, is_nonnegative
from ..nodes import Delta, Node, Product, Sum
from ..products import is_zero, product, transpose, zeros
from ..sums import add
from . import convert
from .convert import as_node, is_one
from .functions import described, implements, normal_axes, normal_axis, shape_text

Size = Any  # int | Extent


def at_most(left: Size, right: Size) -> bool:
    """Whether ``left <= right``; only if that is open, a guard, or outside a trace a TraceError."""
    margin = right - left
    if is_nonnegative(margin):
        return True
    if is_nonnegative(-margin - 1):
        return False
    number = margin.terms.get((), 0)  # ``2 <= n`` and ``0 <= n - 2`` are one question
    return -number <= margin - number


def affine_view(
    node: Node,
    labels: Sequence[Any],
    output: Sequence[Any],
    extents: Mapping[Any, Size],
    rows: Sequence[LabelRow] = (),
) -> Node:
    """``out[output] = sum(node[labels] * deltas)`` with one Delta for each row.

    ``extents`` holds the labels that ``node`` does not have. A sum of embedded parts (what
    concatenation makes) is viewed part by part where that drops parts.
    """
    if isinstance(node, Sum) and any(map(_is_embedded, node.operands)):
        parts = [affine_view(part, labels, output, extents, rows) for part in node.operands]
        if any(map(is_zero, parts)):
            return add(*parts)
    sizes = {**extents, **dict(zip(labels, node.extents, strict=True))}
    deltas = [
        Delta(((tuple(terms.values()), offset),), tuple(sizes[label] for label in terms))
        for terms, offset in rows
    ]
    subscripts = [tuple(labels), *(tuple(terms) for terms, _ in rows)]
    return product([node, *deltas], subscripts, output, extents)


def _is_embedded(node: Node) -> bool:
    return isinstance(node, Product) and any(isinstance(o, Delta) and o.rows for o in node.operands)


# -- order of axes --------------------------------------------------------------------------------
@implements(np.transpose, np.permute_dims)
def transposed(a: Any, axes: Any = None) -> Node:
    """``out[i, j, ...]`` with axis ``k`` of the result being axis ``axes[k]``."""
    node = as_node(a)
    if axes is None:
        return transpose(node, tuple(reversed(range(node.ndim))))
    order = normal_axes(axes, node.ndim)
    if len(order) != node.ndim:
        raise ShapeError(
            f"transpose to axes {tuple(axes)}", described(node), "name every axis once"
        )
    return transpose(node, order)


@implements(np.matrix_transpose, np.linalg.matrix_transpose)
def matrix_transposed(x: Any) -> Node:
    """``out[..., j, i] = x[..., i, j]``."""
    return swapaxes(x, -1, -2)


@implements(np.swapaxes)
def swapaxes(a: Any, axis1: Any, axis2: Any) -> Node:
    """Two axes exchanged."""
    node = as_node(a)
    order = list(range(node.ndim))
    first, second = normal_axis(axis1, node.ndim), normal_axis(axis2, node.ndim)
    order[first], order[second] = second, first
    return transpose(node, order)


@implements(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Node:
    """Axes ``source`` put at the places ``destination``, the others in their order."""
    node = as_node(a)
    sources, places = normal_axes(source, node.ndim), normal_axes(destination, node.ndim)
    order = [axis for axis in range(node.ndim) if axis not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return transpose(node, order)


@implements(np.rollaxis)
def rollaxis(a: Any, axis: Any, start: int = 0) -> Node:
    """Axis ``axis`` put before the axis ``start``."""
    node = as_node(a)
    moved = normal_axis(axis, node.ndim)
    place = start + node.ndim if start < 0 else start
    return moveaxis(node, moved, place - (moved < place))


# -- axes of size one -----------------------------------------------------------------------------
@implements(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Node:
    """New axes of size 1 at the places ``axis`` of the result."""
    node = as_node(a)
    rank = node.ndim + (len(axis) if isinstance(axis, (tuple, list)) else 1)
    new = set(normal_axes(axis, rank))
    labels = [k for k in range(rank) if k not in new]
    return product((node,), (labels,), range(rank), dict.fromkeys(new, 1))


@implements(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Node:
    """Axes of size 1 left out.

    Raises ShapeError if a named axis has another size.
    """
    node = as_node(a)
    if axis is None:
        gone = [k for k, extent in enumerate(node.extents) if is_one(extent)]
    else:
        gone = list(normal_axes(axis, node.ndim))
        wrong = [k for k in gone if not is_equal(node.extents[k], 1)]
        if wrong:
            raise ShapeError(
                f"squeeze of axis {wrong[0]}, whose size is {node.extents[wrong[0]]} and not 1",
                described(node),
                "sum over the axis, or index it",
            )
    return product((node,), (range(node.ndim),), [k for k in range(node.ndim) if k not in gone])


@implements(np.atleast_1d)
def atleast_1d(*arys: Any) -> Any:
    """Each with at least one axis."""
    return _one_or_many([reshape(a, (1,)) if not as_node(a).ndim else as_node(a) for a in arys])


@implements(np.atleast_2d)
def atleast_2d(*arys: Any) -> Any:
    """Each with at least two axes; vectors become rows."""
    return _one_or_many([with_leading_axes(as_node(a), 2) for a in arys])


@implements(np.atleast_3d)
def atleast_3d(*arys: Any) -> Any:
    """Each with at least three axes: ``(n,)`` becomes ``(1, n, 1)``, ``(m, n)`` ``(m, n, 1)``."""
    lifted = [with_leading_axes(as_node(a), 2) for a in arys]
    return _one_or_many([expand_dims(a, -1) if a.ndim == 2 else a for a in lifted])


def with_leading_axes(node: Node, rank: int) -> Node:
    """Axes of size 1 in front, so that there are ``rank`` at least."""
    return expand_dims(node, tuple(range(rank - node.ndim))) if node.ndim < rank else node


def _one_or_many(nodes: list[Node]) -> Any:
    return nodes[0] if len(nodes) == 1 else tuple(nodes)


# -- reshaping ------------------------------------------------------------------------------------
@implements(np.reshape)
def reshape(a: Any, shape: Any, order: str = "C") -> Node:
    """The entries in row-major order under new axes: ``k = n*i + j``; "F" in column-major order.

    Raises ShapeError if the number of entries would change and TraceError for another order.
    """
    if order not in ("C", "A", "F"):
        raise TraceError(
            f"reshape with order={order!r}, which asks how an array lies in memory",
            hint="order='C' takes the entries row by row, order='F' column by column",
        )
    node = as_node(a)
    wanted = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if order == "F":
        return np.transpose(reshape(np.transpose(node), wanted[::-1]))  # type: ignore[return-value]
    extents = _resolved_shape(node, [_extent(e, "reshape") for e in wanted])
    if any(isinstance(e, int) and e == 0 for e in (*node.extents, *extents)):
        return zeros(extents)
    return _regrouped(node, extents)


def _extent(value: Any, what: str) -> Size:
    """A size given by the user: an integer or an extent."""
    if isinstance(value, Extent):
        return value
    if isinstance(value, Node):
        raise TraceError(
            f"{what}: a size is an expression",
            [f"size: {value}"],
            "compute sizes from x.shape with //, not with / or np functions",
        )
    return value.__index__()


def _resolved_shape(node: Node, wanted: list[Size]) -> tuple[Size, ...]:
    """``wanted`` with -1 replaced by what is left over."""
    total = math.prod(node.extents)
    open_axes = [k for k, extent in enumerate(wanted) if isinstance(extent, int) and extent == -1]
    if len(open_axes) == 1:
        known = math.prod(e for k, e in enumerate(wanted) if k not in open_axes)
        wanted[open_axes[0]] = 0 if same(known, 0) else floor_divide(total, known)
    if len(open_axes) > 1 or not is_equal(math.prod(wanted), total):
        raise ShapeError(
            f"reshape of shape {shape_text(node.extents)} to {shape_text(wanted)}",
            [*described(node), f"{total} entries do not fill {math.prod(wanted)}"],
            "the products of the sizes must agree; one size may be -1",
        )
    return tuple(wanted)


def _regrouped(node: Node, extents: Sequence[Size]) -> Node:
    """One affine row per least group of old and new axes with equal numbers of entries."""
    labels: list[Any] = [("old", k) for k in range(node.ndim)]
    sizes: dict[Any, Size] = {("new", k): extent for k, extent in enumerate(extents)}
    output: list[Any] = list(sizes)
    rows: list[LabelRow] = []
    for old, new in _groups(node.extents, extents):
        if len(old) == len(new) == 1:
            output[new[0]] = labels[old[0]]
            continue
        terms = dict(
            zip([labels[k] for k in old], _strides([node.extents[k] for k in old]), strict=True)
        )
        strides = _strides([extents[k] for k in new])
        terms.update({output[k]: -stride for k, stride in zip(new, strides, strict=True)})
        rows.append((terms, 0))
    used = {label: sizes[label] for label in output if label in sizes}
    return affine_view(node, labels, output, used, rows)


def _groups(old: Sequence[Size], new: Sequence[Size]) -> list[tuple[list[int], list[int]]]:
    """Axes cut wherever the numbers of entries before them agree; axes of size 1 left out."""
    groups: list[tuple[list[int], list[int]]] = []
    left = _cuts(old)
    right = _cuts(new)
    common = [entries for entries in left if any(same(entries, other) for other in right)]
    for number in range(max(len(common), 1)):
        last = number >= len(common) - 1
        stop = None if last else common[number + 1]
        start = common[number] if common else 1
        groups.append((_between(left, start, stop), _between(right, start, stop)))
    return [group for group in groups if group[0] or group[1]]


def _cuts(extents: Sequence[Size]) -> dict[Size, int]:
    """Number of entries before each axis that is not of size 1, and that axis."""
    before: Size = 1
    cuts: dict[Size, int] = {}
    for axis, extent in enumerate(extents):
        if not (isinstance(extent, int) and extent == 1):
            cuts[before] = axis
            before = before * extent
    return cuts


def _between(cuts: dict[Size, int], start: Size, stop: Size | None) -> list[int]:
    axes = list(cuts.items())
    first = next((k for k, (entries, _) in enumerate(axes) if same(entries, start)), len(axes))
    last = len(axes)
    if stop is not None:
        last = next(k for k, (entries, _) in enumerate(axes) if same(entries, stop))
    return [axis for _, axis in axes[first:last]]


def same(left: Size, right: Size) -> bool:
    """Structural equality of two sizes, without a guard."""
    return left is right or (isinstance(left, int) and isinstance(right, int) and left == right)


def _strides(extents: Sequence[Size]) -> list[Size]:
    return [math.prod(extents[k + 1 :]) for k in range(len(extents))]


@implements(np.ravel)
def ravel(a: Any, order: str = "C") -> Node:
    """All entries in row-major order as a vector."""
    node = as_node(a)
    return reshape(node, (math.prod(node.extents),), order)


# -- stretching -----------------------------------------------------------------------------------
@implements(np.broadcast_to)
def broadcast_to(array: Any, shape: Any) -> Node:
    """``array`` repeated along new axes and axes of size 1.

    Raises ShapeError if another axis would change.
    """
    node = as_node(array)
    wanted = tuple(
        _extent(e, "broadcast_to")
        for e in (shape if isinstance(shape, (tuple, list)) else (shape,))
    )
    fits = node.ndim <= len(wanted) and all(
        convert.stretches(own, new) or is_equal(own, new)
        for own, new in zip(node.extents, wanted[len(wanted) - node.ndim :], strict=True)
    )
    if not fits:
        raise ShapeError(
            f"broadcast_to shape {shape_text(wanted)}",
            described(node),
            "only axes of size 1 stretch",
        )
    return convert.broadcast_to(node, wanted)


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Any) -> tuple[Node, ...]:
    """All operands with their common shape."""
    return tuple(convert.broadcast_operands(*map(as_node, args), scalars=False))


@implements(np.tile)
def tile(A: Any, reps: Any) -> Node:
    """``out[n*r + i] = A[i]`` for every repetition ``r`` along each axis."""
    node = as_node(A)
    counts = list(reps) if isinstance(reps, (tuple, list)) else [reps]
    counts = [1] * (node.ndim - len(counts)) + counts
    node = with_leading_axes(node, len(counts))
    for axis, count in enumerate(counts):
        if not (isinstance(count, int) and count == 1):
            node = _repeated(node, axis, count, blocks=True)
    return node


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: Any = None) -> Node:
    """``out[c*i + r] = a[i]`` for every repetition ``r < c``.

    ``repeats`` is one number, or one per index (then gathered).
    """
    node = ravel(a) if axis is None else as_node(a)
    along = normal_axis(0 if axis is None else axis, node.ndim)
    if isinstance(repeats, (list, tuple, np.ndarray)) and np.ndim(repeats):
        rows = np.repeat(np.arange(node.extents[along].__index__()), repeats)
        return node[(slice(None),) * along + (rows,)]
    return _repeated(node, along, _extent(repeats, "repeat"), blocks=False)


def _repeated(node: Node, axis: int, count: Size, blocks: bool) -> Node:
    size = node.extents[axis]
    labels: list[Any] = list(range(node.ndim))
    labels[axis] = "in"
    strides = (1, size) if blocks else (count, 1)
    row = {axis: 1, "in": -strides[0], "copy": -strides[1]}, 0
    return affine_view(node, labels, range(node.ndim), {axis: size * count, "copy": count}, [row])
