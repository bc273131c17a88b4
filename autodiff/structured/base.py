"""What all structured operators share: products, solves, determinants, spectra.

An operator is a square symmetric matrix between flattened arrays of one shape. Subclasses say how
to multiply, solve and take determinants with their cores; what they do not say is derived here from
products and solves, never from the dense matrix unless that is what was asked for.
"""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, eigsh

from tensorcalc.errors import TensorcalcError

from .numpy_functions import entries, numpy_function

Modified = Literal["absolute", "shift"] | None

#: Columns of the identity that are solved for at once.
CHUNK = 256
#: Rows up to which all eigenvalues cost less than the iteration for a few.
SMALL = 512
#: Bytes beyond which no dense matrix is formed in place of a structured one.
DENSE_LIMIT = 2**31


class NotPositiveDefinite(TensorcalcError, np.linalg.LinAlgError):
    """A matrix to be factorized is not positive definite; ``smallest`` is its least eigenvalue."""

    def __init__(self, what: str, smallest: float) -> None:
        self.smallest = smallest
        super().__init__(
            f"{what} is not positive definite",
            [f"smallest eigenvalue: {smallest:.6g}"],
            "pass damping= larger than its magnitude, or modified='absolute' or 'shift'",
        )


class StructuredOperator(LinearOperator, ABC):
    """A symmetric matrix that stores the cores of its structure only.

    ``solve`` and ``logdet`` need a positive definite matrix ``H + damping * I``; an indefinite one
    raises :class:`NotPositiveDefinite`, or is made definite where ``modified`` says how.
    """

    structure: Any = None
    #: Whether the matrix has an entry for what is stored, and :meth:`to_scipy_sparse` gives it.
    is_sparse = False

    def __init__(self, parameter_shape: Sequence[int], dtype: Any = float) -> None:
        self.parameter_shape = tuple(parameter_shape)
        n = math.prod(self.parameter_shape)
        super().__init__(dtype=np.dtype(dtype), shape=(n, n))

    # -- what subclasses provide: V has shape (n, k) --------------------------------------------
    @abstractmethod
    def _product(self, V: Any) -> Any:
        """``H @ V``."""

    @abstractmethod
    def _solution(self, V: Any, damping: float) -> Any:
        """``inv(H + damping I) @ V``; raises NotPositiveDefinite."""

    @abstractmethod
    def _log_determinant(self, damping: float) -> float:
        """``log det(H + damping I)``; raises NotPositiveDefinite."""

    @abstractmethod
    def _diagonal(self) -> Any:
        """The flat diagonal."""

    def _absolute_solution(self, V: Any, damping: float) -> Any:
        """A solve with the eigenvalues replaced by their magnitudes: all of them, of the whole."""
        values, vectors = self._spectrum()
        magnitudes = np.abs(values) + damping
        require_positive(f"the matrix ({self.name})", magnitudes)
        return vectors @ ((vectors.T @ V) / magnitudes[:, None])

    def _spectrum(self) -> tuple[Any, Any]:
        """All eigenvalues and eigenvectors, by way of the dense matrix where that fits."""
        self._require_dense_fits(
            f"all eigenvalues of a matrix that is {self.name}",
            "pass modified='shift', which needs the smallest one alone",
        )
        return np.linalg.eigh(self.todense())

    @property
    def fits_densely(self) -> bool:
        """Whether the dense matrix may be formed in place of this one."""
        return 8 * self.shape[0] ** 2 <= DENSE_LIMIT

    def _require_dense_fits(self, attempted: str, remedy: str) -> None:
        """Raise TensorcalcError, with sizes and the remedy, if the dense matrix is too large."""
        if not self.fits_densely:
            n = self.shape[0]
            raise TensorcalcError(
                attempted,
                [
                    f"size: {n} x {n}, dense {8 * n * n / 1e9:.3g} GB",
                    f"stored: {self.nbytes} bytes",
                ],
                remedy,
            )

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The stored cores."""
        return ()

    # -- products -------------------------------------------------------------------------------
    def dot(self, x: Any) -> Any:
        """``H @ x``; raises TensorcalcError where the sizes differ."""
        shape = np.shape(x)
        if not isinstance(x, LinearOperator) and len(shape) in (1, 2) and shape[0] != self.shape[1]:
            raise TensorcalcError(
                "the product of a structured operator with an array that does not fit",
                [f"operator: {self.shape}, parameter {self.parameter_shape}", f"x: shape {shape}"],
                "pass a flat vector, x.ravel(), or one column per vector",
            )
        return super().dot(x)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """NumPy's functions, by the operator's own methods where it has them."""
        return numpy_function(function, args, kwargs)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """The whole matrix, for ``np.asarray(H)``; raises TensorcalcError where it is too large."""
        self._require_dense_fits(
            "an array of a structured operator", "use products and solves, or H[i, j] for entries"
        )
        return np.asarray(self.todense(), dtype)

    def __getitem__(self, key: Any) -> Any:
        """Entries ``H[i, j]``, rows and blocks in flat positions, without the rest."""
        return entries(self, key, CHUNK)

    def _matmat(self, V: Any) -> Any:
        return self._product(np.asarray(V))

    def _matvec(self, v: Any) -> Any:
        return self._product(np.asarray(v).reshape(-1, 1))[:, 0]

    def _adjoint(self) -> StructuredOperator:
        return self

    _transpose = _adjoint

    # -- solves ---------------------------------------------------------------------------------
    def solve(self, b: Any, damping: float = 0.0, modified: Modified = None) -> Any:
        """``x`` with ``(H + damping I) x = b``, of the shape of ``b``.

        ``b`` is flat, has the shape of the parameter, or holds one right-hand side per column.
        ``modified="shift"`` adds what makes the smallest eigenvalue positive, ``"absolute"`` takes
        the magnitudes of the eigenvalues.

        Raises NotPositiveDefinite with the smallest eigenvalue if there is no such matrix.
        """
        b = np.asarray(b)
        V = self._columns(b)
        if not isinstance(damping, (int, float, np.number)):
            raise TypeError(f"damping={damping!r} is no number")
        if modified not in (None, "shift", "absolute"):
            raise ValueError(f"modified={modified!r} is none of 'absolute', 'shift', None")
        if modified == "absolute":
            solution = self._absolute_solution(V, damping)
        else:
            shift = self._shift() if modified else damping
            solution = self._solution(V, max(damping, shift))
        return solution.reshape(b.shape).astype(np.result_type(self.dtype, b), copy=False)

    def _columns(self, b: Any) -> Any:
        n = self.shape[0]
        if b.shape == self.parameter_shape or b.shape == (n,):
            return b.reshape(n, 1)
        if b.ndim == 2 and b.shape[0] == n:
            return b
        raise TensorcalcError(
            "solve with a right-hand side that does not fit",
            [f"operator: {self.shape}, parameter {self.parameter_shape}", f"b: shape {b.shape}"],
            "pass a flat vector, an array of the parameter's shape, or one column per vector",
        )

    def _shift(self) -> float:
        """Damping that makes the smallest eigenvalue a small positive number."""
        smallest = self.smallest_eigenvalue()
        scale = max(float(np.abs(self._diagonal()).max(initial=0.0)), 1e-12)
        return max(0.0, 1e-8 * scale - smallest)

    def logdet(self, damping: float = 0.0) -> float:
        """``log det(H + damping I)``. Raises NotPositiveDefinite if there is none."""
        return float(self._log_determinant(damping))

    def nearby(self, damping: float = 0.0) -> StructuredOperator | None:
        """A positive definite operator like ``H + damping I`` whose solves cost little, or None."""
        return None

    # -- diagonals and spectra ------------------------------------------------------------------
    def diagonal(self) -> Any:
        """The diagonal, of the shape of the parameter."""
        return self._of_parameter(self._diagonal())

    def _of_parameter(self, entries: Any) -> Any:
        """One number for each entry of the parameter, in the precision of the matrix."""
        return entries.reshape(self.parameter_shape).astype(self.dtype, copy=False)

    def trace(self) -> float:
        """The sum of the diagonal."""
        return float(self._diagonal().sum())

    def inverse_diagonal(self, damping: float = 0.0) -> Any:
        """The diagonal of ``inv(H + damping I)``, of the shape of the parameter: variances."""
        return self._of_parameter(self._inverse_diagonal(damping))

    def _inverse_diagonal(self, damping: float) -> Any:
        n = self.shape[0]
        result = np.empty(n)
        for start in range(0, n, CHUNK):
            stop = min(start + CHUNK, n)
            unit = np.zeros((n, stop - start))
            unit[np.arange(start, stop), np.arange(stop - start)] = 1
            solved = self._solution(unit, damping)
            result[start:stop] = solved[np.arange(start, stop), np.arange(stop - start)]
        return result

    def eigsh(self, k: int = 6, which: str = "LA", **options: Any) -> tuple[Any, Any]:
        """``k`` eigenvalues and eigenvectors, as :func:`scipy.sparse.linalg.eigsh` orders them.

        A small matrix is decomposed as a whole: Lanczos need not converge where eigenvalues crowd.
        """
        n = self.shape[0]
        if k >= n - 1 or (n <= SMALL and not options):
            values, vectors = np.linalg.eigh(self.todense())
            order = _wanted(values, k, which)
            return values[order], vectors[:, order]
        return eigsh(self, k=k, which=which, **options)

    def smallest_eigenvalue(self) -> float:
        """The least eigenvalue."""
        return float(self.eigsh(1, "SA")[0][0])

    # -- storage --------------------------------------------------------------------------------
    def todense(self) -> Any:
        """The whole matrix, ``n`` by ``n``."""
        return self._product(np.eye(self.shape[0], dtype=self.dtype))

    def to_scipy_sparse(self) -> Any:
        """The matrix as a sparse array. Raises TensorcalcError where it is not sparse."""
        raise TensorcalcError(
            f"a sparse array of a matrix that is {self.name}",
            [f"shape: {self.shape}"],
            "use todense(), or the operator itself",
        )

    @property
    def name(self) -> str:
        """The word for the structure."""
        return type(self).__name__ if self.structure is None else self.structure.name

    @property
    def nbytes(self) -> int:
        """Bytes that are stored."""
        return sum(array.nbytes for array in self.arrays)

    def __repr__(self) -> str:
        return f"<{self.name}, {self.shape[0]} x {self.shape[1]}, {self.nbytes} bytes>"

    __str__ = __repr__


class FactorizedOperator(StructuredOperator):
    """An operator that solves by a factorization, of which the last one is kept."""

    _kept: tuple[float, Any] | None = None

    @abstractmethod
    def _factorized(self, damping: float) -> Any:
        """The factors of ``H + damping I``; raises NotPositiveDefinite."""

    def _factors(self, damping: float) -> Any:
        """What :meth:`_factorized` gives, made anew only for another damping."""
        if self._kept is None or self._kept[0] != damping:
            self._kept = damping, self._factorized(damping)
        return self._kept[1]


def _wanted(values: Any, k: int, which: str) -> Any:
    """Positions of ``k`` eigenvalues: largest or smallest, algebraically or by magnitude."""
    key = np.abs(values) if which.endswith("M") else values
    order = np.argsort(key, kind="stable")
    chosen = order[:k] if which.startswith("S") else order[len(order) - k :]
    return np.sort(chosen)


def require_positive(what: str, values: Any) -> None:
    """Raise NotPositiveDefinite unless all ``values``, eigenvalues or pivots, are positive."""
    smallest = float(np.min(values, initial=np.inf))
    if not smallest > 0:
        raise NotPositiveDefinite(what, smallest)


@functools.lru_cache(maxsize=16)
def _probe(n: int) -> Any:
    """The vector that matrices are tried on: to draw it takes longer than a small product."""
    v = np.random.default_rng(0).normal(size=(n, 1))
    v.flags.writeable = False
    return v


def require_symmetric(what: str, product: Any, adjoint: Any, n: int) -> None:
    """Raise TensorcalcError unless a matrix and its transpose agree on a fixed random vector."""
    v = _probe(n)
    left, right = product(v), adjoint(v)
    difference = float(np.abs(left - right).max(initial=0.0))
    if difference > 1e-6 and difference > 1e-6 * (1 + float(np.abs(left).max(initial=0.0))):
        raise TensorcalcError(
            f"factorization of a matrix that is not symmetric ({what})",
            [f"size: {n} x {n}", f"H v and H' v differ by {difference:.3g}"],
            "second derivatives in a variable declared symmetric are so on symmetric matrices "
            "only: leave the flag out, or parametrise the triangle",
        )


def diagonal_array(values: Any) -> Any:
    """A sparse diagonal matrix."""
    n = len(values)
    index = np.arange(n + 1, dtype=sparse.get_index_dtype(maxval=n))
    return sparse.csr_array((values, index[:-1].copy(), index), shape=(n, n))
