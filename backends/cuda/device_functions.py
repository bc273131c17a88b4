"""What kernels call: elementary functions, sums of warps and blocks, places of indices.

Functions are made for one precision, so that float32 kernels hold no float64 arithmetic. Those of
the table's spellings that ``math`` has are CUDA's own (libdevice): within 2 units in the last
place, division and square root rounded correctly.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from . import grids
from .device_angles import Language, angle_functions
from .device_library import (
    ALL,
    POINTERS,
    SIMULATED,
    cuda,
    device,
    fma,
    libdevice,
    lookup,
    math,
)
from .device_rows import row_functions
from .device_special import special_functions

INT32 = np.int32
atomic_add = POINTERS["atomic_add"]


@lru_cache(maxsize=2)
def namespace(precision: str) -> dict[str, Any]:
    """The names that the text of a kernel may use."""
    real = np.dtype(precision).type
    names: dict[str, Any] = {
        "cuda": cuda,
        "math": math,
        "real": real,
        "uint8": np.uint8,
        "int64": np.int64,
        "uint64": np.uint64,
        "GREATEST": real(np.finfo(precision).max),
        "HIGHEST": grids.HIGHEST,
        **POINTERS,
    }
    names.update(_elementary())
    names.update(libdevice(precision))
    if precision == "float32" and not SIMULATED:
        names.update(angle_functions(Language(device, lookup, fma, math)))
    names.update(_own(real))
    names.update(_sums(real))
    names.update(row_functions(real))
    names.update(special_functions(real, names))
    return names


def _elementary() -> dict[str, Any]:
    """CUDA's functions by the plain names of the table's spellings."""
    names = "cos cosh erf erfc exp expm1 log log1p sin sinh tan tanh".split()
    return {**{name: getattr(math, name) for name in names}, "power": math.pow}


def _own(real: Any) -> dict[str, Any]:
    """Functions that neither ``math`` nor libdevice has, with no overflow on the way."""
    one, zero = real(1), real(0)

    @device
    def select(condition, a, b):
        return a if condition else b

    @device
    def sigmoid(x):
        e = math.exp(-abs(x))
        s = one / (one + e)
        return s if x >= zero else e * s

    @device
    def softplus(x):
        tail = math.log1p(math.exp(-abs(x)))
        return tail if x <= zero else x + tail

    @device
    def place(index, size, status):
        """An index counted from the end if it is negative; out of range it is reported, and 0."""
        if index < -size or index >= size:
            status[0] = INT32(1)
            return index - index
        return index + size if index < 0 else index

    return {"select": select, "sigmoid": sigmoid, "softplus": softplus, "place": place}


def _sums(real: Any) -> dict[str, Any]:
    """Sums over the threads of a warp or a block; the order is the same in every run."""
    zero = real(0)
    threads = grids.THREADS
    warps = threads // 32

    @device
    def warp_sum(x):
        x += cuda.shfl_xor_sync(ALL, x, 16)
        x += cuda.shfl_xor_sync(ALL, x, 8)
        x += cuda.shfl_xor_sync(ALL, x, 4)
        x += cuda.shfl_xor_sync(ALL, x, 2)
        return x + cuda.shfl_xor_sync(ALL, x, 1)

    @device
    def block_sum(x):
        """The sum over a block of ``THREADS`` threads, known to all of them."""
        sums = cuda.shared.array(warps, real)
        thread = cuda.threadIdx.y * cuda.blockDim.x + cuda.threadIdx.x
        x = warp_sum(x)
        if thread % 32 == 0:
            sums[thread // 32] = x
        cuda.syncthreads()
        total = zero
        for warp in range(warps):
            total += sums[warp]
        cuda.syncthreads()
        return total

    @device
    def team_sum(x):
        """The sum over the threads that share a row: a warp, or the block."""
        if cuda.blockDim.x == 32:
            return warp_sum(x)
        return block_sum(x)

    grid_sum, column_sum = _grid_sum(real, block_sum), _column_sum(real)
    return {"team_sum": team_sum, "column_sum": column_sum, "grid_sum": grid_sum}


def _column_sum(real: Any) -> Any:
    zero = real(0)
    threads = grids.THREADS

    @device
    def column_sum(x):
        """The sum over threads of the same x, right for those whose y is 0."""
        sums = cuda.shared.array(threads, real)
        sums[cuda.threadIdx.y * cuda.blockDim.x + cuda.threadIdx.x] = x
        cuda.syncthreads()
        total = zero
        if cuda.threadIdx.y == 0:
            for line in range(cuda.blockDim.y):
                total += sums[line * cuda.blockDim.x + cuda.threadIdx.x]
        cuda.syncthreads()
        return total

    return column_sum


def _grid_sum(real: Any, block_sum: Any) -> Any:
    zero = real(0)
    threads = grids.THREADS

    @device
    def grid_sum(out, parts, counter, x):
        """``out[0]`` becomes the sum over the grid: the last block adds the parts of all."""
        last = cuda.shared.array(1, INT32)
        thread = cuda.threadIdx.y * cuda.blockDim.x + cuda.threadIdx.x
        block = cuda.blockIdx.y * cuda.gridDim.x + cuda.blockIdx.x
        blocks = cuda.gridDim.x * cuda.gridDim.y
        x = block_sum(x)
        if thread == 0:
            parts[block] = x
            cuda.threadfence()
            last[0] = atomic_add(counter, 0, INT32(1))
        cuda.syncthreads()
        if last[0] == blocks - 1:
            cuda.threadfence()
            total = zero
            part = thread
            while part < blocks:
                total += parts[part]
                part += threads
            total = block_sum(total)
            if thread == 0:
                out[0] = total
                counter[0] = INT32(0)

    return grid_sum
