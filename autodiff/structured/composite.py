"""Operators made of operators: inverses, systems in several parameters, products only."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, cg, minres

from tensorcalc.errors import TensorcalcError

from .base import DENSE_LIMIT, NotPositiveDefinite, StructuredOperator
from .simple import DenseOperator


class InverseOperator(StructuredOperator):
    """``inv(A) + shift I`` by solves with ``A``; without a shift its solves are products."""

    def __init__(self, inner: StructuredOperator, shift: float = 0.0) -> None:
        super().__init__(inner.parameter_shape, inner.dtype)
        self.inner, self.shift = inner, float(shift)

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The cores of the inverted operator."""
        return self.inner.arrays

    def _product(self, V: Any) -> Any:
        return self.inner._solution(V, 0.0) + self.shift * V

    def _solution(self, V: Any, damping: float) -> Any:
        """``inv(inv(A) + d I)`` is ``(I - inv(I + d A)) / d`` for ``d > 0``."""
        d = damping + self.shift
        if d < 0:
            return self._dense()._solution(V, damping)
        if not d:
            return self.inner._product(V)
        return (V - self.inner._solution(V, 1 / d) / d) / d

    def _dense(self) -> DenseOperator:
        """The whole, for less than the inverse: no solve with ``A`` helps there."""
        n = self.shape[0]
        if 8 * n * n > DENSE_LIMIT:
            raise TensorcalcError(
                f"a solve with a matrix that is {self.name}, damped by less than zero",
                [f"size: {n} x {n}, dense {8 * n * n / 1e9:.3g} GB"],
                "pass a larger damping=",
            )
        return DenseOperator(self.todense(), self.parameter_shape)

    def _log_determinant(self, damping: float) -> float:
        d = damping + self.shift
        if d < 0:
            return self._dense()._log_determinant(damping)
        inner = self.inner._log_determinant(0.0)
        if not d:
            return -inner
        return self.inner._log_determinant(1 / d) + self.shape[0] * math.log(d) - inner

    def _diagonal(self) -> Any:
        return self.inner._inverse_diagonal(0.0) + self.shift

    def _inverse_diagonal(self, damping: float) -> Any:
        d = damping + self.shift
        if d < 0:
            return self._dense()._inverse_diagonal(damping)
        if not d:
            return self.inner._diagonal()
        return (1 - self.inner._inverse_diagonal(1 / d) / d) / d

    def smallest_eigenvalue(self) -> float:
        """The reciprocal of the largest eigenvalue of the inverted operator, plus the shift."""
        return 1 / float(self.inner.eigsh(1, "LA")[0][0]) + self.shift


