"""Rows of the operation table with core axes, compiled: reductions and softmax over the last axis.

Each takes an array of shape (batch, n) and fills ``out`` of shape (batch,) or (batch, n); what a
comment does not say is as in the NumPy spelling of the row.
"""

from typing import Any

import numba
import numpy as np

from backends import vector_math as vm
from backends.vector_math.primitives import select

_compiled: Any = numba.njit(
    cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"}, nogil=True
)
# NaN must be told from numbers here, in whatever order entries are compared
_exact: Any = numba.njit(cache=True, error_model="numpy", nogil=True)

#: Partial results of a long row, so that the processor works on several entries at once.
LANES = 16
#: Entries of rows whose exponentials are one loop.
ENTRIES = 1024


@_exact
def greatest(x):
    """The greatest entry, NaN if there is one, -inf of nothing."""
    lowest = x.dtype.type(-np.inf)
    if x.size < LANES:  # without the array of partial results
        return _greatest_of_few(x, lowest)
    peaks = np.full(LANES, lowest)
    whole = x.size // LANES * LANES
    for start in range(0, whole, LANES):
        for lane in range(LANES):
            value = x[start + lane]
            peak = peaks[lane]
            peaks[lane] = select((peak >= value) | (peak != peak), peak, value)
    return _greatest_of_few(x[whole:], _greatest_of_few(peaks, lowest))


@_exact
def _greatest_of_few(x, peak):
    """The greatest of ``peak`` and all entries."""
    for k in range(x.size):
        peak = select((peak >= x[k]) | (peak != peak), peak, x[k])
    return peak


@_compiled
def _exp(x):
    """``x = exp(x)``: one loop over short rows, since what is left of each would not vectorise."""
    for k in range(x.size):
        x[k] = vm.exp(x[k])


@_compiled
def _total(x):
    total = x.dtype.type(0)
    for k in range(x.size):
        total += x[k]
    return total


