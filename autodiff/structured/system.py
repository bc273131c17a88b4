"""Systems in several parameters: what is sparse is eliminated, the rest by a Schur complement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from .base import FactorizedOperator, NotPositiveDefinite, StructuredOperator
from .simple import DenseOperator, ZeroOperator
from .sparse_patterns import SparseOperator

#: Rows up to which a system is factorized as a dense matrix.
FORMED = 64


class JoinedOperator(StructuredOperator):
    """A symmetric block system: ``coupling[p, q]`` joins parameters ``p < q``.

    Diagonal blocks are structured operators; couplings have the shape ``(n_p, n_q)``, None stands
    for zero.
    """

    def __init__(
        self, diagonal: Sequence[StructuredOperator], coupling: Mapping[tuple[int, int], Any]
    ) -> None:
        self.blocks = list(diagonal)
        self.offsets = np.cumsum([0, *(block.shape[0] for block in self.blocks)])
        super().__init__((int(self.offsets[-1]),), np.result_type(*(b.dtype for b in self.blocks)))
        self.coupling = {pair: B for pair, B in coupling.items() if B is not None}

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The cores of the diagonal blocks, then the couplings, each array once."""
        own = [array for block in self.blocks for array in block.arrays]
        own += [array for B in self.coupling.values() for array in _arrays_of(B)]
        return tuple({id(array): array for array in own}.values())

    def _slice(self, p: int) -> slice:
        return slice(int(self.offsets[p]), int(self.offsets[p + 1]))

    def _product(self, V: Any) -> Any:
        result = np.concatenate(
            [block._product(V[self._slice(p)]) for p, block in enumerate(self.blocks)]
        ).astype(np.result_type(self.dtype, V))
        for (p, q), B in self.coupling.items():
            result[self._slice(p)] += B @ V[self._slice(q)]
            result[self._slice(q)] += B.T @ V[self._slice(p)]
        return result

    def _diagonal(self) -> Any:
        return np.concatenate([block._diagonal() for block in self.blocks])


