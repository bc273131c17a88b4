"""``np.linalg`` on expressions: rows of the operation table over the last two axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..applications import apply, power
from ..errors import ShapeError, TraceError
from ..extents import is_equal, same_extents
from ..nodes import Node
from ..operations.decompositions import shape_params
from ..products import kronecker
from .convert import as_node, broadcast_to
from .functions import described, implements, normal_axes
from .reductions import count_nonzero, max_over, min_over, reduced, sum_over
from .shapes import expand_dims, matrix_transposed, moveaxis, ravel


class SlogdetResult(NamedTuple):
    """Sign and logarithm of the absolute value of a determinant."""

    sign: Node
    logabsdet: Node


class EighResult(NamedTuple):
    """Eigenvalues in ascending order and eigenvectors as columns."""

    eigenvalues: Node
    eigenvectors: Node


class SVDResult(NamedTuple):
    """``U diag(S) Vh`` with singular values in descending order."""

    U: Node
    S: Node
    Vh: Node


def square(a: Any, attempt: str) -> Node:
    """``a`` as an expression whose last two axes are equal.

    Raises ShapeError that names ``attempt`` otherwise.
    """
    node = matrix(a, attempt)
    if not is_equal(node.extents[-1], node.extents[-2]):
        raise ShapeError(
            f"{attempt} of a matrix that is not square", described(node), "pass square matrices"
        )
    return node


def matrix(a: Any, attempt: str) -> Node:
    """``a`` as an expression of two axes at least.

    Raises ShapeError that names ``attempt`` otherwise.
    """
    node = as_node(a)
    if node.ndim < 2:
        raise ShapeError(
            f"{attempt} of an array with fewer than two axes", described(node), "pass a matrix"
        )
    return node


# -- inverses and determinants --------------------------------------------------------------------
@implements(np.linalg.inv)
def inv(a: Any) -> Node:
    """``out[i, j]`` with ``sum over j of out[i, j] a[j, k] = delta[i, k]``."""
    return apply("inv", square(a, "inv"))


@implements(np.linalg.pinv)
def pinv(a: Any) -> Node:
    """The Moore-Penrose inverse; its derivative needs a locally constant rank."""
    return apply("pinv", matrix(a, "pinv"))


@implements(np.linalg.det)
def det(a: Any) -> Node:
    """Determinants over the last two axes."""
    return apply("det", square(a, "det"))


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> SlogdetResult:
    """Sign and logarithm of the absolute value of the determinant."""
    node = square(a, "slogdet")
    return SlogdetResult(apply("sign_det", node), apply("logdet", node))


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Node:
    """``inv(a) b``; ``b`` is a vector, or a stack of matrices.

    Raises ShapeError if ``b`` does not have as many rows as ``a``.
    """
    left, right = square(a, "solve"), as_node(b)
    rows = right.extents[0 if right.ndim == 1 else -2] if right.ndim else None
    if rows is None or not is_equal(rows, left.extents[-1]):
        raise ShapeError(
            "solve: the right-hand side does not have as many rows as the matrix",
            described(left, right),
            "pass a vector or a matrix with one row per row of the matrix",
        )
    return np.matmul(apply("inv", left), right)


@implements(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Node:
    """``a @ a @ ... @ a``, ``n`` times, by repeated squaring; of the inverse for negative ``n``."""
    node = square(a, "matrix_power")
    if n == 0:
        return broadcast_to(kronecker(node.extents[-1:]), node.extents)
    base = apply("inv", node) if n < 0 else node
    result: Any = None
    for bit in f"{abs(n):b}":
        result = result if result is None else np.matmul(result, result)
        if bit == "1":
            result = base if result is None else np.matmul(result, base)
    return result


# -- decompositions -------------------------------------------------------------------------------
@implements(np.linalg.cholesky)
def cholesky(a: Any, *, upper: bool = False) -> Node:
    """``L`` with ``a = L L'``, lower triangular; ``upper`` gives ``L'``."""
    factor = apply("cholesky", square(a, "cholesky"))
    return matrix_transposed(factor) if upper else factor


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Node:
    """Eigenvalues of ``(a + a') / 2`` in ascending order."""
    return apply("eigvalsh", square(a, "eigvalsh"))


@implements(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> EighResult:
    """Eigenvalues and eigenvectors of ``(a + a') / 2``."""
    node = square(a, "eigh")
    return EighResult(apply("eigvalsh", node), apply("eigenvectors", node))


@implements(np.linalg.svdvals)
def svdvals(x: Any) -> Node:
    """Singular values in descending order."""
    node = matrix(x, "svdvals")
    return apply("svdvals", node, **shape_params(node))


@implements(np.linalg.svd)
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """``a = U diag(S) Vh``.

    Raises TraceError for the full square factors of a matrix that is not square.
    """
    node = matrix(a, "svd")
    if not compute_uv:
        return svdvals(node)
    if full_matrices and not same_extents(node.extents[-1:], node.extents[-2:-1]):
        raise TraceError(
            "np.linalg.svd with full_matrices=True: what completes the bases is not unique",
            described(node),
            "pass full_matrices=False",
        )
    wide = shape_params(node)
    return SVDResult(*(apply(name, node, **wide) for name in ("svd_u", "svdvals", "svd_vt")))


# -- norms ----------------------------------------------------------------------------------------
def norm_over(
    x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False, *, at_zero: float = 0.0
) -> Node:
    """A norm over one axis (of vectors), two axes (of matrices), or all entries.

    The gradient of a Euclidean norm at zero has entries ``at_zero``. Raises TraceError for an
    unknown ``ord``.
    """
    node = as_node(x)
    if axis is None and (ord is None or node.ndim == 1):
        flat = ravel(node) if node.ndim != 1 else node
        if node.ndim == 2:
            result = apply("frobenius_norm", node, at_zero=at_zero)
        else:
            result = _vector_norm(flat, 2 if ord is None else ord, at_zero)
        return expand_dims(result, tuple(range(node.ndim))) if keepdims else result
    axes = normal_axes(axis, node.ndim)
    moved = moveaxis(node, axes, tuple(range(-len(axes), 0)))
    if len(axes) == 1:
        result = _vector_norm(moved, 2 if ord is None else ord, at_zero)
    elif len(axes) == 2:
        result = _matrix_norm(moved, "fro" if ord is None else ord, at_zero)
    else:
        raise ShapeError(f"norm over {len(axes)} axes", described(node), "name one axis or two")
    return expand_dims(result, tuple(sorted(axes))) if keepdims else result


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Node:
    """A norm over one axis (of vectors), two axes (of matrices), or all entries."""
    return norm_over(x, ord, axis, keepdims)


@implements(np.linalg.vector_norm)
def vector_norm(x: Any, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Node:
    """``(sum of |x|**ord) ** (1/ord)`` over the named axes."""
    node = as_node(x)
    axes = tuple(sorted(normal_axes(axis, node.ndim)))
    rest = [k for k in range(node.ndim) if k not in axes]
    moved = np.transpose(node, (*rest, *axes))
    result = norm_over(np.reshape(moved, (*(node.extents[k] for k in rest), -1)), ord, -1)
    return expand_dims(result, axes) if keepdims else result


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Any, *, keepdims: bool = False, ord: Any = "fro") -> Node:
    """A norm of the matrices in the last two axes."""
    return norm_over(x, ord, (-2, -1), keepdims)


def _vector_norm(node: Node, ord: Any, at_zero: float) -> Node:
    """Over the last axis."""
    size = apply("abs", node)
    if not isinstance(ord, (int, float)):
        raise _unknown_order(ord, "vectors", "a number")
    if ord == 2:
        return apply("norm", node, at_zero=at_zero)
    if ord in (np.inf, -np.inf):
        return reduced("max" if ord > 0 else "min", size, -1, False)
    if ord == 0:
        return count_nonzero(node, -1)
    if ord == 1:
        return sum_over(size, -1)
    return power(sum_over(power(size, ord), -1), 1 / ord)


#: Norms of the last two axes by ``ord``.
_MATRIX_NORMS: dict[Any, Callable[[Node], Node]] = {
    "nuc": lambda a: sum_over(svdvals(a), -1),
    2: lambda a: max_over(svdvals(a), -1),
    -2: lambda a: min_over(svdvals(a), -1),
    1: lambda a: max_over(sum_over(apply("abs", a), -2), -1),
    -1: lambda a: min_over(sum_over(apply("abs", a), -2), -1),
    np.inf: lambda a: max_over(sum_over(apply("abs", a), -1), -1),
    -np.inf: lambda a: min_over(sum_over(apply("abs", a), -1), -1),
}


def _matrix_norm(node: Node, ord: Any, at_zero: float) -> Node:
    """Over the last two axes."""
    if ord == "fro":
        return apply("frobenius_norm", node, at_zero=at_zero)
    if ord not in _MATRIX_NORMS:
        raise _unknown_order(ord, "matrices", f"fro, {', '.join(map(str, _MATRIX_NORMS))}")
    return _MATRIX_NORMS[ord](node)


def _unknown_order(ord: Any, what: str, known: str) -> TraceError:
    return TraceError(f"norm of {what} with ord={ord!r}", [f"orders that can be traced: {known}"])


@implements(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Node:
    """``norm(x) norm(inv(x))``; the ratio of extreme singular values without ``p``."""
    node = matrix(x, "cond")
    if p is None or p == 2:
        values = svdvals(node)
        return max_over(values, -1) / min_over(values, -1)
    return norm_over(node, p, (-2, -1)) * norm_over(inv(node), p, (-2, -1))
