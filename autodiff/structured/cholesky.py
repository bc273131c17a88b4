"""Cholesky factors of single matrices by LAPACK's routines, without the checks around them.

``scipy.linalg.cho_solve`` takes 25 microseconds to look at its arguments, which is more than a
system of ten unknowns takes to solve.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from scipy import linalg


@functools.cache
def _routines(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    factorize, solve = linalg.get_lapack_funcs(("potrf", "potrs"), dtype=dtype)
    return factorize, solve


def cholesky_factor(matrix: Any, overwrite: bool = False) -> Any:
    """The lower ``L`` with ``L L' = matrix``, for a symmetric matrix, which may be overwritten.

    Raises LinAlgError if the matrix is not positive definite.
    """
    if not matrix.size:
        return matrix
    in_columns = matrix.T if matrix.flags.c_contiguous else matrix  # as LAPACK wants it: no copy
    factor, failed = _routines(matrix.dtype)[0](in_columns, lower=1, overwrite_a=overwrite)
    if failed:
        raise np.linalg.LinAlgError(f"the leading minor of order {failed} is not positive")
    return factor


def cholesky_solve(factor: Any, B: Any) -> Any:
    """``inv(L L') B`` for ``B`` of two axes."""
    if not B.size:
        return B
    solution, _ = _routines(np.result_type(factor, B))[1](factor, B, lower=1)
    return solution
