"""Our calls on a GPU: arguments lie there before, and a call ends when its results are there.

That is what JAX is asked for too (``block_until_ready``); copies between host and device are no
part of either.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

import backends
import tensorcalc as tc
from backends.cuda import cuda_device
from backends.cuda.arrays import ArrayOnDevice, DeviceArray, to_device

from .limits import Limits, least
from .measuring import interleaved

#: Rows of the square matrices of the gemm, and bytes of the copied array.
GEMM, COPY = 8192, 2**30


def moved(arguments: Any) -> tuple[Any, ...]:
    """The arguments as arrays on the first GPU; None and what is there already stay.

    Raises CudaError, which says what is missing, where there is none.
    """
    device = cuda_device.open_device()
    return tuple(
        a if a is None or isinstance(a, ArrayOnDevice) else to_device(a, device) for a in arguments
    )


def waiting(call: Callable[[], Any]) -> Callable[[], Any]:
    """The call, which returns when the last of its results is there: one stream makes them all."""

    def finished() -> Any:
        result = call()
        last = result
        while isinstance(last, (tuple, list)):
            last = last[-1]
        if isinstance(last, DeviceArray):
            last.device.finish()
        return result

    return finished


@lru_cache(maxsize=2)
def device_limits(dtype: str) -> Limits:
    """Rates of a product of matrices by cuBLAS, and of a copy within the GPU's memory."""
    device = cuda_device.open_device()
    A, B = tc.variables("A: n n, B: n n")
    product = backends.compile(A @ B, target="cuda")
    a, b, out = moved([np.ones((GEMM, GEMM), dtype) for _ in range(3)])
    source, target = (device.allocate(COPY) for _ in range(2))

    def copy() -> None:
        device.copy(target.address, source.address, COPY)
        device.finish()

    return Limits(
        2 * GEMM**3 / least(waiting(lambda: product(A=a, B=b, out=out))), 2 * COPY / least(copy)
    )


@lru_cache(maxsize=1)
def launch_seconds(seconds: float = 0.5) -> float:
    """What a call takes whose CUDA graph has next to nothing to do."""
    x = tc.variables("x: n")
    f = backends.compile([x + 1, np.sum(x)], target="cuda")
    (given,) = moved([np.ones(10)])
    out = moved([np.zeros(10), np.zeros(())])
    call = waiting(lambda: f(x=given, out=list(out)))
    return interleaved({"launch": call}, seconds)["launch"]
