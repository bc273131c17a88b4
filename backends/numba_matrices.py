"""Rows of the operation table on square matrices, compiled: LAPACK by way of numba.

Each takes an array of shape (batch, n, n) and fills ``out`` of shape (batch,) or (batch, n, n).
"""

from typing import Any

import numba
import numpy as np
from llvmlite import binding
from numba import types
from numba.extending import get_cython_function_address

from backends.numba_blas import stored

_compiled: Any = numba.njit(cache=True, error_model="numpy", nogil=True)

#: Letters of LAPACK: as it is, transposed, lower triangle.
_NO, _YES, _LOWER = 78, 84, 76


def _routine(name: str, parameters: int) -> Any:
    """A routine of LAPACK with integers of 32 bits, by a name that machine code can find."""
    address = get_cython_function_address("scipy.linalg.cython_lapack", name)
    binding.add_symbol(f"tensorcalc_{name}", address)
    signature = types.void(*[types.intp] * parameters)
    return types.ExternalFunction(f"tensorcalc_{name}", signature)


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


_dpotrf, _spotrf = _routine("dpotrf", 5), _routine("spotrf", 5)
_dpotrs, _spotrs = _routine("dpotrs", 8), _routine("spotrs", 8)

#: Rows and columns of a block that is compared with its mirror image at once.
TILE = 32
#: Up to this size a call of LAPACK and its copies cost more than the elimination.
SMALL = 16


@_compiled
def solve(a, b, out):
    """``a out = b`` for matrices; LinAlgError if ``a`` is singular.

    A symmetric matrix with a positive diagonal is tried with Cholesky's factorization, half the
    work, as :func:`scipy.linalg.solve` does.
    """
    size = a.shape[0]
    if size <= SMALL:
        out[...] = b
        _eliminate(a.copy(), out)
    elif not (_may_be_positive(a) and _solved_by_cholesky(a, b, out)):
        packed = np.empty((size + 1, size), a.dtype)
        factors(a, packed)
        solve_from_factors(packed, b, out)


@_compiled
def _may_be_positive(a):
    """Whether the matrix is symmetric and has a positive diagonal; blocks stay in cache."""
    for k in range(a.shape[0]):
        if not a[k, k] > 0:
            return False
    for top in range(0, a.shape[0], TILE):
        for left in range(0, top + 1, TILE):
            for i in range(top, min(top + TILE, a.shape[0])):
                for j in range(left, min(left + TILE, i)):
                    if a[i, j] != a[j, i]:
                        return False
    return True


@_compiled
def _solved_by_cholesky(a, b, out):
    """``a out = b`` if ``a`` is positive definite; whether it was."""
    size = a.shape[0]
    columns = b.shape[1]
    triangle = a.copy()
    letters = stored(np.empty(1, np.uint8), _LOWER)
    numbers = stored(np.empty(3, np.int32), size, columns, 0)
    n, source, own = numbers.ctypes.data, triangle.ctypes.data, letters.ctypes.data
    if a.itemsize == 8:
        _dpotrf(own, n, source, n, n + 8)
    else:
        _spotrf(own, n, source, n, n + 8)
    if numbers[2] != 0:
        return False
    sides = np.ascontiguousarray(b.T)
    target = sides.ctypes.data
    if a.itemsize == 8:
        _dpotrs(own, n, n + 4, source, n, target, n, n + 8)
    else:
        _spotrs(own, n, n + 4, source, n, target, n, n + 8)
    out[...] = sides.T
    return True


@_compiled
def solve_each(a, b, out):
    """``a[k] out[k] = b[k]`` for matrices."""
    for k in range(a.shape[0]):
        solve(a[k], b[k], out[k])


@_compiled
def _exchange(a, x, k):
    """The largest entry below the diagonal in column ``k`` comes to the diagonal."""
    p = k
    for i in range(k + 1, a.shape[0]):
        if abs(a[i, k]) > abs(a[p, k]):
            p = i
    if a[p, k] == 0:
        raise np.linalg.LinAlgError("Matrix is singular to machine precision.")
    if p != k:
        for j in range(k, a.shape[0]):
            a[k, j], a[p, j] = a[p, j], a[k, j]
        for j in range(x.shape[1]):
            x[k, j], x[p, j] = x[p, j], x[k, j]


