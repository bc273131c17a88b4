"""Running a launch plan: graphs, streams, memory and arrays, on a simulated device.

Plans here have copies and products only, so that no kernel has to run.
"""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

import autodiff as ad
import backends
import tensorcalc as tc
from backends.cuda import arrays, cuda_device, graphs
from backends.cuda.actions import Buffer, Copy, Factorization, Fill, Gemm, HostCall, Launch, Matrix
from backends.cuda.arrays import DeviceArray, is_on_device, to_device
from backends.cuda.calls import Caller, Signature, stream_number
from backends.cuda.device import View
from backends.cuda.plan import Plan
from backends.cuda.simulated_device import (
    SimulatedDevice,
    SimulatedGpu,
    SimulationError,
    ignored,
)
from backends.cuda.task import Task
from tensorcalc import variables
from tensorcalc.table import TABLE

from .cuda_support.foreign import Foreign
from .examples import EXAMPLES

N = 3
A, B = variables("A: n n, B: n n")


def product_plan(host_call: bool = False) -> Plan:
    """``A @ B`` by way of a copy of A, or of its exponential on the host; and A once more."""
    a, b = (Buffer(name, (N, N), role="argument") for name in "AB")
    copied, out, again = (
        Buffer("t", (N, N)),
        Buffer("r", (N, N), role="result"),
        Buffer("s", (N, N), role="result"),
    )
    first = HostCall(TABLE["expm"], (a,), copied) if host_call else Copy(copied, a)
    product = Gemm(Matrix(out, N), Matrix(copied, N), Matrix(b, N), N, N, N)
    return Plan([a, b], [out, again], [first, product, Copy(again, a)])


def caller(on_host: tuple[bool, bool], plan: Plan | None = None) -> Caller:
    def pack(*results: Any) -> Any:
        return results

    return Caller(Signature(plan or product_plan(), {}, "float64", (A, B), pack), on_host)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> SimulatedDevice:
    """The device that calls run on; other streams of it are opened by their number."""
    device = SimulatedDevice(kernels=ignored)
    opened = {None: device}

    def open_device(ordinal: int, stream: int | None = None) -> SimulatedDevice:
        if stream not in opened:
            opened[stream] = SimulatedDevice(device.gpu, stream or 0, ignored)
        return opened[stream]

    monkeypatch.setattr(cuda_device, "open_device", open_device)
    return device


def numbers(seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(N, N)), rng.normal(size=(N, N))


def queued(device: SimulatedDevice) -> list[str]:
    """What was called since the last time."""
    log = [entry for entry in device.log if not entry.startswith("allocate")]
    device.log.clear()
    return log


# -- graphs ---------------------------------------------------------------------------------------
def test_second_call_records_one_graph_and_later_calls_only_launch_it(
    device: SimulatedDevice,
) -> None:
    call = caller((True, True))
    work = ["copy", "blas dgemm_64", "copy"]
    around = ["upload", "upload"], ["download", "download", "finish"]
    logs = []
    for seed in range(4):
        a, b = numbers(seed)
        product, again = call(a, b)
        np.testing.assert_allclose(product, a @ b, rtol=1e-13)
        np.testing.assert_array_equal(again, a)
        logs.append(queued(device))
    assert logs[0] == [*around[0], *work, *around[1]]
    assert logs[1] == [*around[0], "record graph", *work, "launch graph", *around[1]]
    assert logs[2] == logs[3] == [*around[0], "launch graph", *around[1]]


def test_graph_is_recorded_again_for_other_addresses(device: SimulatedDevice) -> None:
    call = caller((False, False))
    sets = [[to_device(x, device) for x in numbers(seed)] for seed in range(graphs.GRAPHS + 1)]
    out = [to_device(np.zeros((N, N)), device) for _ in range(2)]
    for arguments in sets:
        for _ in range(3):
            call(*arguments, out=out)
    log = queued(device)
    assert log.count("record graph") == graphs.GRAPHS
    assert log.count("update graph") == 1  # the one that was not used the longest
    assert log.count("launch graph") == 2 * len(sets)
    call(*sets[0], out=out)  # its graph was given to others: issued, and recorded if it comes again
    assert "launch graph" not in queued(device)
    call(*sets[-1], out=out)
    assert "launch graph" in queued(device)
    for arguments in sets:
        product, again = call(*arguments, out=out)
        a, b = map(np.asarray, arguments)
        np.testing.assert_allclose(np.asarray(product), a @ b, rtol=1e-13)
        np.testing.assert_array_equal(np.asarray(again), a)


