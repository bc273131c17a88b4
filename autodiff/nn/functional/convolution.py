"""Convolutions over any number of axes, and their transposes: products with window deltas.

``out[b, o, y] = sum over c, u, h of x[b, c, h] w[o, c, u] [h = stride*y + dilation*u - padding]``:
what other frameworks call convolution, without the kernel flipped. Gradients are the same product
with another output.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorcalc.errors import ShapeError
from tensorcalc.extents import is_equal
from tensorcalc.products import product

from ...graph import layer_function
from .geometry import axes_of, join_axes, per_axis, split_axis, window_count, window_delta

#: Names that NumPy has for the ways to pad of layers.
PADDINGS = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def convolution(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> Any:
    """The convolution over as many axes as ``weight`` has beyond two.

    Shapes: input ``(b, c, h...)`` or ``(c, h...)``, weight ``(o, c // groups, u...)``, bias
    ``(o,)``. Raises ShapeError where channels or ranks do not fit.
    """
    dims = weight.ndim - 2
    x, batched = _batched(input, dims)
    axes = axes_of(weight.extents[2:], stride, padding, dilation)
    if padding_mode != "zeros":
        widths = [(0, 0), (0, 0), *((axis.before, axis.after) for axis in axes)]
        x = np.pad(x, widths, mode=PADDINGS[padding_mode])  # type: ignore[call-overload]
        axes = [axis._replace(before=0, after=0) for axis in axes]
    _check_channels(x.extents[1], weight.extents[1] * groups, input, weight, groups)
    labels_x, labels_w = ["b", "g", "c"], ["g", "o", "c"]
    out, sizes, deltas, subscripts = ["b", "g", "o"], {}, [], []
    for k, axis in enumerate(axes):
        h, y, u = f"h{k}", f"y{k}", f"u{k}"
        extent, width = x.extents[2 + k], weight.extents[2 + k]
        sizes[y] = window_count(extent, width, axis)
        deltas.append(window_delta(extent, sizes[y], width, axis))
        subscripts.append((h, y, u))
        labels_x.append(h)
        labels_w.append(u)
        out.append(y)
    x, w = _grouped(x, 1, groups), _grouped(weight, 0, groups)
    if groups == 1:
        labels_x, labels_w, out = map(_without_groups, (labels_x, labels_w, out))
    result = product((x, w, *deltas), (labels_x, labels_w, *subscripts), out, sizes)
    result = result if groups == 1 else join_axes(result, 1)
    return _finished(result, bias, dims, batched)


def transposed_convolution(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """The adjoint of a convolution with respect to its input, as a layer.

    ``out[b, o, h] = sum over c, y, u of x[b, c, y] w[c, o, u] [h = stride*y + dilation*u - pad]``
    with ``(y - 1)*stride - 2*padding + dilation*(u - 1) + output_padding + 1`` positions ``h``.

    Shapes: input ``(b, c, y...)`` or ``(c, y...)``, weight ``(c, o // groups, u...)``.
    """
    dims = weight.ndim - 2
    x, batched = _batched(input, dims)
    axes = axes_of(weight.extents[2:], stride, padding, dilation)
    extra = per_axis(output_padding, dims, "output_padding")
    _check_channels(x.extents[1], weight.extents[0], input, weight, 1)
    labels_x, labels_w = ["b", "g", "c"], ["g", "c", "o"]
    out, sizes, deltas, subscripts = ["b", "g", "o"], {}, [], []
    for k, axis in enumerate(axes):
        h, y, u = f"h{k}", f"y{k}", f"u{k}"
        count, width = x.extents[2 + k], weight.extents[2 + k]
        reach = axis.dilation * (width - 1) + extra[k] + 1
        sizes[h] = (count - 1) * axis.stride - axis.before - axis.after + reach
        deltas.append(window_delta(sizes[h], count, width, axis))
        subscripts.append((h, y, u))
        labels_x.append(y)
        labels_w.append(u)
        out.append(h)
    x, w = _grouped(x, 1, groups), _grouped(weight, 0, groups)
    if groups == 1:
        labels_x, labels_w, out = map(_without_groups, (labels_x, labels_w, out))
    result = product((x, w, *deltas), (labels_x, labels_w, *subscripts), out, sizes)
    result = result if groups == 1 else join_axes(result, 1)
    return _finished(result, bias, dims, batched)


def _batched(x: Any, dims: int) -> tuple[Any, bool]:
    if x.ndim not in (dims + 1, dims + 2):
        raise ShapeError(
            f"a convolution over {dims} axes of an input with {x.ndim} axes",
            [f"input: shape {x.extents}"],
            f"pass {dims + 2} axes: batch, channels, then space; or {dims + 1} without the batch",
        )
    return (x, True) if x.ndim == dims + 2 else (x[None], False)


def _without_groups(labels: list[str]) -> list[str]:
    return [label for label in labels if label != "g"]


def _grouped(node: Any, axis: int, groups: int) -> Any:
    return node if groups == 1 else split_axis(node, axis, groups)


def _check_channels(channels: Any, expected: Any, x: Any, weight: Any, groups: int) -> None:
    if not is_equal(channels, expected):
        raise ShapeError(
            f"the input has {channels} channels, the kernel takes {expected}",
            [f"input: shape {x.extents}", f"weight: shape {weight.extents}, groups {groups}"],
            "channels are the axis after the batch",
        )


def _finished(result: Any, bias: Any, dims: int, batched: bool) -> Any:
    if bias is not None:
        result = result + bias[(slice(None), *[None] * dims)]
    return result if batched else result[0]


def _over(dims: int, body: Any, name: str) -> Any:
    """The layer function over ``dims`` axes."""

    def layer(input: Any, weight: Any, bias: Any = None, *args: Any, **kwargs: Any) -> Any:
        if weight.ndim != dims + 2:
            raise ShapeError(
                f"{name} with a weight of {weight.ndim} axes",
                [f"weight: shape {weight.extents}"],
                f"a kernel over {dims} axes has {dims + 2}",
            )
        return body(input, weight, bias, *args, **kwargs)

    layer.__name__ = layer.__qualname__ = name
    layer.__doc__ = body.__doc__
    return layer_function(layer)


conv1d = _over(1, convolution, "conv1d")
conv2d = _over(2, convolution, "conv2d")
conv3d = _over(3, convolution, "conv3d")
conv_transpose1d = _over(1, transposed_convolution, "conv_transpose1d")
conv_transpose2d = _over(2, transposed_convolution, "conv_transpose2d")
conv_transpose3d = _over(3, transposed_convolution, "conv_transpose3d")

__all__ = [
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "convolution",
    "transposed_convolution",
]
