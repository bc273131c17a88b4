"""What numba's simulator lacks: warp shuffles, atomics on pointers, elementary functions.

A pointer is a one-dimensional array here, a kernel a Python function run by one Python thread for
each thread of a block. Numbers are NumPy's, so that overflow and division by zero are no errors.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import numpy as np
from numba.cuda.simulator import kernel as _kernel
from scipy import special

_LANES = 32
_ATOMIC = threading.Lock()


class _Cuda:
    """``numba.cuda`` as the running kernel sees it, with shuffles."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_kernel._get_kernel_context(), name)

    def shfl_xor_sync(self, mask: int, value: Any, lanes: int) -> Any:
        """The value of the lane whose number differs in these bits."""
        thread = self.threadIdx.y * self.blockDim.x + self.threadIdx.x
        return _WARPS.exchanged(thread, value, lanes)


class _Warps:
    """One barrier and one line of values for each warp of the block that runs."""

    def __init__(self) -> None:
        self.barriers: dict[int, threading.Barrier] = {}
        self.values: dict[int, list[Any]] = defaultdict(lambda: [None] * _LANES)
        self.lock = threading.Lock()

    def exchanged(self, thread: int, value: Any, lanes: int) -> Any:
        warp, lane = divmod(thread, _LANES)
        with self.lock:
            barrier = self.barriers.setdefault(warp, threading.Barrier(_LANES))
            values = self.values[warp]
        values[lane] = value
        barrier.wait()
        other = values[lane ^ lanes]
        barrier.wait()
        return other


_WARPS = _Warps()
cuda = _Cuda()


def atomic_add(pointer: Any, index: int, value: Any) -> Any:
    """``old = p[i]; p[i] += value; return old`` at once."""
    with _ATOMIC:
        old = pointer[index]
        pointer[index] = old + value
    return old


def load_four(pointer: Any, k: int) -> Any:
    """Entries ``4k`` to ``4k + 3``."""
    return tuple(pointer[4 * k + lane] for lane in range(4))


def store_four(pointer: Any, k: int, *values: Any) -> None:
    """``p[4k + lane] = values[lane]``."""
    for lane, value in enumerate(values):
        pointer[4 * k + lane] = value


def aligned(pointer: Any) -> bool:
    """Whether the memory begins at a multiple of 16 bytes."""
    return pointer._ary.ctypes.data % 16 == 0


floor, ceil, rint, trunc = np.floor, np.ceil, np.rint, np.trunc
erfcx, erfinv, normcdfinv = special.erfcx, special.erfinv, special.ndtri

#: The functions of ``math`` that spellings use, with NumPy's results outside their domain.
math = SimpleNamespace(
    inf=np.inf,
    nan=np.nan,
    acos=np.arccos,
    acosh=np.arccosh,
    asin=np.arcsin,
    asinh=np.arcsinh,
    atan=np.arctan,
    atan2=np.arctan2,
    atanh=np.arctanh,
    copysign=np.copysign,
    cos=np.cos,
    cosh=np.cosh,
    erf=special.erf,
    erfc=special.erfc,
    exp=np.exp,
    expm1=np.expm1,
    floor=np.floor,
    fmod=np.fmod,
    gamma=special.gamma,
    hypot=np.hypot,
    isfinite=np.isfinite,
    isinf=np.isinf,
    isnan=np.isnan,
    lgamma=special.gammaln,
    log=np.log,
    log10=np.log10,
    log1p=np.log1p,
    log2=np.log2,
    pow=np.power,
    sin=np.sin,
    sinh=np.sinh,
    sqrt=np.sqrt,
    tan=np.tan,
    tanh=np.tanh,
)
