"""Systems whose couplings are too large to be stored: products with them, and iterations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from tensorcalc.errors import TensorcalcError

from .base import StructuredOperator
from .conjugate_gradients import Iteration, solved
from .system import JoinedOperator

#: The residual of a solve, relative to the right-hand side.
TOLERANCE = 1e-10
#: Iterations after which a solve is given up.
ITERATIONS = 2000


class Coupling(LinearOperator):
    """A block ``B`` by the functions ``v -> B v`` and ``u -> B' u`` of arrays, with what they keep.

    ``rows`` and ``columns`` are the shapes of the two parameters.
    """

    def __init__(
        self,
        forward: Callable[[Any], Any],
        backward: Callable[[Any], Any],
        rows: Sequence[int],
        columns: Sequence[int],
        arrays: Sequence[Any] = (),
    ) -> None:
        super().__init__(dtype=np.dtype(float), shape=(math.prod(rows), math.prod(columns)))
        self.forward, self.backward, self.arrays = forward, backward, tuple(arrays)
        self.rows, self.columns = tuple(rows), tuple(columns)

    def _matvec(self, v: Any) -> Any:
        return np.reshape(self.forward(np.reshape(v, self.columns)), -1)

    def _rmatvec(self, u: Any) -> Any:
        return np.reshape(self.backward(np.reshape(u, self.rows)), -1)


class SeparateOperator(JoinedOperator):
    """A block system without couplings: every block is solved for itself."""

    def __init__(self, diagonal: Sequence[StructuredOperator]) -> None:
        super().__init__(diagonal, {})

    def _solution(self, V: Any, damping: float) -> Any:
        parts = [b._solution(V[self._slice(p)], damping) for p, b in enumerate(self.blocks)]
        return np.concatenate(parts)

    def _log_determinant(self, damping: float) -> float:
        return sum(block._log_determinant(damping) for block in self.blocks)


class IteratedSystemOperator(JoinedOperator):
    """A block system with couplings that are known by their products.

    Solves by conjugate gradients, with solves of the structured diagonal blocks as preconditioner.
    """

    def _solution(self, V: Any, damping: float) -> Any:
        iteration = Iteration(
            "the block system",
            TOLERANCE,
            ITERATIONS,
            "pass damping=, or solve for one parameter at a time with the others fixed: "
            "ad.hessian(f, argnums=..., structured=True)",
            (f"couplings too large to be stored: {self._coupled()}",),
        )
        return solved(self, V, damping, SeparateOperator(self.blocks), iteration)

    def _coupled(self) -> str:
        kept = [B for B in self.coupling.values() if isinstance(B, Coupling)]
        return ", ".join(
            f"{m:,} x {n:,} ({8 * m * n / 1e9:.3g} GB)" for m, n in (B.shape for B in kept)
        )

    def _log_determinant(self, damping: float) -> float:
        raise TensorcalcError(
            "the determinant of a block system whose couplings are too large to be stored",
            [f"unknowns: {self.shape[0]:,}, couplings: {self._coupled()}"],
            "use the determinants of the diagonal blocks, H.blocks[k].logdet(), or fix a parameter",
        )

    def _inverse_diagonal(self, damping: float) -> Any:
        raise TensorcalcError(
            "all variances of a block system whose couplings are too large to be stored",
            [f"unknowns: {self.shape[0]:,}, couplings: {self._coupled()}"],
            "solve for the columns of the identity that are wanted, or fix a parameter",
        )


__all__ = ["Coupling", "IteratedSystemOperator"]