def test_addresses_that_come_once_are_never_recorded(device: SimulatedDevice) -> None:
    call = caller((False, False))
    kept = []
    for seed in range(2 * graphs.MET):
        kept.append(call(*(to_device(x, device) for x in numbers(seed))))
    assert "record graph" not in device.log
    assert len(next(iter(call.tasks.values())).replays[0].met) == graphs.MET


def test_graph_stops_at_a_host_call(device: SimulatedDevice) -> None:
    call = caller((True, True), product_plan(host_call=True))
    for _ in range(3):
        queued(device)
        product, _ = call(*numbers())
    assert queued(device) == [
        "upload", "upload", "download", "finish", "upload",  # the host's part
        "launch graph", "download", "download", "finish",
    ]  # fmt: skip
    a, b = numbers()
    np.testing.assert_allclose(product, TABLE["expm"].reference(a) @ b, rtol=1e-12)


def test_graph_holds_no_factorization_of_cusolver(device: SimulatedDevice) -> None:
    """Recording refuses it on the simulated device."""
    with pytest.raises(SimulationError, match="dpotrf_batched while a graph is recorded"):
        device.record(lambda: device.solver("dpotrf_batched", 1, 2, 0, 2, 0, 1))


def test_a_single_command_needs_no_graph(device: SimulatedDevice) -> None:
    a = Buffer("A", (N,), role="argument")
    out = Buffer("r", (N,), role="result")
    task = Task(Plan([a], [out], [Copy(out, a)]), {}, "float64", device, [True])
    for _ in range(3):
        task.run([np.arange(3.0)])
    assert "record graph" not in device.log


# -- memory ---------------------------------------------------------------------------------------
def test_scratch_memory_is_allocated_once_and_grows_for_larger_programs(
    device: SimulatedDevice,
) -> None:
    call = caller((True, True))
    for _ in range(3):
        call(*numbers())
    assert sum(entry.startswith("allocate") for entry in device.log) == 1
    big = Buffer("r", (4096,), role="result")
    task = Task(Plan([], [big], [Fill(big)]), {}, "float64", device, [])
    np.testing.assert_array_equal(task.run([])[0], np.zeros(4096))
    assert sum(entry.startswith("allocate") for entry in device.log) == 2
    queued(device)
    a, b = numbers()
    np.testing.assert_allclose(call(a, b)[0], a @ b)  # its graph had the old addresses
    assert "launch graph" not in queued(device)


def test_cleared_memory_is_zero_for_every_program(device: SimulatedDevice) -> None:
    def cleared(size: int) -> Any:
        counter = Buffer("counter", (size,), "counter", "zeroed")
        out = Buffer("r", (size,), "counter", "result")
        plan = Plan([], [out], [Copy(out, counter)])
        return Task(plan, {}, "float64", device, []).run([])[0]

    device.scratch(10**4, 0)
    for size in (3, 3, 1000, 3):
        np.testing.assert_array_equal(cleared(size), np.zeros(size, np.int32))


def test_memory_is_given_back_with_the_last_array(device: SimulatedDevice) -> None:
    call = caller((False, False))
    arguments = [to_device(x, device) for x in numbers()]
    call(*arguments)
    device.finish()
    before = device.gpu.used
    for _ in range(20):
        call(*arguments)
    gc.collect()
    device.finish()
    assert device.gpu.used == before


def test_too_little_memory_is_said_with_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    device = SimulatedDevice(SimulatedGpu(total=50_000), kernels=ignored)
    with pytest.raises(MemoryError) as caught:
        to_device(np.zeros(10**4), device)
    assert str(caught.value) == (
        "the device has no 80.0 kB of memory left\n"
        "  wanted: 80.0 kB\n"
        "  free: 50.0 kB of 50.0 kB\n"
        "  hint: release arrays that are not needed, use structured=True or hvp, "
        "or smaller batches"
    )