class SystemOperator(JoinedOperator, FactorizedOperator):
    """A block system of which the couplings are arrays or sparse arrays.

    A solve eliminates the largest structured parameter, with the other sparse ones if nothing dense
    joins them to it, and factorizes the Schur complement of the rest: an arrow-head matrix costs
    what its head costs. Of a small system the rest is everything.
    """

    def __init__(
        self, diagonal: Sequence[StructuredOperator], coupling: Mapping[tuple[int, int], Any]
    ) -> None:
        super().__init__(diagonal, coupling)
        self.coupling = {
            pair: B.tocsr() if sparse.issparse(B) else np.asarray(B)
            for pair, B in self.coupling.items()
        }

    # -- what a solve eliminates ----------------------------------------------------------------
    @cached_property
    def eliminated(self) -> tuple[int, ...]:
        """The parameters that a solve eliminates: the largest structured one, or all sparse ones
        that nothing dense joins; none where a dense factorization takes less than to prepare that.
        """
        if self.shape[0] <= FORMED:
            return ()
        largest = sorted(range(len(self.blocks)), key=lambda p: -self.blocks[p].shape[0])
        structured = [p for p in largest if not isinstance(self.blocks[p], DenseOperator)]
        found = (structured or largest)[:1]
        if self.blocks[found[0]].is_sparse:
            for p in structured[1:]:
                if self.blocks[p].is_sparse and all(self._is_sparse_between(p, q) for q in found):
                    found.append(p)
        return tuple(sorted(found))

    def _between(self, p: int, q: int) -> Any:
        """The coupling of two parameters, rows for the first; None for zero."""
        if (p, q) in self.coupling:
            return self.coupling[p, q]
        return self.coupling[q, p].T if (q, p) in self.coupling else None

    def _is_sparse_between(self, p: int, q: int) -> bool:
        B = self._between(p, q)
        return B is None or sparse.issparse(B)

    @cached_property
    def _inside(self) -> Any:
        """Which entries the eliminated parameters have."""
        inside = np.zeros(self.shape[0], dtype=bool)
        for p in self.eliminated:
            inside[self._slice(p)] = True
        return inside

    @cached_property
    def _inner(self) -> StructuredOperator:
        """The matrix of the eliminated parameters."""
        if not self.eliminated:
            return ZeroOperator((0,))
        if len(self.eliminated) == 1:
            return self.blocks[self.eliminated[0]]
        rows = [
            [
                self.blocks[p].to_scipy_sparse() if p == q else self._between(p, q)
                for q in self.eliminated
            ]
            for p in self.eliminated
        ]
        matrix = sparse.block_array(rows, format="csr")
        return SparseOperator(matrix, (matrix.shape[0],))

    @cached_property
    def _others(self) -> list[int]:
        return [p for p in range(len(self.blocks)) if p not in self.eliminated]

    def _border(self) -> Any:
        """One row per entry of the eliminated parameters, one column per entry of the others."""
        return self._assembled(self.eliminated, self._others)

    def _rest(self) -> Any:
        """The dense matrix of the other parameters."""
        return self._assembled(self._others, self._others)

    def _assembled(self, rows: Sequence[int], columns: Sequence[int]) -> Any:
        heights = np.cumsum([0, *(self.blocks[p].shape[0] for p in rows)])
        widths = np.cumsum([0, *(self.blocks[q].shape[0] for q in columns)])
        result = np.zeros((heights[-1], widths[-1]))
        for a, p in enumerate(rows):
            for b, q in enumerate(columns):
                B = self.blocks[p].todense() if p == q else self._between(p, q)
                if B is not None:
                    B = B.toarray() if sparse.issparse(B) else B
                    result[heights[a] : heights[a + 1], widths[b] : widths[b + 1]] = B
        return result

    # -- solves ---------------------------------------------------------------------------------
    def _factorized(self, damping: float) -> Any:
        """The border, the inner solution for it and the Schur complement."""
        border = self._border()
        try:
            spread = self._spread(border, damping)
            schur = self._rest() - border.T @ spread
            head = DenseOperator(schur, (len(schur),))
            head._factors(damping)
        except NotPositiveDefinite:
            smallest = self.smallest_eigenvalue() + damping
            raise NotPositiveDefinite("the block system", smallest) from None
        return border, spread, head

    def _spread(self, border: Any, damping: float) -> Any:
        """The inner solution for the border; without one the inner matrix is factorized as well."""
        if border.shape[1]:
            return self._inner._solution(border, damping)
        self._inner._solution(np.zeros((len(border), 1)), damping)
        return border

    def _solution(self, V: Any, damping: float) -> Any:
        border, spread, head = self._factors(damping)
        inside = self._inside
        start = self._inner._solution(V[inside], damping)
        rest = head._solution(V[~inside] - border.T @ start, damping)
        result = np.empty(V.shape, np.result_type(self.dtype, V))
        result[~inside] = rest
        result[inside] = start - spread @ rest
        return result

    def _log_determinant(self, damping: float) -> float:
        _, _, head = self._factors(damping)
        return self._inner._log_determinant(damping) + head._log_determinant(damping)

    def smallest_eigenvalue(self) -> float:
        """The least eigenvalue; where all parameters are sparse, that of one sparse matrix."""
        return super().smallest_eigenvalue() if self._others else self._inner.smallest_eigenvalue()

    def _inverse_diagonal(self, damping: float) -> Any:
        _, spread, head = self._factors(damping)
        inverse = head._solution(np.eye(head.shape[0]), damping)
        result = np.empty(self.shape[0])
        result[~self._inside] = np.diagonal(inverse)
        result[self._inside] = self._inner._inverse_diagonal(damping) + np.einsum(
            "ir,rs,is->i", spread, inverse, spread, optimize=True
        )
        return result


def _arrays_of(B: Any) -> tuple[Any, ...]:
    if sparse.issparse(B):
        return B.data, B.indices, B.indptr
    return B.arrays if isinstance(B, LinearOperator) else (B,)
