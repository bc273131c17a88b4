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
device = numba_cuda.device
SIMULATED = numba_cuda.SIMULATED
_own: Any
if SIMULATED:
    from . import simulated as _own

    cuda, math = _own.cuda, _own.math
else:
    _own = numba_cuda
    cuda, math = numba_cuda.cuda, _math
#: What numba lacks for pointers, by name.
POINTERS = {n: getattr(_own, n) for n in ("atomic_add", "load_four", "store_four", "aligned")}


def libdevice(precision: str) -> dict[str, Any]:
    """Functions by name, for one precision."""
    if SIMULATED:
        return {name: getattr(_own, name) for name in LIBDEVICE}
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