class SystemOperator(StructuredOperator):
    """A symmetric block system: ``blocks[p][q]`` couples parameters ``p`` and ``q``.

    Diagonal blocks are structured operators, the others arrays of shape ``(n_p, n_q)`` (or None for
    zero). A solve eliminates the largest structured parameter and factorizes the Schur complement
    of the others: an arrow-head matrix costs what its head costs.
    """

    def __init__(
        self, diagonal: Sequence[StructuredOperator], coupling: dict[tuple[int, int], Any]
    ) -> None:
        self.blocks = list(diagonal)
        self.offsets = np.cumsum([0, *(block.shape[0] for block in self.blocks)])
        super().__init__((int(self.offsets[-1]),), np.result_type(*(b.dtype for b in self.blocks)))
        self.coupling = {pair: np.asarray(B) for pair, B in coupling.items() if B is not None}
        self._kept: tuple[float, Any] | None = None

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The cores of the diagonal blocks, then the couplings."""
        return (*(a for block in self.blocks for a in block.arrays), *self.coupling.values())

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

    @property
    def eliminated(self) -> int:
        """The parameter that a solve eliminates: the largest one whose block is structured."""
        structured = [
            p for p, block in enumerate(self.blocks) if not isinstance(block, DenseOperator)
        ]
        return max(structured or range(len(self.blocks)), key=lambda p: self.blocks[p].shape[0])

    def _border(self, p: int) -> Any:
        """``B`` with one row per entry of parameter ``p``, one column per entry of the others."""
        parts = []
        for q in range(len(self.blocks)):
            if q == p:
                continue
            if (p, q) in self.coupling:
                parts.append(self.coupling[p, q])
            elif (q, p) in self.coupling:
                parts.append(self.coupling[q, p].T)
            else:
                parts.append(np.zeros((self.blocks[p].shape[0], self.blocks[q].shape[0])))
        return np.concatenate(parts, axis=1)

    def _rest(self, p: int) -> Any:
        """The dense matrix of all parameters but ``p``."""
        keep = np.ones(self.shape[0], dtype=bool)
        keep[self._slice(p)] = False
        size = int(keep.sum())
        result = np.zeros((size, size))
        position = np.cumsum(keep) - 1
        for q, block in enumerate(self.blocks):
            if q != p:
                at = position[self._slice(q)]
                result[np.ix_(at, at)] = block.todense()
        for (q, r), B in self.coupling.items():
            if p not in (q, r):
                rows, columns = position[self._slice(q)], position[self._slice(r)]
                result[np.ix_(rows, columns)] = B
                result[np.ix_(columns, rows)] = B.T
        return result

    def _factors(self, damping: float) -> Any:
        if self._kept is None or self._kept[0] != damping:
            p = self.eliminated
            border = self._border(p)
            spread = self.blocks[p]._solution(border, damping)
            schur = self._rest(p) - border.T @ spread
            head = DenseOperator(schur, (len(schur),))
            try:
                head._cholesky(damping)
            except NotPositiveDefinite:
                raise NotPositiveDefinite(
                    "the block system", self.smallest_eigenvalue() + damping
                ) from None
            self._kept = damping, (p, border, spread, head)
        return self._kept[1]

    def _solution(self, V: Any, damping: float) -> Any:
        p, border, spread, head = self._factors(damping)
        keep = np.ones(self.shape[0], dtype=bool)
        keep[self._slice(p)] = False
        start = self.blocks[p]._solution(V[self._slice(p)], damping)
        rest = head._solution(V[keep] - border.T @ start, damping)
        result = np.empty(V.shape, np.result_type(self.dtype, V))
        result[keep] = rest
        result[self._slice(p)] = start - spread @ rest
        return result

    def _log_determinant(self, damping: float) -> float:
        p, _, _, head = self._factors(damping)
        return self.blocks[p]._log_determinant(damping) + head._log_determinant(damping)

    def _diagonal(self) -> Any:
        return np.concatenate([block._diagonal() for block in self.blocks])

    def _inverse_diagonal(self, damping: float) -> Any:
        p, _, spread, head = self._factors(damping)
        inverse = head._solution(np.eye(head.shape[0]), damping)
        result = np.empty(self.shape[0])
        keep = np.ones(self.shape[0], dtype=bool)
        keep[self._slice(p)] = False
        result[keep] = np.diagonal(inverse)
        result[self._slice(p)] = self.blocks[p]._inverse_diagonal(damping) + np.einsum(
            "ir,rs,is->i", spread, inverse, spread
        )
        return result


class ProductOperator(StructuredOperator):
    """A symmetric matrix known by its products alone, such as Hessian-vector products.

    Solves by conjugate gradients, or MINRES with ``definite=False``, with an optional structured
    operator as preconditioner.
    """

    def __init__(
        self,
        product: Callable[[Any], Any],
        parameter_shape: Sequence[int],
        preconditioner: StructuredOperator | None = None,
        definite: bool = True,
        tolerance: float = 1e-10,
    ) -> None:
        super().__init__(parameter_shape)
        self.function, self.preconditioner = product, preconditioner
        self.definite, self.tolerance = definite, tolerance

    def _product(self, V: Any) -> Any:
        columns = [
            np.asarray(self.function(v.reshape(self.parameter_shape))).reshape(-1) for v in V.T
        ]
        return np.stack(columns, axis=1)

    def _solution(self, V: Any, damping: float) -> Any:
        n = self.shape[0]
        damped = LinearOperator(
            (n, n), lambda v: self._matvec(v) + damping * v.reshape(-1), dtype=float
        )
        inverse = None
        if self.preconditioner is not None:
            known = self.preconditioner
            inverse = LinearOperator(
                (n, n), lambda v: known._solution(v.reshape(-1, 1), damping)[:, 0], dtype=float
            )
        return np.stack([self._iterated(damped, v, inverse) for v in V.T], axis=1)

    def _iterated(self, damped: Any, v: Any, inverse: Any) -> Any:
        method = cg if self.definite else minres
        solution, failed = method(damped, v, rtol=self.tolerance, M=inverse, maxiter=10 * len(v))
        if failed:
            raise TensorcalcError(
                f"{method.__name__} did not converge to {self.tolerance:g}",
                [f"unknowns: {len(v)}", f"iterations: {10 * len(v)}"],
                "pass damping=, or a structured preconditioner",
            )
        return solution

    def _log_determinant(self, damping: float) -> float:
        raise TensorcalcError(
            "the determinant of a matrix that is known by its products alone",
            [f"shape: {self.shape}"],
            "use ad.hessian(f, structured=True) where the Hessian has a structure",
        )

    def _diagonal(self) -> Any:
        return np.diagonal(self.todense()).copy()
