"""Running a launch plan: graphs, memory and checks, on a simulated device."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

import backends
import tensorcalc as tc
from backends.cuda import graphs
from backends.cuda.actions import Buffer, Copy, Factorization, Fill, HostCall, Launch
from backends.cuda.arrays import to_device
from backends.cuda.plan import Plan
from backends.cuda.simulated_device import (
    SimulatedDevice,
    SimulatedGpu,
    SimulationError,
    ignored,
)
from backends.cuda.task import Task
from tensorcalc.table import TABLE

from .cuda_support.products import N, caller, device_of_calls, numbers, product_plan, queued
from .examples import EXAMPLES


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> SimulatedDevice:
    return device_of_calls(monkeypatch)


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
