"""A plan at given sizes: where every buffer lies, and the list of calls that run it.

Addresses change from call to call, so a place is a slot and an offset, and a command takes the
addresses of the slots: scratch memory, memory that is zero between calls, arguments, results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from . import library_kernels
from .actions import Buffer, Factorization, Kernel, dtype_of, number
from .device import Device
from .plan import Plan, aligned

#: Slots before those of arguments and results.
SCRATCH, CLEARED = 0, 1
FIRST = 2
#: Calls of :meth:`Binder.check` for one factorization, at most.
CHECKS = 2


class Place(NamedTuple):
    """Bytes from where a slot begins."""

    slot: int
    offset: int = 0

    def plus(self, nbytes: int) -> Place:
        """So many bytes further on."""
        return Place(self.slot, self.offset + nbytes)

    def at(self, addresses: Sequence[int]) -> int:
        """The address, given where the slots are."""
        return addresses[self.slot] + self.offset


Command = Callable[[Device, Sequence[int]], None]


class Check(NamedTuple):
    """Integers that a factorization leaves, and what one that is not 0 means."""

    place: Place
    entries: int
    message: str


@dataclass
class Run:
    """Commands one after the other; whether a CUDA graph may hold them."""

    recordable: bool
    commands: list[Command] = field(default_factory=list)


class Binder:
    """Collects the commands of one plan for given sizes, a precision and a device."""

    def __init__(
        self, plan: Plan, sizes: Mapping[str, int], precision: str, device: Device
    ) -> None:
        self.plan = plan
        self.sizes = sizes
        self.precision = precision
        self.device = device
        self.real = np.dtype(precision)
        self.letter = "d" if precision == "float64" else "s"
        self.runs: list[Run] = []
        self.checks: list[Check] = []
        self._layout = plan.layout(sizes, precision)
        slots = [*plan.arguments, *plan.results]
        self._slots = {buffer: Place(FIRST + k) for k, buffer in enumerate(slots)}
        self.cleared = self._layout.zeroed
        #: Checks come after the plan's buffers, then the memory of :meth:`scratch`.
        self._next_check = aligned(self._layout.nbytes)
        batches = [self.number(a.batch) for a in plan.actions if isinstance(a, Factorization)]
        self._bottom = self._next_check + sum(CHECKS * aligned(4 * b) for b in batches)
        self._top = self.nbytes = self._bottom

    # -- numbers and places -----------------------------------------------------------------------
    def number(self, extent: Any) -> int:
        """An extent or count at these sizes."""
        return number(extent, self.sizes)

    def place(self, buffer: Buffer) -> Place:
        """Where a buffer of the plan lies."""
        memory = buffer.memory
        if memory in self._slots:
            return self._slots[memory]
        slot = CLEARED if memory.role == "zeroed" else SCRATCH
        return Place(slot, self._layout.offsets[memory])

    def size(self, buffer: Buffer) -> int:
        """Number of entries."""
        return math.prod(buffer.shape(self.sizes))

    def dtype(self, buffer: Buffer) -> Any:
        """The dtype of a buffer's entries."""
        return dtype_of(buffer.kind, self.precision)

    def scratch(self, count: int, dtype: Any = None) -> Place:
        """Memory for so many entries after the plan's; :meth:`free_scratch` ends its use."""
        place = Place(SCRATCH, self._top)
        self._top += aligned(count * np.dtype(dtype or self.real).itemsize)
        self.nbytes = max(self.nbytes, self._top)
        return place

    def free_scratch(self) -> None:
        """What follows may use the memory of :meth:`scratch` again."""
        self._top = self._bottom

    def check(self, count: int, message: str) -> Place:
        """Memory for integers that are looked at after the run if there is a message."""
        place = Place(SCRATCH, self._next_check)
        self._next_check += aligned(4 * count)
        if message:
            self.checks.append(Check(place, count, message))
        return place

    def keep(self, nbytes: int) -> Place:
        """Memory beside everything else, once all commands are there."""
        place = Place(SCRATCH, self.nbytes)
        self.nbytes += aligned(nbytes)
        return place

    @contextmanager
    def block(self, sizes: Mapping[str, int], places: Mapping[Buffer, Place]) -> Iterator[None]:
        """For a plan inside of this one: other sizes, and where its own buffers are."""
        outside = self.sizes, self._slots
        self.sizes, self._slots = sizes, {**self._slots, **places}
        yield
        self.sizes, self._slots = outside

    # -- commands ---------------------------------------------------------------------------------
    def add(self, command: Command, recordable: bool = True) -> None:
        """Append a command; those that can be recorded together make one run."""
        if not self.runs or self.runs[-1].recordable != recordable or not recordable:
            self.runs.append(Run(recordable))
        self.runs[-1].commands.append(command)

    def launch(
        self,
        kernel: Kernel,
        places: Sequence[Place],
        numbers: Sequence[int],
        geometry: Any,
    ) -> None:
        """Append the launch of a kernel."""
        code = self.device.kernel(kernel, self.precision)
        blocks, threads = geometry

        def command(device: Device, addresses: Sequence[int]) -> None:
            pointers = [place.at(addresses) for place in places]
            device.launch(code, blocks, threads, (*pointers, *numbers))

        self.add(command)

    def library_kernel(self, kernel: Kernel, places: Sequence[Place], *numbers: int) -> None:
        """Append the launch of one of :mod:`.library_kernels`."""
        if math.prod(numbers) or kernel is library_kernels.DETERMINANTS:
            self.launch(kernel, places, numbers, library_kernels.geometry(kernel, numbers))

    def copy(self, out: Place, source: Place, nbytes: int) -> None:
        """Append a copy."""
        if nbytes:
            self.add(lambda device, at: device.copy(out.at(at), source.at(at), nbytes))

    def clear(self, place: Place, nbytes: int) -> None:
        """Append setting bytes to zero."""
        if nbytes:
            self.add(lambda device, at: device.clear(place.at(at), nbytes))
