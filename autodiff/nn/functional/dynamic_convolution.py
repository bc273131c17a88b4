"""Lightweight and dynamic convolution: depthwise kernels shared by heads, fixed or predicted.

Source: Wu et al., *Pay Less Attention with Lightweight and Dynamic Convolutions* (ICLR 2019).
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tensorcalc as tc
from tensorcalc.products import product

from ...graph import layer_function
from .geometry import Axis, join_axes, split_axis, window_count, window_delta


@layer_function
def lightweight_conv(
    input: Any, weight: Any, bias: Any = None, padding: int = 0, weight_softmax: bool = False
) -> Any:
    """``out[b, c, t] = sum over u of input[b, c, t + u - padding] weight[head of c, u]``.

    Shapes: input ``(b, c, t)``, weight ``(heads, 1, u)``, bias ``(c,)``.
    """
    kernel = weight[:, 0, :]
    kernel = tc.softmax(kernel, axis=-1) if weight_softmax else kernel
    x = split_axis(input, 1, kernel.extents[0])
    axis = Axis(1, padding, padding, 1)
    count = window_count(x.extents[3], kernel.extents[1], axis)
    delta = window_delta(x.extents[3], count, kernel.extents[1], axis)
    out = product(
        (x, kernel, delta),
        (("b", "h", "r", "s"), ("h", "u"), ("s", "t", "u")),
        ("b", "h", "r", "t"),
        {"t": count},
    )
    out = join_axes(out, 1)
    return out if bias is None else out + bias[:, None]


@layer_function
def dynamic_conv(
    input: Any,
    weight: Any,
    bias: Any = None,
    padding_l: int = 0,
    weight_softmax: bool = False,
) -> Any:
    """``out[t, b, c] = sum over u of input[t + u - padding_l, b, c] weight[t, b, head of c, u]``.

    Shapes: input ``(t, b, c)``, weight ``(t, b, heads, u)``, one kernel per position; positions
    outside are zero.
    """
    kernel = tc.softmax(weight, axis=-1) if weight_softmax else weight
    t = input.extents[0]
    heads, width = kernel.extents[2:]
    x = split_axis(input, 2, heads)
    axis = Axis(1, padding_l, width - 1 - padding_l, 1)
    delta = window_delta(t, t, width, axis)
    out = product(
        (x, kernel, delta),
        (("s", "b", "h", "r"), ("t", "b", "h", "u"), ("s", "t", "u")),
        ("t", "b", "h", "r"),
    )
    out = join_axes(out, 2)
    return out if bias is None else np.add(out, bias)
