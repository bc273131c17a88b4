"""Products of vectors, matrices and tensors: dot and its relatives, einsum, Kronecker, cross."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..extents import is_equal
from ..nodes import Node
from ..products import multiply, product
from .convert import as_node, stretches
from .functions import described, implements, normal_axes
from .joining import concatenate, stack
from .reductions import divided, sum_over
from .shapes import matrix_transposed, moveaxis, ravel, reshape, same, with_leading_axes
from .ufuncs import composite
from .windows import roll


def contraction(
    left: Node, right: Node, left_axes: Sequence[int], right_axes: Sequence[int], attempt: str
) -> Node:
    """Sum over pairs of axes; the other axes of ``left``, then those of ``right``, remain.

    Raises ShapeError that names ``attempt`` if the extents of a pair differ.
    """
    for a, b in zip(left_axes, right_axes, strict=True):
        if not is_equal(left.extents[a], right.extents[b]):
            raise ShapeError(
                f"{attempt}: axis {a} of operand 0 has size {left.extents[a]}, "
                f"but axis {b} of operand 1 has size {right.extents[b]}",
                described(left, right),
                "transpose or reshape an operand so that the summed axes agree",
            )
    first: list[Any] = [("left", k) for k in range(left.ndim)]
    second: list[Any] = [("right", k) for k in range(right.ndim)]
    for a, b in zip(left_axes, right_axes, strict=True):
        second[b] = first[a]
    summed = {first[a] for a in left_axes}
    output = [label for label in first + second if label not in summed]
    return product((left, right), (first, second), output)


@implements(np.dot)
def dot(a: Any, b: Any) -> Node:
    """``out[..., i, ..., j] = sum over k of a[..., i, k] b[..., k, j]``; a scalar multiplies."""
    left, right = as_node(a), as_node(b)
    if not left.ndim or not right.ndim:
        return multiply(left, right)
    return contraction(left, right, [left.ndim - 1], [max(right.ndim - 2, 0)], "dot")


@implements(np.vdot)
def vdot(a: Any, b: Any) -> Node:
    """``sum of a[i] b[i]`` over the raveled operands."""
    return contraction(ravel(a), ravel(b), [0], [0], "vdot")


@implements(np.inner)
def inner(a: Any, b: Any) -> Node:
    """``out[..., i, ..., j] = sum over k of a[..., i, k] b[..., j, k]``."""
    left, right = as_node(a), as_node(b)
    if not left.ndim or not right.ndim:
        return multiply(left, right)
    return contraction(left, right, [left.ndim - 1], [right.ndim - 1], "inner")


@implements(np.outer)
def outer(a: Any, b: Any) -> Node:
    """``out[i, j] = a[i] b[j]`` over the raveled operands."""
    return contraction(ravel(a), ravel(b), [], [], "outer")


@implements(np.linalg.outer)
def outer_of_vectors(x1: Any, x2: Any) -> Node:
    """``out[i, j] = x1[i] x2[j]``."""
    return outer(x1, x2)


@implements(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Node:
    """Sum over ``axes``: a number of last and first axes, or a pair of lists of axes."""
    left, right = as_node(a), as_node(b)
    if isinstance(axes, (tuple, list)):
        first, second = (normal_axes(x, n.ndim) for x, n in zip(axes, (left, right), strict=True))
    else:
        first, second = tuple(range(left.ndim - axes, left.ndim)), tuple(range(axes))
    if len(first) != len(second) or min((*first, *second), default=0) < 0:
        raise ShapeError(
            f"tensordot over axes {axes}", described(left, right), "name pairs of axes"
        )
    return contraction(left, right, first, second, "tensordot")


@implements(np.linalg.tensordot)
def tensordot_over(x1: Any, x2: Any, *, axes: Any = 2) -> Node:
    """``np.tensordot``."""
    return tensordot(x1, x2, axes)


# -- einsum ---------------------------------------------------------------------------------------
@implements(np.einsum)
def einsum(*operands: Any) -> Node:
    """``out[output] = sum over the other labels of the product``, in both of NumPy's forms.

    >>> import tensorcalc as tc
    >>> A, x = tc.variables("A: m n, x: n")
    >>> tc.einsum("ij,j->i", A, x) is A @ x
    True

    Raises ShapeError if a label has two extents, an operand too few or too many labels.
    """
    if isinstance(operands[0], str):
        inputs, output = _parsed_subscripts(operands[0])
        nodes = list(map(as_node, operands[1:]))
    else:
        pairs = len(operands) // 2
        nodes = [as_node(operand) for operand in operands[0 : 2 * pairs : 2]]
        inputs = [list(labels) for labels in operands[1 : 2 * pairs : 2]]
        output = list(operands[-1]) if len(operands) % 2 else None
    if len(inputs) != len(nodes):
        raise ShapeError(
            f"einsum: {len(inputs)} subscripts for {len(nodes)} operands",
            described(*nodes),
            "give one subscript per operand",
        )
    return _contracted(nodes, inputs, output)


def _parsed_subscripts(text: str) -> tuple[list[list[Any]], list[Any] | None]:
    left, arrow, right = text.replace(" ", "").partition("->")
    inputs = [_labels(part, text) for part in left.split(",")]
    return inputs, _labels(right, text) if arrow else None


def _labels(part: str, text: str) -> list[Any]:
    before, dots, after = part.partition("...")
    wrong = sorted(set(before + after) - set(string.ascii_letters))
    if wrong:
        raise ShapeError(
            f"einsum subscripts {text!r}: {wrong[0]!r} is no label",
            hint='labels are letters, separated by commas, with "..." for the other axes and "->"',
        )
    return [*before, *([Ellipsis] if dots else []), *after]


def _contracted(nodes: list[Node], inputs: list[list[Any]], output: list[Any] | None) -> Node:
    widths = [
        node.ndim - len(own) + 1 for node, own in zip(nodes, inputs, strict=True) if Ellipsis in own
    ]
    width = max(widths, default=0)
    batch = [("dots", k) for k in range(width)]
    expanded = [_expanded(node, own, batch) for node, own in zip(nodes, inputs, strict=True)]
    if output is None:
        flat = [label for own in inputs for label in own if label is not Ellipsis]
        output = [Ellipsis] * bool(widths) + sorted({x for x in flat if flat.count(x) == 1})
    kept = [each for label in output for each in (batch if label is Ellipsis else [label])]
    unknown = [label for label in kept if not any(label in own for own in expanded)]
    if unknown or len(set(kept)) < len(kept):
        raise ShapeError(
            f"einsum: output label {(unknown or kept)[0]!r} is in no operand or occurs twice",
            described(*nodes),
            "every output label occurs in an operand, and once in the output",
        )
    return _with_size_one_stretched(nodes, expanded, kept)


def _expanded(node: Node, own: list[Any], batch: list[Any]) -> list[Any]:
    dots = node.ndim - len(own) + 1
    if dots < 0 if Ellipsis in own else dots != 1:
        raise ShapeError(
            f"einsum: {len(own)} labels for {node.ndim} axes",
            described(node),
            "give one label per axis",
        )
    here = batch[len(batch) - dots :] if dots else []
    return [each for label in own for each in (here if label is Ellipsis else [label])]


def _with_size_one_stretched(nodes: list[Node], labels: list[list[Any]], output: list[Any]) -> Node:
    """NumPy stretches an axis of size 1 to the size that its label has elsewhere."""
    wide: dict[Any, Any] = {}
    for node, own in zip(nodes, labels, strict=True):
        for label, extent in zip(own, node.extents, strict=True):
            if not same(extent, 1):
                wide.setdefault(label, extent)
    subscripts = [
        [
            ("one", k, axis) if stretches(extent, wide.get(label, extent)) else label
            for axis, (label, extent) in enumerate(zip(own, node.extents, strict=True))
        ]
        for k, (node, own) in enumerate(zip(nodes, labels, strict=True))
    ]
    return product(nodes, subscripts, output)


# -- along one axis -------------------------------------------------------------------------------
@implements(np.linalg.vecdot)
def vecdot(x1: Any, x2: Any, axis: Any = -1) -> Node:
    """``out[...] = sum over k of x1[..., k] x2[..., k]``."""
    left, right = as_node(x1), as_node(x2)
    return sum_over(np.multiply(moveaxis(left, axis, -1), moveaxis(right, axis, -1)), -1)


@composite("vecdot")
def vecdot_last(x: Node, y: Node) -> Node:
    """``np.vecdot``, a ufunc, over the last axis."""
    return vecdot(x, y)


@composite("matvec")
def matvec(x: Node, y: Node) -> Node:
    """``out[..., i] = sum over j of x[..., i, j] y[..., j]``."""
    return np.matmul(x, y[..., None])[..., 0]


@composite("vecmat")
def vecmat(x: Node, y: Node) -> Node:
    """``out[..., j] = sum over i of x[..., i] y[..., i, j]``."""
    return matvec(matrix_transposed(y), x)


@implements(np.cross)
def cross(
    a: Any, b: Any, axisa: Any = -1, axisb: Any = -1, axisc: Any = -1, axis: Any = None
) -> Node:
    """``out[i] = a[i+1] b[i+2] - a[i+2] b[i+1]``, positions modulo 3."""
    if axis is not None:
        axisa = axisb = axisc = axis
    left, right = moveaxis(as_node(a), axisa, -1), moveaxis(as_node(b), axisb, -1)
    for node in (left, right):
        if not is_equal(node.extents[-1], 3):
            raise ShapeError(
                "cross product of vectors that do not have three entries",
                described(left, right),
                "append a zero to vectors of two entries",
            )
    turned = [[roll(node, -by, -1) for by in (1, 2)] for node in (left, right)]
    result = turned[0][0] * turned[1][1] - turned[0][1] * turned[1][0]
    return moveaxis(result, -1, axisc)


@implements(np.linalg.cross)
def cross_along(x1: Any, x2: Any, *, axis: Any = -1) -> Node:
    """``np.cross`` with both vectors and the result along ``axis``."""
    return cross(x1, x2, axis=axis)


# -- chains and Kronecker products ----------------------------------------------------------------
@implements(np.kron)
def kron(a: Any, b: Any) -> Node:
    """``out[p*i + k, q*j + l] = a[i, j] b[k, l]``."""
    left, right = as_node(a), as_node(b)
    rank = max(left.ndim, right.ndim)
    left, right = with_leading_axes(left, rank), with_leading_axes(right, rank)
    labels = [(side, axis) for axis in range(rank) for side in "ab"]
    pairs = product((left, right), (labels[0::2], labels[1::2]), labels)
    return reshape(pairs, tuple(m * n for m, n in zip(left.extents, right.extents, strict=True)))


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Sequence[Any]) -> Node:
    """The product of a chain of matrices, the first and last of which may be vectors."""
    result = as_node(arrays[0])
    for array in arrays[1:]:
        result = dot(result, array)
    return result


@implements(np.cov)
def cov(m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None) -> Node:
    """``sum over t of (m[i, t] - mean)(m[j, t] - mean) / (n - ddof)``."""
    node = _observations(m, rowvar)
    if y is not None:
        node = concatenate([node, _observations(y, rowvar)])
    centred = node - np.mean(node, axis=1, keepdims=True)
    count = node.extents[1] - ((0 if bias else 1) if ddof is None else ddof)
    result = divided(np.matmul(centred, centred.T), count)
    return result[0, 0] if y is None and as_node(m).ndim < 2 else result


def _observations(m: Any, rowvar: bool) -> Node:
    """One row for each variable."""
    node = as_node(m)
    return matrix_transposed(node) if node.ndim == 2 and not rowvar else with_leading_axes(node, 2)


@implements(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> Node:
    """``C[i, j] / sqrt(C[i, i] C[j, j])`` of the covariances ``C``."""
    covariance = cov(x, y, rowvar)
    if covariance.ndim == 0:
        return covariance / covariance
    deviation = np.sqrt(np.diagonal(covariance))
    return covariance / deviation[:, None] / deviation


@implements(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    """``p[0] x**(n-1) + ... + p[n-1]`` by Horner's rule; the number of coefficients is pinned."""
    coefficients, at = as_node(p), as_node(x)
    result: Any = 0.0
    for k in range(coefficients.extents[0].__index__()):
        result = result * at + coefficients[k]
    return result


@implements(np.vander)
def vander(x: Any, N: Any = None, increasing: bool = False) -> Node:
    """``out[i, j] = x[i] ** (N - 1 - j)``, or ``x[i] ** j`` if increasing."""
    node = as_node(x)
    count = node.extents[0].__index__() if N is None else N
    powers = [node**k for k in range(count)]
    return stack(powers if increasing else powers[::-1], 1)
