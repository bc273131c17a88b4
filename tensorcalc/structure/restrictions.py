"""Restrictions of second-derivative tensors: the diagonal, the trace, shared axes, bands.

A restriction is a product with Kronecker deltas, which the algebra of deltas carries out before
anything is computed: nothing of the size of ``H`` is stored, and what is left out is not computed.
``diag(A' D A)`` costs ``m n`` instead of ``m n**2``, the trace of ``delta * core`` is an extent
times the trace of the core. There is no saving where the entries do not come apart: the diagonal of
``inv(A)`` needs all of ``inv(A)``, and an entry of the Hessian of a deep network the whole Hessian.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..broadcasts import constant_axes, without_axes
from ..errors import ShapeError
from ..extents import is_equal, same_extents
from ..nodes import Delta, Node, Sum, as_expression
from ..numpy_protocol.indexing import HANDLERS
from ..products import product, scale, split_coefficient
from ..simplify import simplify
from ..sums import add


def diagonal(H: Node) -> Node:
    """The diagonal: ``d[i...] = H[i..., i...]``, for axes of ``x`` followed by axes of ``x``.

    >>> import numpy as np, tensorcalc as tc
    >>> X, w = tc.variables("X: m n, w: n")
    >>> diagonal(tc.hessian(np.sum((X @ w) ** 2), w)).shape
    (n,)

    Raises ShapeError if the two halves of the axes differ.
    """
    H = as_expression(H)
    rank = half_rank(H, "diagonal")
    labels = tuple(range(rank))
    return simplify(product((H,), ((*labels, *labels),), labels))


def trace(H: Node) -> Node:
    """The trace: ``sum(H[i..., i...] over i...)``, the Laplacian if ``H`` is a Hessian.

    >>> import tensorcalc as tc
    >>> A, B = tc.variables("A: n m, B: m n")
    >>> print(tc.trace(A @ B))
    A[i,j]*B[j,i]

    Raises ShapeError if the two halves of the axes differ.
    """
    H = as_expression(H)
    half_rank(H, "trace")
    own = diagonal(H)  # of every term of a sum: the sum itself is never formed
    return simplify(product((own,), (tuple(range(own.ndim)),), ()))


def entries_of_sum(node: Node, index: Any) -> Node | None:
    """Entries of a sum of matrices as the sum of the entries of its terms.

    None where all entries are taken, or where the sum is no square matrix: of what is computed
    anyway, slices are views.

    >>> import tensorcalc as tc
    >>> A, x = tc.variables("A: 5 5, x: 5")
    >>> print(entries_of_sum(A + A @ A, (0, 1)))
    A[i,j]*δ[i]*δ[j - 1] + A[i,j]*A[j,k]*δ[i]*δ[k - 1]
    """
    coefficient, total = split_coefficient(node)
    items = index if isinstance(index, tuple) else (index,)
    if not isinstance(total, Sum) or total.ndim < 2 or all(map(_takes_all, items)):
        return None
    half = total.ndim // 2
    if not same_extents(total.extents[:half], total.extents[half:]):
        return None
    return scale(coefficient, add(*(term[index] for term in total.operands)))


def _takes_all(item: Any) -> bool:
    return item is None or item is ... or (isinstance(item, slice) and item == slice(None))


HANDLERS.append(entries_of_sum)


def half_rank(H: Node, what: str) -> int:
    """Number of row axes of a square tensor."""
    rank = H.ndim // 2
    if H.ndim % 2 or not all(map(is_equal, H.extents[:rank], H.extents[rank:])):
        raise ShapeError(
            f"{what} of a tensor whose rows and columns differ",
            [f"operand: shape {H.extents}"],
            "the axes of a variable must be followed by the same axes",
        )
    return rank


def shared_blocks(H: Node, tied: Sequence[int]) -> tuple[Node, tuple[int, ...]]:
    """``core[t..., r..., c...] = H`` where the rows and columns of the axes ``tied`` agree.

    Tied axes on which the core does not depend are left out; returns the core and those kept.
    """
    rank = H.ndim // 2
    free = [axis for axis in range(rank) if axis not in tied]
    columns = [axis if axis in tied else rank + axis for axis in range(rank)]
    output = [*tied, *free, *(rank + axis for axis in free)]
    core = simplify(product((H,), ((*range(rank), *columns),), output))
    constant = invariant_axes(core)
    kept = [axis for axis in range(core.ndim) if axis >= len(tied) or axis not in constant]
    if len(kept) < core.ndim:
        core = restricted(core, kept)
    return core, tuple(axis for position, axis in enumerate(tied) if position in kept)


def offset_delta(low: Any, rows: Any, width: Any, columns: Any) -> Node:
    """``delta[i, b, k]`` that says ``k = i + low + b``."""
    return Delta((((1, 1, -1), low),), (rows, width, columns))


def invariant_axes(node: Node) -> set[int]:
    """Axes along which all terms of ``node`` are constant by construction."""
    _, rest = split_coefficient(node)
    if isinstance(rest, Sum):
        return set.intersection(*map(invariant_axes, rest.operands))
    return constant_axes(node)


def restricted(node: Node, kept: Sequence[int]) -> Node:
    """``node`` with only the axes ``kept``; it does not depend on the others."""
    coefficient, rest = split_coefficient(node)
    if isinstance(rest, Sum):
        return scale(coefficient, add(*(restricted(term, kept) for term in rest.operands)))
    return without_axes(node, kept)
