"""A plan bound to sizes, a precision, a device and a kind of memory: everything but the data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..binding import ArgumentError
from .actions import Action, Copy, Factorization, Fill, Gemm, HostCall, Launch
from .arrays import DeviceArray
from .binder import Binder, Place
from .blocks import Blocks, row_of
from .device import Device, View
from .factorizations import bind_factorization
from .graphs import MET, Replay
from .library_kernels import fill
from .library_kernels import geometry as library_geometry
from .plan import Plan
from .products import bind_gemm


# -- actions --------------------------------------------------------------------------------------
def _bind_launch(binder: Binder, action: Launch) -> None:
    if action.is_empty(binder.sizes):
        return
    places = [binder.place(buffer) for buffer in action.pointers]
    numbers = action.numbers(binder.sizes)
    binder.launch(action.kernel, places, numbers, action.grid.at(binder.sizes))


def _bind_fill(binder: Binder, action: Fill) -> None:
    count, place = binder.size(action.out), binder.place(action.out)
    if action.number == 0:
        binder.clear(place, count * binder.dtype(action.out).itemsize)
    elif count:
        kernel = fill(action.number, action.out.kind)
        binder.launch(kernel, [place], (count,), library_geometry(kernel, (count,)))


def _bind_copy(binder: Binder, action: Copy) -> None:
    nbytes = binder.size(action.out) * binder.dtype(action.out).itemsize
    binder.copy(binder.place(action.out), binder.place(action.source), nbytes)


def _bind_host_call(binder: Binder, action: HostCall) -> None:
    """The stream is waited for twice: for the arguments, and before the result may be reused."""
    shapes = [
        (buffer.shape(binder.sizes), binder.dtype(buffer), binder.place(buffer))
        for buffer in action.arguments
    ]
    shape, dtype, place = (
        action.out.shape(binder.sizes), binder.dtype(action.out), binder.place(action.out)
    )  # fmt: skip
    function = _host_function(action)

    def command(device: Device, at: Sequence[int]) -> None:
        arguments = [_downloaded(device, shape, dtype, own.at(at)) for shape, dtype, own in shapes]
        device.finish()
        result = np.require(function(*arguments), dtype, "C").reshape(shape)
        if result.size:
            device.upload(place.at(at), result)

    binder.add(command, recordable=False)


def _host_function(action: HostCall) -> Any:
    if isinstance(action.operation, str):
        return getattr(np.linalg, action.operation)
    reference, params = action.operation.reference, dict(action.params)
    return lambda *arrays: reference(*arrays, **params)


def _downloaded(device: Device, shape: tuple[int, ...], dtype: Any, address: int) -> Any:
    array = np.empty(shape, dtype)
    if array.size:
        device.download(array, address)
    return array


def _bind_blocks(binder: Binder, action: Blocks) -> None:
    """The plan of a block for all blocks, in the same scratch memory."""
    layout = action.plan.layout(action.most(binder.sizes), binder.precision)
    work = binder.scratch(layout.nbytes, np.uint8)
    own = {b: work.plus(at) for b, at in layout.offsets.items() if b.role != "zeroed"}
    for start, sizes in action.spans(binder.sizes):
        parts = {
            part: binder.place(whole).plus(
                start * binder.number(row_of(whole)) * binder.dtype(whole).itemsize
            )
            for part, whole in action.parts.items()
        }
        with binder.block(sizes, {**own, **parts}):
            for each in action.plan.actions:
                _BINDERS[type(each)](binder, each)
    binder.free_scratch()


_BINDERS: dict[type[Action], Any] = {
    Blocks: _bind_blocks,
    Launch: _bind_launch,
    Gemm: bind_gemm,
    Factorization: bind_factorization,
    HostCall: _bind_host_call,
    Fill: _bind_fill,
    Copy: _bind_copy,
}


# -- calls ----------------------------------------------------------------------------------------
class Task:
    """One plan for one signature on one device; call :meth:`run` with the arrays.

    ``on_host`` says for each argument whether it is a NumPy array. If all are, so are the results.
    """

    def __init__(
        self,
        plan: Plan,
        sizes: Mapping[str, int],
        precision: str,
        device: Device,
        on_host: Sequence[bool],
    ) -> None:
        self.device = device
        self.on_host = all(on_host)
        with device.using():
            binder = Binder(plan, sizes, precision, device)
            for action in plan.actions:
                _BINDERS[type(action)](binder, action)
        self.replays = [Replay(run) for run in binder.runs]
        self.checks = binder.checks
        self.shapes = [b.shape(sizes) for b in plan.arguments]
        self.dtypes = [binder.dtype(b) for b in plan.arguments]
        self.names = [b.name for b in plan.arguments]
        self.result_shapes = [b.shape(sizes) for b in plan.results]
        self.result_dtypes = [binder.dtype(b) for b in plan.results]
        self._result_bytes = [b.nbytes(sizes, precision) for b in plan.results]
        self.staged = [
            binder.keep(b.nbytes(sizes, precision)) if hosted else None
            for b, hosted in zip(plan.arguments, on_host, strict=True)
        ]
        self.staged_results = [binder.keep(n) for n in self._result_bytes]
        if not self.on_host:
            self.staged_results = []
        self.nbytes, self.cleared = binder.nbytes, binder.cleared
        #: Addresses at which results are known to share no memory; the sizes are always the same.
        self._apart: set[tuple[int, ...]] = set()
        self.status: Place | None = None if plan.status is None else binder.place(plan.status)

    def run(
        self, values: Sequence[Any], out: Sequence[Any] | None = None, wait: bool = False
    ) -> list[Any]:
        """The results for these arguments; written into ``out`` if that is given.

        ``wait`` until they are there: NumPy arrays always are. Raises IndexError for an index out
        of range, and LinAlgError as NumPy does.
        """
        with self.device.using():
            return self.queue(values, out, wait)

    def queue(
        self, values: Sequence[Any], out: Sequence[Any] | None = None, wait: bool = False
    ) -> list[Any]:
        """What :meth:`run` does, for who is using the device already."""
        device = self.device
        results, held = self._results(out, values)
        addresses = [*device.scratch(self.nbytes, self.cleared)]
        for k, value in enumerate(values):
            addresses.append(
                value.memory.address
                if isinstance(value, DeviceArray)
                else self._argument(k, value, addresses)
            )
        addresses += self._result_addresses(results, addresses)
        place = tuple(addresses)
        if out is not None and not self.on_host and place not in self._apart:
            _check_apart(out, values)
            if len(self._apart) >= MET:
                self._apart.clear()
            self._apart.add(place)
        for replay in self.replays:
            replay.run(device, place)
        if self.on_host or wait or self.checks or self.status is not None:
            self._finish(results, addresses)
        device.hold([*held, *(value for value in values if isinstance(value, View))])
        return results if out is None else list(out)

    def _argument(self, k: int, value: Any, addresses: Sequence[int]) -> int:
        """The address of an argument; NumPy arrays are copied to scratch memory."""
        if isinstance(value, View):
            return value.address
        place = self.staged[k]
        assert place is not None
        array = np.require(value, self.dtypes[k], "C")
        if array.size:
            self.device.upload(place.at(addresses), array)
        return place.at(addresses)

    def _results(self, out: Sequence[Any] | None, values: Sequence[Any]) -> tuple[list, list]:
        """Where results go, and what must stay alive until they are there."""
        if out is not None:
            return list(out), [each for each in out if isinstance(each, View)]
        made = zip(self.result_shapes, self.result_dtypes, self._result_bytes, strict=True)
        if self.on_host:
            return [np.empty(shape, dtype) for shape, dtype, _ in made], []
        return [
            DeviceArray(self.device, self.device.allocate(nbytes), shape, dtype)
            for shape, dtype, nbytes in made
        ], []

    def _result_addresses(self, results: Sequence[Any], addresses: Sequence[int]) -> list[int]:
        if self.on_host:
            return [place.at(addresses) for place in self.staged_results]
        return [r.address if isinstance(r, View) else r.memory.address for r in results]

    def _finish(self, results: Sequence[Any], addresses: Sequence[int]) -> None:
        """Wait; copy results to the host; look at what kernels and libraries have to say.

        Raises IndexError for an index out of range, and LinAlgError as NumPy does.
        """
        device = self.device
        if self.on_host:
            first = len(addresses) - len(results)
            for result, address in zip(results, addresses[first:], strict=True):
                if result.size:
                    device.download(result, address)
        status = np.zeros(1, np.int32)
        if self.status is not None:
            device.download(status, self.status.at(addresses))
        said = [np.zeros(check.entries, np.int32) for check in self.checks]
        for integers, check in zip(said, self.checks, strict=True):
            device.download(integers, check.place.at(addresses))
        device.finish()
        if status[0] and self.status is not None:
            device.clear(self.status.at(addresses), 4)
            raise IndexError("an index is out of range")
        for integers, check in zip(said, self.checks, strict=True):
            if integers.any():
                raise np.linalg.LinAlgError(check.message)


def _check_apart(out: Sequence[Any], values: Sequence[Any]) -> None:
    """Raise ArgumentError if a result would be written over an argument or another result."""
    spans = [(_span(array), k < len(out)) for k, array in enumerate((*out, *values))]
    end = end_of_results = 0
    for (first, last), is_result in sorted(spans):
        if first < (end if is_result else end_of_results):
            raise ArgumentError(
                "out= shares memory with an argument or with another result",
                [],
                "pass an array of its own",
            )
        end = max(end, last)
        if is_result:
            end_of_results = max(end_of_results, last)


def _span(array: Any) -> tuple[int, int]:
    """Where an array on the device begins and ends; nowhere if it has no entries or is NumPy's."""
    if isinstance(array, View):
        nbytes = math.prod(array.shape) * array.dtype.itemsize
        return (array.address, array.address + nbytes) if nbytes else (0, 0)
    if isinstance(array, DeviceArray) and array.nbytes:
        return array.memory.address, array.memory.address + array.nbytes
    return 0, 0
