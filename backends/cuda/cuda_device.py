"""A real GPU: cuda.core for devices, streams, memory, kernels and graphs; nvmath for libraries.

What is here cannot be tested without a GPU, so it is kept to one call of a library in each method;
everything that decides anything lies in the modules above it, which run on a simulated device too.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from . import loading
from .actions import Kernel
from .compile import cubin
from .device import Arena, Axes, View
from .errors import (
    OLDEST_CAPABILITY,
    OLDEST_DRIVER,
    CudaError,
    checked,
    is_out_of_memory,
    missing_device,
    missing_driver,
    missing_library,
    missing_package,
    no_memory,
    old_device,
    old_driver,
)

#: Scratch memory that cuBLAS recommends for Hopper; without it a recorded product allocates.
BLAS_WORKSPACE = 32 * 2**20
#: Streams of one's own, as CUDA numbers them where a pointer is expected: the legacy default
#: stream and that of the thread.
LEGACY, PER_THREAD = 1, 2
#: Streams that are known at once; each has handles of the libraries and scratch memory.
STREAMS = 16

_LOADED: dict[tuple[Kernel, str, tuple[int, int]], tuple[Any, Any]] = {}
_LOCK = threading.Lock()


def imported_module(name: str) -> Any:
    """A module of :mod:`.loading`.

    Raises CudaError, which names the package and the command that installs it.
    """
    try:
        return loading.module(name)
    except ImportError as error:
        raise missing_package(name, error) from error


@lru_cache(maxsize=1)
def check_driver() -> None:
    """Raise CudaError unless there is a driver, new enough, that shows a GPU."""
    driver = imported_module(loading.DRIVER)
    imported_module(loading.CORE)
    try:
        version = checked(driver.cuDriverGetVersion())
    except RuntimeError as error:
        raise missing_driver(error) from error
    if version < OLDEST_DRIVER:
        raise old_driver(version)
    (status,) = driver.cuInit(0)
    if int(status) != 0:
        raise missing_device(getattr(status, "name", str(status)))
    if checked(driver.cuDeviceGetCount()) == 0:
        raise missing_device("that there are 0 devices")


def open_device(ordinal: int = 0, stream: int | None = None) -> CudaDevice:
    """The GPU of this number with a stream of another library, or one of its own.

    Raises CudaError if something that it needs is missing.
    """
    thread = threading.get_ident() if stream == PER_THREAD else 0
    return _opened(ordinal, LEGACY if stream == 0 else stream, thread)


@lru_cache(maxsize=STREAMS)
def _opened(ordinal: int, stream: int | None, thread: int) -> CudaDevice:
    """One for each stream; the number of a thread's default stream is the same in all threads."""
    check_driver()
    return CudaDevice(ordinal, stream)


def _close(ends: list[Callable[[], Any]]) -> None:
    """Give back handles of the libraries, the last one first; they wait for their work."""
    while ends:
        ends.pop()()


@lru_cache(maxsize=1024)
def _geometry(configuration: Any, blocks: Axes, threads: Axes) -> Any:
    return configuration(grid=blocks, block=threads)


class CudaMemory:
    """Device memory; cuda.core gives it back in the stream's order."""

    def __init__(self, buffer: Any, nbytes: int) -> None:
        self.buffer = buffer
        self.address = int(buffer.handle)
        self.nbytes = nbytes


class _Using:
    """A lock that makes the device current; an object, since generators cost a microsecond."""

    def __init__(self, device: Any) -> None:
        self._lock = threading.RLock()
        self._set_current = device.set_current

    def __enter__(self) -> None:
        self._lock.acquire()
        self._set_current()

    def __exit__(self, *_: Any) -> None:
        self._lock.release()


