"""Normalisation layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorcalc.errors import ShapeError
from tensorcalc.nodes import Node

from ..graph import Tensor
from ..graph.calls import on_arrays
from . import functional
from .functional.normalization import moved_average
from .module import Module
from .options import only
from .parameter import filled, get_default_dtype, traced_buffers


class _BatchNorm(Module):
    """Normalisation of each channel over the batch, by running averages when not training.

    ``running = (1 - momentum) running + momentum batch``; a momentum of None averages all batches.
    """

    ranks: tuple[int, ...]
    running_mean: Any
    running_var: Any
    num_batches_tracked: Any

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
        dtype: Any = None,
    ) -> None:
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = filled((num_features,), 1.0, dtype) if affine else None
        self.bias = filled((num_features,), 0.0, dtype) if affine and bias else None
        self.track_running_stats = track_running_stats
        dtype = dtype or get_default_dtype()
        if track_running_stats:
            self.register_buffer("running_mean", np.zeros(num_features, dtype))
            self.register_buffer("running_var", np.ones(num_features, dtype))
            self.register_buffer("num_batches_tracked", np.zeros((), np.int64))

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        if np.ndim(input) not in self.ranks:
            raise ShapeError(
                f"{type(self).__name__} of an input with {np.ndim(input)} axes",
                [f"input: shape {np.shape(input)}"],
                f"it takes {' or '.join(map(str, self.ranks))}: batch, channels, then space",
            )
        if not self.training and self.track_running_stats:
            return functional.batch_norm_inference(
                input, self.running_mean, self.running_var, self.weight, self.bias, self.eps
            )
        self._check_several(input)
        results = functional.batch_norm_training(input, self.weight, self.bias, self.eps)
        out, mean, variance = results
        if self.training and self.track_running_stats:
            self._track(mean, variance)
        return out

    def _check_several(self, input: Any) -> None:
        if isinstance(input, Node) and traced_buffers.get() is None:
            return  # one example stands for all: who traces it looks for what mixes them
        if np.size(input) == np.shape(input)[1]:
            raise ShapeError(
                f"{type(self).__name__} of one value per channel, which is its own mean",
                [f"input: shape {np.shape(input)}"],
                "train on batches of two and more (Batches(drop_last=True)), or model.eval()",
            )

    def _track(self, mean: Any, variance: Any) -> None:
        count = on_arrays(np.add, self.num_batches_tracked, 1)
        self.update_buffer("num_batches_tracked", count)
        momentum = self.momentum
        if momentum is None:
            momentum = on_arrays(np.true_divide, 1.0, count)
        for name, value in (("running_mean", mean), ("running_var", variance)):
            value = value.data if isinstance(value, Tensor) else value
            running = getattr(self, name)
            if isinstance(value, Node) or isinstance(running, Node):
                self.update_buffer(name, running + momentum * (value - running))
            else:
                running[...] = on_arrays(moved_average, running, value, momentum)

    def extra_repr(self) -> str:
        """Arguments that ``repr`` shows."""
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class BatchNorm1d(_BatchNorm):
    """Batch normalisation with at most one axis of positions.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.BatchNorm1d(3)(np.ones((1, 3, 8))).shape
    (1, 3, 8)
    """

    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation with two axes of positions.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.BatchNorm2d(3)(np.ones((1, 3, 8, 8))).shape
    (1, 3, 8, 8)
    """

    ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalisation with three axes of positions.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.BatchNorm3d(3)(np.ones((1, 3, 8, 8, 8))).shape
    (1, 3, 8, 8, 8)
    """

    ranks = (5,)


class LayerNorm(Module):
    """Normalisation over the last axes, whose sizes are ``normalized_shape``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.LayerNorm(2)(np.array([[1.0, 3.0]])).data.round(3)
    array([[-1.,  1.]])
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: Any = None,
    ) -> None:
        several = isinstance(normalized_shape, (tuple, list))
        shape = tuple(normalized_shape) if several else (normalized_shape,)
        self.normalized_shape, self.eps = shape, eps
        self.weight = filled(shape, 1.0, dtype) if elementwise_affine else None
        self.bias = filled(shape, 0.0, dtype) if elementwise_affine and bias else None

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        return functional.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Arguments that ``repr`` shows."""
        return f"{self.normalized_shape}, eps={self.eps}"


class GroupNorm(Module):
    """Normalisation of each example over groups of channels.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.GroupNorm(2, 4)(np.ones((1, 4, 8))).shape
    (1, 4, 8)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        bias: bool = True,
        dtype: Any = None,
    ) -> None:
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps
        self.weight = filled((num_channels,), 1.0, dtype) if affine else None
        self.bias = filled((num_channels,), 0.0, dtype) if affine and bias else None

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        return functional.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Arguments that ``repr`` shows."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}"


class _InstanceNorm(Module):
    """Normalisation of each channel of each example over its positions; not affine by default.

    ``momentum`` is that of running averages, which are not kept.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        bias: bool = True,
        dtype: Any = None,
    ) -> None:
        hint = "for running averages use BatchNorm"
        only(self, "track_running_stats", track_running_stats, False, hint)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = filled((num_features,), 1.0, dtype) if affine else None
        self.bias = filled((num_features,), 0.0, dtype) if affine and bias else None

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        return functional.instance_norm(input, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Arguments that ``repr`` shows."""
        return f"{self.num_features}, eps={self.eps}"


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation with one axis of positions.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.InstanceNorm1d(3)(np.ones((1, 3, 8))).shape
    (1, 3, 8)
    """


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation with two axes of positions.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.InstanceNorm2d(3)(np.ones((1, 3, 8, 8))).shape
    (1, 3, 8, 8)
    """


class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation with three axes of positions.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.InstanceNorm3d(3)(np.ones((1, 3, 8, 8, 8))).shape
    (1, 3, 8, 8, 8)
    """
