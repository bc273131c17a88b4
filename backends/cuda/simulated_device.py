"""A device for tests: the host's memory, a stream that runs as late as it may, a log of calls.

It is stricter than a GPU: nothing queued has run before somebody waits for it, memory that was
given back is poisoned, addresses that are nobody's are refused, and what CUDA forbids while a graph
is recorded is refused too. Kernels run in numba's simulator, in a process whose environment has
``NUMBA_ENABLE_CUDASIM=1``, or not at all (``kernels=ignored``) where only the calls matter.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .actions import Kernel
from .actions import dtype_of as entry_dtype
from .compile import function_of
from .device import Arena, Axes, View
from .errors import no_memory
from .simulated_libraries import Blas, Solver

POISON = 0xFF
#: Function of a kernel, its precision, blocks, threads, arrays and integers.
Runner = Callable[..., None]


class SimulationError(AssertionError):
    """Something that a GPU would answer with a fault, or with wrong numbers."""


class SimulatedStream:
    """Work in order, done when somebody waits for it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.queue: deque[Callable[[], None]] = deque()
        self.issued = 0
        self.done = 0

    def add(self, operation: Callable[[], None]) -> None:
        """Queue one operation."""
        self.queue.append(operation)
        self.issued += 1

    def advance(self, count: int) -> None:
        """Run until so many operations are done."""
        while self.done < count:
            self.done += 1
            self.queue.popleft()()


class SimulatedGpu:
    """Memory and streams that several devices (streams) share."""

    def __init__(self, total: int = 2**30) -> None:
        self.total = total
        self.used = 0
        self.streams: dict[int, SimulatedStream] = {}
        self.allocations: dict[int, Any] = {}

    def stream(self, number: int) -> SimulatedStream:
        """The stream of this number."""
        return self.streams.setdefault(number, SimulatedStream(number))

    def memory(self, address: int, nbytes: int) -> Any:
        """The bytes at an address; SimulationError if they are not all of one allocation."""
        rest = self.rest(address)
        if nbytes > rest.size:
            raise SimulationError(f"{nbytes} bytes at {address:#x}, where only {rest.size} are")
        return rest[:nbytes]

    def rest(self, address: int) -> Any:
        """The bytes from an address to the end of its allocation."""
        starts = sorted(self.allocations)
        k = bisect_right(starts, address) - 1
        if k < 0 or address >= starts[k] + self.allocations[starts[k]].size:
            raise SimulationError(f"nothing is allocated at {address:#x}")
        return self.allocations[starts[k]][address - starts[k] :]


class SimulatedMemory:
    """Memory that is poisoned when the stream comes to giving it back."""

    def __init__(self, gpu: SimulatedGpu, stream: SimulatedStream, nbytes: int) -> None:
        self.nbytes = nbytes
        self._gpu, self._stream = gpu, stream
        self._array = np.full(nbytes, POISON, np.uint8)
        self.address = self._array.ctypes.data
        gpu.allocations[self.address] = self._array
        gpu.used += nbytes

    def __del__(self) -> None:
        gpu, address, array = self._gpu, self.address, self._array

        def give_back() -> None:
            array[:] = POISON
            del gpu.allocations[address]
            gpu.used -= array.size

        self._stream.add(give_back)


def ignored(*arguments: Any) -> None:
    """A kernel that does nothing."""


def simulated(
    kernel: Kernel, precision: str, blocks: Axes, threads: Axes, arguments: Sequence[Any]
) -> None:
    """A kernel in numba's simulator, on the arrays themselves: it would copy NumPy's."""
    from numba import cuda
    from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray

    wrapped = [FakeCUDAArray(a) if isinstance(a, np.ndarray) else a for a in arguments]
    with np.errstate(all="ignore"):
        cuda.jit(function_of(kernel, precision))[blocks, threads](*wrapped)


