"""Stand-ins for the modules of NVIDIA that only note what is called, in order.

They answer with no numbers: what they are for is the sequence of calls.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from backends.cuda import loading


class Status(int):
    """What the driver returns first: 0 is success."""

    name = "CUDA_ERROR_OF_THE_TEST"


class Noted:
    """Calls by name, in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def note(self, text: str) -> None:
        self.calls.append(text)

    def taken(self) -> list[str]:
        """The calls since the last time."""
        calls, self.calls[:] = list(self.calls), []
        return calls


class Stream:
    def __init__(self, noted: Noted, handle: int, name: str) -> None:
        self.noted, self.handle, self.name = noted, handle, name

    def wait(self, other: Any) -> None:
        self.noted.note(f"{self.name} waits for {other.name}")

    def record(self) -> Any:
        return SimpleNamespace(is_done=True)

    def sync(self) -> None:
        self.noted.note(f"{self.name} is waited for")


class Builder:
    def __init__(self, noted: Noted, stream: Stream) -> None:
        self.noted, self.stream = noted, stream

    def begin_building(self) -> None:
        self.noted.note("begin building")

    def end_building(self) -> None:
        self.noted.note("end building")

    def complete(self) -> Any:
        self.noted.note("instantiate")
        return Graph(self.noted)

    def close(self) -> None:
        pass


class Graph:
    #: What ``update`` raises, if anything.
    refusal: Exception | None = None

    def __init__(self, noted: Noted) -> None:
        self.noted = noted

    def launch(self, stream: Stream) -> None:
        self.noted.note(f"launch graph on {stream.name}")

    def update(self, builder: Builder) -> None:
        self.noted.note("update graph")
        if Graph.refusal is not None:
            raise Graph.refusal


class FakeDevice:
    capability = (9, 0)
    memory = 1 << 20

    def __init__(self, noted: Noted, ordinal: int) -> None:
        self.noted, self.ordinal = noted, ordinal
        self.name = "NVIDIA of the test"
        self.next_address = 4096
        self.streams = 0

    @property
    def compute_capability(self) -> tuple[int, int]:
        return FakeDevice.capability

    def set_current(self) -> None:
        pass

    def create_stream(self) -> Stream:
        self.streams += 1
        return Stream(self.noted, 100 + self.streams, "the stream")

    def create_graph_builder(self) -> Builder:
        return Builder(self.noted, Stream(self.noted, 900, "the recording stream"))

    def allocate(self, nbytes: int, *, stream: Stream) -> Any:
        if nbytes > FakeDevice.memory:
            raise RuntimeError("CUDA_ERROR_OUT_OF_MEMORY: out of memory")
        self.noted.note(f"allocate {nbytes}")
        self.next_address += nbytes
        return SimpleNamespace(handle=self.next_address - nbytes)


def core(noted: Noted) -> Any:
    """``cuda.core``."""

    def launch(stream: Stream, configuration: Any, kernel: str, *arguments: int) -> None:
        noted.note(f"launch {kernel} on {stream.name}")

    class Streams:
        @staticmethod
        def from_handle(handle: int) -> Stream:
            return Stream(noted, handle, f"stream {handle}")

    def from_cubin(image: bytes, name: str) -> Any:
        noted.note(f"load {name}")
        return SimpleNamespace(get_kernel=lambda entry: entry)

    return SimpleNamespace(
        Device=lambda ordinal: FakeDevice(noted, ordinal),
        Stream=Streams,
        LEGACY_DEFAULT_STREAM=Stream(noted, 1, "the legacy stream"),
        PER_THREAD_DEFAULT_STREAM=Stream(noted, 2, "the thread's stream"),
        LaunchConfig=lambda grid, block: (grid, block),
        ObjectCode=SimpleNamespace(from_cubin=from_cubin),
        launch=launch,
    )


def driver(noted: Noted, version: int = 13000, init: int = 0, count: int = 1) -> Any:
    """``cuda.bindings.driver``."""

    def queued(name: str) -> Any:
        def call(*arguments: Any) -> tuple[Status]:
            noted.note(name)
            return (Status(0),)

        return call

    names = ("cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "cuMemcpyDtoDAsync", "cuMemsetD8Async")
    return SimpleNamespace(
        cuDriverGetVersion=lambda: (Status(0), version),
        cuInit=lambda flags: (Status(init),),
        cuDeviceGetCount=lambda: (Status(0), count),
        cuMemGetInfo=lambda: (Status(0), 5 * 10**8, 8 * 10**9),
        **{name: queued(name) for name in names},
    )


class Library:
    """nvmath's cuBLAS or cuSOLVER: any function, the handle first."""

    def __init__(self, noted: Noted, name: str) -> None:
        self._noted, self._name = noted, name

    def create(self) -> int:
        self._noted.note(f"create {self._name}")
        return 77

    create_params = create

    def __getattr__(self, name: str) -> Any:
        def call(handle: int, *arguments: Any) -> int:
            assert handle == 77
            shown = f" {arguments[0]}" if name == "set_stream" else ""
            self._noted.note(f"{self._name} {name}{shown}")
            return 16

        return call


def modules(noted: Noted, **of_driver: int) -> dict[str, Any]:
    """What :func:`backends.cuda.loading.module` gives for each name."""
    return {
        loading.CORE: core(noted),
        loading.DRIVER: driver(noted, **of_driver),
        loading.CUBLAS: Library(noted, "cublas"),
        loading.CUSOLVER: Library(noted, "cusolver"),
    }
