"""Arrays on the device: ours, those of other libraries, and what is asked of both."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorcalc.errors import ShapeError

from ..binding import ArgumentError
from . import library_kernels
from .device import Device, Memory, View

#: ``kDLCUDA`` and ``kDLCUDAManaged`` of DLPack.
DLPACK_DEVICES = (2, 13)
#: Kinds of entries, as kernels know them, by dtype.
KINDS: Any = {"float32": "real", "float64": "real", "int64": "integer", "bool": "boolean"}


class ArrayOnDevice:
    """Base of arrays in a GPU's memory: a shape and a NumPy dtype, no entries within reach."""

    shape: tuple[int, ...]
    dtype: Any
    #: ``copy_to_host()``: the entries as a NumPy array.
    copy_to_host: Callable[[], Any]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the entries."""
        return self.size * self.dtype.itemsize

    def item(self) -> Any:
        """The only entry as a Python number."""
        return self.copy_to_host().item()

    def tolist(self) -> Any:
        """The entries as nested lists."""
        return self.copy_to_host().tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __format__(self, form: str) -> str:
        return format(self.item() if form else repr(self), form)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("an array without axes has no length")
        return self.shape[0]


class Borrowed(ArrayOnDevice):
    """An array of another library; :attr:`value` is that library's own object."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.shape = tuple(value.shape)
        self.dtype = dtype_of(value)

    def copy_to_host(self) -> Any:
        """The entries as a NumPy array."""
        device = open_device(ordinal_of(self) or 0)
        with device.using():
            view = device.imported(self.value)
            checked_view("the array", view, self.shape, self.dtype)
            return _on_host(device, view.address, self.shape, self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """Whatever the library says to it; CuPy, for one, refuses."""
        return np.asarray(self.value, dtype)

    def __repr__(self) -> str:
        return f"<{type(self.value).__module__} array on the device, {self.shape}, {self.dtype}>"


class DeviceArray(ArrayOnDevice):
    """A dense row-major array on the device, readable by CuPy, torch and JAX without a copy.

    ``np.asarray(array)`` copies it to the host. ``__dlpack__`` and ``__cuda_array_interface__``
    share the memory: ``torch.from_dlpack(array)``, ``cupy.from_dlpack(array)``,
    ``jax.dlpack.from_dlpack(array)``, ``numba.cuda.as_cuda_array(array)``. The values are ready
    once the work on :attr:`stream` is; the protocols see to that order. Memory is given back in
    the order of that stream: keep the array while another stream reads it.
    """

    #: NumPy's operators leave these to us, and we have none: no silent copies to the host.
    __array_ufunc__ = None

    def __init__(self, device: Device, memory: Memory, shape: Sequence[int], dtype: Any) -> None:
        self.device = device
        self.memory = memory
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)

    @property
    def stream(self) -> int:
        """The number of the stream that the values are made on."""
        return self.device.stream

    def copy_to_host(self) -> Any:
        """The entries as a NumPy array."""
        with self.device.using():
            return _on_host(self.device, self.memory.address, self.shape, self.dtype)

    def copy(self) -> DeviceArray:
        """The same entries in memory of their own, once the stream comes to it."""
        with self.device.using():
            memory = self.device.allocate(max(self.nbytes, 1))
            if self.size:
                self.device.copy(memory.address, self.memory.address, self.nbytes)
        return DeviceArray(self.device, memory, self.shape, self.dtype)

    def astype(self, dtype: Any, copy: bool = True) -> DeviceArray:
        """The same numbers as whole numbers, truth values, or real ones.

        Raises ArgumentError between the two precisions: no kernel has both.
        """
        dtype = np.dtype(dtype)
        if dtype == self.dtype:
            return self.copy() if copy else self
        reals = [str(each) for each in (self.dtype, dtype) if each.kind == "f"]
        kinds = [KINDS.get(str(each)) for each in (self.dtype, dtype)]
        if len(reals) > 1 or None in kinds:
            raise ArgumentError(
                f"an array on the device of dtype {self.dtype} cannot become {dtype} there",
                [repr(self)],
                "convert it with the library that it comes from, or on the host",
            )
        kernel = library_kernels.converted(*kinds)
        blocks, threads = library_kernels.geometry(kernel, (self.size,))
        with self.device.using():
            memory = self.device.allocate(self.size * dtype.itemsize or 1)
            found = DeviceArray(self.device, memory, self.shape, dtype)
            code = self.device.kernel(kernel, reals[0] if reals else "float64")
            addresses = found.memory.address, self.memory.address
            self.device.launch(code, blocks, threads, (*addresses, self.size))
        return found

    def __setitem__(self, index: Any, values: Any) -> None:
        """``array[...] = values``: new entries for all, from the host or from the same stream.

        Raises TypeError for a part of the array.
        """
        if index is not Ellipsis:
            raise TypeError(
                "a part of an array on the device cannot be assigned\n"
                "  hint: assign all of it, array[...] = values, or use its library's function"
            )
        with self.device.using():
            if isinstance(values, DeviceArray) and values.device is self.device:
                values = values.astype(self.dtype, copy=False)
                checked_view("the new value", view_of(values), self.shape, self.dtype)
                if self.size:
                    self.device.copy(self.memory.address, values.memory.address, self.nbytes)
            else:
                host = np.broadcast_to(np.asarray(values, self.dtype), self.shape)
                if host.size:
                    self.device.upload(self.memory.address, np.require(host, requirements="C"))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if copy is False:
            raise ValueError("an array on the device is always copied to the host")
        host = self.copy_to_host()
        return host if dtype is None else host.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"DeviceArray({self.shape}, {self.dtype}, on {self.device!r})"

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """Version 3 of numba's protocol; whoever reads it waits for the stream."""
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.memory.address if self.size else 0, False),
            "strides": None,
            "stream": self.stream,
            "version": 3,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        return DLPACK_DEVICES[0], self.device.ordinal

    def __dlpack__(self, *, stream: int | None = None, **options: Any) -> Any:
        """The capsule; the consumer's ``stream`` waits for ours, unless it is -1.

        None stands for the legacy default stream, as the protocol has it.
        """
        with self.device.using():
            consumer = 1 if stream is None else stream
            if consumer not in (-1, self.stream):
                self.device.release_to(consumer)
            return self.device.exported(self, **options)


