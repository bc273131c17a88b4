"""Activation functions and the polygamma function; they take expressions, arrays and numbers."""

from __future__ import annotations

import math
from typing import Any

from ..applications import apply
from ..nodes import Constant, Node
from ..products import multiply, scale
from ..sums import add
from .convert import as_node
from .special import numbers_too


@numbers_too
def relu(x: Any) -> Node:
    """``out[...] = max(x[...], 0)`` with derivative 0 at 0; the shape of ``x``.

    >>> import numpy as np, tensorcalc as tc
    >>> tc.relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    >>> z = tc.variables("z: n")
    >>> print(tc.gradient(np.sum(tc.relu(z)), z))
    z[i] > 0
    """
    return apply("relu", as_node(x))


@numbers_too
def gelu(x: Any, approximate: str = "none") -> Node:
    """``x Phi(x)``, shape of ``x``; ``approximate="tanh"`` takes Phi from a hyperbolic tangent.

    >>> import tensorcalc as tc
    >>> round(float(tc.gelu(1.0)), 6), round(float(tc.gelu(1.0, approximate="tanh")), 6)
    (0.841345, 0.841192)

    Raises ValueError for another ``approximate``. Source: Hendrycks and Gimpel, *Gaussian Error
    Linear Units* (2016).
    """
    node = as_node(x)
    if approximate == "none":
        return multiply(node, apply("ndtr", node))
    if approximate != "tanh":
        raise ValueError(f"gelu: approximate is {approximate!r}, neither 'none' nor 'tanh'")
    cubic = add(node, scale(0.044715, multiply(node, node, node)))
    return multiply(node, apply("expit", scale(2 * math.sqrt(2 / math.pi), cubic)))


@numbers_too
def silu(x: Any) -> Node:
    """``x expit(x)``, also called swish; the shape of ``x``.

    >>> import tensorcalc as tc
    >>> round(float(tc.silu(1.0)), 6)
    0.731059

    Source: Hendrycks and Gimpel, *Gaussian Error Linear Units* (2016).
    """
    node = as_node(x)
    return multiply(node, apply("expit", node))


@numbers_too
def elu(x: Any, alpha: float = 1.0) -> Node:
    """``x`` where positive, else ``alpha (exp(x) - 1)``; derivative ``alpha`` at 0; shape of ``x``.

    >>> import numpy as np, tensorcalc as tc
    >>> tc.elu(np.array([-800.0, 2.0]), alpha=0.5)
    array([-0.5,  2. ])

    Source: Clevert, Unterthiner, Hochreiter, *Exponential Linear Units* (2016).
    """
    return apply("elu", as_node(x), alpha=alpha)


@numbers_too
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Node:
    """``x`` where positive, else ``negative_slope x``; derivative ``negative_slope`` at 0.

    >>> import numpy as np, tensorcalc as tc
    >>> tc.leaky_relu(np.array([-1.0, 2.0]))
    array([-0.01,  2.  ])
    """
    node = as_node(x)
    positive = apply("greater", node, Constant(0))
    return apply("where", positive, node, scale(negative_slope, node))


@numbers_too
def softplus(x: Any) -> Node:
    """``log(1 + exp(x))`` without overflow; the derivative is ``expit(x)``; the shape of ``x``.

    >>> import tensorcalc as tc
    >>> float(tc.softplus(1000.0))
    1000.0
    """
    return apply("softplus", as_node(x))


@numbers_too
def polygamma(n: int, x: Any) -> Node:
    """Derivative ``n`` of ``digamma`` at ``x``, arguments as in ``scipy.special.polygamma``.

    That function does not take expressions; the order is a number, the result has the shape of
    ``x``.

    >>> import numpy as np
    >>> bool(np.isclose(polygamma(1, 1.0), np.pi**2 / 6))
    True
    """
    node = as_node(x)
    return apply("polygamma", node, order=n) if n else apply("digamma", node)


__all__ = ["elu", "gelu", "leaky_relu", "polygamma", "relu", "silu", "softplus"]
