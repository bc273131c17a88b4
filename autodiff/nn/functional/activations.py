"""Activation functions, with the names, arguments and defaults of ``torch.nn.functional``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

import tensorcalc as tc
from tensorcalc.applications import apply
from tensorcalc.nodes import Constant
from tensorcalc.products import scale

from ...graph import layer_function
from .geometry import split_axis

relu = layer_function(tc.relu)
gelu = layer_function(tc.gelu)
silu = layer_function(tc.silu)
elu = layer_function(tc.elu)
leaky_relu = layer_function(tc.leaky_relu)


@layer_function
def sigmoid(input: Any) -> Any:
    """``1 / (1 + exp(-x))``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.sigmoid(np.array([-1.0, 0.0, 2.0])).round(4)
    array([0.2689, 0.5   , 0.8808])
    """
    return apply("expit", input)


@layer_function
def logsigmoid(input: Any) -> Any:
    """``log(sigmoid(x)) = -softplus(-x)``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.logsigmoid(np.array([-1.0, 0.0, 2.0])).round(4)
    array([-1.3133, -0.6931, -0.1269])
    """
    return scale(-1, apply("softplus", scale(-1, input)))


@layer_function
def tanh(input: Any) -> Any:
    """The hyperbolic tangent.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.tanh(np.array([-1.0, 0.0, 2.0])).round(4)
    array([-0.7616,  0.    ,  0.964 ])
    """
    return np.tanh(input)


@layer_function
def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """``log(1 + exp(beta x)) / beta``, ``x`` itself where ``beta x`` exceeds ``threshold``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.softplus(np.array([-1.0, 0.0, 2.0])).round(4)
    array([0.3133, 0.6931, 2.1269])
    """
    smooth = scale(1 / beta, apply("softplus", scale(beta, input)))
    return np.where(scale(beta, input) > threshold, input, smooth)


@layer_function
def softsign(input: Any) -> Any:
    """``x / (1 + |x|)``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.softsign(np.array([-1.0, 0.0, 2.0])).round(4)
    array([-0.5   ,  0.    ,  0.6667])
    """
    return input / (1 + np.abs(input))


@layer_function
def mish(input: Any) -> Any:
    """``x tanh(softplus(x))``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.mish(np.array([-1.0, 0.0, 2.0])).round(4)
    array([-0.3034,  0.    ,  1.944 ])
    """
    return input * np.tanh(apply("softplus", input))


@layer_function
def selu(input: Any) -> Any:
    """Scaled ELU that keeps mean 0 and variance 1.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.selu(np.array([-1.0, 0.0, 2.0])).round(4)
    array([-1.1113,  0.    ,  2.1014])

    Source: Klambauer et al., *Self-Normalizing Neural Networks* (2017).
    """
    return scale(1.0507009873554805, apply("elu", input, alpha=1.6732632423543772))


@layer_function
def celu(input: Any, alpha: float = 1.0) -> Any:
    """``max(0, x) + min(0, alpha (exp(x/alpha) - 1))``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.celu(np.array([-1.0, 0.0, 2.0])).round(4)
    array([-0.6321,  0.    ,  2.    ])
    """
    return scale(alpha, apply("elu", scale(1 / alpha, input), alpha=1.0))


@layer_function
def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """``x`` kept between two numbers; no gradient at and beyond them.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.hardtanh(np.array([-1.0, 0.0, 2.0])).round(4)
    array([-1.,  0.,  1.])
    """
    inside = np.logical_and(input > min_val, input < max_val)
    return np.where(inside, input, np.where(input >= max_val, max_val, min_val))


@layer_function
def relu6(input: Any) -> Any:
    """``min(max(x, 0), 6)``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.relu6(np.array([-1.0, 0.0, 2.0])).round(4)
    array([0., 0., 2.])
    """
    inside = np.logical_and(input > 0, input < 6)
    return np.where(inside, input, np.where(input >= 6, 6.0, 0.0))


@layer_function
def hardsigmoid(input: Any) -> Any:
    """``min(max(x/6 + 1/2, 0), 1)``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.hardsigmoid(np.array([-1.0, 0.0, 2.0])).round(4)
    array([0.3333, 0.5   , 0.8333])
    """
    inside = np.logical_and(input > -3, input < 3)
    return np.where(inside, input / 6 + 0.5, np.where(input >= 3, 1.0, 0.0))


@layer_function
def hardswish(input: Any) -> Any:
    """``x hardsigmoid(x)``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.hardswish(np.array([-1.0, 0.0, 2.0])).round(4)
    array([-0.3333,  0.    ,  1.6667])
    """
    inside = np.logical_and(input > -3, input < 3)
    return np.where(inside, input * (input + 3) / 6, np.where(input >= 3, input, 0.0))


@layer_function
def hardshrink(input: Any, lambd: float = 0.5) -> Any:
    """``x`` where ``|x|`` exceeds ``lambd``, else 0.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.hardshrink(np.array([-1.0, 0.0, 2.0])).round(4)
    array([-1.,  0.,  2.])
    """
    return np.where(np.abs(input) > lambd, input, 0.0)


@layer_function
def softshrink(input: Any, lambd: float = 0.5) -> Any:
    """``x`` moved towards 0 by ``lambd``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.softshrink(np.array([-1.0, 0.0, 2.0])).round(4)
    array([-0.5,  0. ,  1.5])
    """
    return np.where(np.abs(input) > lambd, input - lambd * np.sign(input), 0.0)


@layer_function
def tanhshrink(input: Any) -> Any:
    """``x - tanh(x)``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.tanhshrink(np.array([-1.0, 0.0, 2.0])).round(4)
    array([-0.2384,  0.    ,  1.036 ])
    """
    return input - np.tanh(input)


@layer_function
def threshold(input: Any, threshold: float, value: float) -> Any:
    """``x`` where it exceeds ``threshold``, else ``value``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.threshold(np.array([-1.0, 0.0, 2.0]), 1.0, -1.0).round(4)
    array([-1., -1.,  2.])
    """
    return np.where(input > threshold, input, value)


@layer_function
def prelu(input: Any, weight: Any) -> Any:
    """``x`` where positive, else ``weight[c] x``; one weight, or one per channel (axis 1).

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.prelu(np.array([-1.0, 2.0]), np.array([0.25]))
    array([-0.25,  2.  ])
    """
    single = weight.ndim == 0 or (isinstance(weight.extents[0], int) and weight.extents[0] == 1)
    per_channel = (slice(None), *[None] * (input.ndim - 2))
    slope = weight if single or input.ndim < 2 else weight[per_channel]
    return np.where(input > 0, input, input * slope)


@layer_function
def glu(input: Any, dim: int = -1) -> Any:
    """The first half along ``dim`` times the sigmoid of the second.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.glu(np.array([1.0, 2.0, 0.0, 0.0]))
    array([0.5, 1. ])
    """
    first, second = np.split(input, 2, axis=dim)
    return first * special.expit(second)


@layer_function
def softmax(input: Any, dim: int = -1) -> Any:
    """``exp(x[i]) / sum over j of exp(x[j])`` along ``dim``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.softmax(np.array([-1.0, 0.0, 2.0]), dim=0).round(4)
    array([0.042 , 0.1142, 0.8438])
    """
    return tc.softmax(input, axis=dim)


@layer_function
def log_softmax(input: Any, dim: int = -1) -> Any:
    """``x[i] - logsumexp(x)`` along ``dim``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.log_softmax(np.array([-1.0, 0.0, 2.0]), dim=0).round(4)
    array([-3.1698, -2.1698, -0.1698])
    """
    return tc.log_softmax(input, axis=dim)


@layer_function
def softmin(input: Any, dim: int = -1) -> Any:
    """``softmax(-x)`` along ``dim``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.softmin(np.array([-1.0, 0.0, 2.0]), dim=0).round(4)
    array([0.7054, 0.2595, 0.0351])
    """
    return tc.softmax(scale(-1, input), axis=dim)


@layer_function
def dropout(input: Any, mask: Any, p: float = 0.5) -> Any:
    """``x mask / (1 - p)`` for a mask of what is kept; it is broadcast where its axes are 1."""
    if p == 1:
        return np.zeros_like(input)
    return np.where(mask, scale(1 / (1 - p), input), Constant(0))


@layer_function
def flatten(input: Any, start_dim: int = 1, end_dim: int = -1) -> Any:
    """Axes ``start_dim`` to ``end_dim`` joined into one.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.flatten(np.ones((2, 3, 4)), 1).shape
    (2, 12)
    """
    first, last = start_dim % max(input.ndim, 1), end_dim % max(input.ndim, 1)
    sizes = input.extents
    joined = math.prod(sizes[first : last + 1])
    return input.reshape((*sizes[:first], joined, *sizes[last + 1 :]))


@layer_function
def unflatten(input: Any, dim: int, count: int) -> Any:
    """Axis ``dim`` as ``count`` groups: ``out[..., i, e, ...] = x[..., each*i + e, ...]``."""
    return split_axis(input, dim % input.ndim, count)
