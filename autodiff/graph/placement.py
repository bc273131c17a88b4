"""Where arrays of the graph lie: in the host's memory, or on a device for the target "cuda".

An operation is compiled for the target of its arrays. With one array on a device among them it
runs there: NumPy arrays are copied to it, and its results stay there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from backends.cuda.arrays import (
    ArrayOnDevice,
    DeviceArray,
    is_on_device,
    on_device,
    open_device,
    to_device,
)

#: What tensors hold.
ARRAYS = (np.ndarray, ArrayOnDevice)


def kept(data: Any, dtype: Any = None) -> Any:
    """The array that a tensor keeps for ``data``: as it is on a device, else NumPy's."""
    if type(data) is np.ndarray and dtype is None:
        return data
    if is_on_device(data):
        array = on_device(data)
        if dtype is None or array.dtype == dtype:
            return array
        return beside(array, array.copy_to_host().astype(dtype))  # kernels have one precision
    return np.asarray(data, dtype)


def target_of(arrays: Iterable[Any]) -> str:
    """The target that programs of these arrays are compiled for."""
    return "cuda" if any(isinstance(array, ArrayOnDevice) for array in arrays) else "numpy"


def beside(like: Any, array: Any) -> Any:
    """An array in the memory where ``like`` lies, itself if it lies there."""
    if not isinstance(like, ArrayOnDevice):
        return array.copy_to_host() if isinstance(array, ArrayOnDevice) else array
    if isinstance(array, ArrayOnDevice):
        return array
    device = like.device if isinstance(like, DeviceArray) else open_device()
    return to_device(np.asarray(array), device)


def moved(array: Any, place: str) -> Any:
    """The array on the first GPU ("cuda"), or in the host's memory ("cpu"), as torch calls them.

    Raises ValueError for another place, CudaError without a GPU.
    """
    if place not in ("cpu", "cuda"):
        raise ValueError(f"tensors lie on 'cpu' or 'cuda', not on {place!r}")
    if isinstance(array, ArrayOnDevice):
        return array if place == "cuda" else array.copy_to_host()
    return array if place == "cpu" else to_device(np.asarray(array), open_device())


__all__ = ["ARRAYS", "beside", "kept", "moved", "target_of"]