def test_scratch_memory_is_given_up_before_memory_runs_out() -> None:
    device = SimulatedDevice(SimulatedGpu(total=50_000), kernels=ignored)
    device.scratch(40_000, 0)
    np.testing.assert_array_equal(np.asarray(to_device(np.ones(5000), device)), np.ones(5000))


def test_results_may_be_written_over_only_when_nobody_holds_them(device: SimulatedDevice) -> None:
    call = caller((False, False))
    arguments = [to_device(x, device) for x in numbers()]
    first = call(*arguments)
    second = call(*arguments)
    assert first[0].memory.address != second[0].memory.address
    for mine, theirs in zip(first, second, strict=True):
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(theirs))


# -- streams --------------------------------------------------------------------------------------
def test_calls_with_arrays_on_the_device_do_not_wait(device: SimulatedDevice) -> None:
    a, b = numbers()
    product, again = caller((False, False))(to_device(a, device), to_device(b, device))
    assert "finish" not in device.log
    assert isinstance(product, DeviceArray)
    assert (product.shape, product.dtype, again.ndim) == ((N, N), np.float64, 2)
    np.testing.assert_allclose(np.asarray(product), a @ b)


def test_producer_of_an_argument_is_waited_for(device: SimulatedDevice) -> None:
    a, b = numbers()
    late = Foreign(device, np.full((N, N), np.nan))
    late.written_later(99, a)
    product, _ = caller((False, True))(late, b)
    assert "wait for 99" in device.log
    np.testing.assert_allclose(np.asarray(product), a @ b)


def test_result_of_another_stream_is_waited_for(device: SimulatedDevice) -> None:
    a, b = numbers()
    call = caller((False, False))
    arguments = [to_device(x, device) for x in (a, b)]
    product, _ = call(*arguments, stream=42)
    assert product.stream == 42
    again, _ = call(product, arguments[1])  # runs where the product was made
    assert again.stream == 42
    moved, _ = call(product, arguments[1], stream=43)
    assert moved.stream == 43
    np.testing.assert_allclose(np.asarray(moved), a @ b @ b)
    np.testing.assert_allclose(np.asarray(again), a @ b @ b)


def test_mixed_arguments_are_copied_and_results_stay_on_the_device(
    device: SimulatedDevice,
) -> None:
    a, b = numbers()
    product, _ = caller((True, False))(a, to_device(b, device))
    a[:] = np.nan  # the call has read it
    assert isinstance(product, DeviceArray)
    np.testing.assert_allclose(np.asarray(product), numbers()[0] @ b)


def test_foreign_arguments_live_until_the_work_is_done(device: SimulatedDevice) -> None:
    a, b = numbers()
    foreign = Foreign(device, a)
    product, _ = caller((False, True))(foreign, b)
    del foreign
    gc.collect()
    np.testing.assert_allclose(np.asarray(product), a @ b)
    assert not device.held


@pytest.mark.parametrize("stream, waits", [(None, 1), (1, 1), (55, 55), (7, None), (-1, None)])
def test_dlpack_orders_the_consumer_after_the_producer(
    device: SimulatedDevice, stream: int | None, waits: int | None
) -> None:
    array = to_device(np.ones(3), device)
    queued(device)
    array.__dlpack__(stream=stream)
    assert queued(device) == ([] if waits is None else [f"release to {waits}"])
    assert array.__dlpack_device__() == (2, 0)


def test_streams_of_other_libraries_are_known() -> None:
    class OfCore:
        def __cuda_stream__(self) -> tuple[int, int]:
            return 0, 11

    class OfCupy:
        ptr = 12

    class OfTorch:
        cuda_stream = 13

    found = [stream_number(s) for s in (5, OfCore(), OfCupy(), OfTorch())]
    assert found == [5, 11, 12, 13]
    with pytest.raises(TypeError, match="stream= is no CUDA stream"):
        stream_number("fast")


# -- out= -----------------------------------------------------------------------------------------
def test_out_on_the_host(device: SimulatedDevice) -> None:
    a, b = numbers()
    out = [np.empty((N, N)), np.empty((N, N))]
    results = caller((True, True))(a, b, out=out)
    assert all(mine is theirs for mine, theirs in zip(results, out, strict=True))
    np.testing.assert_allclose(out[0], a @ b)


