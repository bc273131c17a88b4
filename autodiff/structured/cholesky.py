"""Cholesky factors of single matrices, full or banded, by LAPACK's routines themselves.

The functions of SciPy around them look at their arguments for longer than a system of ten unknowns
takes to solve.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from scipy import linalg


@functools.cache
def _routines(kind: str, dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """Factorization and solve for a kind of matrix: ``po`` full, ``pb`` banded."""
    factorize, solve = linalg.get_lapack_funcs((f"{kind}trf", f"{kind}trs"), dtype=dtype)
    return factorize, solve


def cholesky_factor(matrix: Any, overwrite: bool = False) -> Any:
    """The lower ``L`` with ``L L' = matrix``, for a symmetric matrix, which may be overwritten.

    Raises LinAlgError if the matrix is not positive definite.
    """
    if not matrix.size:
        return matrix
    in_columns = matrix.T if matrix.flags.c_contiguous else matrix  # as LAPACK wants it: no copy
    factor, failed = _routines("po", matrix.dtype)[0](in_columns, lower=1, overwrite_a=overwrite)
    _require(failed)
    return factor


def _require(failed: int) -> None:
    if failed:
        raise np.linalg.LinAlgError(f"the leading minor of order {failed} is not positive")


def cholesky_solve(factor: Any, B: Any) -> Any:
    """``inv(L L') B`` for ``B`` of two axes."""
    if not B.size:
        return B
    solution, _ = _routines("po", np.result_type(factor, B))[1](factor, B, lower=1)
    return solution


def band_factor(lower: Any) -> Any:
    """The lower ``L`` with ``L L' = H`` in LAPACK's form ``lower[d, i] = H[i + d, i]``.

    Raises LinAlgError if the matrix is not positive definite, ValueError if an entry is not finite:
    LAPACK goes on with NaN in a band.
    """
    factor, failed = _routines("pb", lower.dtype)[0](np.asarray_chkfinite(lower), lower=1)
    _require(failed)
    return factor


def band_solve(factor: Any, B: Any) -> Any:
    """``inv(L L') B`` for ``B`` of two axes. Raises ValueError if an entry of it is not finite."""
    if not B.size:
        return B
    finite = np.asarray_chkfinite(B)
    solution, _ = _routines("pb", np.result_type(factor, B))[1](factor, finite, lower=1)
    return solution
