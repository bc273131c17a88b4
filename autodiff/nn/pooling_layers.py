"""Pooling layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import functional
from .module import Module
from .options import only

#: What to do for the positions of the greatest entries.
INDICES = "the gradient of the layer's sum is 1 at the greatest entries"


class _MaxPool(Module):
    """Greatest entry of every window; the stride is the kernel size unless given."""

    _function: Any

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        only(self, "return_indices", return_indices, False, INDICES)
        self.arguments = (kernel_size, stride, padding, dilation, ceil_mode)

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        return self._function(input, *self.arguments)

    def extra_repr(self) -> str:
        """Arguments that ``repr`` shows."""
        names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
        return ", ".join(f"{n}={a}" for n, a in zip(names, self.arguments, strict=True))


class MaxPool1d(_MaxPool):
    """Greatest entries of windows over one axis.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.MaxPool1d(2)(np.ones((1, 3, 8))).shape
    (1, 3, 4)
    """

    _function = staticmethod(functional.max_pool1d)


class MaxPool2d(_MaxPool):
    """Greatest entries of windows over two axes.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.MaxPool2d(2)(np.ones((1, 3, 8, 8))).shape
    (1, 3, 4, 4)
    """

    _function = staticmethod(functional.max_pool2d)


class MaxPool3d(_MaxPool):
    """Greatest entries of windows over three axes.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.MaxPool3d(2)(np.ones((1, 3, 8, 8, 8))).shape
    (1, 3, 4, 4, 4)
    """

    _function = staticmethod(functional.max_pool3d)


class _AvgPool(Module):
    """Mean of every window; the stride is the kernel size unless given."""

    _function: Any

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self.arguments = (
            kernel_size,
            stride,
            padding,
            ceil_mode,
            count_include_pad,
            divisor_override,
        )

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        return self._function(input, *self.arguments)

    def extra_repr(self) -> str:
        """Arguments that ``repr`` shows."""
        kernel_size, stride, padding = self.arguments[:3]
        return f"kernel_size={kernel_size}, stride={stride}, padding={padding}"


class AvgPool1d(_AvgPool):
    """Means of windows over one axis.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.AvgPool1d(2)(np.ones((1, 3, 8))).shape
    (1, 3, 4)
    """

    _function = staticmethod(functional.avg_pool1d)


class AvgPool2d(_AvgPool):
    """Means of windows over two axes.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.AvgPool2d(2)(np.ones((1, 3, 8, 8))).shape
    (1, 3, 4, 4)
    """

    _function = staticmethod(functional.avg_pool2d)


class AvgPool3d(_AvgPool):
    """Means of windows over three axes.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.AvgPool3d(2)(np.ones((1, 3, 8, 8, 8))).shape
    (1, 3, 4, 4, 4)
    """

    _function = staticmethod(functional.avg_pool3d)


class _Adaptive(Module):
    """Windows that give an output of a fixed size whatever the input's; None keeps an axis."""

    _function: Any

    def __init__(self, output_size: Any) -> None:
        self.output_size = output_size

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        size = self.output_size
        return self._function(input, tuple(size) if isinstance(size, (list, tuple)) else size)

    def extra_repr(self) -> str:
        """Arguments that ``repr`` shows."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_Adaptive):
    """Means over windows that give a fixed size, along one axis.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.AdaptiveAvgPool1d(2)(np.ones((1, 3, 8))).shape
    (1, 3, 2)
    """

    _function = staticmethod(functional.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_Adaptive):
    """Means over windows that give a fixed size, along two axes.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.AdaptiveAvgPool2d(2)(np.ones((1, 3, 8, 8))).shape
    (1, 3, 2, 2)
    """

    _function = staticmethod(functional.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_Adaptive):
    """Means over windows that give a fixed size, along three axes.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.AdaptiveAvgPool3d(2)(np.ones((1, 3, 8, 8, 8))).shape
    (1, 3, 2, 2, 2)
    """

    _function = staticmethod(functional.adaptive_avg_pool3d)


class _AdaptiveMaxPool(_Adaptive):
    """Greatest entries of such windows."""

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        only(self, "return_indices", return_indices, False, INDICES)
        super().__init__(output_size)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Maxima over windows that give a fixed size, along one axis.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.AdaptiveMaxPool1d(2)(np.ones((1, 3, 8))).shape
    (1, 3, 2)
    """

    _function = staticmethod(functional.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Maxima over windows that give a fixed size, along two axes.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.AdaptiveMaxPool2d(2)(np.ones((1, 3, 8, 8))).shape
    (1, 3, 2, 2)
    """

    _function = staticmethod(functional.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Maxima over windows that give a fixed size, along three axes.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.AdaptiveMaxPool3d(2)(np.ones((1, 3, 8, 8, 8))).shape
    (1, 3, 2, 2, 2)
    """

    _function = staticmethod(functional.adaptive_max_pool3d)


class GlobalAvgPool(Module):
    """Mean over all positions: ``(b, c, ...)`` to ``(b, c)``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.GlobalAvgPool()(np.ones((1, 3, 8, 8))).shape
    (1, 3)
    """

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        return np.mean(input, axis=tuple(range(2, np.ndim(input))))


class GlobalMaxPool(Module):
    """Greatest entry over all positions: ``(b, c, ...)`` to ``(b, c)``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.GlobalMaxPool()(np.ones((1, 3, 8, 8))).shape
    (1, 3)
    """

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        return np.max(input, axis=tuple(range(2, np.ndim(input))))
