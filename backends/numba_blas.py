"""Products of matrices by BLAS, called from compiled code with addresses, nothing copied.

BLAS wants columns next to each other; a matrix whose rows are is its transpose. So
``out = a b`` is computed as ``out' = b' a'``, and every factor is read as it lies.
"""

from typing import Any

import numba
import numpy as np
from llvmlite import binding
from numba import types

from backends import blas_choice

_compiled: Any = numba.njit(cache=True, error_model="numpy", nogil=True)


def _routine(name: str, parameters: int) -> Any:
    """A routine that takes addresses; by a name, so that machine code on disk can find it."""
    binding.add_symbol(f"tensorcalc_{name}", blas_choice.address(name))
    signature = types.void(*[types.intp] * parameters)
    return types.ExternalFunction(f"tensorcalc_{name}", signature)


_dgemm, _sgemm = _routine("dgemm", 13), _routine("sgemm", 13)
_dgemv, _sgemv = _routine("dgemv", 11), _routine("sgemv", 11)
_dsyrk, _ssyrk = _routine("dsyrk", 10), _routine("ssyrk", 10)

#: Letters of BLAS: as it is, transposed, lower.
NO, YES, LOWER = 78, 84, 76


@_compiled
def readable(a):
    """1 if rows lie in one piece with steps that BLAS takes, 2 if columns do, 0 otherwise."""
    rows, columns = a.shape
    if a.strides[1] == a.itemsize and a.strides[0] >= columns * a.itemsize:
        return 1
    return 2 if a.strides[0] == a.itemsize and a.strides[1] >= rows * a.itemsize else 0


@_compiled
def stored(out, *numbers):
    """``out`` filled with numbers; np.array is another function while an expression is traced."""
    for k in range(len(numbers)):
        out[k] = numbers[k]
    return out


@_compiled
def letter_and_step(a):
    """What BLAS must be told of a readable matrix, which it sees transposed."""
    by_rows = readable(a) == 1
    return NO if by_rows else YES, (a.strides[0] if by_rows else a.strides[1]) // a.itemsize


@_compiled
def gemm(a, b, out):
    """``out[i, j] = sum a[i, k] b[k, j]``; ``out`` in one piece."""
    _gemm(
        a if readable(a) != 0 else np.ascontiguousarray(a),
        b if readable(b) != 0 else np.ascontiguousarray(b),
        out,
    )


@_compiled
def _gemm(a, b, out):
    a_letter, a_step = letter_and_step(a)
    b_letter, b_step = letter_and_step(b)
    letters = stored(np.empty(2, np.uint8), b_letter, a_letter)
    rows, columns = out.shape
    numbers = stored(np.empty(6, np.int64), columns, rows, a.shape[1], b_step, a_step, columns)
    scales = stored(np.empty(2, a.dtype), 1, 0)
    letter, number, scale = letters.ctypes.data, numbers.ctypes.data, scales.ctypes.data
    x, y, z = b.ctypes.data, a.ctypes.data, out.ctypes.data
    if a.itemsize == 8:
        _dgemm(letter, letter + 1, number, number + 8, number + 16, scale, x, number + 24,
               y, number + 32, scale + 8, z, number + 40)  # fmt: skip
    else:
        _sgemm(letter, letter + 1, number, number + 8, number + 16, scale, x, number + 24,
               y, number + 32, scale + 4, z, number + 40)  # fmt: skip


@_compiled
def gemv(a, x, out):
    """``out[i] = sum a[i, j] x[j]``; the vectors in one piece."""
    _gemv(a if readable(a) != 0 else np.ascontiguousarray(a), x, out)


@_compiled
def _gemv(a, x, out):
    rows, columns = a.shape
    own, step = letter_and_step(a)
    letters = stored(np.empty(1, np.uint8), YES if own == NO else NO)
    high, wide = (columns, rows) if own == NO else (rows, columns)
    numbers = stored(np.empty(4, np.int64), high, wide, step, 1)
    scales = stored(np.empty(2, a.dtype), 1, 0)
    letter, number, scale = letters.ctypes.data, numbers.ctypes.data, scales.ctypes.data
    p, q, r = a.ctypes.data, x.ctypes.data, out.ctypes.data
    if a.itemsize == 8:
        _dgemv(letter, number, number + 8, scale, p, number + 16, q, number + 24,
               scale + 8, r, number + 24)  # fmt: skip
    else:
        _sgemv(letter, number, number + 8, scale, p, number + 16, q, number + 24,
               scale + 4, r, number + 24)  # fmt: skip


@_compiled
def syrk(a, out, by_columns):
    """The upper triangle of ``a a'``, or of ``a' a``; both in one piece, row by row."""
    depth = a.shape[0] if by_columns else a.shape[1]
    letters = stored(np.empty(2, np.uint8), LOWER, NO if by_columns else YES)
    numbers = stored(np.empty(4, np.int64), out.shape[0], depth, a.shape[1], out.shape[0])
    scales = stored(np.empty(2, a.dtype), 1, 0)
    letter, number, scale = letters.ctypes.data, numbers.ctypes.data, scales.ctypes.data
    source, target = a.ctypes.data, out.ctypes.data
    if a.itemsize == 8:
        _dsyrk(letter, letter + 1, number, number + 8, scale, source, number + 16,
               scale + 8, target, number + 24)  # fmt: skip
    else:
        _ssyrk(letter, letter + 1, number, number + 8, scale, source, number + 16,
               scale + 4, target, number + 24)  # fmt: skip