@_compiled
def _rows_at_once(x):
    """Rows that together have about :data:`ENTRIES` entries."""
    return max(1, ENTRIES // max(x.shape[1], 1))


@_compiled
def softmax(x, out):
    """``out[i] = exp(x[i]) / sum exp(x[j])``; entries of one infinite peak share it."""
    step = _rows_at_once(x)
    for first in range(0, x.shape[0], step):
        last = min(first + step, x.shape[0])
        for row in range(first, last):
            peak = greatest(x[row])
            for k in range(x.shape[1]):
                same = x[row, k] == peak
                out[row, k] = select(same, x.dtype.type(0), x[row, k] - peak)
        _exp(out[first:last].reshape(-1))
        for row in range(first, last):
            factor = x.dtype.type(1) / _total(out[row])
            for k in range(x.shape[1]):
                out[row, k] *= factor


@_compiled
def logsumexp(x, out):
    """``out = log sum exp(x[j])``; an infinite peak is not subtracted."""
    step = _rows_at_once(x)
    rests = np.empty((min(step, x.shape[0]), x.shape[1]), x.dtype)
    peaks = np.empty(x.shape[0], x.dtype)
    for first in range(0, x.shape[0], step):
        count = min(step, x.shape[0] - first)
        for row in range(count):
            peak = greatest(x[first + row])
            peaks[first + row] = peak if np.isfinite(peak) else x.dtype.type(0)
            for k in range(x.shape[1]):
                rests[row, k] = x[first + row, k] - peaks[first + row]
        _exp(rests[:count].reshape(-1))
        for row in range(count):
            out[first + row] = _total(rests[row])
    for row in range(x.shape[0]):
        out[row] = vm.log(out[row]) + peaks[row]


@_compiled
def _sum_of_squares(x, factor):
    total = x.dtype.type(0)
    for k in range(x.size):
        value = x[k] * factor
        total += value * value
    return total


@_exact
def _scale(x):
    """The greatest magnitude; 1 if it is 0 or infinite."""
    scale = x.dtype.type(0)
    for k in range(x.size):
        scale = max(scale, abs(x[k])) if x[k] == x[k] else x[k]
    return x.dtype.type(1) if scale == 0 or np.isinf(scale) else scale


@_compiled
def norm(x, out):
    """``out = sqrt(sum x[j]^2)`` without overflow."""
    one = x.dtype.type(1)
    low, high = (1e-30, 1e37) if x.itemsize == 4 else (1e-290, 1e300)
    for row in range(x.shape[0]):
        squares = _sum_of_squares(x[row], one)
        if low < squares < high:
            out[row] = np.sqrt(squares)
        else:
            scale = _scale(x[row])
            total = x.dtype.type(0)
            for k in range(x.shape[1]):
                ratio = x[row, k] / scale
                total += ratio * ratio
            out[row] = np.sqrt(total) * scale


@_exact
def normalize(x, out, at_zero):
    """``out[i] = x[i] / norm(x)``; ``at_zero`` if the norm is 0, a direction if it is infinite."""
    for row in range(x.shape[0]):
        infinite = False
        for k in range(x.shape[1]):
            infinite |= np.isinf(x[row, k])
        scale = _scale(x[row])
        total = x.dtype.type(0)
        for k in range(x.shape[1]):
            value = np.sign(x[row, k]) * np.isinf(x[row, k]) if infinite else x[row, k] / scale
            out[row, k] = value
            total += out[row, k] * out[row, k]
        length = np.sqrt(total)
        for k in range(x.shape[1]):
            out[row, k] = out[row, k] / length if length != 0 else x.dtype.type(at_zero)


@_exact
def largest(x, out):
    """``out = max x[j]``."""
    _refuse_nothing(x)
    for row in range(x.shape[0]):
        out[row] = greatest(x[row])


@_exact
def smallest(x, out):
    """``out = min x[j]``."""
    _refuse_nothing(x)
    for row in range(x.shape[0]):
        out[row] = -greatest(-x[row])


@_exact
def _refuse_nothing(x):
    if x.shape[1] == 0:
        raise ValueError("an empty axis has no greatest or smallest entry")


@_exact
def _first(x, sign):
    """The place of the first greatest ``sign * x[j]``, or of the first NaN."""
    place = 0
    for k in range(x.size):
        if x[k] != x[k]:
            return k
        if sign * x[k] > sign * x[place]:
            place = k
    return place


@_exact
def place_of_largest(x, out):
    """``out = argmax x[j]``, the first of several."""
    _refuse_nothing(x)
    for row in range(x.shape[0]):
        out[row] = _first(x[row], x.dtype.type(1))


@_exact
def place_of_smallest(x, out):
    """``out = argmin x[j]``, the first of several."""
    _refuse_nothing(x)
    for row in range(x.shape[0]):
        out[row] = _first(x[row], x.dtype.type(-1))


@_exact
def is_largest(x, out):
    """``out[i] = (i == argmax x[j])``."""
    _refuse_nothing(x)
    for row in range(x.shape[0]):
        out[row] = False
        out[row, _first(x[row], x.dtype.type(1))] = True


@_exact
def is_smallest(x, out):
    """``out[i] = (i == argmin x[j])``."""
    _refuse_nothing(x)
    for row in range(x.shape[0]):
        out[row] = False
        out[row, _first(x[row], x.dtype.type(-1))] = True


@_compiled
def product(x, out):
    """``out = prod x[j]``."""
    for row in range(x.shape[0]):
        value = x.dtype.type(1)
        for k in range(x.shape[1]):
            value *= x[row, k]
        out[row] = value


@_exact
def cumulative_product(x, out):
    """``out[i] = prod of x[j], j <= i``."""
    for row in range(x.shape[0]):
        value = x.dtype.type(1)
        for k in range(x.shape[1]):
            value *= x[row, k]
            out[row, k] = value


@_exact
def cumulative_sum(x, out):
    """``out[i] = sum of x[j], j <= i``."""
    for row in range(x.shape[0]):
        total = x.dtype.type(0)
        for k in range(x.shape[1]):
            total += x[row, k]
            out[row, k] = total


@_exact
def product_of_others(x, out):
    """``out[i] = prod of x[j], j != i``."""
    for row in range(x.shape[0]):
        value = x.dtype.type(1)
        for k in range(x.shape[1]):
            out[row, k] = value
            value *= x[row, k]
        value = x.dtype.type(1)
        for k in range(x.shape[1] - 1, -1, -1):
            out[row, k] *= value
            value *= x[row, k]
