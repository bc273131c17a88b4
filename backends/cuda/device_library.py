"""The CUDA that functions of kernels are written in: numba's, or the simulator's stand-ins."""

from __future__ import annotations

import math as _math
from typing import Any

from . import numba_cuda

#: Every lane of a warp.
ALL = 0xFFFFFFFF
#: Functions of libdevice that ``math`` has not, or whose results numba makes integers.
LIBDEVICE = ("floor", "ceil", "rint", "trunc", "erfcx", "erfinv", "normcdfinv")

cuda: Any
math: Any
atomic_add: Any
device = numba_cuda.device
SIMULATED = numba_cuda.SIMULATED
if SIMULATED:
    from . import simulated

    cuda, math, atomic_add = simulated.cuda, simulated.math, simulated.atomic_add
else:
    cuda, math, atomic_add = numba_cuda.cuda, _math, numba_cuda.atomic_add


def libdevice(precision: str) -> dict[str, Any]:
    """Functions by name, for one precision."""
    if SIMULATED:
        return {name: getattr(simulated, name) for name in LIBDEVICE}
    suffix = "f" if precision == "float32" else ""
    return {name: getattr(numba_cuda.libdevice, name + suffix) for name in LIBDEVICE}


@device
def fma(a, b, c):
    """``a * b + c``, rounded once."""
    return cuda.fma(a, b, c)


def lookup(first: Any, second: Any) -> Any:
    """A function that gives an entry of each of two tables in constant memory."""

    @device
    def entry(place):
        return cuda.const.array_like(first)[place], cuda.const.array_like(second)[place]

    return entry
