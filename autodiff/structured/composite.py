"""Operators made of operators: inverses, and products with a preconditioner."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorcalc.errors import TensorcalcError

from .base import StructuredOperator
from .conjugate_gradients import Iteration, solved
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

    Solves by conjugate gradients, which notice a direction without positive curvature, or MINRES
    with ``definite=False``, with an optional structured operator as preconditioner.
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
        iteration = Iteration(
            f"the matrix ({self.name})",
            self.tolerance,
            10 * self.shape[0],
            "pass damping=, or a structured preconditioner",
        )
        return solved(self, V, damping, self.preconditioner, iteration, self.definite)

    def _log_determinant(self, damping: float) -> float:
        raise TensorcalcError(
            "the determinant of a matrix that is known by its products alone",
            [f"shape: {self.shape}"],
            "use ad.hessian(f, structured=True) where the Hessian has a structure",
        )

    def _diagonal(self) -> Any:
        return np.diagonal(self.todense()).copy()