def is_on_device(value: Any) -> bool:
    """Whether a value is an array in a GPU's memory, of this library or another."""
    if isinstance(value, (np.ndarray, np.generic, int, float)):
        return False
    if isinstance(value, ArrayOnDevice):
        return True
    if hasattr(value, "__dlpack_device__"):
        return value.__dlpack_device__()[0] in DLPACK_DEVICES
    return hasattr(value, "__cuda_array_interface__")


def on_device(value: Any) -> ArrayOnDevice:
    """An array on the device with a NumPy dtype, whichever library's it is."""
    return value if isinstance(value, ArrayOnDevice) else Borrowed(value)


def ordinal_of(value: Any) -> int | None:
    """The number of the GPU that an array lies on, None if it does not say."""
    value = value.value if isinstance(value, Borrowed) else value
    if hasattr(value, "__dlpack_device__"):
        return int(value.__dlpack_device__()[1])
    return None


def dtype_of(value: Any) -> Any:
    """The NumPy dtype of an array of another library.

    Raises ArgumentError for one that NumPy does not have.
    """
    name = str(value.dtype).removeprefix("torch.")
    try:
        return np.dtype(name)
    except TypeError:
        raise ArgumentError(
            f"an array on the device has dtype {name}",
            [f"shape {tuple(value.shape)}"],
            "convert it to float32 or float64",
        ) from None


def checked_view(name: str, view: View, shape: Sequence[int], dtype: Any) -> View:
    """The view, which must be dense and of this dtype: conversions would be hidden copies.

    Raises ArgumentError or ShapeError with the remedy.
    """
    if view.shape != shape:
        raise ShapeError(
            f"{name} does not fit",
            [_shown(name, view), f"needed: shape {shape}"],
            "pass an array of that shape",
        )
    if view.dtype != dtype:
        raise ArgumentError(
            f"{name} is {view.dtype} on the device, but this call computes in {dtype}",
            [_shown(name, view)],
            f"convert it: {name}.astype('{dtype}'), or in torch {name}.to(torch.{dtype})",
        )
    if not view.is_dense:
        raise ArgumentError(
            f"{name} is not contiguous on the device",
            [_shown(name, view), f"strides in entries: {view.strides}"],
            f"copy it: cupy.ascontiguousarray({name}), or in torch {name}.contiguous()",
        )
    return view


def _on_host(device: Device, address: int, shape: tuple[int, ...], dtype: Any) -> Any:
    host = np.empty(shape, dtype)
    if host.size:
        device.download(host, address)
        device.finish()
    return host


def view_of(array: DeviceArray) -> View:
    """Where one of our arrays lies."""
    return View(array.memory.address, array.shape, None, array.dtype, False, array)


def _shown(name: str, view: View) -> str:
    return f"{name}: shape {view.shape}, dtype {view.dtype}"


def to_device(array: Any, device: Device) -> DeviceArray:
    """A NumPy array copied to the device."""
    host = np.require(array, requirements="C")
    with device.using():
        memory = device.allocate(max(host.nbytes, 1))
        if host.size:
            device.upload(memory.address, host)
    return DeviceArray(device, memory, host.shape, host.dtype)


def open_device(ordinal: int = 0) -> Device:
    """The GPU of this number; what drives it is loaded on first use.

    Raises CudaError, which says what is missing.
    """
    return importlib.import_module(f"{__package__}.cuda_device").open_device(ordinal)