class CudaDevice:
    """A GPU and one stream of it; see :class:`.device.Device`."""

    def __init__(self, ordinal: int, stream: int | None) -> None:
        self.core = imported_module(loading.CORE)
        self.driver = imported_module(loading.DRIVER)
        self.ordinal = ordinal
        self._device = self.core.Device(ordinal)
        self._device.set_current()
        self.name = self._device.name
        self.capability = tuple(self._device.compute_capability)
        if self.capability < OLDEST_CAPABILITY:
            raise old_device(self.name, self.capability)
        self._own = self._device.create_stream() if stream is None else self._stream(stream)
        #: Where work goes now: the stream, or while a graph is recorded the recording one.
        self._queue = self._own
        self.stream = int(self._own.handle)
        self.owner: Any = None
        self._using = _Using(self._device)
        self._arena = Arena(self)
        self._handles: dict[str, int] = {}
        # Not at exit: the driver may be gone by then, and takes everything with it.
        self._ends: list[Callable[[], Any]] = []
        weakref.finalize(self, _close, self._ends).atexit = False
        self._blas_memory: CudaMemory | None = None
        self._held: deque[tuple[Any, Sequence[Any]]] = deque()

    def __repr__(self) -> str:
        return f"<{self.name}, device {self.ordinal}>"

    def using(self) -> _Using:
        """One thread at a time, the device current."""
        return self._using

    def _stream(self, number: int) -> Any:
        """A stream of another library by its number."""
        if number in (0, LEGACY):  # 0 in __cuda_array_interface__ and in CuPy
            return self.core.LEGACY_DEFAULT_STREAM
        if number == PER_THREAD:
            return self.core.PER_THREAD_DEFAULT_STREAM
        return self.core.Stream.from_handle(number)

    # -- memory -----------------------------------------------------------------------------------
    def allocate(self, nbytes: int) -> CudaMemory:
        """New memory; scratch memory is given back if there is not enough."""
        memory = self._allocated(nbytes)
        if memory is None:
            self._arena.give_back()
            self.finish()
        return memory or self._needed(nbytes)

    def _needed(self, nbytes: int) -> CudaMemory:
        """New memory while scratch memory is in use."""
        memory = self._allocated(nbytes)
        if memory is None:
            raise no_memory(nbytes, *checked(self.driver.cuMemGetInfo()))
        return memory

    def _allocated(self, nbytes: int) -> CudaMemory | None:
        try:
            return CudaMemory(self._device.allocate(nbytes, stream=self._own), nbytes)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        return None

    def scratch(self, nbytes: int, cleared: int) -> tuple[int, int]:
        """Memory that all tasks of the stream share."""
        return self._arena.addresses(nbytes, cleared)

    def upload(self, address: int, array: Any) -> None:
        """Copy a NumPy array; the driver has read pageable memory when the call returns."""
        checked(
            self.driver.cuMemcpyHtoDAsync(
                address, array.ctypes.data, array.nbytes, self._queue.handle
            )
        )

    def download(self, array: Any, address: int) -> None:
        """Copy into a NumPy array."""
        checked(
            self.driver.cuMemcpyDtoHAsync(
                array.ctypes.data, address, array.nbytes, self._queue.handle
            )
        )

    def copy(self, out: int, source: int, nbytes: int) -> None:
        """Copy within the device."""
        checked(self.driver.cuMemcpyDtoDAsync(out, source, nbytes, self._queue.handle))

    def clear(self, address: int, nbytes: int) -> None:
        """Set bytes to zero."""
        checked(self.driver.cuMemsetD8Async(address, 0, nbytes, self._queue.handle))

    # -- work -------------------------------------------------------------------------------------
    def kernel(self, kernel: Kernel, precision: str) -> Any:
        """The kernel, loaded once per process and kept with its module."""
        key = kernel, precision, self.capability
        with _LOCK:
            if key not in _LOADED:
                compiled = cubin(kernel, precision, self.capability)
                module = self.core.ObjectCode.from_cubin(compiled.image, name=compiled.entry)
                _LOADED[key] = module, module.get_kernel(compiled.entry)
            return _LOADED[key][1]

    def launch(self, kernel: Any, blocks: Axes, threads: Axes, arguments: Sequence[int]) -> None:
        """Run a kernel; cuda.core passes every Python integer as 8 bytes."""
        geometry = _geometry(self.core.LaunchConfig, blocks, threads)
        self.core.launch(self._queue, geometry, kernel, *arguments)

    def blas(self, name: str, *arguments: Any) -> Any:
        """A function of cuBLAS."""
        handle = self._cublas()
        return getattr(loading.module(loading.CUBLAS), name)(handle, *arguments)

    def solver(self, name: str, *arguments: Any) -> Any:
        """A function of cuSOLVER."""
        handle = self._cusolver()
        return getattr(loading.module(loading.CUSOLVER), name)(handle, *arguments)

    def solver_parameters(self) -> int:
        """Parameters of cuSOLVER's newer functions, as they come."""
        if "parameters" not in self._handles:
            self._cusolver()
            library = loading.module(loading.CUSOLVER)
            parameters = self._handles["parameters"] = library.create_params()
            self._ends.append(lambda: library.destroy_params(parameters))
        return self._handles["parameters"]

    def _cublas(self) -> int:
        if "blas" not in self._handles:
            self._blas_memory = self._needed(BLAS_WORKSPACE)  # between commands of a program
            self._handles["blas"] = self._started("cuBLAS", loading.CUBLAS)
            self._set_streams()
        return self._handles["blas"]

    def _cusolver(self) -> int:
        if "solver" not in self._handles:
            self._handles["solver"] = self._started("cuSOLVER", loading.CUSOLVER)
            self._set_streams()
        return self._handles["solver"]

    def _started(self, name: str, module: str) -> int:
        library = imported_module(module)
        try:
            handle = library.create()
        except RuntimeError as error:
            raise missing_library(name, name.lower(), error) from error
        self._ends.append(lambda: library.destroy(handle))
        return handle

    def _set_streams(self) -> None:
        """Tell the libraries where work goes; cuBLAS forgets its scratch memory each time."""
        queue = int(self._queue.handle)
        if "blas" in self._handles:
            cublas, handle = loading.module(loading.CUBLAS), self._handles["blas"]
            assert self._blas_memory is not None
            cublas.set_stream(handle, queue)
            cublas.set_workspace(handle, self._blas_memory.address, self._blas_memory.nbytes)
        if "solver" in self._handles:
            loading.module(loading.CUSOLVER).set_stream(self._handles["solver"], queue)

    # -- order ------------------------------------------------------------------------------------
    def record(self, issue: Callable[[], None]) -> CudaGraph:
        """What ``issue`` queues, as a graph."""
        return CudaGraph(self, issue)

    def recorded(self, issue: Callable[[], None]) -> Any:
        """The builder of a graph, on a stream of its own: default streams cannot record."""
        builder = self._device.create_graph_builder()
        self._queue = builder.stream
        self._set_streams()
        try:
            builder.begin_building()
            try:
                issue()
            finally:
                builder.end_building()
        finally:
            self._queue = self._own
            self._set_streams()
        return builder

    def replay(self, graph: Any) -> None:
        """Launch a completed graph."""
        graph.launch(self._own)

    def wait_for(self, stream: int) -> None:
        """Order this stream after what another holds."""
        self._own.wait(self._stream(stream))

    def release_to(self, stream: int) -> None:
        """Order another stream after what this one holds."""
        self._stream(stream).wait(self._own)

    def hold(self, objects: Sequence[Any]) -> None:
        """Keep arrays of other libraries, whose owners may reuse their memory on release."""
        while self._held and self._held[0][0].is_done:
            self._held.popleft()
        if objects:
            self._held.append((self._own.record(), objects))

    def finish(self) -> None:
        """Wait until everything has run."""
        self._own.sync()

    # -- other libraries --------------------------------------------------------------------------
    def imported(self, array: Any) -> View:
        """An array with DLPack or ``__cuda_array_interface__``, ordered after its producer."""
        views = loading.module(loading.UTILS).StridedMemoryView
        view = views.from_any_interface(array, stream_ptr=self.stream)
        if not view.is_device_accessible or view.device_id != self.ordinal:
            raise CudaError(
                f"an array lies on device {view.device_id}, but this call runs on {self!r}",
                [f"shape {tuple(view.shape)}"],
                "move all arguments to one device",
            )
        return View(view.ptr, tuple(view.shape), view.strides, view.dtype, view.readonly, view)

    def exported(self, array: Any, **options: Any) -> Any:
        """The DLPack capsule of one of our arrays; its stream was seen to before."""
        views = loading.module(loading.UTILS).StridedMemoryView
        view = views.from_buffer(array.memory.buffer, array.shape, dtype=array.dtype)
        return view.__dlpack__(**options)


class CudaGraph:
    """A recorded and instantiated CUDA graph."""

    def __init__(self, device: CudaDevice, issue: Callable[[], None]) -> None:
        self._device = device
        self._graph = self._completed(device.recorded(issue))

    def _completed(self, builder: Any) -> Any:
        graph = builder.complete()
        builder.close()
        return graph

    def launch(self) -> None:
        """Queue all of it at once."""
        self._device.replay(self._graph)

    def update(self, issue: Callable[[], None]) -> None:
        """The same work at other addresses.

        The driver refuses if the nodes differ, as when cuBLAS takes another kernel for another
        alignment; then the graph is made anew.
        """
        builder = self._device.recorded(issue)
        try:
            self._graph.update(builder)
        except Exception as error:
            if "update" not in str(error).lower():
                raise
            self._graph = self._completed(builder)
        else:
            builder.close()
