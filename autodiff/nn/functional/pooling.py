"""Pooling over any number of axes: windows by deltas, then a maximum or a mean.

A maximum's derivative is ``one_hot(argmax)``; the first of equal entries gets the gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorcalc.applications import power
from tensorcalc.errors import ShapeError
from tensorcalc.nodes import Constant, ones
from tensorcalc.numpy_protocol.convert import as_node
from tensorcalc.products import broadcast, product, scale

from ...graph import layer_function
from .geometry import Axis, axes_of, per_axis, window_count, window_delta


def _windows(x: Any, widths: Sequence[int], axes: Sequence[Axis], counts: Sequence[Any]) -> Any:
    """``out[..., y..., u...] = x[..., stride*y + dilation*u - padding, ...]``, 0 outside."""
    lead = x.ndim - len(axes)
    batch = [f"b{k}" for k in range(lead)]
    labels = [*batch, *(f"h{k}" for k in range(len(axes)))]
    sizes: dict[Any, Any] = {}
    deltas, subscripts = [], []
    for k, (axis, width, count) in enumerate(zip(axes, widths, counts, strict=True)):
        extent = x.extents[lead + k]
        deltas.append(window_delta(extent, count, width, axis))
        subscripts.append((f"h{k}", f"y{k}", f"u{k}"))
        sizes[f"y{k}"], sizes[f"u{k}"] = count, width
    output = [*batch, *(f"y{k}" for k in range(len(axes))), *(f"u{k}" for k in range(len(axes)))]
    return product((x, *deltas), (labels, *subscripts), output, sizes)


def _layout(
    x: Any, dims: int, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool
) -> Any:
    if x.ndim not in (dims + 1, dims + 2):
        raise ShapeError(
            f"pooling over {dims} axes of an input with {x.ndim} axes",
            [f"input: shape {x.extents}"],
            f"pass {dims + 2} axes: batch, channels, then space; or {dims + 1} without the batch",
        )
    widths = per_axis(kernel, dims, "kernel_size")
    axes = axes_of(widths, widths if stride is None else stride, padding, dilation)
    for width, axis in zip(widths, axes, strict=True):
        if 2 * axis.before > width:
            raise ShapeError(
                f"pooling with padding {axis.before} and kernel size {width}",
                hint="pad by half of the kernel at most: further windows would be empty",
            )
    extents = x.extents[x.ndim - dims :]
    counts = [window_count(e, w, a, ceil) for e, w, a in zip(extents, widths, axes, strict=True)]
    return widths, axes, counts


def max_pooling(
    input: Any,
    dims: int,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Any:
    """``out[..., y] = max over u of input[..., stride*y + dilation*u - padding]``.

    Positions outside do not take part.
    """
    widths, axes, counts = _layout(input, dims, kernel_size, stride, padding, dilation, ceil_mode)
    windows = _windows(input, widths, axes, counts)
    if ceil_mode or any(axis.before for axis in axes):
        everywhere = broadcast(Constant(1), (), input.extents[input.ndim - dims :])
        inside = np.greater(_windows(everywhere, widths, axes, counts), 0)
        windows = np.where(inside, windows, -np.inf)
    lead = windows.extents[: windows.ndim - dims]
    return np.max(windows.reshape((*lead, int(np.prod(widths)))), axis=-1)


def average_pooling(
    input: Any,
    dims: int,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """``out[..., y] = sum over u of input[..., stride*y + u - padding] / number of entries``.

    The number counts padding where ``count_include_pad``, but not what lies beyond it.
    """
    widths, axes, counts = _layout(input, dims, kernel_size, stride, padding, 1, ceil_mode)
    lead = input.ndim - dims
    output = input.ndim
    total = np.sum(_windows(input, widths, axes, counts), axis=tuple(range(output, output + dims)))
    if divisor_override is not None:
        return scale(1 / divisor_override, total)
    if (count_include_pad and not ceil_mode) or not (
        ceil_mode or any(axis.before for axis in axes)
    ):
        return scale(1 / float(np.prod(widths)), total)
    for k, (axis, width, count) in enumerate(zip(axes, widths, counts, strict=True)):
        extent = input.extents[lead + k]
        if count_include_pad:
            extent, axis = extent + axis.before + axis.after, axis._replace(before=0, after=0)
        entries = _windows(ones((extent,)), [width], [axis], [count])
        weights = power(np.sum(entries, axis=-1), -1)
        shape = [None] * (dims - 1 - k)
        total = total * weights[(slice(None), *shape)]
    return total


def adaptive_average_pooling(input: Any, dims: int, output_size: Any) -> Any:
    """Means over windows ``floor(i*h/o)`` to ``ceil((i+1)*h/o)``; None keeps an axis.

    The spatial sizes are pinned, except where one output is the mean of an axis.
    """
    result = input
    lead = input.ndim - dims
    for k, size in enumerate(per_axis(output_size, dims, "output_size")):
        axis = lead + k
        if size == 1:
            result = np.mean(result, axis=axis, keepdims=True)
        elif size is not None:
            weights = _bin_weights(int(result.extents[axis]), size)
            labels: list[Any] = list(range(result.ndim))
            labels[axis] = "h"
            result = product((result, as_node(weights)), (labels, (axis, "h")), range(result.ndim))
    return result


def adaptive_max_pooling(input: Any, dims: int, output_size: Any) -> Any:
    """Maxima over the windows of adaptive average pooling."""
    result = input
    lead = input.ndim - dims
    for k, size in enumerate(per_axis(output_size, dims, "output_size")):
        axis = lead + k
        if size == 1:
            result = np.max(result, axis=axis, keepdims=True)
        elif size is not None:
            before = (slice(None),) * axis
            bounds = _bins(int(result.extents[axis]), size)
            parts = [np.max(result[(*before, slice(a, b))], axis=axis) for a, b in bounds]
            result = np.stack(parts, axis=axis)
    return result


def _bins(extent: int, size: int) -> list[tuple[int, int]]:
    return [(k * extent // size, -((-(k + 1) * extent) // size)) for k in range(size)]


def _bin_weights(extent: int, size: int) -> Any:
    weights = np.zeros((size, extent))
    for k, (start, stop) in enumerate(_bins(extent, size)):
        weights[k, start:stop] = 1 / (stop - start)
    return weights


def _over(dims: int, body: Any, name: str) -> Any:
    """The layer function over ``dims`` axes."""

    def layer(input: Any, *args: Any, **kwargs: Any) -> Any:
        return body(input, dims, *args, **kwargs)

    layer.__name__ = layer.__qualname__ = name
    layer.__doc__ = body.__doc__
    return layer_function(layer)


max_pool1d, max_pool2d, max_pool3d = (_over(n, max_pooling, f"max_pool{n}d") for n in (1, 2, 3))
avg_pool1d, avg_pool2d, avg_pool3d = (_over(n, average_pooling, f"avg_pool{n}d") for n in (1, 2, 3))
adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = (
    _over(n, adaptive_average_pooling, f"adaptive_avg_pool{n}d") for n in (1, 2, 3)
)
adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = (
    _over(n, adaptive_max_pooling, f"adaptive_max_pool{n}d") for n in (1, 2, 3)
)
