"""Functions that kernels of the numba target call: contractions of matrices and vectors.

Each takes arrays of any memory order and copies none that BLAS can read. Products too small for
BLAS to be worth its call are loops.
"""

from typing import Any

import numba
import numpy as np

from backends.numba_blas import gemm, gemv, syrk

#: Multiplications below which loops are faster than a call of BLAS, also where a factor lies
#: transposed (``python -m benchmarks.thresholds`` prints both).
SMALL = 2048

_compiled: Any = numba.njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})

#: Columns and rows of a block that is mirrored at once.
TILE = 32


@_compiled
def clear(out):
    """``out[...] = 0`` of an array in one piece."""
    out.reshape(-1)[:] = 0


@_compiled
def gram(a, out):
    """``out[i, j] = sum a[k, i] a[k, j]``: one triangle by syrk, then mirrored."""
    n = a.shape[1]
    if a.size * n <= SMALL:
        _small_gram(a, out)
        return
    syrk(np.ascontiguousarray(a), out, True)
    _mirror(out)


@_compiled
def row_gram(a, out):
    """``out[i, j] = sum a[i, k] a[j, k]``."""
    n = a.shape[0]
    if a.size * n <= SMALL:
        _small_gram(a.T, out)
        return
    syrk(np.ascontiguousarray(a), out, False)
    _mirror(out)


@_compiled
def signed_gram(a, d, out):
    """``out[i, j] = sum d[k] a[k, i] a[k, j]``: rows with negative weights apart, each by syrk."""
    rows = np.empty(a.shape, a.dtype)
    first, last = 0, a.shape[0]
    for k in range(a.shape[0]):
        if d[k] < 0:
            last -= 1
            place = last
        else:
            place = first
            first += 1
        root = np.sqrt(abs(d[k]))
        for i in range(a.shape[1]):
            rows[place, i] = root * a[k, i]
    gram(rows[:first], out)
    if first < a.shape[0]:
        other = np.empty(out.shape, out.dtype)
        gram(rows[first:], other)
        for i in range(out.shape[0]):
            for j in range(out.shape[1]):
                out[i, j] -= other[i, j]


@_compiled
def _small_gram(a, out):
    clear(out)
    for k in range(a.shape[0]):
        for i in range(a.shape[1]):
            for j in range(a.shape[1]):
                out[i, j] += a[k, i] * a[k, j]


@_compiled
def _mirror(a):
    """The upper triangle into the lower, in blocks that stay in cache."""
    n = a.shape[0]
    for top in range(0, n, TILE):
        for left in range(0, top + 1, TILE):
            for i in range(top, min(top + TILE, n)):
                for j in range(left, min(left + TILE, i)):
                    a[i, j] = a[j, i]


@_compiled
def dot(a, b):
    """``sum a[i] b[i]``."""
    total = a[0] * b[0] if a.size else a.dtype.type(0)
    for i in range(1, a.size):
        total += a[i] * b[i]
    return total


@_compiled
def matrix_vector(a, x, out):
    """``out[i] = sum a[i, j] x[j]``."""
    if a.size > SMALL:
        gemv(a, np.ascontiguousarray(x), out)
        return
    for i in range(a.shape[0]):
        total = x.dtype.type(0)
        for j in range(a.shape[1]):
            total += a[i, j] * x[j]
        out[i] = total


@_compiled
def vector_matrix(x, a, out):
    """``out[j] = sum x[i] a[i, j]``."""
    if a.size > SMALL:
        gemv(a.T, np.ascontiguousarray(x), out)
        return
    clear(out)
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            out[j] += x[i] * a[i, j]


@_compiled
def matrix_matrix(a, b, out):
    """``out[i, j] = sum a[i, k] b[k, j]``."""
    if a.size * b.shape[1] > SMALL:
        gemm(a, b, out)
    else:
        small_matrix_matrix(a, b, out)


@_compiled
def small_matrix_matrix(a, b, out):
    """The same by loops."""
    clear(out)
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            for j in range(b.shape[1]):
                out[i, j] += a[i, k] * b[k, j]


@_compiled
def batched(a, b, out):
    """``out[t, i, j] = sum a[t, i, k] b[t, k, j]``."""
    if a.shape[1] * a.shape[2] * b.shape[2] > SMALL:
        for t in range(a.shape[0]):
            gemm(a[t], b[t], out[t])
        return
    for t in range(a.shape[0]):
        small_matrix_matrix(a[t], b[t], out[t])
