"""What kernels of rows call: greatest entries, products, places of extremes, orders.

NaN wins every comparison, as in NumPy, and comes last in an order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import grids
from .device_library import ALL, cuda, device, math


def row_functions(real: Any) -> dict[str, Any]:
    """The functions by name, in one precision."""
    found = _comparisons(real)
    one = real(1)

    @device
    def times(a, b):
        return a * b

    found["team_greatest"] = _fold(found["greater"], real)
    found["team_smallest"] = _fold(found["smaller"], real)
    found["team_product"] = _fold(times, real)
    found["team_highest"] = _search(found["is_above"], real)
    found["team_lowest"] = _search(found["is_below"], real)
    found["team_prefix"] = _prefix(real)
    found.update(_scalings(real, one))
    return found


def _comparisons(real: Any) -> dict[str, Any]:
    @device
    def greater(a, b):
        return b if b > a or b != b else a

    @device
    def smaller(a, b):
        return b if b < a or b != b else a

    @device
    def is_above(x, k, y, j):
        if x != x or y != y:
            return x != x and (y == y or k < j)
        return x > y or (x == y and k < j)

    @device
    def is_below(x, k, y, j):
        if x != x or y != y:
            return x != x and (y == y or k < j)
        return x < y or (x == y and k < j)

    @device
    def sorts_before(x, k, y, j):
        if x != x or y != y:
            return (y != y and k < j) if x != x else True
        return x < y or (x == y and k < j)

    return {
        "greater": greater,
        "smaller": smaller,
        "is_above": is_above,
        "is_below": is_below,
        "sorts_before": sorts_before,
    }


def _scalings(real: Any, one: Any) -> dict[str, Any]:
    zero, infinity = real(0), real(np.inf)

    @device
    def exp_below(x, peak):
        """``exp(x - peak)``, 1 at the peak even if it is infinite."""
        return one if x == peak else math.exp(x - peak)

    @device
    def scaled(x, peak):
        """``x / peak``; next to infinity the finite counts nothing."""
        if peak == infinity:
            return math.copysign(one, x) if abs(x) == infinity else (x if x != x else zero)
        return x / peak

    return {"exp_below": exp_below, "scaled": scaled}


def _fold(combine: Any, real: Any) -> Any:
    """``combine`` over the threads that share a row: a warp, or the block."""
    warps = grids.THREADS // 32

    @device
    def warp(x):
        x = combine(x, cuda.shfl_xor_sync(ALL, x, 16))
        x = combine(x, cuda.shfl_xor_sync(ALL, x, 8))
        x = combine(x, cuda.shfl_xor_sync(ALL, x, 4))
        x = combine(x, cuda.shfl_xor_sync(ALL, x, 2))
        return combine(x, cuda.shfl_xor_sync(ALL, x, 1))

    @device
    def team(x):
        x = warp(x)
        if cuda.blockDim.x == 32:
            return x
        found = cuda.shared.array(warps, real)
        if cuda.threadIdx.x % 32 == 0:
            found[cuda.threadIdx.x // 32] = x
        cuda.syncthreads()
        x = found[0]
        for other in range(1, warps):
            x = combine(x, found[other])
        cuda.syncthreads()
        return x

    return team


def _prefix(real: Any) -> Any:
    """The sum of a thread's number and of those of the threads before it, and that of all."""
    warps, zero = grids.THREADS // 32, real(0)

    @device
    def grown(prefix, total, lanes):
        other = cuda.shfl_xor_sync(ALL, total, lanes)
        if cuda.threadIdx.x & lanes:
            prefix += other
        return prefix, total + other

    @device
    def team(x):
        prefix, total = grown(x, x, 1)
        prefix, total = grown(prefix, total, 2)
        prefix, total = grown(prefix, total, 4)
        prefix, total = grown(prefix, total, 8)
        prefix, total = grown(prefix, total, 16)
        if cuda.blockDim.x == 32:
            return prefix, total
        found = cuda.shared.array(warps, real)
        if cuda.threadIdx.x % 32 == 0:
            found[cuda.threadIdx.x // 32] = total
        cuda.syncthreads()
        before = total = zero
        for warp in range(warps):
            if warp == cuda.threadIdx.x // 32:
                before = total
            total += found[warp]
        cuda.syncthreads()
        return before + prefix, total

    return team


def _search(comes: Any, real: Any) -> Any:
    """The place of the entry that comes before all others, known to the threads of a row."""
    warps = grids.THREADS // 32

    @device
    def exchanged(x, k, lanes):
        y = cuda.shfl_xor_sync(ALL, x, lanes)
        j = cuda.shfl_xor_sync(ALL, k, lanes)
        return (y, j) if comes(y, j, x, k) else (x, k)

    @device
    def team(x, k):
        x, k = exchanged(x, k, 16)
        x, k = exchanged(x, k, 8)
        x, k = exchanged(x, k, 4)
        x, k = exchanged(x, k, 2)
        x, k = exchanged(x, k, 1)
        if cuda.blockDim.x == 32:
            return k
        values = cuda.shared.array(warps, real)
        places = cuda.shared.array(warps, np.int64)
        if cuda.threadIdx.x % 32 == 0:
            values[cuda.threadIdx.x // 32] = x
            places[cuda.threadIdx.x // 32] = k
        cuda.syncthreads()
        for other in range(warps):
            if comes(values[other], places[other], x, k):
                x, k = values[other], places[other]
        cuda.syncthreads()
        return k

    return team
