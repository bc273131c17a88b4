"""Tensors and compiled steps on the simulated device, kernels in numba's simulator.

Run by ``tests/test_cuda_simulated_target.py`` in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.training.checkpoints import load_tree, save_tree
from backends.cuda import cuda_device, grids
from backends.cuda.arrays import DeviceArray, to_device
from backends.cuda.simulated_device import SimulatedDevice

from .foreign import Foreign
from .networks import FUNCTIONS, batches, network, squared

#: Every simulated thread takes time; two warps show what eight would.
grids.THREADS = 64

RNG = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def device(monkeypatch: pytest.MonkeyPatch) -> SimulatedDevice:
    device = SimulatedDevice()
    monkeypatch.setattr(cuda_device, "open_device", lambda ordinal=0, stream=None: device)
    return device


def same(found: Any, wanted: Any, tolerance: float = 1e-11) -> None:
    assert isinstance(found, DeviceArray)
    wanted = np.asarray(wanted)
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=tolerance, atol=tolerance)


def pair(*shape: int) -> tuple[ad.Tensor, ad.Tensor]:
    """The same leaf in the host's memory and on the device."""
    values = RNG.normal(size=shape)
    host = ad.Tensor(values, requires_grad=True)
    there = host.to("cuda")
    assert there.is_leaf and there.requires_grad and isinstance(there.data, DeviceArray)
    return host, there


# -- tensors --------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", FUNCTIONS)
def test_operations_and_gradients_run_where_the_arrays_lie(
    name: str, device: SimulatedDevice
) -> None:
    function = FUNCTIONS[name]
    (a, x), (b, y) = pair(2, 3), pair(2, 3)
    for _ in range(2):  # gradients add up
        wanted, found = function(a, b), function(x, y)
        wanted.backward()
        found.backward()
    assert "download" not in device.log
    same(found.data, wanted.data)
    for mine, theirs in ((x, a), (y, b)):
        same(mine.grad, np.zeros((2, 3)) if theirs.grad is None else theirs.grad)


def test_arrays_of_other_libraries_are_wrapped_not_copied(device: SimulatedDevice) -> None:
    values = RNG.normal(size=3)
    foreign = Foreign(device, values)
    t = ad.Tensor(foreign, requires_grad=True)
    assert t.data.value is foreign and t.shape == (3,) and t.nbytes == 24
    np.sum(t**2).backward()
    same(t.grad, 2 * values)
    np.testing.assert_array_equal(t.numpy(), values)
    same(t.astype(int).data, values.astype(int))
    assert ad.Tensor(Foreign(device, np.ones(2, np.float32)), dtype=float).dtype == np.float64


def test_what_is_not_recorded_stays_there_too(device: SimulatedDevice) -> None:
    host, there = pair(4)
    with ad.no_grad():
        same(np.exp(there).data, np.exp(host).data)
        there.data[...] = np.arange(4.0)
    same((there.detach() > 1).data, np.array([False, False, True, True]))
    assert float(np.sum(there)) == 6.0 and f"{np.sum(there):.1f}" == "6.0"
    assert repr(there).startswith("Tensor(DeviceArray((4,), float64")


def test_host_arrays_may_come_beside_and_each_kind_of_call_has_its_plan(
    device: SimulatedDevice,
) -> None:
    host, there = pair(3)
    x = RNG.normal(size=3)
    for other in (x, to_device(x, device), Foreign(device, x), ad.Tensor(x)):
        same((there * other).data if other is not x else (other * there).data, host.data * x)


def test_derivatives_of_derivatives_on_the_device(device: SimulatedDevice) -> None:
    host, there = pair(3)
    slopes = []
    for t in (host, there):
        slope = ad.graph.gradients(np.sum(t**4), t, create_graph=True)
        np.sum(slope**2).backward()
        slopes.append(t.grad)
    same(slopes[1], slopes[0])


def test_hooks_checkpoints_and_functions(device: SimulatedDevice) -> None:
    host, there = pair(3)
    swish = ad.function(lambda x: x / (1 + np.exp(-x)))
    for t in (host, there):
        t.register_hook(lambda g: ad.Tensor(g).data)
        np.sum(ad.graph.checkpoint(swish, t)).backward()
    same(there.grad, host.grad)


def test_a_host_tensor_that_wants_gradients_is_refused_beside_the_device() -> None:
    host, there = pair(3)
    with pytest.raises(ad.GraphError) as caught:
        np.multiply(host, there)
    assert str(caught.value) == (
        "multiply: a tensor in the host's memory that requires gradients meets one on a device\n"
        "  tensor: Tensor, shape (3,)\n"
        "  hint: move it before, t.to('cuda') or model.to('cuda'); arrays that require no "
        "gradients may lie anywhere"
    )
    same((host.detach() * there).data, host.data * host.data)


def test_moving_is_not_recorded() -> None:
    _, there = pair(2)
    with pytest.raises(ad.GraphError, match=r"t.to\('cpu'\) of a result"):
        (2 * there).to("cpu")
    assert isinstance((2 * there).detach().to("cpu").data, np.ndarray)
    with pytest.raises(ValueError, match="not on 'tpu'"):
        there.to("tpu")