def test_out_of_another_library_is_ready_when_the_call_returns(device: SimulatedDevice) -> None:
    a, b = numbers()
    out = [Foreign(device, np.zeros((N, N))) for _ in range(2)]
    results = caller((False, True))(to_device(a, device), b, out=out)
    assert results[0] is out[0]
    np.testing.assert_allclose(out[0].entries(), a @ b)
    late = [Foreign(device, np.zeros((N, N))) for _ in range(2)]
    caller((False, True))(to_device(a, device), b, out=late, stream=7)
    assert not late[0].entries().any()  # the caller's stream has the order
    device.gpu.stream(7).advance(device.gpu.stream(7).issued)
    np.testing.assert_allclose(late[0].entries(), a @ b)


def refused(call: Caller, *arguments: Any, **options: Any) -> str:
    with pytest.raises((TypeError, ValueError)) as caught:
        call(*arguments, **options)
    return str(caught.value)


def test_out_must_fit(device: SimulatedDevice) -> None:
    a, b = numbers()
    call = caller((True, True))
    good = np.empty((N, N))
    assert "out= has 1 arrays for 2 results" in refused(call, a, b, out=good)
    assert "out[1] does not fit" in refused(call, a, b, out=[good, np.empty(2)])
    assert "float32" in refused(call, a, b, out=[good, good.astype("f")])
    assert "not contiguous" in refused(call, a, b, out=[good, np.empty((N, N)).T])
    assert "no NumPy array" in refused(call, a, b, out=[good, to_device(good, device)])
    on_device = [to_device(x, device) for x in (a, b)]
    call = caller((False, False))
    assert "not on the device" in refused(call, *on_device, out=[good, good])
    assert "shares memory" in refused(call, *on_device, out=[on_device[0], to_device(a, device)])
    same = to_device(a, device)
    assert "shares memory" in refused(call, *on_device, out=[same, same])
    frozen = Foreign(device, a, read_only=True)
    assert "read-only" in refused(call, *on_device, out=[same, frozen])


# -- arrays ---------------------------------------------------------------------------------------
def test_arguments_on_the_device_must_be_dense_and_of_the_dtype(device: SimulatedDevice) -> None:
    a, b = numbers()
    call = caller((False, True))
    text = refused(call, Foreign(device, a.astype("f")), b)
    assert text == (
        "A is float32 on the device, but this call computes in float64\n"
        "  A: shape (3, 3), dtype float32\n"
        "  hint: convert it: A.astype('float64'), or in torch A.to(torch.float64)"
    )
    text = refused(call, Foreign(device, a, strides=(8, 24)), b)
    assert text == (
        "A is not contiguous on the device\n"
        "  A: shape (3, 3), dtype float64\n"
        "  strides in entries: (1, 3)\n"
        "  hint: copy it: cupy.ascontiguousarray(A), or in torch A.contiguous()"
    )
    assert "needed: shape (3, 3)" in refused(call, Foreign(device, np.ones(3)), b)


@pytest.mark.parametrize(
    "shape, strides, dense",
    [((2, 3), (3, 1), True), ((2, 3), (1, 2), False), ((1, 3), (99, 1), True),
     ((0, 3), (5, 7), True), ((2, 1), (1, 1), True), ((3,), (2,), False), ((), (), True)],
)  # fmt: skip
def test_dense_arrays_are_told_by_their_strides(
    shape: tuple[int, ...], strides: tuple[int, ...], dense: bool
) -> None:
    assert View(0, shape, strides, np.dtype(float), False, None).is_dense == dense


def test_device_array_is_a_citizen(device: SimulatedDevice) -> None:
    array = to_device(np.arange(6.0).reshape(2, 3), device)
    assert repr(array) == "DeviceArray((2, 3), float64, on <simulated GPU, device 0>)"
    assert (len(array), array.size, array.nbytes) == (2, 6, 48)
    np.testing.assert_array_equal(np.asarray(array, np.float32), np.arange(6).reshape(2, 3))
    assert array.__cuda_array_interface__ == {
        "shape": (2, 3), "typestr": "<f8", "data": (array.memory.address, False),
        "strides": None, "stream": 7, "version": 3,
    }  # fmt: skip
    assert float(to_device(np.array(2.5), device)) == 2.5
    empty = to_device(np.zeros((0, 2)), device)
    assert empty.__cuda_array_interface__["data"] == (0, False)
    assert np.asarray(empty).shape == (0, 2)
    with pytest.raises(ValueError, match="always copied"):
        np.array(array, copy=False)
    with pytest.raises(TypeError):
        array + 1  # no hidden copies
    with pytest.raises(TypeError):
        np.sin(array)


