"""Solves by products alone; conjugate gradients notice a matrix that is not definite."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.sparse.linalg import ArpackError, LinearOperator, cg, minres

from tensorcalc.errors import TensorcalcError

from .base import SMALL, NotPositiveDefinite, StructuredOperator

#: Products of one restart of ARPACK.
RESTART = 20


class Iteration(NamedTuple):
    """How long to iterate, and what an error says."""

    #: What the matrix is called.
    what: str
    #: The residual of a solve, relative to the right-hand side.
    tolerance: float
    #: Iterations after which a solve is given up, with a hint what to do instead.
    limit: int
    hint: str
    #: What else is to be told of the matrix.
    known: tuple[str, ...] = ()

    def failed(self, operator: StructuredOperator, residual: float) -> TensorcalcError:
        """The error for a solve that was given up."""
        return TensorcalcError(
            f"a solve with {self.what} by iteration",
            [
                f"unknowns: {operator.shape[0]:,}",
                *self.known,
                f"after {self.limit} iterations the residual is {residual:.2g} of the right-hand "
                f"side, not {self.tolerance:g}",
            ],
            self.hint,
        )


def solved(
    operator: StructuredOperator,
    V: Any,
    damping: float,
    nearby: StructuredOperator | None,
    iteration: Iteration,
    definite: bool = True,
) -> Any:
    """``inv(H + damping I) V`` with solves of ``nearby + damping I`` as preconditioner.

    By conjugate gradients, or MINRES for a matrix that is not ``definite``. Raises
    NotPositiveDefinite where a direction of the former has no positive curvature, TensorcalcError
    where the limit is met. Source: Hestenes, Stiefel, *Methods of Conjugate Gradients for Solving
    Linear Systems* (1952); Paige, Saunders, *Solution of Sparse Indefinite Systems of Linear
    Equations* (1975).
    """
    whole = _damped(operator, damping)
    method = cg if definite else minres
    given = _curved(operator, whole, damping, iteration) if definite else whole
    inverse = None if nearby is None else _solves_of(nearby, damping)
    result = np.empty(V.shape)
    for k, b in enumerate(V.T):
        result[:, k], failed = method(
            given, b, rtol=iteration.tolerance, maxiter=iteration.limit, M=inverse
        )
        if failed:
            missing = np.linalg.norm(whole @ result[:, k] - b) / np.linalg.norm(b)
            raise iteration.failed(operator, float(missing))
    return result


def _damped(operator: StructuredOperator, damping: float) -> LinearOperator:
    """``H + damping I`` by products."""

    def product(v: Any) -> Any:
        return operator._matvec(v) + damping * v.reshape(-1)

    return LinearOperator(operator.shape, product, dtype=float)


def _solves_of(operator: StructuredOperator, damping: float) -> LinearOperator:
    """``inv(H + damping I)`` by solves."""

    def solution(v: Any) -> Any:
        return operator._solution(v.reshape(-1, 1), damping)[:, 0]

    return LinearOperator(operator.shape, solution, dtype=float)


def _curved(
    operator: StructuredOperator, whole: LinearOperator, damping: float, iteration: Iteration
) -> LinearOperator:
    """The whole by products with directions, which must have positive curvature."""

    def product(direction: Any) -> Any:
        curved = whole @ direction
        curvature = float(direction @ curved)
        if curvature <= 0 and np.any(direction):
            bound = curvature / float(direction @ direction)
            least = _least(operator, bound - damping, iteration.limit) + damping
            raise NotPositiveDefinite(iteration.what, min(least, bound))
        return curved

    return LinearOperator(operator.shape, product, dtype=float)


def _least(operator: StructuredOperator, bound: float, limit: int) -> float:
    """The least eigenvalue; the bound where Lanczos would take longer than a solve may."""
    if operator.shape[0] <= SMALL:
        return operator.smallest_eigenvalue()
    try:
        return float(operator.eigsh(1, "SA", maxiter=max(limit // RESTART, 1))[0][0])
    except ArpackError:
        return bound


__all__ = ["Iteration", "solved"]
