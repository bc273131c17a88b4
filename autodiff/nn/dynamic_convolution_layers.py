"""Lightweight and dynamic convolution. Source: Wu et al. (ICLR 2019), and its fairseq code."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensorcalc.errors import ShapeError

from . import functional
from .linear_layers import Linear
from .module import Module
from .parameter import filled, kept_mask, uniform


def _check_heads(what: str, channels: int, heads: int) -> None:
    if channels % heads:
        raise ShapeError(
            f"{what}: {channels} channels in {heads} heads", hint="num_heads must divide input_size"
        )


class LightweightConv(Module):
    """A depthwise convolution whose heads share kernels, normalised by softmax on request.

    Input and result ``(b, c, t)``; weight ``(heads, 1, kernel_size)``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.LightweightConv(4, 3, padding=1, num_heads=2)(np.ones((2, 4, 6))).shape
    (2, 4, 6)
    """

    def __init__(
        self,
        input_size: int,
        kernel_size: int = 1,
        padding: int = 0,
        num_heads: int = 1,
        weight_softmax: bool = False,
        bias: bool = False,
        weight_dropout: float = 0.0,
        *,
        dtype: Any = None,
        generator: Any = None,
    ) -> None:
        _check_heads("LightweightConv", input_size, num_heads)
        self.input_size, self.kernel_size, self.padding = input_size, kernel_size, padding
        self.weight_softmax, self.weight_dropout = weight_softmax, weight_dropout
        self.generator = generator
        bound = math.sqrt(6 / ((num_heads + 1) * kernel_size))
        self.weight = uniform((num_heads, 1, kernel_size), bound, dtype, generator)
        self.bias = filled((input_size,), 0.0, dtype) if bias else None

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        weight, is_softmax = self.weight, self.weight_softmax
        if self.training and self.weight_dropout:
            weight = functional.softmax(weight, -1) if is_softmax else weight
            mask = kept_mask(weight, np.shape(weight), self.weight_dropout, self.generator)
            weight, is_softmax = functional.dropout(weight, mask, self.weight_dropout), False
        return functional.lightweight_conv(input, weight, self.bias, self.padding, is_softmax)

    def extra_repr(self) -> str:
        """Arguments that ``repr`` shows."""
        return f"{self.input_size}, kernel_size={self.kernel_size}, heads={self.weight.shape[0]}"


class DynamicConv(Module):
    """A lightweight convolution whose kernels are a linear function of each position's input.

    Input and result ``(t, b, c)``; ``padding_l`` positions before each are seen, all of
    ``kernel_size - 1`` unless given, so that nothing sees what comes after it.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.DynamicConv(4, 3, padding_l=2, num_heads=2)(np.ones((6, 1, 4))).shape
    (6, 1, 4)
    """

    def __init__(
        self,
        input_size: int,
        kernel_size: int = 1,
        padding_l: int | None = None,
        num_heads: int = 1,
        weight_dropout: float = 0.0,
        weight_softmax: bool = False,
        bias: bool = False,
        conv_bias: bool = False,
        *,
        dtype: Any = None,
        generator: Any = None,
    ) -> None:
        _check_heads("DynamicConv", input_size, num_heads)
        self.input_size, self.kernel_size, self.num_heads = input_size, kernel_size, num_heads
        self.padding_l = kernel_size - 1 if padding_l is None else padding_l
        self.weight_softmax, self.weight_dropout = weight_softmax, weight_dropout
        self.generator = generator
        rows = num_heads * kernel_size
        self.weight_linear = Linear(input_size, rows, bias, dtype=dtype, generator=generator)
        self.conv_bias = filled((input_size,), 0.0, dtype) if conv_bias else None

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        weight = functional.unflatten(self.weight_linear(input), 2, self.num_heads)
        is_softmax = self.weight_softmax
        if self.training and self.weight_dropout:
            weight = functional.softmax(weight, -1) if is_softmax else weight
            mask = kept_mask(weight, np.shape(weight), self.weight_dropout, self.generator)
            weight, is_softmax = functional.dropout(weight, mask, self.weight_dropout), False
        return functional.dynamic_conv(input, weight, self.conv_bias, self.padding_l, is_softmax)

    def extra_repr(self) -> str:
        """Arguments that ``repr`` shows."""
        return f"{self.input_size}, kernel_size={self.kernel_size}, heads={self.num_heads}"
