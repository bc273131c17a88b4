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


def _fours() -> tuple[Any, Any, Any]:
    """``load_four(p, k)``: entries ``4k`` to ``4k + 3`` at once; ``store_four(p, k, a, b, c, d)``.

    ``aligned(p)`` says whether the memory begins at a multiple of 16 bytes, which both need.
    """
    from llvmlite import ir
    from numba.cuda.extending import intrinsic

    def place(context: Any, builder: Any, pointer: Any, base: Any, index: Any) -> Any:
        wide = ir.VectorType(context.get_value_type(pointer.dtype), 4)
        return builder.gep(builder.bitcast(base, wide.as_pointer()), [index])

    def width(pointer: Any) -> int:
        return min(4 * pointer.dtype.bitwidth // 8, 16)

    @intrinsic
    def load_four(typing: Any, pointer: Any, index: Any) -> Any:
        result = types.UniTuple(pointer.dtype, 4)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            found = builder.load(place(context, builder, pointer, *arguments), align=width(pointer))
            lanes = [builder.extract_element(found, ir.IntType(32)(k)) for k in range(4)]
            return context.make_tuple(builder, result, lanes)

        return result(pointer, index), generate

    @intrinsic
    def store_four(typing: Any, pointer: Any, index: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            base, number, *values = arguments
            target = place(context, builder, pointer, base, number)
            wide = ir.VectorType(context.get_value_type(pointer.dtype), 4)(ir.Undefined)
            for k, (value, kind) in enumerate(zip(values, (a, b, c, d), strict=True)):
                value = context.cast(builder, value, kind, pointer.dtype)
                wide = builder.insert_element(wide, value, ir.IntType(32)(k))
            builder.store(wide, target, align=width(pointer))

        return types.void(pointer, index, a, b, c, d), generate

    @intrinsic
    def aligned(typing: Any, pointer: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            address = builder.ptrtoint(arguments[0], ir.IntType(64))
            rest = builder.and_(address, ir.IntType(64)(15))
            return builder.icmp_unsigned("==", rest, ir.IntType(64)(0))

        return types.boolean(pointer), generate

    return load_four, store_four, aligned


if not SIMULATED:
    from numba.cuda import libdevice as libdevice

    atomic_add = _atomic_add()
    load_four, store_four, aligned = _fours()
