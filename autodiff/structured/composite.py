"""Operators made of operators: inverses, and products with a preconditioner."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, cg, minres

from tensorcalc.errors import TensorcalcError

from .base import StructuredOperator
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
        self._require_dense_fits(
            f"a solve with a matrix that is {self.name}, damped by less than zero",
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

    @property
    def name(self) -> str:
        """The word for what is known of the matrix."""
        return "products with vectors"

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
