"""Matrix factorization with missing entries by alternating structured Newton.

``sum(M * (T - U V')^2) + weight (|U|^2 + |V|^2)`` is quadratic in each factor; its Hessian in ``U``
is ``2 delta[i, k] (sum_j M[i, j] V[j, l] V[j, p]) + 2 weight delta``: one ``k`` by ``k`` block per
row. One solve with the blocks minimises over a factor.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import autodiff as ad


def loss(U: Any, V: Any, T: Any, M: Any, weight: Any) -> Any:
    """Squared errors of the known entries, and squared factors."""
    return np.sum(M * (T - U @ V.T) ** 2) + weight * (np.sum(U**2) + np.sum(V**2))


class Alternating:
    """Sweeps over both factors; what is derived is kept between sweeps."""

    def __init__(self, T: Any, M: Any, weight: float) -> None:
        self.data = (np.where(M, T, 0.0), np.asarray(M, T.dtype), float(weight))
        self._gradients = [ad.grad(loss, argnums=k) for k in (0, 1)]
        self._hessians = [ad.hessian(loss, argnums=k, structured=True) for k in (0, 1)]

    def step(self, U: Any, V: Any, k: int) -> Any:
        """The minimiser over factor ``k``, by one Newton step."""
        gradient = self._gradients[k](U, V, *self.data)
        return (U, V)[k] - self._hessians[k](U, V, *self.data).solve(gradient)

    def sweep(self, U: Any, V: Any) -> tuple[Any, Any]:
        """A minimisation over ``U``, then one over ``V``."""
        U = self.step(U, V, 0)
        return U, self.step(U, V, 1)

    def value(self, U: Any, V: Any) -> float:
        """The objective."""
        return float(loss(U, V, *self.data))


def fit(T: Any, M: Any, rank: int, weight: float = 0.1, sweeps: int = 30, seed: int = 0) -> Any:
    """Factors ``(U, V)`` and the objective after every sweep."""
    rng = np.random.default_rng(seed)
    U, V = rng.normal(size=(T.shape[0], rank)), rng.normal(size=(T.shape[1], rank))
    alternating, history = Alternating(T, M, weight), []
    for _ in range(sweeps):
        U, V = alternating.sweep(U, V)
        history.append(alternating.value(U, V))
    return (U, V), history


def reference_sweep(U: Any, V: Any, T: Any, M: Any, weight: float) -> tuple[Any, Any]:
    """The same sweep as ridge regressions, one per row and column, by ``numpy.linalg.lstsq``."""
    return _rows(V, T, M, weight), _rows(_rows(V, T, M, weight), T.T, M.T, weight)


def _rows(V: Any, T: Any, M: Any, weight: float) -> Any:
    k = V.shape[1]
    rows = []
    for target, known in zip(T, M.astype(bool), strict=True):
        A = np.concatenate([V[known], np.sqrt(weight) * np.eye(k)])
        rows.append(np.linalg.lstsq(A, np.concatenate([target[known], np.zeros(k)]))[0])
    return np.array(rows)
