"""What the rest of the target asks of a device: a GPU and one stream of it.

Everything is queued on the stream, in order, and nothing waits for it but :meth:`Device.finish`.
There are two: :class:`.cuda_device.CudaDevice`, and for tests
:class:`.simulated_device.SimulatedDevice`, which has the host's memory, the host's LAPACK behind
the signatures of cuBLAS and cuSOLVER, and a stream that runs as late as it may.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from .actions import Kernel
from .plan import ALIGNMENT, aligned

Axes = tuple[int, int, int]


class Memory(Protocol):
    """Device memory, given back in the stream's order when nobody holds it."""

    address: int
    nbytes: int


class Graph(Protocol):
    """Work that was recorded once."""

    def launch(self) -> None:
        """Queue all of it at once."""

    def update(self, issue: Callable[[], None]) -> None:
        """Record again, with other addresses, and keep what stays."""


class View(NamedTuple):
    """An array of another library: where it lies, and what keeps it alive."""

    address: int
    shape: tuple[int, ...]
    #: In entries; None if rows are dense.
    strides: tuple[int, ...] | None
    dtype: Any
    read_only: bool
    owner: Any

    @property
    def is_dense(self) -> bool:
        """Whether entries lie row by row without gaps."""
        if self.strides is None or 0 in self.shape:
            return True
        expected = 1
        for size, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if size > 1 and stride != expected:
                return False
            expected *= size
        return True


class Device(Protocol):
    """A GPU and one stream of it; enter :meth:`using` around the calls of a task."""

    name: str
    ordinal: int
    #: The number by which CUDA libraries know the stream.
    stream: int
    #: The object of another library whose stream it is: memory is given back in the stream's order,
    #: so it must not be destroyed before. Who passes a number keeps the stream.
    owner: Any
    capability: tuple[int, int]

    def using(self) -> AbstractContextManager[Any]:
        """For one thread at a time: the device is current, and nobody else queues in between."""

    def scratch(self, nbytes: int, cleared: int) -> tuple[int, int]:
        """Addresses of memory that all tasks share: so many bytes, and so many that are zero.

        They hold until the next call of this method or of :meth:`allocate`.
        """

    # -- memory -----------------------------------------------------------------------------------
    def allocate(self, nbytes: int) -> Memory:
        """New memory; DeviceMemoryError if there is none."""

    def upload(self, address: int, array: Any) -> None:
        """Copy a dense NumPy array to the device; it may be changed after the call."""

    def download(self, array: Any, address: int) -> None:
        """Copy into a dense NumPy array, which is filled after :meth:`finish`."""

    def copy(self, out: int, source: int, nbytes: int) -> None:
        """Copy within the device."""

    def clear(self, address: int, nbytes: int) -> None:
        """Set bytes to zero."""

    # -- work -------------------------------------------------------------------------------------
    def kernel(self, kernel: Kernel, precision: str) -> Any:
        """The kernel as machine code of this device, compiled once."""

    def launch(self, kernel: Any, blocks: Axes, threads: Axes, arguments: Sequence[int]) -> None:
        """Run a kernel on addresses, then integers."""

    def blas(self, name: str, *arguments: Any) -> Any:
        """A function of cuBLAS without its first argument, the handle."""

    def solver(self, name: str, *arguments: Any) -> Any:
        """A function of cuSOLVER without its first argument; queries answer at once."""

    def solver_parameters(self) -> int:
        """``cusolverDnParams_t`` of cuSOLVER's newer functions."""

    # -- order ------------------------------------------------------------------------------------
    def record(self, issue: Callable[[], None]) -> Graph:
        """What ``issue`` queues, as a graph; nothing of it runs."""

    def wait_for(self, stream: int) -> None:
        """What follows runs after what another stream holds by now."""

    def release_to(self, stream: int) -> None:
        """What follows on another stream runs after what this one holds by now."""

    def hold(self, objects: Sequence[Any]) -> None:
        """Keep arrays of other libraries until what is queued by now has run."""

    def finish(self) -> None:
        """Wait until everything has run."""

    # -- other libraries --------------------------------------------------------------------------
    def imported(self, array: Any) -> View:
        """An array of another library, ready when what follows runs."""

    def exported(self, array: Any, **options: Any) -> Any:
        """The DLPack capsule of a :class:`.arrays.DeviceArray`."""


class Arena:
    """Scratch memory of one stream that grows to what the largest program needs.

    Programs of one stream run one after the other, so they can share it: nothing in it outlives a
    call. Its beginning is zero before and after each program, which sees to that itself.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.memory: Memory | None = None
        self.cleared = 0

    def addresses(self, nbytes: int, cleared: int) -> tuple[int, int]:
        """Where so many bytes are, and so many that are zero; both change only to grow."""
        held = 0 if self.memory is None else self.memory.nbytes - self.cleared
        if self.memory is None or held < nbytes or self.cleared < cleared:
            self.memory = None  # first, so that the new memory may be where the old was
            self.cleared = max(self.cleared, aligned(cleared))
            self.memory = self.device.allocate(self.cleared + max(held, nbytes, ALIGNMENT))
            if self.cleared:
                self.device.clear(self.memory.address, self.cleared)
        return self.memory.address + self.cleared, self.memory.address

    def give_back(self) -> None:
        """Free the memory."""
        self.memory = None
