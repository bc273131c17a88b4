"""Rows of the operation table on square matrices, compiled: LAPACK by way of numba.

Each takes an array of shape (batch, n, n) and fills ``out`` of shape (batch,) or (batch, n, n).
"""

from typing import Any

import numba
import numpy as np

_compiled: Any = numba.njit(cache=True, error_model="numpy", nogil=True)


@_compiled
def inverse(a, out):
    """``out = a^-1``; a singular matrix raises LinAlgError."""
    for k in range(a.shape[0]):
        out[k] = np.linalg.inv(a[k])


@_compiled
def determinant(a, out):
    """``out = det(a)``."""
    for k in range(a.shape[0]):
        out[k] = np.linalg.det(a[k])


@_compiled
def log_determinant(a, out):
    """``out = log |det(a)|``."""
    for k in range(a.shape[0]):
        out[k] = np.linalg.slogdet(a[k])[1]


@_compiled
def sign_of_determinant(a, out):
    """``out = sign(det(a))``."""
    for k in range(a.shape[0]):
        out[k] = np.linalg.slogdet(a[k])[0]


@_compiled
def cholesky(a, out):
    """``out out' = (a + a')/2`` with ``out`` lower triangular; LinAlgError if there is none."""
    half = a.dtype.type(0.5)
    for k in range(a.shape[0]):
        out[k] = np.linalg.cholesky((a[k] + a[k].T) * half)


@_compiled
def solve(a, b, out):
    """``a out = b`` for one matrix and a vector or a matrix; LinAlgError if ``a`` is singular."""
    out[...] = np.linalg.solve(a, b)
