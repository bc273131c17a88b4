"""Products of vectors, matrices and tensors, and ``np.linalg``."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..applications import apply
from ..errors import ShapeError, TraceError
from ..extents import is_equal
from ..nodes import Node
from ..products import multiply, product
from .convert import as_node, broadcast_extents, is_one
from .functions import described, implements, normal_axes, normal_axis
from .shapes import ravel


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


@implements(np.outer, np.linalg.outer)
def outer(a: Any, b: Any) -> Node:
    """``out[i, j] = a[i] b[j]`` over the raveled operands."""
    return contraction(ravel(a), ravel(b), [], [], "outer")


@implements(np.tensordot, np.linalg.tensordot)
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


# -- einsum ---------------------------------------------------------------------------------------
@implements(np.einsum)
def einsum(*operands: Any) -> Node:
    """``out[output] = sum over the other labels of the product``, in both of NumPy's forms.

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
    if Ellipsis not in own and len(own) != node.ndim or Ellipsis in own and dots < 0:
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
        wide.update({x: e for x, e in zip(own, node.extents, strict=True) if not is_one(e)})
    subscripts = [
        [
            ("one", k, axis) if is_one(e) and x in wide else x
            for axis, (x, e) in enumerate(zip(own, node.extents, strict=True))
        ]
        for k, (node, own) in enumerate(zip(nodes, labels, strict=True))
    ]
    return product(nodes, subscripts, output)


# -- np.linalg ------------------------------------------------------------------------------------
class SlogdetResult(NamedTuple):
    """Sign and logarithm of the absolute value of a determinant."""

    sign: Node
    logabsdet: Node


def square(a: Any, attempt: str) -> Node:
    """``a`` as an expression whose last two axes are equal.

    Raises ShapeError that names ``attempt`` otherwise.
    """
    node = as_node(a)
    if node.ndim < 2 or not is_equal(node.extents[-1], node.extents[-2]):
        raise ShapeError(
            f"{attempt} of an array that is not square", described(node), "pass square matrices"
        )
    return node


@implements(np.linalg.inv)
def inv(a: Any) -> Node:
    """Inverses over the last two axes."""
    return apply("inv", square(a, "inv"))


@implements(np.linalg.det)
def det(a: Any) -> Node:
    """Determinants over the last two axes."""
    return apply("det", square(a, "det"))


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> SlogdetResult:
    """Sign and logarithm of the absolute value of the determinant."""
    node = square(a, "slogdet")
    return SlogdetResult(apply("sign", apply("det", node)), apply("logdet", node))


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Node:
    """``inv(a) b``; ``b`` is a vector, or a stack of matrices."""
    left, right = square(a, "solve"), as_node(b)
    return np.matmul(apply("inv", left), right)  # type: ignore[return-value]


__all__ = ["TraceError", "broadcast_extents", "normal_axis"]
