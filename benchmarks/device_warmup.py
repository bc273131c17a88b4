"""Kernels of the models compiled before anything is timed, on all cores, for a GPU or none.

    python -m benchmarks.device_warmup MODEL MAJOR MINOR

compiles what the rows of a model launch at a compute capability. Machine code is kept on disk, so
that the process which measures (:mod:`benchmarks.device_rows`) only loads it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

from backends.cuda import cuda_device
from backends.cuda.actions import Kernel
from backends.cuda.compile import cubin
from backends.cuda.simulated_device import SimulatedDevice, ignored

from .goals import MARGIN
from .modelling import Model, model_named
from .ours import ours
from .suites.models import PRECISIONS

#: What is asked of every model, and of the elementwise loss besides.
RESULTS, OF_MARGIN = ("Hessian", "value and gradient"), "value"


class CompilingDevice(SimulatedDevice):
    """A device that compiles kernels and does nothing else: no memory, no work, no results."""

    def __init__(self, capability: tuple[int, int]) -> None:
        super().__init__(kernels=ignored)
        self.capability = capability
        self._next = 4096

    def kernel(self, kernel: Kernel, precision: str) -> Any:
        """Compile it for the capability."""
        cubin(kernel, precision, self.capability)
        return super().kernel(kernel, precision)

    def allocate(self, nbytes: int) -> Any:
        """Addresses that nobody has."""
        self._next += nbytes
        return SimpleNamespace(address=self._next - nbytes, nbytes=nbytes)

    def finish(self) -> None:
        """Nothing was queued."""

    def _add(self, name: str, operation: Callable[[], None]) -> None:
        pass


def calls(model: Model) -> Iterator[tuple[str, int, str]]:
    """Result, size and precision of the rows of a model: the smallest size and the largest."""
    more = (OF_MARGIN,) if model.name == MARGIN[0] else ()
    for result in (*RESULTS, *more):
        sizes = model.sizes(result)
        for size in dict.fromkeys([*sizes[:1], *sizes[-1:]]):
            for dtype in PRECISIONS:
                yield result, size, dtype


def warm(model: Model, capability: tuple[int, int]) -> list[str]:
    """Compile the kernels of a model; what could not be, in words (its row says it again)."""
    device: Any = CompilingDevice(capability)
    cuda_device.open_device = lambda *_: device
    failed = []
    for result, size, dtype in calls(model):
        arguments = model.arguments(size, dtype)
        try:
            ours(model, result, arguments, model.direction(arguments), "cuda")()
        except Exception as error:  # a result that is not there may look singular, or worse
            failed.append(f"{result}, {size}, {dtype}: {type(error).__name__}: {error}")
    return failed


def main(arguments: Sequence[str]) -> None:
    """Compile the kernels of one model."""
    name, major, minor = arguments
    model = model_named(name)
    for line in warm(model, (int(major), int(minor))):
        print(line, file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
