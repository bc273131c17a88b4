"""Blocks along shared axes: one dense block per index, or the same block for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from .arrangement import arrangement
from .base import FactorizedOperator, NotPositiveDefinite, require_positive
from .cholesky import cholesky_factor, cholesky_solve


class BlocksOperator(FactorizedOperator):
    """``H[t..., r..., t..., c...] = core[t_batch..., r..., c...]`` for the tied axes ``t``.

    Stores the blocks and solves with all of them at once.
    """

    is_sparse = True

    def __init__(
        self, core: Any, tied: Sequence[int], batch: Sequence[int], parameter_shape: Sequence[int]
    ) -> None:
        core = np.asarray(core)
        super().__init__(parameter_shape, np.result_type(core, np.float32))
        free = [a for a in range(len(self.parameter_shape)) if a not in tied]
        repeated = [a for a in tied if a not in batch]
        groups = (tuple(batch), tuple(free), tuple(repeated))
        self._arrangement = arrangement(self.parameter_shape, groups)
        self.blocks, self.size, self.repeats = self._arrangement.sizes
        self.core = core.reshape(self.blocks, self.size, self.size)

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The blocks, ``(blocks, size, size)``."""
        return (self.core,)

    def _gathered(self, V: Any) -> Any:
        """Columns as ``(blocks, size, repeats * k)``."""
        return self._arrangement.gathered(V).reshape(self.blocks, self.size, -1)

    def _scattered(self, W: Any, k: int) -> Any:
        return self._arrangement.scattered(W, k)

    def _product(self, V: Any) -> Any:
        return self._scattered(self.core @ self._gathered(V), V.shape[1])

    def _damped(self, damping: float) -> Any:
        return self.core + damping * np.eye(self.size) if damping else self.core

    def _factorized(self, damping: float) -> Any:
        """The lower factors of the blocks."""
        blocks = self._damped(damping)
        try:
            if self.blocks == 1:
                return cholesky_factor(blocks[0])[None]
            return np.linalg.cholesky(blocks)
        except np.linalg.LinAlgError:
            smallest = self.smallest_eigenvalue() + damping
            what = f"a block of the matrix ({self.name})"
            raise NotPositiveDefinite(what, smallest) from None

    def _solution(self, V: Any, damping: float) -> Any:
        factors = self._factors(damping)
        W = self._gathered(V)
        if self.blocks == 1:
            solved = cholesky_solve(factors[0], W[0])
        else:  # no batched triangular solve exists: that the blocks are definite is known by now
            solved = np.linalg.solve(self._damped(damping), W)
        return self._scattered(solved, V.shape[1])

    def _absolute_solution(self, V: Any, damping: float) -> Any:
        values, vectors = np.linalg.eigh(self.core)
        magnitudes = np.abs(values) + damping
        require_positive(f"a block of the matrix ({self.name})", magnitudes)
        rotated = np.swapaxes(vectors, 1, 2) @ self._gathered(V)
        return self._scattered(vectors @ (rotated / magnitudes[:, :, None]), V.shape[1])

    def _log_determinant(self, damping: float) -> float:
        factors = self._factors(damping)
        pivots = np.diagonal(factors, axis1=1, axis2=2)
        return 2 * self.repeats * np.log(pivots).sum()

    def _spread_diagonal(self, values: Any) -> Any:
        return self._scattered(np.repeat(values[:, :, None], self.repeats, axis=2), 1)[:, 0]

    def _diagonal(self) -> Any:
        return self._spread_diagonal(np.diagonal(self.core, axis1=1, axis2=2))

    def _inverse_diagonal(self, damping: float) -> Any:
        self._factors(damping)  # raises where a block is not definite
        inverse = np.linalg.inv(self._damped(damping))
        return self._spread_diagonal(np.diagonal(inverse, axis1=1, axis2=2))

    def smallest_eigenvalue(self) -> float:
        """The least eigenvalue of all blocks."""
        return float(np.linalg.eigvalsh(self.core).min())

    def todense(self) -> Any:
        """The whole matrix, each block written where it belongs."""
        n = self.shape[0]
        places = self._gathered(np.arange(n)[:, None]).astype(int)
        result = np.zeros((n, n), self.dtype)
        result[places[:, :, None, :], places[:, None, :, :]] = self.core[..., None]
        return result

    def to_scipy_sparse(self) -> Any:
        """The matrix with the entries of the blocks, repeated ones included."""
        n = self.shape[0]
        places = self._gathered(np.arange(n)[:, None])
        rows = np.broadcast_to(
            places[:, :, None, :], (self.blocks, self.size, self.size, self.repeats)
        )
        columns = np.swapaxes(rows, 1, 2)
        values = np.broadcast_to(self.core[..., None], rows.shape)
        entries = (rows.ravel(), columns.ravel())
        return sparse.coo_array((values.ravel(), entries), shape=self.shape).tocsr()
