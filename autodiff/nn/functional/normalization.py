"""Normalisation over the batch, a layer, groups of channels or single channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorcalc.errors import ShapeError
from tensorcalc.extents import is_equal
from tensorcalc.numpy_protocol.reductions import entries

from ...graph import layer_function
from ...graph.calls import on_arrays
from ...graph.tensor import Tensor
from .geometry import join_axes, split_axis


def normalized(x: Any, axes: tuple[int, ...], eps: float) -> tuple[Any, Any, Any]:
    """``(x - mean) / sqrt(var + eps)`` over ``axes``, with the mean and the (biased) variance."""
    mean = np.mean(x, axis=axes, keepdims=True)
    centred = x - mean
    variance = np.mean(centred * centred, axis=axes, keepdims=True)
    return centred * (variance + eps) ** -0.5, mean, variance


def _per_channel(parameter: Any, rank: int) -> Any:
    return parameter[(slice(None), *[None] * (rank - 2))]


def _scaled(x: Any, weight: Any, bias: Any) -> Any:
    if weight is not None:
        x = x * _per_channel(weight, x.ndim)
    return x if bias is None else x + _per_channel(bias, x.ndim)


@layer_function
def batch_norm_training(
    input: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> tuple[Any, Any, Any]:
    """Normalisation by the statistics of the batch: the result, the means and the variances.

    ``out[b, c, ...] = (x[b, c, ...] - mean[c]) / sqrt(var[c] + eps) weight[c] + bias[c]``. The
    variances are unbiased (divided by one less than the entries), as running averages want them.
    """
    axes = (0, *range(2, input.ndim))
    out, mean, variance = normalized(input, axes, eps)
    count = entries(input, axes)
    unbiased = variance * (count / (count - 1)) if not is_equal(count, 1) else variance
    return _scaled(out, weight, bias), np.squeeze(mean, axes), np.squeeze(unbiased, axes)


@layer_function
def batch_norm_inference(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
) -> Any:
    """Normalisation by given statistics."""
    centred = input - _per_channel(running_mean, input.ndim)
    out = centred * _per_channel((running_var + eps) ** -0.5, input.ndim)
    return _scaled(out, weight, bias)


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Batch normalisation; while training, running averages given as arrays are moved in place."""
    if not training:
        return batch_norm_inference(input, running_mean, running_var, weight, bias, eps)
    out, mean, variance = batch_norm_training(input, weight, bias, eps)
    for running, batch in ((running_mean, mean), (running_var, variance)):
        if running is not None:
            values = batch.data if isinstance(batch, Tensor) else batch
            running[...] = on_arrays(moved_average, running, values, momentum)
    return out


def moved_average(running: Any, value: Any, momentum: float) -> Any:
    """``running + momentum (value - running)``."""
    return running + momentum * (value - running)


@layer_function
def layer_norm(
    input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """Normalisation over the last axes, whose sizes are ``normalized_shape``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.layer_norm(np.array([[1.0, 3.0]]), (2,)).round(3)
    array([[-1.,  1.]])

    Raises ShapeError if they are not.
    """
    sizes = normalized_shape if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    own = input.extents[input.ndim - len(sizes) :]
    if input.ndim < len(sizes) or not all(map(is_equal, own, sizes)):
        raise ShapeError(
            f"layer_norm over the last axes {tuple(sizes)}",
            [f"input: shape {input.extents}"],
            "normalized_shape are the sizes of the last axes",
        )
    axes = tuple(range(input.ndim - len(sizes), input.ndim))
    out, _, _ = normalized(input, axes, eps)
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


@layer_function
def group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """Normalisation of each example over groups of neighbouring channels and all positions.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.group_norm(np.ones((1, 4, 8)), 2).shape
    (1, 4, 8)

    Raises ShapeError if the channels do not divide into the groups.
    """
    grouped = split_axis(input, 1, num_groups)
    out, _, _ = normalized(grouped, tuple(range(2, grouped.ndim)), eps)
    return _scaled(join_axes(out, 1), weight, bias)


@layer_function
def instance_norm(input: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Normalisation of each channel of each example over its positions.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.instance_norm(np.ones((1, 4, 8))).shape
    (1, 4, 8)
    """
    out, _, _ = normalized(input, tuple(range(2, input.ndim)), eps)
    return _scaled(out, weight, bias)
