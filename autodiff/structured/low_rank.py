"""A structured matrix plus one of low rank: Woodbury's identity in its symmetric form."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import linalg
from scipy.sparse.linalg import ArpackError

from .base import FactorizedOperator, NotPositiveDefinite, StructuredOperator
from .simple import DenseOperator, DiagonalOperator, ZeroOperator

#: Eigenvalues of ``I + R' M R`` below this are rounding of a zero.
SINGULAR = 1e-13


class PlusLowRankOperator(FactorizedOperator):
    """``H = D + Z' M Z`` with ``Z`` of ``r`` rows and a symmetric ``M``.

    With ``G = Z inv(D) Z' = R R'`` and ``S = I + R' M R`` (both ``r`` by ``r``) it holds that
    ``det H = det D det S``, ``inv(H) = inv(D) - inv(D) Z' (M - M R inv(S) R' M) Z inv(D)``; for a
    positive definite ``D`` the matrix ``S`` is positive definite exactly where ``H`` is.
    """

    def __init__(self, base: StructuredOperator, Z: Any, M: Any) -> None:
        super().__init__(base.parameter_shape, np.result_type(base.dtype, Z))
        self.base = base
        self.Z = np.asarray(Z).reshape(-1, self.shape[0])
        self.M = np.asarray(M)
        self._range: tuple[Any, Any] | None = None

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The cores of ``D``, then ``Z`` and ``M``."""
        return (*self.base.arrays, self.Z, self.M)

    def _weighted(self, W: Any) -> Any:
        return self.M[:, None] * W if self.M.ndim == 1 else self.M @ W

    def _product(self, V: Any) -> Any:
        return self.base._product(V) + self.Z.T @ self._weighted(self.Z @ V)

    def _anchor(self, damping: float) -> tuple[StructuredOperator, float]:
        """The part inverted by itself; zero with a damping is a multiple of the identity."""
        if isinstance(self.base, ZeroOperator):
            return DiagonalOperator(np.asarray(float(damping)), self.parameter_shape), 0.0
        return self.base, damping

    def _factorized(self, damping: float) -> Any:
        """``inv(D) Z'``, ``R`` and the Cholesky factor of ``S``, or a dense factorization."""
        anchor, rest = self._anchor(damping)
        if len(self.Z) >= self.shape[0]:
            return self._densely(damping)
        try:
            spread = anchor._solution(np.ascontiguousarray(self.Z.T), rest)
        except NotPositiveDefinite:
            return self._densely(damping)
        gram = self.Z @ spread
        values, vectors = np.linalg.eigh((gram + gram.T) / 2)
        root = vectors * np.sqrt(np.maximum(values, 0))
        inner = root.T @ self._weighted(root)
        S = np.eye(len(inner)) + (inner + inner.T) / 2
        smallest = float(np.linalg.eigvalsh(S)[0])
        scale = 1 + float(np.abs(inner).max(initial=0.0))
        if smallest <= SINGULAR * scale * len(S):
            raise NotPositiveDefinite(f"the matrix ({self.name})", self._least(smallest) + damping)
        return spread, root, linalg.cho_factor(S, lower=True)

    def _least(self, smallest: float) -> float:
        """The least eigenvalue; the sign of ``smallest`` where the iteration finds none."""
        try:
            return self.smallest_eigenvalue()
        except ArpackError:
            return smallest

    def _densely(self, damping: float) -> Any:
        """A dense factorization, where the rank is not smaller or ``D`` is indefinite."""
        self._require_dense_fits(
            f"a solve with a matrix that is {self.name}, whose structured part is not definite",
            "pass damping= that makes the structured part positive",
        )
        dense = DenseOperator(self.todense(), self.parameter_shape)
        dense.structure = self.structure
        dense._factors(damping)
        return dense

    def _solution(self, V: Any, damping: float) -> Any:
        kept = self._factors(damping)
        if isinstance(kept, DenseOperator):
            return kept._solution(V, damping)
        spread, root, factor = kept
        anchor, rest = self._anchor(damping)
        if isinstance(anchor, DiagonalOperator) and not anchor.core.ndim:
            return self._by_range(V, float(anchor.core) + rest)
        start = anchor._solution(V, rest)
        z = self._weighted(self.Z @ start)
        z = z - self._weighted(root @ linalg.cho_solve(factor, root.T @ z))
        return start - spread @ z

    def _by_range(self, V: Any, d: float) -> Any:
        """``inv(d I + Z' M Z) V`` with ``Z' = Q R``: Woodbury's difference cancels for small d.

        In the range of ``Q`` the matrix is ``d I + R M R'``, outside of it ``d I``.
        """
        if self._range is None:
            self._range = np.linalg.qr(self.Z.T)
        Q, R = self._range
        core = R @ self._weighted(R.T)
        within = Q.T @ V
        inner = (core + core.T) / 2 + d * np.eye(len(core))
        solved = linalg.solve(inner, within, assume_a="sym")
        return (V - Q @ within) / d + Q @ solved

    def _log_determinant(self, damping: float) -> float:
        kept = self._factors(damping)
        if isinstance(kept, DenseOperator):
            return kept._log_determinant(damping)
        anchor, rest = self._anchor(damping)
        return anchor._log_determinant(rest) + 2 * np.log(np.diagonal(kept[2][0])).sum()

    def _diagonal(self) -> Any:
        return self.base._diagonal() + np.einsum("ri,ri->i", self.Z, self._weighted(self.Z))

    def _inverse_diagonal(self, damping: float) -> Any:
        kept = self._factors(damping)
        if isinstance(kept, DenseOperator):
            return kept._inverse_diagonal(damping)
        spread, root, factor = kept
        anchor, rest = self._anchor(damping)
        weighted = self._weighted(root)
        M = np.diag(self.M) if self.M.ndim == 1 else self.M
        middle = M - weighted @ linalg.cho_solve(factor, weighted.T)
        return anchor._inverse_diagonal(rest) - np.einsum("ir,rs,is->i", spread, middle, spread)

    def todense(self) -> Any:
        """``D + Z' M Z``, without products by columns of the identity."""
        return self.base.todense() + self._gram()

    def _gram(self) -> Any:
        """``Z' M Z``; for weights of one sign by half the work: NumPy takes syrk for ``A' A``."""
        if self.M.ndim == 1 and (np.all(self.M >= 0) or np.all(self.M <= 0)):
            unit = bool(np.all(np.abs(self.M) == 1))
            scaled = self.Z if unit else np.sqrt(np.abs(self.M))[:, None] * self.Z
            gram = scaled.T @ scaled
            return np.negative(gram, out=gram) if self.M.min(initial=0.0) < 0 else gram
        return self.Z.T @ self._weighted(self.Z)