def test_what_lies_on_the_device(device: SimulatedDevice) -> None:
    class OnHost:
        def __dlpack_device__(self) -> tuple[int, int]:
            return 1, 0

    assert is_on_device(to_device(np.ones(2), device))
    assert is_on_device(Foreign(device, np.ones(2)))
    assert not any(map(is_on_device, [np.ones(2), 1.0, [1.0], OnHost()]))


def test_dtypes_that_numpy_lacks_are_refused() -> None:
    class Tensor:
        dtype = "torch.bfloat17"
        shape = (2,)

    with pytest.raises(TypeError, match="bfloat17"):
        arrays.dtype_of(Tensor())
    Tensor.dtype = "torch.float32"
    assert arrays.dtype_of(Tensor()) == np.float32


# -- checks ---------------------------------------------------------------------------------------
def test_index_out_of_range_is_an_error_once(device: SimulatedDevice) -> None:
    a = Buffer("A", (N,), "counter", "argument")
    status = Buffer("status", (1,), "counter", "zeroed")
    out = Buffer("r", (1,), "counter", "result")
    plan = Plan([a], [out], [Copy(status, a), Copy(out, status)], status)
    task = Task(plan, {}, "float64", device, [True])
    bad, good = np.array([1, 0, 0], np.int32), np.zeros(3, np.int32)
    with pytest.raises(IndexError, match="an index is out of range"):
        task.run([bad])
    device.finish()
    assert not device.gpu.memory(device.scratch(0, 4)[1], 4).any()  # it is zero again
    assert task.run([good])[0][0] == 0


def test_simulated_device_refuses_what_a_gpu_would_not_survive(device: SimulatedDevice) -> None:
    memory = device.allocate(8)
    with pytest.raises(SimulationError, match="only 8 are"):
        device.gpu.memory(memory.address, 9)
    address = memory.address
    del memory
    device.finish()
    with pytest.raises(SimulationError, match="nothing is allocated"):
        device.gpu.memory(address, 1)
    with pytest.raises(SimulationError, match="while a graph is recorded"):
        device.record(device.finish)


def test_empty_launches_are_left_out(device: SimulatedDevice) -> None:
    from backends.cuda.actions import Grid, Kernel
    from backends.cuda.grids import RULES

    assert "flat" in RULES
    out = Buffer("r", (0,), role="result")
    kernel = Kernel("nothing", "def nothing(out, n0):\n    pass\n", ("real",), 1)
    launch = Launch(kernel, (out,), (), (0,), Grid("flat", (0,)))
    task = Task(Plan([], [out], [launch]), {}, "float64", device, [])
    assert task.run([])[0].shape == (0,)
    assert "launch nothing" not in device.log


def test_tensors_hold_no_arrays_on_the_device(device: SimulatedDevice) -> None:
    """They would be copied in silence, or be worked on by NumPy."""
    for array in (to_device(np.ones(3), device), Foreign(device, np.ones(3))):
        with pytest.raises(TypeError, match="this one lies on a device"):
            ad.Tensor(array)


@pytest.mark.parametrize("example", EXAMPLES[5::20], ids=str)
def test_program_without_host_or_cusolver_is_one_graph(
    example: Any, device: SimulatedDevice
) -> None:
    variables = example.declared()
    roots = [example.expression(), tc.derivative(example.expression(), variables[0])]
    f = backends.compile(roots, target="cuda", variables=variables, real=True)
    plan = f._variants[0].plans[0]
    if any(isinstance(action, (HostCall, Factorization)) for action in plan.actions):
        pytest.skip("the program has steps that no graph holds")
    for _ in range(3):
        queued(device)
        f(**example.values())
    log = [entry for entry in queued(device) if entry not in ("upload", "download", "finish")]
    assert len(log) == 1  # the graph, or the only kernel
    assert log == ["launch graph"] or len(plan.actions) == 1
