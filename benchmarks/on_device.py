"""Our calls on a GPU: arguments lie there before, and a call ends when its results are there.

That is what JAX is asked for too (``block_until_ready``); copies between host and device are no
part of either. Results of a GPU go to ``benchmarks/results/<device>.json``, see :func:`results`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backends.cuda import cuda_device
from backends.cuda.arrays import ArrayOnDevice, DeviceArray, to_device

FOLDER = Path(__file__).parent / "results"


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


def results(name: str | None = None) -> Path:
    """Where rows of the GPU of this machine are kept, with the versions.

    >>> results("NVIDIA H200").name
    'nvidia-h200.json'
    """
    name = cuda_device.open_device().name if name is None else name
    return FOLDER / f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.json"
