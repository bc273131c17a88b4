"""Functions that NumPy does not have or that do not dispatch: softmax, one-hot, expm, ...

``scipy.special.logsumexp``, ``softmax``, ``log_softmax`` and ``scipy.linalg.expm`` are functions of
Python that turn their argument into an array of numbers, so no expression can go through them.
These take expressions, and numbers as well, so that one function serves both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from ..applications import apply
from ..errors import TraceError
from ..nodes import Node
from ..oracle import evaluate
from ..sums import subtract
from . import linear_algebra
from .convert import as_node, broadcast_to
from .functions import normal_axis
from .indexing import is_integer
from .reductions import mapped, reduced
from .shapes import moveaxis


def numbers_too(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` of expressions, which gives numbers when it is given numbers only."""

    @wraps(function)
    def either(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if any(isinstance(value, Node) for value in (*args, *kwargs.values())):
            return result
        kinds = [np.asarray(value).dtype for value in args[:1]]
        return np.asarray(evaluate(result)).astype(np.result_type(np.float32, *kinds))[()]

    return either


@numbers_too
def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False) -> Node:
    """``log(sum of b * exp(a))`` without overflow; weights ``b`` are positive.

    >>> import tensorcalc as tc
    >>> round(float(logsumexp([1000.0, 1000.0])), 6)
    1000.693147
    """
    node = as_node(a)
    if b is not None:
        node = node + np.log(as_node(b))
    return reduced("logsumexp", node, axis, keepdims)


@numbers_too
def softmax(x: Any, axis: Any = None) -> Node:
    """``exp(x[i]) / sum over j of exp(x[j])``."""
    return mapped("softmax", x, axis)


@numbers_too
def log_softmax(x: Any, axis: Any = None) -> Node:
    """``x[i] - logsumexp(x)``."""
    node = as_node(x)
    return subtract(node, broadcast_to(reduced("logsumexp", node, axis, True), node.extents))


@numbers_too
def norm(
    x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False, *, at_zero: float = 0.0
) -> Node:
    """``np.linalg.norm`` with a choice of the gradient of Euclidean norms at zero."""
    return linear_algebra.norm_over(x, ord, axis, keepdims, at_zero=at_zero)


@numbers_too
def normalize(x: Any, axis: Any = -1, *, at_zero: float = 0.0) -> Node:
    """``x / norm(x)`` over ``axis``; ``at_zero`` where the norm is 0."""
    node = as_node(x)
    along = normal_axis(axis, node.ndim)
    return moveaxis(apply("normalize", moveaxis(node, along, -1), at_zero=at_zero), -1, along)


@numbers_too
def one_hot(index: Any, depth: Any) -> Node:
    """``out[..., k] = [index[...] == k]`` for ``k < depth``.

    Raises TraceError if ``index`` need not be an integer.
    """
    node = as_node(index)
    if not is_integer(node):
        raise TraceError(
            "one_hot of an expression that need not be an integer",
            [f"index: {node}"],
            "declare it integer, or pass an integer array",
        )
    return apply("one_hot", node, depth=depth)


@numbers_too
def expm(a: Any) -> Node:
    """The matrix exponential ``I + a + a @ a / 2 + ...`` over the last two axes."""
    return apply("expm", linear_algebra.square(a, "expm"))


@numbers_too
def adjugate(a: Any) -> Node:
    """``det(a) inv(a)``, which singular matrices have too."""
    return apply("adj", linear_algebra.square(a, "adjugate"))


@numbers_too
def logdet(a: Any) -> Node:
    """``log|det(a)|`` over the last two axes."""
    return apply("logdet", linear_algebra.square(a, "logdet"))


__all__ = [
    "adjugate",
    "expm",
    "log_softmax",
    "logdet",
    "logsumexp",
    "norm",
    "normalize",
    "one_hot",
    "softmax",
]
