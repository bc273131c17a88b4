"""Functions that NumPy does not have or that do not dispatch: softmax, one-hot, expm, ...

``scipy.special.logsumexp``, ``softmax``, ``log_softmax``, ``polygamma`` and ``scipy.linalg.expm``
are functions of Python that turn their argument into an array of numbers, so no expression can go
through them; inside a function that ``autodiff`` traces they mean these. These take expressions,
and numbers as well, so that one function serves both.
"""

from __future__ import annotations

import math
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
from .convert import as_node, broadcast_to, holds_node
from .functions import normal_axis
from .indexing import is_integer
from .reductions import mapped, reduced, where_chosen
from .shapes import moveaxis
from .ufuncs import REDUCTIONS


def numbers_too(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` of expressions, which gives numbers when it is given numbers only."""

    @wraps(function)
    def either(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if any(map(holds_node, (*args, *kwargs.values()))):
            return result
        kinds = [np.asarray(value).dtype for value in args[:1]]
        return np.asarray(evaluate(result)).astype(np.result_type(np.float32, *kinds))[()]

    return either


@numbers_too
def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False) -> Node:
    """``out[...] = log(sum over i of b[..., i] exp(a[..., i]))`` without overflow.

    Arguments as in ``scipy.special.logsumexp``, which does not take expressions; the axes of the
    result are those of ``a`` without ``axis``, all without it. Weights ``b`` are positive. The
    gradient is the softmax, the Hessian ``diag(p) - p p'``.

    >>> import tensorcalc as tc
    >>> round(float(logsumexp([1000.0, 1000.0])), 6)
    1000.693147
    >>> z = tc.variables("z: n")
    >>> print(tc.to_matrix(tc.hessian(logsumexp(z), z)))
    diag(softmax(z)) - softmax(z)*softmax(z)'

    Raises ShapeError if an axis does not exist.
    """
    node = as_node(a)
    if b is not None:
        node = node + np.log(as_node(b))
    return reduced("logsumexp", node, axis, keepdims)


def _logaddexp_reduce(
    a: Any, axis: Any = 0, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Node:
    """``np.logaddexp.reduce``."""
    result = reduced("logsumexp", where_chosen(a, where, -math.inf), axis, keepdims)
    if initial is None:
        return result
    return apply("logaddexp", result, broadcast_to(as_node(initial), result.extents))


REDUCTIONS["logaddexp"] = _logaddexp_reduce


@numbers_too
def softmax(x: Any, axis: Any = None) -> Node:
    """``out[..., i] = exp(x[..., i]) / sum over j of exp(x[..., j])``; the shape of ``x``.

    Arguments as in ``scipy.special.softmax``, which does not take expressions; without ``axis``
    the sum is over all entries. No entry overflows.

    >>> import numpy as np, tensorcalc as tc
    >>> softmax(np.array([0.0, 1000.0]))
    array([0., 1.])
    >>> z, v = tc.variables("z: n, v: n")
    >>> print(tc.jvp(softmax(z), z, v))
    [i] -> (v[i] - v[j]*softmax(z)[j])*softmax(z)[i]

    Raises ShapeError if an axis does not exist.
    """
    return mapped("softmax", x, axis)


@numbers_too
def log_softmax(x: Any, axis: Any = None) -> Node:
    """``out[..., i] = x[..., i] - logsumexp(x[..., :])``; the shape of ``x``.

    Arguments as in ``scipy.special.log_softmax``, which does not take expressions.

    >>> import numpy as np
    >>> log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])

    Raises ShapeError if an axis does not exist.
    """
    node = as_node(x)
    return subtract(node, broadcast_to(reduced("logsumexp", node, axis, True), node.extents))


@numbers_too
def norm(
    x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False, *, at_zero: float = 0.0
) -> Node:
    """``np.linalg.norm`` with a choice of the gradient of Euclidean norms at zero.

    ``out = sqrt(sum over i of x[i]^2)`` and the other norms that ``ord`` names: any number for
    vectors; 1, -1, 2, -2, inf, -inf, "fro" and "nuc" for matrices. The gradient ``x / norm(x)``
    does not exist at 0; each of its entries is ``at_zero`` there.

    >>> import numpy as np, tensorcalc as tc
    >>> float(norm([3.0, 4.0]))
    5.0
    >>> x = tc.variables("x: n")
    >>> tc.evaluate(tc.gradient(norm(x, at_zero=1.0), x), x=np.zeros(2))
    array([1., 1.])

    Raises TraceError for a norm that has no expression, ShapeError if an axis does not exist.
    """
    return linear_algebra.norm_over(x, ord, axis, keepdims, at_zero=at_zero)


@numbers_too
def normalize(x: Any, axis: Any = -1, *, at_zero: float = 0.0) -> Node:
    """``x / norm(x)`` over ``axis``; ``at_zero`` where the norm is 0. The shape of ``x``.

    >>> normalize([3.0, 4.0])
    array([0.6, 0.8])

    Raises ShapeError if there is no such axis.
    """
    node = as_node(x)
    along = normal_axis(axis, node.ndim)
    return moveaxis(apply("normalize", moveaxis(node, along, -1), at_zero=at_zero), -1, along)


@numbers_too
def one_hot(index: Any, depth: Any) -> Node:
    """``out[..., k] = [index[...] == k]`` for ``k < depth``: an axis more than ``index``.

    >>> import numpy as np
    >>> one_hot(np.array([2, 0]), 3)
    array([[0., 0., 1.],
           [1., 0., 0.]])

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
    """The matrix exponential ``I + a + a @ a / 2 + ...`` over the last two axes; shape of ``a``.

    >>> import numpy as np
    >>> expm(np.array([[0.0, 1.0], [0.0, 0.0]]))
    array([[1., 1.],
           [0., 1.]])

    Raises ShapeError if the matrices are not square. Source of the derivatives: Mathias, *A Chain
    Rule for Matrix Functions* (1996).
    """
    return apply("expm", linear_algebra.square(a, "expm"))


@numbers_too
def adjugate(a: Any) -> Node:
    """``det(a) inv(a)``, which singular matrices have too; shape of ``a``.

    >>> import numpy as np
    >>> adjugate(np.array([[1.0, 2.0], [2.0, 4.0]]))
    array([[ 4., -2.],
           [-2.,  1.]])

    Raises ShapeError if the matrices are not square.
    """
    return apply("adj", linear_algebra.square(a, "adjugate"))


@numbers_too
def logdet(a: Any) -> Node:
    """``log|det(a)|`` over the last two axes, which the result does not have.

    >>> import numpy as np, tensorcalc as tc
    >>> float(logdet(-np.eye(3)))
    0.0
    >>> A = tc.variables("A: n n")
    >>> print(tc.to_matrix(tc.gradient(logdet(A), A)))
    inv(A)'

    Raises ShapeError if the matrices are not square. Source: Petersen and Pedersen, *The Matrix
    Cookbook* (2012), equation 57.
    """
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
