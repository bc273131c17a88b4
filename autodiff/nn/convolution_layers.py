"""Convolutions over one, two and three axes, and their transposes."""

from __future__ import annotations

import math
from typing import Any

from tensorcalc.errors import ShapeError

from . import functional
from .functional.geometry import axes_of, per_axis
from .module import Module
from .options import only
from .parameter import uniform


class _Convolution(Module):
    """What convolutions and their transposes have in common."""

    dims: int
    transposed = False
    _function: Any

    def _setup(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
        bias: bool,
        dtype: Any,
        generator: Any,
    ) -> None:
        if in_channels % groups or out_channels % groups:
            raise ShapeError(
                f"{type(self).__name__}: {in_channels} to {out_channels} channels, {groups} groups",
                hint="groups must divide the channels on both sides",
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = per_axis(kernel_size, self.dims, "kernel_size")
        self.stride = per_axis(stride, self.dims, "stride")
        is_named = isinstance(padding, str)
        self.padding = padding if is_named else per_axis(padding, self.dims, "padding")
        self.dilation = per_axis(dilation, self.dims, "dilation")
        axes_of(self.kernel_size, self.stride, self.padding, self.dilation)  # refuses what is wrong
        channels = (in_channels, out_channels)
        first, second = channels if self.transposed else channels[::-1]
        shape = (first, second // groups, *self.kernel_size)
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        self.weight = uniform(shape, bound, dtype, generator)
        self.bias = uniform((out_channels,), bound, dtype, generator) if bias else None

    def extra_repr(self) -> str:
        """Arguments that ``repr`` shows."""
        parts = [
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}",
            f"stride={self.stride}",
        ]
        plain: dict[str, Any] = {
            "padding": (0,) * self.dims,
            "dilation": (1,) * self.dims,
            "groups": 1,
        }
        for name, default in plain.items():
            if getattr(self, name) != default:
                parts.append(f"{name}={getattr(self, name)!r}")
        return ", ".join(parts + ([] if self.bias is not None else ["bias=False"]))


class _Conv(_Convolution):
    """``out[b, o, y] = sum x[b, c, h] weight[o, c, u] [h = stride*y + dilation*u - padding]``.

    ``padding`` is a number, one per axis, "same" or "valid"; ``padding_mode`` "zeros", "reflect",
    "replicate" or "circular"; ``groups`` equal to the channels makes it depthwise.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        dtype: Any = None,
        generator: Any = None,
    ) -> None:
        self._setup(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            dtype,
            generator,
        )
        self.padding_mode = padding_mode

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        return self._function(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            self.padding_mode,
        )


class Conv1d(_Conv):
    """Convolution over one axis.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.Conv1d(3, 5, 3, padding=1, stride=2)(np.ones((1, 3, 8))).shape
    (1, 5, 4)
    """

    dims, _function = 1, staticmethod(functional.conv1d)


class Conv2d(_Conv):
    """Convolution over two axes.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.Conv2d(3, 5, 3, padding=1, stride=2)(np.ones((1, 3, 8, 8))).shape
    (1, 5, 4, 4)
    """

    dims, _function = 2, staticmethod(functional.conv2d)


class Conv3d(_Conv):
    """Convolution over three axes.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.Conv3d(3, 5, 3, padding=1, stride=2)(np.ones((1, 3, 8, 8, 8))).shape
    (1, 5, 4, 4, 4)
    """

    dims, _function = 3, staticmethod(functional.conv3d)


class _ConvTranspose(_Convolution):
    """The adjoint of a convolution with respect to its input; it undoes the change of shape.

    ``output_padding`` adds positions at the end, where a stride leaves the size open.
    """

    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        *,
        dtype: Any = None,
        generator: Any = None,
    ) -> None:
        self._setup(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            dtype,
            generator,
        )
        only(self, "padding_mode", padding_mode, "zeros", "pad the input, or crop the result")
        self.output_padding = per_axis(output_padding, self.dims, "output_padding")

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        return self._function(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.output_padding,
            self.groups,
            self.dilation,
        )


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution over one axis.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.ConvTranspose1d(3, 5, 2, stride=2)(np.ones((1, 3, 8))).shape
    (1, 5, 16)
    """

    dims, _function = 1, staticmethod(functional.conv_transpose1d)


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution over two axes.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.ConvTranspose2d(3, 5, 2, stride=2)(np.ones((1, 3, 8, 8))).shape
    (1, 5, 16, 16)
    """

    dims, _function = 2, staticmethod(functional.conv_transpose2d)


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution over three axes.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.ConvTranspose3d(3, 5, 2, stride=2)(np.ones((1, 3, 8, 8, 8))).shape
    (1, 5, 16, 16, 16)
    """

    dims, _function = 3, staticmethod(functional.conv_transpose3d)
