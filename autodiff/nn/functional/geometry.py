"""Windows over spatial axes: the affine deltas that convolution and pooling share.

Window ``y``, offset ``u`` of an axis looks at position ``h = stride*y + dilation*u - before``; a
position outside the axis counts as zero, because a Delta has no entry there. The number of windows
is ``(h + before + after - dilation*(u - 1) - 1) // stride + 1``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tensorcalc.errors import ShapeError
from tensorcalc.extents import floor_divide, is_equal
from tensorcalc.nodes import Delta, Node
from tensorcalc.numpy_protocol.shapes import at_most
from tensorcalc.products import product


class Axis(NamedTuple):
    """How windows move along one axis."""

    stride: int
    before: Any
    after: Any
    dilation: int


def per_axis(value: Any, count: int, what: str) -> tuple[int, ...]:
    """One number for all axes, or one number each.

    Raises ShapeError if there are neither one nor ``count`` of them.
    """
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * count
    if len(values) != count:
        raise ShapeError(
            f"{what} {tuple(values)} for {count} spatial axes", hint="give one number, or one each"
        )
    return values


def axes_of(kernel: Sequence[Any], stride: Any, padding: Any, dilation: Any) -> list[Axis]:
    """The axes of windows of shape ``kernel``; ``padding`` is n, one per axis, "same" or "valid".

    Raises ShapeError for "same" with a stride, for which it has no meaning, ValueError for another
    word.
    """
    count = len(kernel)
    strides = per_axis(stride, count, "stride")
    dilations = per_axis(dilation, count, "dilation")
    if isinstance(padding, str) and padding not in ("same", "valid"):
        raise ValueError(
            f"padding={padding!r}: use 'same', 'valid', a number, or one for each axis"
        )
    if padding == "valid":
        padding = 0
    if padding == "same":
        if any(s != 1 for s in strides):
            raise ShapeError(
                f"padding='same' with stride {strides}",
                hint="give the padding as a number: (kernel_size - 1) // 2 halves an even axis",
            )
        totals = [d * (k - 1) for d, k in zip(dilations, kernel, strict=True)]
        margins = [(floor_divide(t, 2), t - floor_divide(t, 2)) for t in totals]
    else:
        margins = [(p, p) for p in per_axis(padding, count, "padding")]
    return [
        Axis(s, before, after, d)
        for s, (before, after), d in zip(strides, margins, dilations, strict=True)
    ]


def window_count(extent: Any, width: Any, axis: Axis, ceil_mode: bool = False) -> Any:
    """Number of windows of ``width`` offsets on an axis.

    With ``ceil_mode`` the last window may reach beyond the end, but must begin before it.
    Raises ShapeError if not even one window fits.
    """
    room = extent + axis.before + axis.after - axis.dilation * (width - 1) - 1
    if not at_most(0, room):
        raise ShapeError(
            f"a window of {width} entries (dilation {axis.dilation}) on an axis of size {extent} "
            f"with padding {(axis.before, axis.after)}",
            hint="narrow the kernel or pad more",
        )
    if not ceil_mode:
        return floor_divide(room, axis.stride) + 1
    count = floor_divide(room + axis.stride - 1, axis.stride) + 1
    last_begins = (count - 1) * axis.stride
    return count if at_most(last_begins, extent + axis.before - 1) else count - 1


def split_axis(node: Node, axis: int, count: int) -> Node:
    """``out[..., i, e, ...] = node[..., each*i + e, ...]``: an axis as ``count`` groups.

    Raises ShapeError if the axis does not divide.
    """
    extent = node.extents[axis]
    each = floor_divide(extent, count)
    if not is_equal(each * count, extent):
        raise ShapeError(
            f"an axis of size {extent} in {count} groups",
            [f"array: shape {node.extents}, axis {axis}"],
            "the number of groups must divide the size",
        )
    labels: list[Any] = list(range(node.ndim))
    output = [*labels[:axis], "group", "entry", *labels[axis + 1 :]]
    delta = Delta((((1, -each, -1), 0),), (extent, count, each))
    return product((node, delta), (labels, (axis, "group", "entry")), output)


def join_axes(node: Node, axis: int) -> Node:
    """``out[..., each*i + e, ...] = node[..., i, e, ...]``: two neighbouring axes as one."""
    count, each = node.extents[axis : axis + 2]
    labels: list[Any] = list(range(node.ndim))
    output = [*labels[:axis], "joined", *labels[axis + 2 :]]
    delta = Delta((((1, -each, -1), 0),), (count * each, count, each))
    return product((node, delta), (labels, ("joined", axis, axis + 1)), output)


def window_delta(extent: Any, count: Any, width: Any, axis: Axis) -> Node:
    """``[h - stride*y - dilation*u + before == 0]`` with axes h, y, u."""
    row = ((1, -axis.stride, -axis.dilation), axis.before)
    return Delta((row,), (extent, count, width))
