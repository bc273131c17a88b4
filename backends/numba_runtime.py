"""Functions that kernels of the numba target call: contractions of matrices and vectors.

Each takes arrays of any memory order and copies none that BLAS can read. Products too small for
BLAS to be worth its call are loops.
"""

from typing import Any

import numba
import numpy as np

#: Multiplications below which loops are faster than a call of BLAS.
SMALL = 2048

_compiled: Any = numba.njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})


@_compiled
def dot(a, b):
    """``sum a[i] b[i]``."""
    total = a[0] * b[0] if a.size else a.dtype.type(0)
    for i in range(1, a.size):
        total += a[i] * b[i]
    return total


@_compiled
def matrix_vector(a, x):
    """``out[i] = sum a[i, j] x[j]``."""
    if a.size > SMALL:
        return np.dot(a, x)
    out = np.empty(a.shape[0], x.dtype)
    for i in range(a.shape[0]):
        total = x.dtype.type(0)
        for j in range(a.shape[1]):
            total += a[i, j] * x[j]
        out[i] = total
    return out


@_compiled
def vector_matrix(x, a):
    """``out[j] = sum x[i] a[i, j]``."""
    if a.size > SMALL:
        return np.dot(x, a)
    out = np.zeros(a.shape[1], x.dtype)
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            out[j] += x[i] * a[i, j]
    return out


@_compiled
def matrix_matrix(a, b):
    """``out[i, j] = sum a[i, k] b[k, j]``."""
    if a.size * b.shape[1] > SMALL:
        return np.dot(a, b)
    out = np.zeros((a.shape[0], b.shape[1]), a.dtype)
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            for j in range(b.shape[1]):
                out[i, j] += a[i, k] * b[k, j]
    return out


@_compiled
def batched(a, b):
    """``out[t, i, j] = sum a[t, i, k] b[t, k, j]``."""
    out = np.zeros((a.shape[0], a.shape[1], b.shape[2]), a.dtype)
    if a.shape[1] * a.shape[2] * b.shape[2] > SMALL:
        for t in range(a.shape[0]):
            np.dot(a[t], b[t], out[t])
        return out
    for t in range(a.shape[0]):
        for i in range(a.shape[1]):
            for k in range(a.shape[2]):
                for j in range(b.shape[2]):
                    out[t, i, j] += a[t, i, k] * b[t, k, j]
    return out
