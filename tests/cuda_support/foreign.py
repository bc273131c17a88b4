"""Stand-ins for the arrays and streams of other libraries, on a simulated device."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.cuda.simulated_device import SimulatedDevice


class Foreign:
    """An array of another library in the simulated device's memory, with both protocols."""

    def __init__(
        self,
        device: SimulatedDevice,
        array: Any,
        strides: Any = None,
        read_only: bool = False,
        offset: int = 0,
    ) -> None:
        array = np.asarray(array)
        self.memory = device.allocate(max(array.nbytes + offset, 1))
        self.address = self.memory.address + offset
        entries = np.frombuffer(array.tobytes(), np.uint8)
        device.gpu.memory(self.address, array.nbytes)[:] = entries
        self.device = device
        self.shape, self.dtype, self.strides = array.shape, array.dtype, strides
        self.read_only = read_only
        self.stream: int | None = None

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, self.read_only),
            "strides": self.strides,
            "stream": self.stream,
            "version": 3,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0

    def written_later(self, stream: int, array: Any) -> None:
        """Entries that are written when work queued on another stream runs."""
        self.stream = stream
        entries = np.frombuffer(np.asarray(array, self.dtype).tobytes(), np.uint8)
        memory = self.device.gpu.memory(self.address, entries.size)
        self.device.gpu.stream(stream).add(lambda: memory.__setitem__(slice(None), entries))

    def entries(self) -> Any:
        """What is there now, whether or not it is ready."""
        nbytes = int(np.prod(self.shape)) * self.dtype.itemsize
        flat = self.device.gpu.memory(self.address, nbytes)
        return flat.view(self.dtype).reshape(self.shape).copy()