def test_parts_of_an_array_on_the_device_are_not_assigned() -> None:
    _, there = pair(2)
    with pytest.raises(TypeError, match="a part of an array on the device"):
        there.data[0] = 1.0


def test_conversions_on_the_device(device: SimulatedDevice) -> None:
    whole = to_device(np.array([2.5, -1.5, 0.0]), device).astype(int)
    same(whole, np.array([2, -1, 0]))
    same(whole.astype(np.float32), np.array([2.0, -1.0, 0.0], np.float32))
    same(whole.astype(bool), np.array([True, True, False]))
    with pytest.raises(TypeError, match="cannot become float32"):
        to_device(np.ones(2), device).astype(np.float32)


# -- networks -------------------------------------------------------------------------------------
OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "SGD": lambda p: ad.optim.SGD(p, lr=0.1, momentum=0.9, maximize=True),
    "Adam": lambda p: ad.optim.Adam(p, lr=0.1, weight_decay=0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_eager_training_on_the_device(name: str, device: SimulatedDevice) -> None:
    losses, models = [], [network(), network().to("cuda")]
    for model in models:
        optimizer = OPTIMIZERS[name](model.parameters())
        for x, target in batches(2):
            optimizer.zero_grad()
            loss = squared(model(ad.Tensor(x)), target[:, :2])
            loss.backward()
            ad.optim.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        losses.append(loss.data)
    assert "download" not in device.log
    same(losses[1], losses[0], 1e-9)
    for state in optimizer.state.values():
        assert all(isinstance(x, DeviceArray) for key, x in state.items() if key != "step")
    states = [model.state_dict() for model in models]
    for key, wanted in states[0].items():
        np.testing.assert_allclose(states[1][key], wanted, rtol=1e-9, atol=1e-10, err_msg=key)


def test_a_state_goes_where_its_parameter_goes() -> None:
    ends = []
    for places in (["cpu"] * 3, ["cpu", "cuda", "cpu"]):
        w = ad.nn.Parameter(np.arange(3.0))
        optimizer = ad.optim.SGD([w], lr=0.1, momentum=0.9)
        for place in places:
            w.data = w.to(place).data
            w.grad = None
            np.sum(w**2).backward()
            optimizer.step()
            assert isinstance(w.data, DeviceArray) == (place == "cuda")
        ends.append(w.data)
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-12)


def test_classes_are_looked_up_on_the_device() -> None:
    scores, classes = RNG.normal(size=(3, 2)), np.array([0, 1, 1])
    slopes = []
    for t in (ad.Tensor(scores, requires_grad=True), ad.Tensor(scores, True).to("cuda")):
        ad.losses.CrossEntropyLoss()(t, classes).backward()
        slopes.append(t.grad)
    same(slopes[1], slopes[0])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_compiled_steps_keep_parameters_and_states_on_the_device(
    dtype: str, device: SimulatedDevice
) -> None:
    runs = []
    for target in ("numpy", "cuda"):
        model = network(dtype)
        optimizer = ad.optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
        step = ad.compile_step(model, squared, optimizer, clip_norm=1.0, target=target)
        losses, logs = [], []
        for x, y in batches(5, dtype):
            device.log.clear()
            losses.append(step(x, y[:, :2]))
            logs.append(list(device.log))
        runs.append((model, optimizer, losses))
    (theirs, _, wanted), (mine, optimizer, found) = runs
    tolerance = 1e-9 if dtype == "float64" else 1e-4
    np.testing.assert_allclose([float(x) for x in found], wanted, rtol=tolerance)
    assert all(isinstance(p.data, DeviceArray) for p in mine.parameters())
    assert all(isinstance(s["momentum_buffer"], DeviceArray) for s in optimizer.state.values())
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(mine.state_dict()[key], value, rtol=tolerance, atol=tolerance)
    assert all("finish" not in log and "download" not in log for log in logs)
    assert logs[-1].count("upload") == 3  # inputs, targets and the learning rate
    assert logs[-1].count("record graph") == 1 and "launch graph" in logs[-1]
    assert sum(entry.startswith("allocate") for entry in logs[-1]) == 2  # the loss, a count as int


def test_a_step_may_be_followed_by_eager_calls_and_loading(tmp_path: Path) -> None:
    model = ad.nn.Linear(3, 2).double()
    optimizer = ad.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    step = ad.compile_step(model, squared, optimizer, target="cuda")
    ((x, y),) = batches(1)
    first = float(step(x, y[:, :2]))
    states = model.state_dict(), optimizer.state_dict()
    save_tree(tmp_path / "step", states)
    second, third = float(step(x, y[:, :2])), float(step(x, y[:, :2]))
    assert third < second < first
    model.load_state_dict(states[0])
    optimizer.load_state_dict(load_tree(tmp_path / "step")[1])
    assert [float(step(x, y[:, :2])) for _ in range(2)] == [second, third]
    outputs = ad.predict(model, x)
    np.testing.assert_allclose(outputs, ad.predict(model.to("cpu"), x), rtol=1e-10)
