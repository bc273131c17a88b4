"""``target="cuda"`` from end to end on the simulated device, kernels in numba's simulator.

Run by ``tests/test_cuda_simulated_target.py`` in a process of its own, since numba reads
``NUMBA_ENABLE_CUDASIM`` when it is imported.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import autodiff as ad
import backends
import tensorcalc as tc
from backends.cuda import blocks, cuda_device, library_kernels
from backends.cuda.actions import dtype_of
from backends.cuda.arrays import DeviceArray, to_device
from backends.cuda.simulated_device import SimulatedDevice, simulated
from benchmarks import device_calls, device_rows
from benchmarks.modelling import model_named
from benchmarks.options import Options
from benchmarks.patience import Patience

from ..examples import EXAMPLES
from .foreign import Foreign
from .twins import TWINS

RNG = np.random.default_rng(11)
X, w, y = tc.variables("X: m n, w: n, y: m")


@pytest.fixture(autouse=True)
def device(monkeypatch: pytest.MonkeyPatch) -> SimulatedDevice:
    device = SimulatedDevice()
    monkeypatch.setattr(cuda_device, "open_device", lambda ordinal=0, stream=None: device)
    return device


def loss(w: Any, X: Any, y: Any) -> Any:
    return np.sum(np.log(1 + np.exp(-y * (X @ w))))


def data(dtype: str = "float64", m: int = 4, n: int = 3) -> dict[str, Any]:
    values = {"X": RNG.normal(size=(m, n)), "w": RNG.normal(size=n), "y": RNG.normal(size=m)}
    return {name: array.astype(dtype) for name, array in values.items()}


def same(found: Any, wanted: Any, tolerance: float = 1e-11) -> None:
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance)


# -- kernels --------------------------------------------------------------------------------------
SIZES = {
    "symmetrized": (2, 3, 3), "transposed": (2, 3, 4), "identity": (2, 3, 3), "lower": (2, 4, 4),
    "addresses": (5, 1000, 72), "determinants": (3, 5), "fill": (7,), "converted": (60,),
}  # fmt: skip


@pytest.mark.parametrize("kernel", library_kernels.KERNELS, ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_library_kernels_are_their_twins(kernel: Any, precision: str) -> None:
    sizes = SIZES[kernel.name]
    arrays = [RNG.normal(size=100).astype(dtype_of(kind, precision)) for kind in kernel.pointers]
    if kernel.name == "determinants":
        arrays[3][:25:6] = [1.0, -2.0, 0.0, 3.0, 0.5]  # a zero on the first diagonal
        arrays[4][:15] = RNG.integers(1, 6, 15)
    wanted = [array.copy() for array in arrays]
    simulated(kernel, precision, *library_kernels.geometry(kernel, sizes), (*arrays, *sizes))
    if kernel.name == "fill":
        wanted[0][:7] = 0.5
    elif kernel.name == "converted":
        wanted[0][:60] = np.trunc(wanted[1][:60])
    else:
        TWINS[kernel.name](*wanted, *sizes)
    same(arrays, wanted, 1e-12 if precision == "float64" else 1e-5)


# -- programs -------------------------------------------------------------------------------------
@pytest.mark.parametrize("example", EXAMPLES[3::24], ids=str)
def test_examples_agree_with_numpy(example: Any) -> None:
    variables = example.declared()
    roots = [example.expression(), tc.derivative(example.expression(), variables[0])]
    values = example.values()
    wanted = backends.compile(roots, variables=variables, real=True)(**values)
    f = backends.compile(roots, target="cuda", variables=variables, real=True)
    for _ in range(3):  # issued, recorded, replayed
        for mine, theirs in zip(f(**values), wanted, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_calls_with_numpy_arrays(dtype: str, device: SimulatedDevice) -> None:
    value = loss(w, X, y)
    roots = {"value": value, "more": (tc.gradient(value, w), tc.hessian(value, w))}
    f, g = backends.compile(roots, target="cuda"), backends.compile(roots)
    for m in (4, 4, 4, 2):
        values = data(dtype, m)
        found, wanted = f(**values), g(**values)
        assert found["value"].dtype == dtype
        tolerance = 1e-12 if dtype == "float64" else 2e-5
        np.testing.assert_allclose(found["value"], wanted["value"], rtol=tolerance)
        for mine, theirs in zip(found["more"], wanted["more"], strict=True):
            assert isinstance(mine, np.ndarray) and mine.dtype == dtype
            np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance)
    assert device.log.count("launch graph") == 2  # the second and third call with four rows
    assert f.target == "cuda"


def test_arrays_on_the_device_stay_there(device: SimulatedDevice) -> None:
    value = loss(w, X, y)
    f = backends.compile([value, tc.gradient(value, w)], target="cuda")
    values = data()
    given = {"X": to_device(values["X"], device), "w": Foreign(device, values["w"])}
    found = f(**given, y=values["y"])
    assert all(isinstance(each, DeviceArray) for each in found)
    same([np.asarray(each) for each in found], backends.compile(
        [value, tc.gradient(value, w)])(**values))  # fmt: skip
    out = [to_device(np.zeros(()), device), to_device(np.zeros(3), device)]
    for options in ({}, {"stream": 7}, {}):
        again = f(**given, y=values["y"], out=out, **options)
        assert again[1] is out[1]
    same([np.asarray(each) for each in out], [np.asarray(each) for each in found])


@pytest.mark.parametrize("size", [1, 4, 7, 1030])
@pytest.mark.parametrize("offset", [0, 8])
def test_memory_at_any_multiple_of_an_entry_is_taken(
    size: int, offset: int, device: SimulatedDevice
) -> None:
    """128-bit loads and stores need multiples of 16 bytes; part of another array may begin at 8."""
    x = tc.variables("x: n")
    values = RNG.normal(size=size)
    given = Foreign(device, values, offset=offset)
    out = [Foreign(device, np.zeros(size), offset=offset), Foreign(device, np.zeros(()))]
    backends.compile([x * x + 1, np.sum(2 * x)], target="cuda")(x=given, out=out)
    np.testing.assert_allclose(out[0].entries(), values * values + 1)
    np.testing.assert_allclose(out[1].entries(), 2 * np.sum(values))


def test_chained_calls_do_not_wait(device: SimulatedDevice) -> None:
    step = backends.compile(w - 0.1 * tc.gradient(loss(w, X, y), w), target="cuda")
    reference = backends.compile(w - 0.1 * tc.gradient(loss(w, X, y), w))
    values = data()
    given = {name: to_device(array, device) for name, array in values.items()}
    for _ in range(6):
        given["w"] = step(**given)
        values["w"] = reference(**values)
    assert "finish" not in device.log
    np.testing.assert_allclose(np.asarray(given["w"]), values["w"], rtol=1e-12)


def test_numbers_take_the_precision_of_arrays_on_the_device(device: SimulatedDevice) -> None:
    v, c = tc.variables("v: n, c:")
    f = backends.compile(c * v, target="cuda")
    found = f(v=to_device(np.ones(2, np.float32), device), c=2.5)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(np.asarray(found), [2.5, 2.5])


def test_factorizations_and_their_errors(device: SimulatedDevice) -> None:
    A, b = tc.variables("A: n n, b: n")
    roots = [np.linalg.inv(A), np.linalg.slogdet(A)[1], np.linalg.solve(A, b)]
    values = {"A": RNG.normal(size=(3, 3)), "b": RNG.normal(size=3)}
    f = backends.compile(roots, target="cuda")
    same(f(**values), backends.compile(roots)(**values))
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
        f(A=np.zeros((3, 3)), b=np.ones(3))
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
        f(A=to_device(np.zeros((3, 3)), device), b=np.ones(3))


def test_indices_out_of_range_are_errors() -> None:
    table, index = tc.variables("table: n k, index: m integer")
    f = backends.compile(np.sum(table[index] ** 2), target="cuda")
    values = RNG.normal(size=(4, 2))
    np.testing.assert_allclose(f(table=values, index=np.array([3, 0])), np.sum(values[[3, 0]] ** 2))
    for _ in range(2):
        with pytest.raises(IndexError, match="out of range"):
            f(table=values, index=np.array([0, 4]))
    np.testing.assert_allclose(f(table=values, index=np.array([1])), np.sum(values[1] ** 2))


# -- autodiff -------------------------------------------------------------------------------------
def test_transforms_run_on_the_device() -> None:
    values = data()
    arguments = values["w"], values["X"], values["y"]
    same([ad.grad(loss, target="cuda")(*arguments)], [ad.grad(loss)(*arguments)])
    same([ad.hessian(loss, target="cuda")(*arguments)], [ad.hessian(loss)(*arguments)])
    found = ad.value_and_grad(loss, target="cuda")(*arguments)
    same(found, ad.value_and_grad(loss)(*arguments))


def test_transforms_take_and_give_arrays_on_the_device(device: SimulatedDevice) -> None:
    values = data()
    arguments = values["w"], values["X"], values["y"]
    given = [to_device(array, device) for array in arguments]
    value, slope = ad.value_and_grad(loss, target="cuda")(*given)
    assert isinstance(slope, DeviceArray)
    same([np.asarray(value)[()], np.asarray(slope)], ad.value_and_grad(loss)(*arguments))


def test_transforms_take_arrays_of_other_libraries(device: SimulatedDevice) -> None:
    values = data()
    arguments = values["w"], values["X"], values["y"]
    given = [Foreign(device, array) for array in arguments]
    slope = ad.grad(loss, target="cuda")
    for _ in range(2):  # traced and planned once
        found = slope(*given)
        assert isinstance(found, DeviceArray)
        same([np.asarray(found)], [ad.grad(loss)(*arguments)])
    assert slope.traces == 1
    direction = (Foreign(device, values["w"]), None, None)
    product = ad.hvp(loss, given, direction, target="cuda")
    assert isinstance(product, DeviceArray)
    same([np.asarray(product)], [ad.hvp(loss, arguments, (values["w"], None, None))])


def test_trees_of_parameters_on_the_device(device: SimulatedDevice) -> None:
    def error(parameters: dict[str, Any], x: Any) -> Any:
        return np.sum((parameters["w"] @ x + parameters["b"]) ** 2)

    parameters = {"w": RNG.normal(size=(2, 3)), "b": RNG.normal(size=2)}
    x = RNG.normal(size=3)
    there = {name: to_device(array, device) for name, array in parameters.items()}
    found = ad.grad(error, target="cuda")(there, to_device(x, device))
    wanted = ad.grad(error)(parameters, x)
    for name, slope in found.items():
        same([np.asarray(slope)], [wanted[name]])


# -- benchmarks -----------------------------------------------------------------------------------
def test_rows_of_the_benchmark_on_the_device(
    device: SimulatedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_calls, "GEMM", 40)
    monkeypatch.setattr(device_calls, "COPY", 1000)
    monkeypatch.setattr(device_rows, "launch_seconds", lambda: 1.0)
    device.driver = SimpleNamespace(cuDriverGetVersion=lambda: (0, 13000))  # type: ignore[attr-defined]
    facts = device_rows.machine()
    assert facts["name"] == "simulated GPU" and facts["numba-cuda"] != "not installed"
    assert min(facts["gemm and copy, float32, per second"]) > 0
    model, options = (
        model_named("Rosenbrock"),
        Options(seconds=0.0, targets=("cuda",), peers=("-",)),
    )
    (row,) = device_rows._row(model, "value and gradient", 10, "float64", options, Patience())
    assert row.seconds.keys() == {"ours cuda"} and (row.limit, row.reason) == (2.0, "")
    assert row.fraction is not None
    monkeypatch.setattr(device_rows, "measured", lambda *_: 1 / 0)
    (row,) = device_rows._row(model, "value", 10, "float64", options, Patience())
    assert row.left_out == {"ours cuda": "ZeroDivisionError: division by zero"}


# -- pairwise values ------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_blocks_of_rows_read_and_write_their_own_rows(
    device: SimulatedDevice, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    for name, limit in (("LARGE", 20), ("ENTRIES", 12), ("ROWS", 2)):
        monkeypatch.setattr(blocks, name, limit)
    P, Q = tc.variables("P: n d, Q: m d")
    value = np.sum(np.log(np.sum(np.exp(2 * P @ Q.T), axis=1)))
    roots = [value, tc.gradient(value, P), tc.gradient(value, Q)]
    f, g = backends.compile(roots, target="cuda"), backends.compile(roots)
    for _ in range(3):  # issued, recorded, replayed
        values = {"P": RNG.normal(size=(5, 2)), "Q": RNG.normal(size=(6, 2))}
        values = {name: array.astype(dtype) for name, array in values.items()}
        same(f(**values), g(**values), 1e-11 if dtype == "float64" else 1e-4)
    assert device.log.count("record graph") == 1
