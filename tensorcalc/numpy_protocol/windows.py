"""Functions that shift: rolls, flips, padding, differences, sliding windows, convolutions.

A convolution is ``sum over j of a[j] v[i - j]``: one product with a Delta, whose adjoints are the
same product with another output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError, TraceError
from ..extents import Extent, floor_divide, is_nonnegative, same_extents
from ..nodes import Node
from ..products import scale
from ..sums import subtract
from .convert import as_node, broadcast_to
from .functions import described, implements, normal_axes, normal_axis
from .indexing import getitem
from .joining import concatenate, embedded
from .shapes import Size, affine_view, at_most, ravel, reshape, swapaxes


def part(node: Node, axis: int, bounds: slice) -> Node:
    """``node[..., bounds, ...]`` along ``axis``."""
    return getitem(node, (slice(None),) * axis + (bounds,))


# -- cyclic shifts and reversals ------------------------------------------------------------------
@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Node:
    """``out[i] = a[(i - shift) mod n]``: some ``t`` in 0, 1 has ``i - k - shift + n*t = 0``."""
    node = as_node(a)
    if axis is None:
        return reshape(_rolled(ravel(node), 0, shift), node.extents)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    shifts = shift if isinstance(shift, (tuple, list)) else (shift,) * len(axes)
    for each, by in zip(axes, shifts, strict=True):
        node = _rolled(node, normal_axis(each, node.ndim), by)
    return node


def _rolled(node: Node, axis: int, shift: Any) -> Node:
    extent = node.extents[axis]
    if same_extents((extent,), (0,)):
        return node
    by = shift if isinstance(shift, Extent) else shift.__index__()
    by = extent + by if is_nonnegative(-by - 1) else by
    if not (at_most(0, by) and at_most(by, extent)):
        by = by % extent.__index__()
    labels: list[Any] = list(range(node.ndim))
    labels[axis] = "in"
    row = {axis: 1, "in": -1, "turn": extent}, -by
    return affine_view(node, labels, range(node.ndim), {axis: extent, "turn": 2}, [row])


@implements(np.flip)
def flip(m: Any, axis: Any = None) -> Node:
    """``out[i] = m[n - 1 - i]`` along every axis named."""
    node = as_node(m)
    for each in normal_axes(axis, node.ndim):
        node = part(node, each, slice(None, None, -1))
    return node


@implements(np.fliplr)
def fliplr(m: Any) -> Node:
    """Columns in reverse order."""
    return flip(m, 1)


@implements(np.flipud)
def flipud(m: Any) -> Node:
    """Rows in reverse order."""
    return flip(m, 0)


@implements(np.rot90)
def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Node:
    """``k`` quarter turns from the first of ``axes`` towards the second."""
    node = as_node(m)
    first, second = normal_axes(axes, node.ndim)
    if k % 4 == 2:
        return flip(node, (first, second))
    turned = swapaxes(flip(node, second) if k % 4 == 1 else node, first, second)
    return node if k % 4 == 0 else turned if k % 4 == 1 else flip(turned, second)


# -- padding --------------------------------------------------------------------------------------
@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Node:
    """``array`` with a margin along every axis.

    Raises TraceError for a mode other than constant, edge, reflect, symmetric and wrap, ShapeError
    if a margin that repeats entries is wider than the array.
    """
    node = as_node(array)
    widths = _pairs(pad_width, node.ndim)
    if mode == "constant":
        return _padded_by_constant(node, widths, _pairs(constant_values, node.ndim))
    if mode not in _MARGINS:
        raise TraceError(
            f"np.pad with mode={mode!r}", [f"modes that can: constant, {', '.join(_MARGINS)}"]
        )
    for axis, (before, after) in enumerate(widths):
        node = _padded_by_margins(node, axis, before, after, mode)
    return node


def _pairs(given: Any, rank: int) -> list[tuple[Any, Any]]:
    """``pad_width`` as NumPy takes it: a number, a pair, or a pair for each axis."""
    if isinstance(given, dict):
        pairs = {normal_axis(axis, rank): value for axis, value in given.items()}
        return [_pairs(pairs.get(axis, 0), 1)[0] for axis in range(rank)]
    if not isinstance(given, (tuple, list, np.ndarray)):
        return [(given, given)] * rank
    if not any(isinstance(each, (tuple, list, np.ndarray)) for each in given):
        return [(given[0], given[-1])] * rank
    rows = [tuple(each) for each in given]
    return [(row[0], row[-1]) for row in (rows * rank if len(rows) == 1 else rows)]


def _padded_by_constant(node: Node, widths: Sequence[Any], values: Sequence[Any]) -> Node:
    for axis, ((before, after), (low, high)) in enumerate(zip(widths, values, strict=True)):
        extent = node.extents[axis]
        total = extent + before + after
        inner = embedded(node, axis, before, total)
        for width, value, offset in ((before, low, 0), (after, high, before + extent)):
            if not _is_number(value, 0) and not _is_number(width, 0):
                margin = broadcast_to(as_node(value), _with(node.extents, axis, width))
                inner = inner + embedded(margin, axis, offset, total)
        node = inner
    return node


def _is_number(value: Any, number: int) -> bool:
    return isinstance(value, (int, float, np.number)) and bool(value == number)


def _with(extents: Sequence[Size], axis: int, extent: Size) -> tuple[Size, ...]:
    return (*extents[:axis], extent, *extents[axis + 1 :])


#: Slices of ``n`` entries that stand before and after, for margins of ``b`` and ``a`` entries.
_MARGINS: dict[str, Any] = {
    "edge": lambda n, b, a: (slice(0, 1), slice(n - 1, n)),
    "reflect": lambda n, b, a: (slice(b, 0, -1), slice(n - 2, n - 2 - a, -1)),
    "symmetric": lambda n, b, a: (slice(b - 1, None, -1), slice(n - 1, n - 1 - a, -1)),
    "wrap": lambda n, b, a: (slice(n - b, n), slice(0, a)),
}


def _padded_by_margins(node: Node, axis: int, before: Any, after: Any, mode: str) -> Node:
    extent = node.extents[axis]
    widest = extent - 1 if mode == "reflect" else extent
    if mode != "edge" and not (at_most(before, widest) and at_most(after, widest)):
        raise ShapeError(
            f"np.pad with mode={mode!r}: margins {(before, after)} exceed an axis of size {extent}",
            described(node),
            "pad in two steps",
        )
    slices = _MARGINS[mode](extent, before, after)
    parts = [node]
    for place, width, bounds in ((0, before, slices[0]), (2, after, slices[1])):
        if not _is_number(width, 0):
            margin = _margin(node, axis, bounds, width)
            parts = [margin, *parts] if place == 0 else [*parts, margin]
    return concatenate(parts, axis)


def _margin(node: Node, axis: int, bounds: slice, width: Any) -> Node:
    """``width`` entries: taken by an affine row from ``bounds.start`` on, or one entry repeated."""
    labels: list[Any] = list(range(node.ndim))
    labels[axis] = "in"
    step = bounds.step or 1
    repeated = step == 1 and _is_number(bounds.stop - bounds.start, 1)
    row: dict[Any, Any] = {"in": 1} if repeated else {"in": 1, axis: -step}
    return affine_view(node, labels, range(node.ndim), {axis: width}, [(row, -bounds.start)])


# -- differences ----------------------------------------------------------------------------------
@implements(np.diff)
def diff(a: Any, n: int = 1, axis: Any = -1, prepend: Any = None, append: Any = None) -> Node:
    """``out[i] = a[i + 1] - a[i]``, ``n`` times."""
    node = as_node(a)
    along = normal_axis(axis, node.ndim)
    ends = [_end(node, along, value) for value in (prepend, append)]
    parts = [*ends[0], node, *ends[1]]
    node = concatenate(parts, along) if len(parts) > 1 else node
    if not at_most(n, node.extents[along]):
        raise ShapeError(
            f"difference of order {n} of an axis of size {node.extents[along]}",
            described(node),
            "an axis needs as many entries as the order",
        )
    for _ in range(n):
        count = node.extents[along] - 1
        node = subtract(_shifted(node, along, 1, count), _shifted(node, along, 0, count))
    return node


def _end(node: Node, axis: int, value: Any) -> list[Node]:
    if value is None:
        return []
    end = as_node(value)
    return [end if end.ndim else broadcast_to(end, _with(node.extents, axis, 1))]


def _shifted(node: Node, axis: int, start: Size, count: Size) -> Node:
    """``count`` entries from ``start`` on, which the caller knows to exist."""
    labels: list[Any] = list(range(node.ndim))
    labels[axis] = "in"
    row = {"in": 1, axis: -1}, -start
    return affine_view(node, labels, range(node.ndim), {axis: count}, [row])


@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Node:
    """Differences of neighbours in the raveled array."""
    ends = [[] if value is None else [ravel(value)] for value in (to_begin, to_end)]
    return concatenate([*ends[0], diff(ravel(ary)), *ends[1]])


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: Any = -1) -> Any:
    """``sum over i of (x[i + 1] - x[i]) (y[i + 1] + y[i]) / 2``."""
    node = as_node(y)
    along = normal_axis(axis, node.ndim)
    count = node.extents[along] - 1
    middle = scale(0.5, _shifted(node, along, 0, count) + _shifted(node, along, 1, count))
    if x is None:
        return np.sum(middle * as_node(dx), axis=along)
    grid = as_node(x)
    steps = diff(grid, axis=along if grid.ndim > 1 else 0)
    if grid.ndim == 1:
        steps = reshape(steps, [-1 if k == along else 1 for k in range(node.ndim)])
    return np.sum(steps * middle, axis=along)


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None) -> Any:
    """Central differences inside, one-sided ones at both ends; uniform spacing."""
    node = as_node(f)
    axes = normal_axes(axis, node.ndim)
    steps = varargs * len(axes) if len(varargs) == 1 else varargs or (1.0,) * len(axes)
    if any(np.ndim(step) for step in steps):
        raise TraceError("np.gradient with coordinates", hint="give one spacing per axis")
    slopes = [_slope(node, along) / as_node(h) for along, h in zip(axes, steps, strict=True)]
    return slopes[0] if len(slopes) == 1 else tuple(slopes)


def _slope(node: Node, axis: int) -> Node:
    if not at_most(2, node.extents[axis]):
        raise ShapeError("np.gradient along an axis of fewer than two entries", described(node))
    ends = [
        subtract(part(node, axis, slice(k, k + 1)), part(node, axis, slice(j, j + 1)))
        for k, j in ((1, 0),)
    ]
    extent = node.extents[axis]
    last = subtract(
        part(node, axis, slice(extent - 1, extent)), part(node, axis, slice(extent - 2, extent - 1))
    )
    inner = subtract(_shifted(node, axis, 2, extent - 2), _shifted(node, axis, 0, extent - 2))
    return concatenate([*ends, scale(0.5, inner), last], axis)


# -- windows and convolutions ---------------------------------------------------------------------
@implements(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, writeable: bool = False
) -> Node:
    """``out[..., i, ..., u] = x[..., i + u, ...]``; the axes of the window come last.

    Raises ShapeError if the window is wider than the axis.
    """
    node = as_node(x)
    widths = window_shape if isinstance(window_shape, (tuple, list)) else (window_shape,)
    axes = normal_axes(axis, node.ndim)
    if writeable or len(widths) != len(axes):
        raise ShapeError(
            f"sliding_window_view with window {tuple(widths)} along {len(axes)} axes",
            described(node),
            "give one width per axis; the view cannot be written to",
        )
    for along, width in zip(axes, widths, strict=True):
        node = _windows(node, along, width)
    return node


def _windows(node: Node, axis: int, width: Size) -> Node:
    extent = node.extents[axis]
    if not at_most(width, extent):
        raise ShapeError(
            f"a window of {width} entries on an axis of size {extent}",
            described(node),
            "narrow the window",
        )
    labels: list[Any] = list(range(node.ndim))
    labels[axis] = "in"
    sizes = {axis: extent - width + 1, "window": width}
    row = {"in": 1, axis: -1, "window": -1}, 0
    return affine_view(node, labels, (*range(node.ndim), "window"), sizes, [row])


@implements(np.convolve)
def convolve(a: Any, v: Any, mode: str = "full") -> Node:
    """``out[i] = sum over j of a[j] v[i - j]``; "same" and "valid" are parts of "full"."""
    left, right = _vectors(a, v, "convolve")
    longer, shorter = _by_length(left, right, mode)
    n, m = longer.extents[0], shorter.extents[0]
    start, count = {
        "full": (0, n + m - 1),
        "same": (floor_divide(m - 1, 2), n),
        "valid": (m - 1, n - m + 1),
    }[mode]
    sources = affine_view(
        longer, ("j",), ("i", "k"), {"i": count, "k": m}, [({"i": 1, "j": -1, "k": -1}, start)]
    )
    return np.matmul(sources, shorter)


@implements(np.correlate)
def correlate(a: Any, v: Any, mode: str = "valid") -> Node:
    """``out[i] = sum over j of a[i + j] v[j]``, a convolution with ``v`` reversed."""
    left, right = _vectors(a, v, "correlate")
    swapped = mode != "full" and not at_most(right.extents[0], left.extents[0])
    if swapped:
        return flip(convolve(right, flip(left), mode))
    return convolve(left, flip(right), mode)


def _vectors(a: Any, v: Any, attempt: str) -> tuple[Node, Node]:
    left, right = as_node(a), as_node(v)
    if left.ndim != 1 or right.ndim != 1:
        raise ShapeError(
            f"{attempt} of arrays that are not vectors",
            described(left, right),
            "index or ravel them",
        )
    return left, right


def _by_length(left: Node, right: Node, mode: str) -> tuple[Node, Node]:
    if mode not in ("full", "same", "valid"):
        raise TraceError(
            f"convolution with mode={mode!r}", hint='modes are "full", "same" and "valid"'
        )
    if mode == "full" or at_most(right.extents[0], left.extents[0]):
        return left, right
    return right, left