@_compiled
def _eliminate(a, x):
    """``x = a^-1 x`` by Gaussian elimination with row exchanges; ``a`` is overwritten."""
    size, columns = x.shape
    for k in range(size):
        _exchange(a, x, k)
        for i in range(k + 1, size):
            factor = a[i, k] / a[k, k]
            for j in range(k + 1, size):
                a[i, j] -= factor * a[k, j]
            for j in range(columns):
                x[i, j] -= factor * x[k, j]
    for k in range(size - 1, -1, -1):
        for j in range(columns):
            total = x[k, j]
            for i in range(k + 1, size):
                total -= a[k, i] * x[i, j]
            x[k, j] = total / a[k, k]


# -- factors that several steps share (backends.factorizations) ----------------------------------
_dgetrf, _sgetrf = _routine("dgetrf", 6), _routine("sgetrf", 6)
_dgetri, _sgetri = _routine("dgetri", 7), _routine("sgetri", 7)
_dgetrs, _sgetrs = _routine("dgetrs", 9), _routine("sgetrs", 9)


@_compiled
def factors(a, out):
    """The triangles of ``a' = P L U``, column by column, and a row with the pivots."""
    size = a.shape[0]
    out[:size] = a
    pivots = np.empty(size, np.int32)
    numbers = stored(np.empty(2, np.int32), size, 0)
    n, source, order = numbers.ctypes.data, out.ctypes.data, pivots.ctypes.data
    if size > 0:
        if a.itemsize == 8:
            _dgetrf(n, n, source, n, order, n + 4)
        else:
            _sgetrf(n, n, source, n, order, n + 4)
    out[size] = pivots - 1


@_compiled
def _pivots(packed):
    """The pivots as LAPACK counts them; a matrix without an inverse raises LinAlgError."""
    size = packed.shape[1]
    for k in range(size):
        if packed[k, k] == 0:
            raise np.linalg.LinAlgError("Matrix is singular to machine precision.")
    return (packed[size] + 1).astype(np.int32)


@_compiled
def inverse_from_factors(packed, out):
    """``out = a^-1``."""
    size = packed.shape[1]
    pivots = _pivots(packed)
    out[...] = packed[:size]
    numbers = stored(np.empty(3, np.int32), size, 64 * size, 0)
    work = np.empty(max(64 * size, 1), packed.dtype)
    n, target = numbers.ctypes.data, out.ctypes.data
    order, room = pivots.ctypes.data, work.ctypes.data
    if size > 0:
        if packed.itemsize == 8:
            _dgetri(n, target, n, order, room, n + 4, n + 8)
        else:
            _sgetri(n, target, n, order, room, n + 4, n + 8)


@_compiled
def transposed_inverse_from_factors(packed, out):
    """``out = (a')^-1``."""
    whole = np.empty(out.shape, packed.dtype)
    inverse_from_factors(packed, whole)
    out[...] = whole.T


@_compiled
def sign_from_factors(packed, out):
    """``out = sign(det(a))``."""
    size = packed.shape[1]
    sign = packed.dtype.type(1)
    for k in range(size):
        sign *= np.sign(packed[k, k])
        if packed[size, k] != k:
            sign = -sign
    out[0] = sign


@_compiled
def det_from_factors(packed, out):
    """``out = det(a)``."""
    sign_from_factors(packed, out)
    for k in range(packed.shape[1]):
        out[0] *= abs(packed[k, k])


@_compiled
def logdet_from_factors(packed, out):
    """``out = log |det(a)|``."""
    total = packed.dtype.type(0)
    for k in range(packed.shape[1]):
        total += np.log(abs(packed[k, k]))
    out[0] = total


@_compiled
def solve_from_factors(packed, b, out):
    """``a out = b``."""
    _solved(packed, b, out, _YES)


@_compiled
def solve_transposed_from_factors(packed, b, out):
    """``a' out = b``."""
    _solved(packed, b, out, _NO)


@_compiled
def _solved(packed, b, out, letter):
    size = packed.shape[1]
    pivots = _pivots(packed)
    columns = b.size // max(size, 1)
    sides = np.ascontiguousarray(b.reshape(size, columns).T)
    letters = stored(np.empty(1, np.uint8), letter)
    numbers = stored(np.empty(3, np.int32), size, columns, 0)
    n, target, source = numbers.ctypes.data, sides.ctypes.data, packed.ctypes.data
    own, order = letters.ctypes.data, pivots.ctypes.data
    if b.size > 0:
        if packed.itemsize == 8:
            _dgetrs(own, n, n + 4, source, n, order, target, n, n + 8)
        else:
            _sgetrs(own, n, n + 4, source, n, order, target, n, n + 8)
    out[...] = sides.T.copy().reshape(out.shape)
