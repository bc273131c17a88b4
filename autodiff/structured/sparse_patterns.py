"""Banded matrices by LAPACK's band routines, other sparse ones by sparse LU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator, eigsh, splu

from .base import SMALL, FactorizedOperator, NotPositiveDefinite
from .cholesky import band_factor, band_solve
from .selected_inverse import inverse_diagonal_of


class BandedOperator(FactorizedOperator):
    """``H[i, i + low + b] = band[i, b]``."""

    is_sparse = True

    def __init__(self, band: Any, low: int, parameter_shape: Sequence[int]) -> None:
        super().__init__(parameter_shape, np.result_type(band, np.float32))
        self.band, self.low = np.asarray(band), low

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The band, one column per diagonal."""
        return (self.band,)

    def to_scipy_sparse(self) -> Any:
        """The entries of the band that lie inside the matrix."""
        n = self.shape[0]
        rows = np.arange(n)[:, None]
        columns = rows + self.low + np.arange(self.band.shape[1])
        inside = (columns >= 0) & (columns < n)
        entries = (np.broadcast_to(rows, columns.shape)[inside], columns[inside])
        return sparse.coo_array((self.band[inside], entries), shape=self.shape).tocsr()

    def _product(self, V: Any) -> Any:
        n = self.shape[0]
        result = np.zeros((n, V.shape[1]), np.result_type(self.band, V))
        for b in range(self.band.shape[1]):
            offset = self.low + b
            start, stop = max(0, -offset), min(n, n - offset)
            if start < stop:
                rows = self.band[start:stop, b, None]
                result[start:stop] += rows * V[start + offset : stop + offset]
        return result

    def _lower(self, damping: float = 0.0) -> Any:
        """LAPACK's lower form: ``lower[d, i] = H[i + d, i]``."""
        n, width = self.band.shape
        depth = min(max(-self.low, width + self.low - 1), n - 1)
        lower = np.zeros((depth + 1, n))
        for d in range(depth + 1):
            b = d - self.low
            if 0 <= b < width:
                lower[d, : n - d] = self.band[: n - d, b]
        lower[0] += damping
        return lower

    def _factorized(self, damping: float) -> Any:
        try:
            return band_factor(self._lower(damping))
        except np.linalg.LinAlgError:
            smallest = self.smallest_eigenvalue() + damping
            raise NotPositiveDefinite(f"the matrix ({self.name})", smallest) from None

    def _solution(self, V: Any, damping: float) -> Any:
        return band_solve(self._factors(damping), V)

    def _log_determinant(self, damping: float) -> float:
        return 2 * np.log(self._factors(damping)[0]).sum()

    def _diagonal(self) -> Any:
        return self._lower()[0]

    def _inverse_diagonal(self, damping: float) -> Any:
        return diagonal_of_inverse(self._factors(damping))

    def _spectrum(self) -> tuple[Any, Any]:
        if not self.fits_densely:  # the eigenvectors are dense
            return super()._spectrum()
        return linalg.eig_banded(self._lower(), lower=True)  # type: ignore[no-any-return]

    def smallest_eigenvalue(self) -> float:
        """The least eigenvalue, by LAPACK's band routine without the others."""
        lower = self._lower()
        return float(
            linalg.eig_banded(
                lower, lower=True, eigvals_only=True, select="i", select_range=(0, 0)
            )[0]
        )


def diagonal_of_inverse(factor: Any) -> Any:
    """The diagonal of ``Z = inv(L L')`` for a banded ``L`` with ``factor[d, i] = L[i + d, i]``.

    Column by column from the last, ``L' Z = inv(L)`` gives the entries of ``Z`` inside of the band
    by those to the right of them: ``n d^2`` operations. Source: Takahashi, Fagan, Chen, *Formation
    of a sparse bus impedance matrix and its application to short circuit study* (1973).
    """
    depth, n = len(factor) - 1, factor.shape[1]
    result = np.empty(n)
    known = np.zeros((depth + 1, depth + 1))  # Z at rows and columns i + 1, ..., i + depth
    for i in range(n - 1, -1, -1):
        pivot, below = factor[0, i], factor[1:, i]
        row = -(known[:depth, :depth] @ below) / pivot
        result[i] = (1 / pivot - below @ row) / pivot
        known[1:, 1:] = known[:-1, :-1].copy()
        known[0, 1:] = known[1:, 0] = row
        known[0, 0] = result[i]
    return result


class SparseOperator(FactorizedOperator):
    """A sparse symmetric matrix, factorized by sparse LU in a symmetric order without pivoting."""

    is_sparse = True

    def __init__(self, matrix: Any, parameter_shape: Sequence[int]) -> None:
        super().__init__(parameter_shape, np.result_type(matrix.dtype, np.float32))
        own = isinstance(matrix, sparse.csr_array)
        self.matrix = matrix if own else sparse.csr_array(matrix)

    @property
    def arrays(self) -> tuple[Any, ...]:
        """Entries, column indices and row pointers of the CSR form."""
        return self.matrix.data, self.matrix.indices, self.matrix.indptr

    def to_scipy_sparse(self) -> Any:
        """A copy of the stored matrix."""
        return self.matrix.copy()

    def _product(self, V: Any) -> Any:
        return self.matrix @ V

    def _factorized(self, damping: float) -> Any:
        """LU without row exchanges; positive pivots say positive definite."""
        damped = sparse.csc_array(self.matrix + damping * sparse.eye_array(self.shape[0]))
        try:
            factor = splu(
                damped,
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )
        except RuntimeError:  # SuperLU's report of a pivot that is exactly zero
            factor = None
        positive = factor is not None and np.array_equal(factor.perm_r, factor.perm_c)
        if factor is None or not positive or not (factor.U.diagonal() > 0).all():
            smallest = self.smallest_eigenvalue() + damping
            raise NotPositiveDefinite(f"the matrix ({self.name})", smallest)
        return factor

    def _solution(self, V: Any, damping: float) -> Any:
        return self._factors(damping).solve(np.ascontiguousarray(V, dtype=float))

    def _log_determinant(self, damping: float) -> float:
        return np.log(self._factors(damping).U.diagonal()).sum()

    def _diagonal(self) -> Any:
        return self.matrix.diagonal()

    def _inverse_diagonal(self, damping: float) -> Any:
        factor = self._factors(damping)
        return inverse_diagonal_of(factor.L, factor.U.diagonal())[factor.perm_c]

    def smallest_eigenvalue(self) -> float:
        """The least eigenvalue: Lanczos on the inverse, shifted by Gershgorin's lower bound."""
        n = self.shape[0]
        if n <= SMALL:
            return super().smallest_eigenvalue()
        diagonal = self.matrix.diagonal()
        radii = abs(self.matrix).sum(axis=1) - np.abs(diagonal)
        bound = float((diagonal - radii).min())
        below = bound - 1e-3 * (1 + abs(bound))
        inverse = LinearOperator((n, n), self._factors(-below).solve, dtype=float)
        found = eigsh(self.matrix, 1, sigma=below, OPinv=inverse, return_eigenvectors=False)
        return float(found[0])

    def todense(self) -> Any:
        """The whole matrix, zeros written out."""
        return self.matrix.toarray()
