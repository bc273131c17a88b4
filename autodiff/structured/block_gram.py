"""Gram matrices with blocks plus a diagonal: solved in the smaller of two dimensions.

The dense matrix is formed only where a solve needs it: one triangle of it, by products in which the
weights of all pairs of classes stand side by side.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from .arrangement import arrangement
from .base import StructuredOperator, require_positive, require_symmetric
from .kronecker import KroneckerOperator
from .simple import DenseOperator, DiagonalOperator

#: Columns of ``X`` whose rows of the matrix are formed by one product.
GROUP = 4
#: Up to this many columns of ``X`` the preconditioner's eigenvectors are worth their cost.
SPECTRAL_LIMIT = 1500


@functools.lru_cache(maxsize=64)
def _pairs(k: int) -> tuple[Any, Any, Any]:
    """Rows and columns of a triangle of ``k`` by ``k`` entries, and which of them an entry is."""
    rows, columns = np.tril_indices(k)
    pair = np.empty((k, k), dtype=int)
    pair[rows, columns] = pair[columns, rows] = np.arange(len(rows))
    return rows, columns, pair


class BlockGramOperator(StructuredOperator):
    """``H[j, a, l, b] = sum_i X[i, j] D[i, a, b] X[i, l] + base[j, a] delta[j, l] delta[a, b]``.

    ``own`` are the axes of the parameter that ``X`` acts on, the blocks act on the others; ``base``
    is a number or has the shape of the parameter. With more columns than rows in ``X`` and a number
    as base, a solve happens in the row space of ``X``: with ``X' = Q R`` the matrix is the same
    with ``R'`` in place of ``X`` there, and ``base`` outside of it.
    """

    def __init__(
        self,
        side: Any,
        blocks: Any,
        base: Any,
        own: Sequence[int],
        parameter_shape: Sequence[int],
    ) -> None:
        super().__init__(parameter_shape, np.result_type(side, blocks, np.float32))
        others = [a for a in range(len(self.parameter_shape)) if a not in own]
        self.groups = (tuple(own), tuple(others))
        self._arrangement = arrangement(self.parameter_shape, self.groups)
        self.size, self.width = self._arrangement.sizes
        self.X = np.asarray(side).reshape(-1, self.size)
        blocks = np.asarray(blocks).reshape(len(self.X), self.width, self.width)
        #: The blocks with their row of ``X`` as the last axis, along which products run.
        self.D = np.ascontiguousarray(np.moveaxis(blocks, 0, -1))
        self.base = np.asarray(base, dtype=self.dtype)
        self._inner: tuple[Any, StructuredOperator] | None = None

    @property
    def arrays(self) -> tuple[Any, ...]:
        """``X``, the blocks and the diagonal that is added."""
        return self.X, self.D, self.base

    # -- products: between flat arrays and (others, columns, own) -------------------------------
    def _gathered(self, V: Any) -> Any:
        return self._arrangement.gathered(V).transpose(1, 2, 0)

    def _scattered(self, W: Any) -> Any:
        return self._arrangement.scattered(W.transpose(2, 0, 1), W.shape[1])

    def _product(self, V: Any) -> Any:
        return self._weighted(self.D, V) + self._base_values()[:, None] * V

    def _weighted(self, D: Any, V: Any) -> Any:
        """``X' D X`` times ``V``."""
        m, shape = len(self.X), (self.width, V.shape[1], -1)
        outside = self._gathered(V).reshape(-1, self.size) @ self.X.T
        inside = np.einsum("bai,bci->aci", D, outside.reshape(shape)).reshape(-1, m)
        return self._scattered((inside @ self.X).reshape(shape))

    def _base_values(self) -> Any:
        return np.broadcast_to(self.base, self.parameter_shape).reshape(-1)

    def _diagonal(self) -> Any:
        own = np.diagonal(self.D).T @ self.X**2
        return self._scattered(own[:, None])[:, 0] + self._base_values()

    def todense(self) -> Any:
        """The whole matrix."""
        n, k = self.size, self.width
        result = np.empty((n, k, n, k), self.dtype)
        rows, columns, pair = _pairs(k)
        weights, sides = self.D[rows, columns], np.ascontiguousarray(self.X.T)
        for start in range(0, n, GROUP):
            end = min(start + GROUP, n)
            scaled = (sides[start:end, None] * weights).reshape(-1, len(self.X))
            formed = sides[start:] @ scaled.T
            block = formed.reshape(n - start, end - start, len(rows))[:, :, pair]
            result[start:, :, start:end] = block.transpose(0, 2, 1, 3)
            result[start:end, :, start:] = block.transpose(1, 2, 0, 3)
        return self._with_base(result)

    def _with_base(self, gram: Any) -> Any:
        """A matrix over the gathered axes in the order of the parameter, with ``base`` added."""
        n = self.shape[0]
        rows = self._arrangement.scattered(gram.reshape(n, n), n)
        matrix = self._arrangement.scattered(rows.T, n)
        matrix.flat[:: len(matrix) + 1] += self._base_values()
        return matrix

    # -- solves ---------------------------------------------------------------------------------
    @property
    def is_wide(self) -> bool:
        """Whether the row space of ``X`` is the smaller dimension and all there is to look at."""
        return len(self.X) < self.size and not self.base.ndim

    def _kept(self) -> tuple[Any, StructuredOperator]:
        """A basis of the row space with the matrix there, or None with the whole, formed."""
        if self._inner is None:
            self._symmetrised()
            self._inner = self._reduced() if self.is_wide else (None, self._formed())
            self._inner[1].structure = self.structure
        return self._inner

    def _symmetrised(self) -> None:
        """Blocks need not be symmetric one by one: their symmetric parts have the same sum."""
        adjoint = self.D.transpose(1, 0, 2)
        if not np.array_equal(self.D, adjoint):
            require_symmetric(
                self.name,
                lambda v: self._weighted(self.D, v),
                lambda v: self._weighted(adjoint, v),
                self.shape[0],
            )
            self.D = (self.D + adjoint) / 2

    def _reduced(self) -> tuple[Any, StructuredOperator]:
        Q, R = np.linalg.qr(self.X.T)
        blocks = np.moveaxis(self.D, -1, 0)
        inner = BlockGramOperator(R.T, blocks, self.base, (0,), (len(R), self.width))
        return Q, inner

    def _formed(self) -> DenseOperator:
        self._require_dense_fits(
            f"a factorization of a matrix that is {self.name}",
            "solve by products: ProductOperator(H.__matmul__, shape, H.nearby()).solve(b), "
            "or minimise by 'newton-conjugate-gradient' with products='structured'",
        )
        return DenseOperator(self.todense(), self.parameter_shape)

    def _solution(self, V: Any, damping: float) -> Any:
        return self._split(V, lambda inner, W: inner._solution(W, damping), self._outside(damping))

    def _absolute_solution(self, V: Any, damping: float) -> Any:
        outside = abs(float(self.base)) + damping if self.is_wide else 1.0
        return self._split(V, lambda inner, W: inner._absolute_solution(W, damping), outside)

    def _outside(self, damping: float) -> float:
        """The eigenvalue outside of the row space of a wide ``X``."""
        if not self.is_wide:
            return 1.0
        require_positive(f"the matrix ({self.name})", self.base + damping)
        return float(self.base) + damping

    def _split(self, V: Any, solve: Any, outside: float) -> Any:
        """``solve`` in the row space and a division outside of it."""
        Q, inner = self._kept()
        if Q is None:
            return solve(inner, V)
        W = self._gathered(V)
        within = W @ Q
        k = V.shape[1]
        solved = solve(inner, within.transpose(2, 0, 1).reshape(-1, k))
        solved = solved.reshape(-1, self.width, k).transpose(1, 2, 0)
        return self._scattered((W - within @ Q.T) / outside + solved @ Q.T)

    def _log_determinant(self, damping: float) -> float:
        Q, inner = self._kept()
        outside = 0.0
        if Q is not None:
            missing = self.width * (self.size - Q.shape[1])
            outside = missing * np.log(self._outside(damping))
        return inner._log_determinant(damping) + outside

    def _inverse_diagonal(self, damping: float) -> Any:
        Q, inner = self._kept()
        if Q is None:
            return inner._inverse_diagonal(damping)
        r = Q.shape[1]
        inverse = inner._solution(np.eye(inner.shape[0]), damping)
        inverse = inverse.reshape(r, self.width, r, self.width)
        own = np.einsum("jr,rasa,js->aj", Q, inverse, Q, optimize=True)
        own += (1 - np.sum(Q**2, axis=1)) / self._outside(damping)
        return self._scattered(own[:, None])[:, 0]

    def smallest_eigenvalue(self) -> float:
        """The least eigenvalue: in the row space of a wide ``X``, or outside of it."""
        Q, inner = self._kept()
        smallest = inner.smallest_eigenvalue()
        return smallest if Q is None else min(smallest, float(self.base))

    def nearby(self, damping: float = 0.0) -> StructuredOperator | None:
        """``sum_i tr(D_i) x_i x_i'`` times the mean block, scaled to the same trace, plus the mean
        of the base; for large ``X`` the diagonal.
        """
        if self.size > SPECTRAL_LIMIT:
            values = self._diagonal() + damping
            return DiagonalOperator(values, self.parameter_shape) if np.all(values > 0) else None
        lengths, traces = np.einsum("ij,ij->i", self.X, self.X), np.einsum("aai->i", self.D)
        total = self.D @ lengths
        scale = float(np.trace(total)) or 1.0
        factors = [(self.X.T * traces) @ self.X, (total + total.T) / (2 * scale)]
        shift = float(np.mean(self.base)) + damping
        found = KroneckerOperator(factors, self.groups, self.parameter_shape, shift)
        return found if found.smallest_eigenvalue() > 0 else None
