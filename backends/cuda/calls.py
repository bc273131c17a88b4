"""Calls of a compiled function: checks of what is given, and a task for each device and stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tensorcalc.errors import ShapeError
from tensorcalc.nodes import Variable

from ..binding import ArgumentError
from ..output_arrays import leaves
from . import cuda_device
from .arrays import Borrowed, DeviceArray, checked_view, is_on_device, ordinal_of, view_of
from .device import Device, View
from .plan import Plan
from .task import Task


class Signature(NamedTuple):
    """What a call does, apart from where: the plan, sizes, precision, and how results nest."""

    plan: Plan
    sizes: Mapping[str, int]
    precision: str
    variables: Sequence[Variable]
    pack: Callable[..., Any]


class Caller:
    """The function for one signature: a task for each device and stream that it is called on."""

    def __init__(self, signature: Signature, on_host: Sequence[bool]) -> None:
        self.signature = signature
        self.on_host = on_host
        self.tasks: dict[Device, Task] = {}
        self.checked = False

    def __call__(self, *arguments: Any, stream: Any = None, out: Any = None) -> Any:
        """The results for arrays, which may be followed by sizes that no array has."""
        arrays = arguments[: len(self.on_host)]
        device = _device_for(arrays, stream)
        task = self.tasks.get(device) or self.task(device)
        with device.using():
            values = self._values(task, arrays)
            if out is not None:
                given = list(leaves(out))
                targets = self._targets(task, given)
                foreign = any(isinstance(target, View) for target in targets)
                task.queue(values, targets, wait=foreign and stream is None)
                return self.signature.pack(*given)
            results = task.queue(values)
        if task.on_host:
            results = [result[()] for result in results]
        return self.signature.pack(*results)

    def task(self, device: Device) -> Task:
        """The plan bound on this device."""
        if device not in self.tasks:
            if len(self.tasks) >= cuda_device.STREAMS:
                self.tasks.clear()
            plan, sizes, kind, *_ = self.signature
            self.tasks[device] = Task(plan, sizes, kind, device, self.on_host)
        return self.tasks[device]

    def _values(self, task: Task, arrays: Sequence[Any]) -> list[Any]:
        """NumPy arrays, our arrays, and views of those of other libraries.

        Calls of one signature have the same shapes and dtypes, so those of our own arrays, which
        are dense, are looked at once.
        """
        values = []
        for k, (array, hosted) in enumerate(zip(arrays, self.on_host, strict=True)):
            ours = self.checked and isinstance(array, DeviceArray) and array.device is task.device
            if not (hosted or ours):
                name = self.signature.variables[k].name
                array = _on_device(name, array, task, task.shapes[k], task.dtypes[k])
            values.append(array)
        self.checked = True
        return values

    def _targets(self, task: Task, arrays: Sequence[Any]) -> list[Any]:
        """Where results go, checked.

        Raises ArgumentError or ShapeError for arrays that results cannot be written into.
        """
        if len(arrays) != len(task.result_shapes):
            raise ArgumentError(
                f"out= has {len(arrays)} arrays for {len(task.result_shapes)} results",
                [],
                "pass one array for each result, nested as the results are",
            )
        targets: list[Any] = []
        for k, array in enumerate(arrays):
            shape, dtype = task.result_shapes[k], task.result_dtypes[k]
            if isinstance(array, DeviceArray) and not task.on_host and array.device is task.device:
                if array.shape == shape and array.dtype == dtype:
                    targets.append(array)
                    continue
            name = "out" if len(arrays) == 1 else f"out[{k}]"
            if task.on_host:
                targets.append(_host_target(name, array, shape, dtype))
            else:
                targets.append(_device_target(name, array, task, shape, dtype))
        return targets


def _on_device(
    name: str, array: Any, task: Task, shape: tuple[int, ...], dtype: Any
) -> DeviceArray | View:
    """An array on the device, ready when what follows runs."""
    if isinstance(array, DeviceArray):
        view = checked_view(name, view_of(array), shape, dtype)
        if array.device is not task.device:
            if array.device.ordinal != task.device.ordinal:
                raise ArgumentError(
                    f"{name} lies on another device",
                    [f"{name}: {array!r}", f"this call runs on {task.device!r}"],
                    "move all arguments to one device",
                )
            task.device.wait_for(array.stream)
            return view
        return array
    foreign = array.value if isinstance(array, Borrowed) else array
    return checked_view(name, task.device.imported(foreign), shape, dtype)


def _device_target(
    name: str, array: Any, task: Task, shape: tuple[int, ...], dtype: Any
) -> DeviceArray | View:
    if not is_on_device(array):
        raise ArgumentError(
            f"{name} is not on the device, but the results are",
            [f"{name}: {type(array).__name__}"],
            "pass an array on the device, or NumPy arguments only",
        )
    target = _on_device(name, array, task, shape, dtype)
    if isinstance(target, View) and target.read_only:
        raise ArgumentError(f"{name} is read-only", [f"shape {target.shape}"], "pass a copy")
    return target


def _host_target(name: str, array: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    if not isinstance(array, np.ndarray):
        raise ArgumentError(
            f"{name} is no NumPy array, but the results are",
            [f"{name}: {type(array).__name__}"],
            "pass NumPy arrays, or an argument on the device",
        )
    if array.shape != shape or array.dtype != dtype:
        raise ShapeError(
            f"{name} does not fit",
            [f"{name}: shape {array.shape}, {array.dtype}", f"needed: shape {shape}, {dtype}"],
            "pass an array of that shape and dtype",
        )
    if not (array.flags.c_contiguous and array.flags.writeable):
        raise ArgumentError(f"{name} is not contiguous or not writeable", [], "pass a copy")
    return array


def _device_for(arrays: Sequence[Any], stream: Any) -> Device:
    """The device of the arguments, with the given stream, that of our arrays, or its own."""
    if stream is None:
        for array in arrays:
            if isinstance(array, DeviceArray):
                return array.device
    ordinals = (ordinal_of(array) for array in arrays if is_on_device(array))
    ordinal = next((number for number in ordinals if number is not None), 0)
    if stream is None:
        return cuda_device.open_device(ordinal)
    device = cuda_device.open_device(ordinal, stream_number(stream))
    if not isinstance(stream, int):
        device.owner = stream
    return device


def stream_number(stream: Any) -> int:
    """The number that CUDA libraries know a stream by.

    Raises ArgumentError for what is no stream.
    """
    if isinstance(stream, int):
        return stream
    if hasattr(stream, "__cuda_stream__"):
        return int(stream.__cuda_stream__()[1])
    for name in ("ptr", "cuda_stream"):  # CuPy; torch
        if isinstance(getattr(stream, name, None), int):
            return getattr(stream, name)
    raise ArgumentError(
        "stream= is no CUDA stream",
        [f"stream: {stream!r:.60}"],
        "pass its number, or a stream of CuPy, torch or cuda.core",
    )
