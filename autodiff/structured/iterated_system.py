"""Systems whose couplings are too large to be stored: products with them, and iterations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from tensorcalc.errors import TensorcalcError

from .base import NotPositiveDefinite
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


class IteratedSystemOperator(JoinedOperator):
    """A block system with couplings that are known by their products.

    Solves by conjugate gradients, with solves of the structured diagonal blocks as preconditioner.
    """

    def _solution(self, V: Any, damping: float) -> Any:
        return np.stack([self._iterated(v, damping) for v in V.T], axis=1)

    def _iterated(self, b: Any, damping: float) -> Any:
        """``x`` with ``(H + damping I) x = b``; raises where a direction has no curvature."""
        x, residual = np.zeros(len(b)), np.array(b, dtype=float)
        wanted = TOLERANCE * np.linalg.norm(b)
        solved = self._by_blocks(residual, damping)
        direction, squared = solved, residual @ solved
        for _ in range(ITERATIONS):
            if np.linalg.norm(residual) <= wanted:
                return x
            curved = self._matvec(direction) + damping * direction
            curvature = direction @ curved
            if curvature <= 0:
                self._indefinite(curvature / (direction @ direction), damping)
            x = x + (squared / curvature) * direction
            residual = residual - (squared / curvature) * curved
            solved = self._by_blocks(residual, damping)
            before, squared = squared, residual @ solved
            direction = solved + (squared / before) * direction
        raise TensorcalcError(
            "a solve with a block system whose couplings are too large to be stored",
            [
                f"unknowns: {len(b):,}, couplings: {self._coupled()}",
                f"after {ITERATIONS} iterations the residual is "
                f"{np.linalg.norm(residual) / np.linalg.norm(b):.2g} of the right-hand side, "
                f"not {TOLERANCE:g}",
            ],
            "pass damping=, or solve for one parameter at a time with the others fixed: "
            "ad.hessian(f, argnums=..., structured=True)",
        )

    def _by_blocks(self, v: Any, damping: float) -> Any:
        parts = [
            block._solution(v[self._slice(p), None], damping)[:, 0]
            for p, block in enumerate(self.blocks)
        ]
        return np.concatenate(parts)

    def _indefinite(self, quotient: float, damping: float) -> None:
        """The quotient bounds the smallest eigenvalue from above, Lanczos finds it."""
        smallest = min(self.smallest_eigenvalue() + damping, quotient)
        raise NotPositiveDefinite("the block system", smallest)

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
