"""Kronecker products and sums: one factor at a time, in the eigenvectors of the factors."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property, reduce
from typing import Any

import numpy as np

from .arrangement import arrangement
from .base import StructuredOperator, require_positive


class SpectralOperator(StructuredOperator):
    """``H`` with the eigenvectors ``Q_1 x Q_2 x ...`` of symmetric factors over groups of axes.

    The factors together cover every axis once. Their spectra, combined by the subclass, are the
    spectrum of ``H``, so that damping, determinants and absolute values cost no more than products.
    """

    def __init__(
        self, factors: Sequence[Any], axes: Sequence[Sequence[int]], parameter_shape: Sequence[int]
    ) -> None:
        super().__init__(parameter_shape, np.result_type(*factors, np.float32))
        groups = tuple(tuple(group) for group in axes)
        self._arrangement = arrangement(self.parameter_shape, groups)
        self.sizes = self._arrangement.sizes
        self.factors = [
            np.asarray(factor).reshape(size, size)
            for factor, size in zip(factors, self.sizes, strict=True)
        ]

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The factors."""
        return tuple(self.factors)

    def _gathered(self, V: Any) -> Any:
        return self._arrangement.gathered(V)

    def _scattered(self, W: Any) -> Any:
        return self._arrangement.scattered(W, W.shape[-1])

    @staticmethod
    def _along(matrix: Any, W: Any, axis: int) -> Any:
        """``matrix`` times ``W`` over one of its axes."""
        size, after = W.shape[axis], math.prod(W.shape[axis + 1 :])
        if after == 1:
            return (W.reshape(-1, size) @ matrix.T).reshape(W.shape)
        if axis == 0:
            return (matrix @ W.reshape(size, after)).reshape(W.shape)
        return np.moveaxis(np.tensordot(matrix, W, axes=(1, axis)), 0, axis)

    @cached_property
    def _spectra(self) -> list[tuple[Any, Any]]:
        return [np.linalg.eigh(factor) for factor in self.factors]

    @abstractmethod
    def _combined(self, values: Sequence[Any]) -> Any:
        """The eigenvalues from those of the factors, one axis per factor."""

    @cached_property
    def _eigenvalues(self) -> Any:
        return self._combined([values for values, _ in self._spectra])

    def _damped(self, damping: float) -> Any:
        values = self._eigenvalues + damping
        require_positive(f"the matrix ({self.name})", values)
        return values

    def _divided(self, V: Any, values: Any) -> Any:
        W = self._gathered(V)
        for axis, (_, vectors) in enumerate(self._spectra):
            W = self._along(vectors.T, W, axis)
        W = W / values[..., None]
        for axis, (_, vectors) in enumerate(self._spectra):
            W = self._along(vectors, W, axis)
        return self._scattered(W)

    def _solution(self, V: Any, damping: float) -> Any:
        return self._divided(V, self._damped(damping))

    def _absolute_solution(self, V: Any, damping: float) -> Any:
        magnitudes = np.abs(self._eigenvalues) + damping
        require_positive(f"the matrix ({self.name})", magnitudes)
        return self._divided(V, magnitudes)

    def _log_determinant(self, damping: float) -> float:
        return np.log(self._damped(damping)).sum()

    def _inverse_diagonal(self, damping: float) -> Any:
        W = (1 / self._damped(damping))[..., None]
        for axis, (_, vectors) in enumerate(self._spectra):
            W = self._along(vectors**2, W, axis)
        return self._scattered(W)[:, 0]

    def _diagonal(self) -> Any:
        combined = self._combined([np.diagonal(factor) for factor in self.factors])
        return self._scattered(combined[..., None])[:, 0]

    def smallest_eigenvalue(self) -> float:
        """The least combination of eigenvalues of the factors."""
        return float(self._eigenvalues.min())


class KroneckerOperator(SpectralOperator):
    """``H = A_1 x A_2 x ... + shift I``."""

    def __init__(
        self,
        factors: Sequence[Any],
        axes: Sequence[Sequence[int]],
        parameter_shape: Sequence[int],
        shift: float = 0.0,
    ) -> None:
        super().__init__(factors, axes, parameter_shape)
        self.shift = float(shift)

    def _combined(self, values: Sequence[Any]) -> Any:
        return reduce(np.multiply.outer, values) + self.shift

    def _product(self, V: Any) -> Any:
        W = self._gathered(V)
        for axis, factor in enumerate(self.factors):
            W = self._along(factor, W, axis)
        product = self._scattered(W)
        return product + self.shift * V if self.shift else product


class KroneckerSumOperator(SpectralOperator):
    """``H = A x I + I x B``; a solve is a Sylvester equation."""

    def _combined(self, values: Sequence[Any]) -> Any:
        return reduce(np.add.outer, values)

    def _product(self, V: Any) -> Any:
        W = self._gathered(V)
        return self._scattered(sum(self._along(f, W, axis) for axis, f in enumerate(self.factors)))
