"""Operators without coupling, and dense ones: zero, diagonal, dense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import linalg

from .base import (
    FactorizedOperator,
    NotPositiveDefinite,
    StructuredOperator,
    diagonal_array,
    require_positive,
    require_symmetric,
)
from .cholesky import cholesky_factor, cholesky_solve


class DiagonalOperator(StructuredOperator):
    """``H = diag(core)``; the core is a scalar for a multiple of the identity."""

    is_sparse = True

    def __init__(self, core: Any, parameter_shape: Sequence[int]) -> None:
        self.core = np.asarray(core)
        super().__init__(parameter_shape, np.result_type(self.core, np.float32))

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The diagonal, or the one number on it."""
        return (self.core,)

    def _values(self) -> Any:
        if self.core.shape == self.parameter_shape:
            return self.core.reshape(-1)
        return np.broadcast_to(self.core, self.parameter_shape).reshape(-1)

    def _product(self, V: Any) -> Any:
        return self._values()[:, None] * V

    def _damped(self, damping: float) -> Any:
        values = self._values() + damping
        require_positive(f"the matrix ({self.name})", values)
        return values

    def _solution(self, V: Any, damping: float) -> Any:
        return V / self._damped(damping)[:, None]

    def _absolute_solution(self, V: Any, damping: float) -> Any:
        values = np.abs(self._values()) + damping
        require_positive(f"the matrix ({self.name})", values)
        return V / values[:, None]

    def _log_determinant(self, damping: float) -> float:
        return np.log(self._damped(damping)).sum()

    def _diagonal(self) -> Any:
        return np.array(self._values())

    def _inverse_diagonal(self, damping: float) -> Any:
        return 1 / self._damped(damping)

    def smallest_eigenvalue(self) -> float:
        """The least entry of the diagonal."""
        return float(self.core.min())

    def to_scipy_sparse(self) -> Any:
        """The sparse diagonal matrix."""
        return diagonal_array(self._values().astype(self.dtype))


class ZeroOperator(DiagonalOperator):
    """``H = 0``."""

    def __init__(self, parameter_shape: Sequence[int]) -> None:
        super().__init__(np.zeros(()), parameter_shape)


class DenseOperator(FactorizedOperator):
    """A stored symmetric matrix, factorized by Cholesky."""

    def __init__(self, matrix: Any, parameter_shape: Sequence[int]) -> None:
        super().__init__(parameter_shape, np.result_type(matrix, np.float32))
        self.matrix = np.asarray(matrix).reshape(self.shape)

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The matrix."""
        return (self.matrix,)

    def _product(self, V: Any) -> Any:
        return self.matrix @ V

    def _factorized(self, damping: float) -> Any:
        require_symmetric(
            self.name, lambda v: self.matrix @ v, lambda v: self.matrix.T @ v, self.shape[0]
        )
        damped = np.array(self.matrix, dtype=self.dtype)
        if damping:
            damped.flat[:: len(damped) + 1] += damping
        try:
            return cholesky_factor(damped, overwrite=True)
        except np.linalg.LinAlgError:
            smallest = self.smallest_eigenvalue() + damping
            raise NotPositiveDefinite(f"the matrix ({self.name})", smallest) from None

    def _solution(self, V: Any, damping: float) -> Any:
        return cholesky_solve(self._factors(damping), V)

    def _log_determinant(self, damping: float) -> float:
        return 2 * np.log(np.diagonal(self._factors(damping))).sum()

    def _diagonal(self) -> Any:
        return np.array(np.diagonal(self.matrix))

    def smallest_eigenvalue(self) -> float:
        """The least eigenvalue, by LAPACK without the others."""
        return float(linalg.eigh(self.matrix, eigvals_only=True, subset_by_index=[0, 0])[0])

    def todense(self) -> Any:
        """A copy of the matrix."""
        return np.array(self.matrix)
