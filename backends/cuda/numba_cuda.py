"""numba-cuda: the only module that imports it, so that another compiler is another module.

With ``NUMBA_ENABLE_CUDASIM=1`` in the environment numba's simulator takes its place: kernels are
Python functions then, and what the simulator lacks (warp shuffles, intrinsics) is made of Python
in :mod:`.simulated`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest import mock

from numba import cuda
from numba.core import types
from numba.cuda.core import config

from .actions import Kernel

#: Whether kernels are simulated.
SIMULATED = bool(getattr(config, "ENABLE_CUDASIM", 0))
#: Bytes of the types of pointers.
NUMBA_TYPES = {"boolean": types.uint8, "integer": types.int64, "counter": types.int32}

#: Blocks that a multiprocessor shall hold at once, so that a thread has at most 128 registers.
RESIDENT = 2

_LOCK = threading.Lock()

#: Makes a function of kernels' code of a Python function.
device: Any = (lambda function: function) if SIMULATED else cuda.jit(device=True)


def ptx(kernel: Kernel, function: Callable[..., Any], precision: str, cc: tuple[int, int]) -> str:
    """The PTX of a kernel's function for a compute capability; needs no GPU."""
    real = types.float64 if precision == "float64" else types.float32
    pointers = [types.CPointer(NUMBA_TYPES.get(kind, real)) for kind in kernel.pointers]
    signature = types.void(*pointers, *[types.int64] * kernel.sizes)
    bounds = kernel.threads, RESIDENT
    with _LOCK, _as_if_on(cc):
        text, _ = cuda.compile(
            function, signature, device=False, abi="numba", cc=cc, launch_bounds=bounds
        )
    return text


def _as_if_on(cc: tuple[int, int]) -> Any:
    """Functions that kernels call are compiled for the current device: say which that would be."""
    from numba.cuda import dispatcher

    stand_in = SimpleNamespace(compute_capability=cc)
    return mock.patch.object(dispatcher, "get_current_device", lambda: stand_in)


def _atomic_add() -> Any:
    """``old = p[i]; p[i] += value; return old`` at once, for pointers.

    ``cuda.atomic.add`` takes arrays only.
    """
    from numba.cuda import nvvmutils
    from numba.cuda.extending import intrinsic

    declared = {
        types.float32: nvvmutils.declare_atomic_add_float32,
        types.float64: nvvmutils.declare_atomic_add_float64,
    }

    @intrinsic
    def atomic_add(typing: Any, pointer: Any, index: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            base, place, number = arguments
            number = context.cast(builder, number, value, pointer.dtype)
            entry = builder.gep(base, [place])
            if pointer.dtype in declared:
                return builder.call(declared[pointer.dtype](builder.module), [entry, number])
            return builder.atomic_rmw("add", entry, number, "monotonic")

        return pointer.dtype(pointer, index, value), generate

    return atomic_add


if not SIMULATED:
    from numba.cuda import libdevice as libdevice

    atomic_add = _atomic_add()