class SimulatedDevice:
    """A simulated GPU and one stream of it; see :class:`.device.Device`."""

    def __init__(
        self, gpu: SimulatedGpu | None = None, stream: int = 7, kernels: Runner = simulated
    ) -> None:
        self.name = "simulated GPU"
        self.ordinal = 0
        self.capability = (9, 0)
        self.gpu = gpu or SimulatedGpu()
        self.stream = stream
        self.owner: Any = None
        self.kernels = kernels
        #: What was called, in order.
        self.log: list[str] = []
        self._own = self.gpu.stream(stream)
        self._recording: list[Callable[[], None]] | None = None
        self._lock = threading.RLock()
        self._arena = Arena(self)
        self.held: list[Any] = []

    def __repr__(self) -> str:
        return f"<{self.name}, device {self.ordinal}>"

    @contextmanager
    def using(self) -> Iterator[None]:
        """One thread at a time."""
        with self._lock:
            yield

    def _add(self, name: str, operation: Callable[[], None]) -> None:
        self.log.append(name)
        if self._recording is None:
            self._own.add(operation)
        else:
            self._recording.append(operation)

    def _forbid_recording(self, name: str) -> None:
        if self._recording is not None:
            raise SimulationError(f"{name} while a graph is recorded")

    # -- memory -----------------------------------------------------------------------------------
    def allocate(self, nbytes: int) -> SimulatedMemory:
        """New memory, poisoned."""
        self._forbid_recording("allocation")
        if self.gpu.used + nbytes > self.gpu.total:
            self._arena.give_back()
            self.finish()
        if self.gpu.used + nbytes > self.gpu.total:
            raise no_memory(nbytes, self.gpu.total - self.gpu.used, self.gpu.total)
        self.log.append(f"allocate {nbytes}")
        return SimulatedMemory(self.gpu, self._own, nbytes)

    def scratch(self, nbytes: int, cleared: int) -> tuple[int, int]:
        """Memory that all tasks of the stream share."""
        return self._arena.addresses(nbytes, cleared)

    def upload(self, address: int, array: Any) -> None:
        """Copy a NumPy array as it is now."""
        self._forbid_recording("upload")
        if not array.flags.c_contiguous:
            raise SimulationError("upload of an array with gaps")
        entries = np.frombuffer(array.tobytes(), np.uint8)

        def operation() -> None:
            self.gpu.memory(address, entries.size)[:] = entries

        self._add("upload", operation)

    def download(self, array: Any, address: int) -> None:
        """Copy into a NumPy array once somebody waits."""
        self._forbid_recording("download")
        if not array.flags.c_contiguous:
            raise SimulationError("download into an array with gaps")

        def operation() -> None:
            array.reshape(-1).view(np.uint8)[:] = self.gpu.memory(address, array.nbytes)

        self._add("download", operation)

    def copy(self, out: int, source: int, nbytes: int) -> None:
        """Copy within the device."""

        def operation() -> None:
            self.gpu.memory(out, nbytes)[:] = self.gpu.memory(source, nbytes).copy()

        self._add("copy", operation)

    def clear(self, address: int, nbytes: int) -> None:
        """Set bytes to zero."""

        def operation() -> None:
            self.gpu.memory(address, nbytes)[:] = 0

        self._add("clear", operation)

    # -- work -------------------------------------------------------------------------------------
    def kernel(self, kernel: Kernel, precision: str) -> Any:
        """What :meth:`launch` needs."""
        return kernel, precision

    def launch(self, kernel: Any, blocks: Axes, threads: Axes, arguments: Sequence[int]) -> None:
        """Run a kernel on arrays that begin at the addresses."""
        code, precision = kernel
        count = len(code.pointers)
        if len(arguments) != count + code.sizes:
            raise SimulationError(f"{code.name} was launched with {len(arguments)} arguments")
        if any(block < 1 for block in (*blocks, *threads)) or max(blocks[1:]) > 65535:
            raise SimulationError(f"{code.name} was launched on a grid of {blocks} x {threads}")

        def operation() -> None:
            if self.kernels is not ignored:
                arrays = [
                    self._entries(address, kind, precision)
                    for address, kind in zip(arguments[:count], code.pointers, strict=True)
                ]
                self.kernels(code, precision, blocks, threads, (*arrays, *arguments[count:]))

        self._add(f"launch {code.name}", operation)

    def _entries(self, address: int, kind: Any, precision: str) -> Any:
        dtype = np.dtype(np.uint8) if kind == "boolean" else entry_dtype(kind, precision)
        if address % dtype.itemsize:
            raise SimulationError(f"{address:#x} is no multiple of {dtype.itemsize}")
        rest = self.gpu.rest(address)
        return rest[: rest.size // dtype.itemsize * dtype.itemsize].view(dtype)

    def blas(self, name: str, *arguments: Any) -> None:
        """A function of cuBLAS."""
        dtype = np.float64 if name[0] == "d" else np.float32
        function = getattr(Blas(self.gpu.memory, dtype), name[1:])
        self._add(f"blas {name}", lambda: function(*arguments))

    def solver(self, name: str, *arguments: Any) -> Any:
        """A function of cuSOLVER; none may be recorded."""
        self._forbid_recording(name)
        letter, rest = (name[0], name[1:]) if name[0] in "ds" else ("", name)
        if not letter:  # the newer functions are told the data type
            letter = "d" if arguments[4] == 1 else "s"
        dtype = np.float64 if letter == "d" else np.float32
        function = getattr(Solver(self.gpu.memory, dtype), rest)
        if name.endswith("_buffer_size"):
            return function(*arguments)
        return self._add(f"solver {name}", lambda: function(*arguments))

    def solver_parameters(self) -> int:
        """Any number."""
        return 1

    # -- order ------------------------------------------------------------------------------------
    def record(self, issue: Callable[[], None]) -> SimulatedGraph:
        """What ``issue`` queues, as a graph."""
        return SimulatedGraph(self, issue)

    def recorded(self, issue: Callable[[], None]) -> list[Callable[[], None]]:
        """The operations of a graph."""
        self._forbid_recording("recording")
        recording: list[Callable[[], None]] = []
        self._recording = recording
        try:
            issue()
        finally:
            self._recording = None
        return recording

    def wait_for(self, stream: int) -> None:
        """Order this stream after what another holds."""
        other = self.gpu.stream(stream)
        count = other.issued
        self._add(f"wait for {stream}", lambda: other.advance(count))

    def release_to(self, stream: int) -> None:
        """Order another stream after what this one holds."""
        self.log.append(f"release to {stream}")
        count = self._own.issued
        self.gpu.stream(stream).add(lambda: self._own.advance(count))

    def hold(self, objects: Sequence[Any]) -> None:
        """Keep arrays of other libraries."""
        self.held.extend(objects)

    def finish(self) -> None:
        """Run everything."""
        self._forbid_recording("waiting")
        self.log.append("finish")
        self._own.advance(self._own.issued)
        self.held.clear()

    # -- other libraries --------------------------------------------------------------------------
    def imported(self, array: Any) -> View:
        """An array with ``__cuda_array_interface__``, ordered after its producer."""
        facts = array.__cuda_array_interface__
        dtype = np.dtype(facts["typestr"])
        strides = facts.get("strides")
        if facts.get("stream") is not None:
            self.wait_for(facts["stream"])
        address, read_only = facts["data"]
        counts = None if strides is None else tuple(s // dtype.itemsize for s in strides)
        return View(address, tuple(facts["shape"]), counts, dtype, read_only, array)

    def exported(self, array: Any, **options: Any) -> Any:
        """A capsule of the host's memory."""
        nbytes = array.nbytes
        flat = self.gpu.memory(array.memory.address, nbytes).view(array.dtype)
        return flat.reshape(array.shape).__dlpack__(**options)


class SimulatedGraph:
    """Recorded operations."""

    def __init__(self, device: SimulatedDevice, issue: Callable[[], None]) -> None:
        self._device = device
        device.log.append("record graph")
        self._operations = device.recorded(issue)

    def launch(self) -> None:
        """Queue all of it at once."""
        operations = list(self._operations)

        def operation() -> None:
            for each in operations:
                each()

        self._device._add("launch graph", operation)

    def update(self, issue: Callable[[], None]) -> None:
        """The same work at other addresses; other work is an error."""
        self._device.log.append("update graph")
        operations = self._device.recorded(issue)
        if len(operations) != len(self._operations):
            raise SimulationError("a graph is updated to other work")
        self._operations = operations
