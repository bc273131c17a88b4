"""The CUDA target on a GPU; without one every test here is skipped, and says what is missing.

The examples are those of the other targets: value and derivatives, both precisions, called three
times (issued, recorded as a graph, replayed). Every 8th is taken; ``TENSORCALC_CUDA_EVERY=1`` takes
all of them. The calls of cuBLAS and cuSOLVER are the tests of ``test_cuda_libraries``. To look for
bad memory accesses and races: ``bash .ci/sanitize``.
"""

from __future__ import annotations

import inspect
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import autodiff as ad
import backends
import tensorcalc as tc
from backends.compiled import TargetError
from backends.cuda import arrays, blocks, cuda_device, graphs, library_kernels
from backends.cuda.arrays import DeviceArray, to_device

from . import test_cuda_libraries as libraries
from .cuda_plans import taken, tower
from .cuda_support.networks import FUNCTIONS, batches, network, squared

RNG = np.random.default_rng(3)
X, w, y = tc.variables("X: m n, w: n, y: m")


def missing() -> str:
    """Why there is no GPU to run on, "" if there is one."""
    try:
        cuda_device.open_device()
    except TargetError as error:
        return "no GPU: " + str(error).replace("\n", ";")
    return ""


pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "there is a GPU")


@pytest.fixture
def device() -> Any:
    return cuda_device.open_device()


def loss(w: Any, X: Any, y: Any) -> Any:
    return np.sum(np.log(1 + np.exp(-y * (X @ w))))


def data(m: int, n: int, dtype: str = "float64") -> dict[str, Any]:
    values = {"X": RNG.normal(size=(m, n)), "w": RNG.normal(size=n), "y": RNG.normal(size=m)}
    return {name: array.astype(dtype) for name, array in values.items()}


def error_of(found: Any, wanted: Any) -> float:
    """``norm(found - wanted) / norm(wanted)``; infinite where one is NaN and the other is not."""
    found, wanted = np.asarray(found, float), np.asarray(wanted, float)
    assert found.shape == wanted.shape
    if not np.array_equal(np.isfinite(found), np.isfinite(wanted)):
        return np.inf
    finite = np.isfinite(wanted)
    scale = np.linalg.norm(wanted[finite]) or 1.0
    return float(np.linalg.norm(found[finite] - wanted[finite]) / scale)


# -- examples -------------------------------------------------------------------------------------
@pytest.mark.parametrize("example", taken(8), ids=str)
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_examples_agree_with_numpy(example: Any, precision: str) -> None:
    variables, roots = example.declared(), tower(example)
    values = {
        name: np.asarray(value, precision) if np.asarray(value).dtype.kind == "f" else value
        for name, value in example.values().items()
    }
    reference = backends.compile(roots, variables=variables, real=True)
    wanted = reference(**example.values())
    rounded = reference(**values)
    f = backends.compile(roots, target="cuda", variables=variables, real=True)
    for _ in range(3):
        for mine, theirs, best in zip(f(**values), wanted, rounded, strict=True):
            allowed = 1e-10 if precision == "float64" else 1e-4
            assert error_of(mine, best) <= allowed + 20 * error_of(best, theirs)


def test_large_sizes_agree_with_numpy() -> None:
    """Sizes at which reductions, products and launches take their other forms."""
    value = loss(w, X, y)
    roots = [value, tc.gradient(value, w), tc.hessian(value, w)]
    f, g = backends.compile(roots, target="cuda"), backends.compile(roots)
    for m, n in ((1, 1), (7, 3), (257, 33), (5000, 300), (100_003, 5), (3, 2000)):
        for dtype, allowed in (("float64", 1e-11), ("float32", 2e-4)):
            values = data(m, n, dtype)
            wanted = g(**{name: array.astype(float) for name, array in values.items()})
            for mine, theirs in zip(f(**values), wanted, strict=True):
                assert error_of(mine, theirs) < allowed, (m, n, dtype)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_pairwise_sums_agree_with_numpy(
    precision: str, device: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through shared memory, of several tiles and parts; points in blocks of rows; scans."""
    for name, limit in (("LARGE", 10_000), ("ENTRIES", 20_000)):
        monkeypatch.setattr(blocks, name, limit)
    p, q, c, P, Q = tc.variables("p: n, q: m, c: m, P: n d, Q: m d")
    near = np.exp(-((p[:, None] - q) ** 2))
    far = np.sum((P[:, None, :] - Q[None]) ** 2, axis=-1)
    density = np.sum(np.log(np.exp(-far) @ (1 + c * c)))
    roots = [near @ c, np.sum(near), np.cumsum(q)]
    roots += [density, tc.gradient(density, Q), tc.hvp(density, P, np.cos(P))]
    f, g = backends.compile(roots, target="cuda"), backends.compile(roots)
    for n, m in ((9, 40), (300, 3000), (3000, 300)):
        shapes = {"p": (n,), "q": (m,), "c": (m,), "P": (n, 3), "Q": (m, 3)}
        values = {name: RNG.normal(size=shape) for name, shape in shapes.items()}
        given = {name: array.astype(precision) for name, array in values.items()}
        allowed = 1e-10 if precision == "float64" else 1e-3
        for _ in range(3):
            for mine, theirs in zip(f(**given), g(**values), strict=True):
                assert error_of(mine, theirs) < allowed, (n, m)


# -- libraries ------------------------------------------------------------------------------------
#: What only a simulated device can be asked.
SIMULATED_ONLY = ("outside_its_memory", "never_reach", "bindings", "says_every_number")
LIBRARY_TESTS = [
    name
    for name, _ in inspect.getmembers(libraries, inspect.isfunction)
    if name.startswith("test_") and not any(part in name for part in SIMULATED_ONLY)
]


def parameters_of(test: Any) -> list[dict[str, Any]]:
    """The arguments that a test is parametrised with."""
    found: list[dict[str, Any]] = [{}]
    for mark in getattr(test, "pytestmark", []):
        names = [each.strip() for each in mark.args[0].split(",")]
        rows = [row if len(names) > 1 else (row,) for row in mark.args[1]]
        new = [dict(zip(names, row, strict=True)) for row in rows]
        found = [{**known, **row} for known in found for row in new]
    return found


@pytest.mark.parametrize("name", LIBRARY_TESTS)
def test_libraries(name: str, device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "new_device", lambda: device)
    test = getattr(libraries, name)
    wanted = inspect.signature(test).parameters
    own = {"monkeypatch": monkeypatch} if "monkeypatch" in wanted else {}
    for parameters in parameters_of(test):
        test(**parameters, **own)


@pytest.mark.parametrize("kernel", library_kernels.KERNELS, ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_library_kernels_load(kernel: Any, precision: str, device: Any) -> None:
    with device.using():
        assert device.kernel(kernel, precision).num_arguments == (
            len(kernel.pointers) + kernel.sizes
        )


# -- graphs, streams and memory -------------------------------------------------------------------
def test_replayed_graphs_read_what_is_there_now(device: Any) -> None:
    value = loss(w, X, y)
    f = backends.compile([value, tc.gradient(value, w)], target="cuda")
    reference = backends.compile([value, tc.gradient(value, w)])
    for _ in range(20):
        values = data(50, 4)
        for mine, theirs in zip(f(**values), reference(**values), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-11, atol=1e-12)


def test_graphs_are_updated_to_other_addresses(device: Any) -> None:
    f = backends.compile(tc.gradient(loss(w, X, y), w), target="cuda")
    reference = backends.compile(tc.gradient(loss(w, X, y), w))
    sets = [data(6, 3) for _ in range(2 * graphs.GRAPHS)]
    there = [{name: to_device(a, device) for name, a in values.items()} for values in sets]
    out = to_device(np.zeros(3), device)
    for _ in range(3):
        for values, given in zip(sets, there, strict=True):
            f(**given, out=out)
            f(**given, out=out)
            np.testing.assert_allclose(np.asarray(out), reference(**values), rtol=1e-11)


def test_steps_on_the_device(device: Any) -> None:
    step = backends.compile(w - 0.01 * tc.gradient(loss(w, X, y), w), target="cuda")
    reference = backends.compile(w - 0.01 * tc.gradient(loss(w, X, y), w))
    values = data(500, 20)
    given = {name: to_device(array, device) for name, array in values.items()}
    for _ in range(200):
        given["w"] = step(**given)
        values["w"] = reference(**values)
    assert isinstance(given["w"], DeviceArray)
    np.testing.assert_allclose(np.asarray(given["w"]), values["w"], rtol=1e-8)


def test_threads_may_call_one_function(device: Any) -> None:
    value = loss(w, X, y)
    f = backends.compile([value, tc.gradient(value, w)], target="cuda")
    reference = backends.compile([value, tc.gradient(value, w)])
    cases = [data(40, 6) for _ in range(8)]
    barrier = threading.Barrier(4)

    def work(k: int) -> bool:
        barrier.wait()
        agree = True
        for _ in range(50):
            values = cases[2 * k % 8]
            pairs = zip(f(**values), reference(**values), strict=True)
            agree &= all(np.allclose(mine, theirs, rtol=1e-10) for mine, theirs in pairs)
        return agree

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


def test_memory_that_is_not_there_is_an_error(device: Any) -> None:
    with pytest.raises(MemoryError, match="the device has no"):
        device.allocate(1 << 50)
    np.testing.assert_array_equal(np.asarray(to_device(np.ones(3), device)), np.ones(3))


def test_transforms_on_the_device(device: Any) -> None:
    values = data(30, 5)
    arguments = values["w"], values["X"], values["y"]
    given = [to_device(array, device) for array in arguments]
    slope = ad.grad(loss, target="cuda")(*given)
    np.testing.assert_allclose(np.asarray(slope), ad.grad(loss)(*arguments), rtol=1e-11)
    H = ad.hessian(loss, target="cuda")(*arguments)
    np.testing.assert_allclose(H, ad.hessian(loss)(*arguments), rtol=1e-10, atol=1e-12)


# -- networks -------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", FUNCTIONS)
def test_tensors_compute_on_the_device(name: str) -> None:
    a, b = (ad.Tensor(RNG.normal(size=(2, 3)), requires_grad=True) for _ in range(2))
    x, y = a.to("cuda"), b.to("cuda")
    for _ in range(3):  # gradients add up
        FUNCTIONS[name](a, b).backward()
        FUNCTIONS[name](x, y).backward()
    for mine, theirs in ((x, a), (y, b)):
        assert isinstance(mine.grad, DeviceArray)
        assert error_of(mine.grad, np.zeros((2, 3)) if theirs.grad is None else theirs.grad) < 1e-11


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_steps_of_a_network_are_those_of_the_host(precision: str) -> None:
    losses = []
    for target in ("numpy", "cuda"):
        model = network(precision)
        optimizer = ad.optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
        step = ad.compile_step(model, squared, optimizer, target=target)
        losses.append([step(x, y[:, :2]) for x, y in batches(20, precision)])
    assert all(isinstance(loss, DeviceArray) for loss in losses[1])
    allowed = 1e-9 if precision == "float64" else 1e-3
    np.testing.assert_allclose([float(loss) for loss in losses[1]], losses[0], rtol=allowed)
    eager = network(precision).to("cuda")
    optimizer = ad.optim.SGD(eager.parameters(), lr=0.05, momentum=0.5)
    for (x, y), wanted in zip(batches(5, precision), losses[0], strict=False):
        optimizer.zero_grad()
        loss = squared(eager(ad.Tensor(x)), y[:, :2])
        assert float(loss) == pytest.approx(wanted, rel=allowed)
        loss.backward()
        optimizer.step()


def test_tensors_wrap_arrays_of_torch() -> None:
    there, back, host = _torch()
    values = RNG.normal(size=5)
    t = ad.Tensor(there(values), requires_grad=True)
    np.sum(np.tanh(t) ** 2).backward()
    wanted = 2 * np.tanh(values) * (1 - np.tanh(values) ** 2)
    np.testing.assert_allclose(host(back(t.grad)), wanted, rtol=1e-11)


# -- other libraries ------------------------------------------------------------------------------
def _cupy() -> tuple[Any, Any, Any]:
    cupy = pytest.importorskip("cupy")
    return cupy.asarray, cupy.from_dlpack, cupy.asnumpy


def _torch() -> tuple[Any, Any, Any]:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch has no CUDA")
    return (
        lambda a: torch.as_tensor(a, device="cuda"),
        torch.from_dlpack,
        lambda t: t.cpu().numpy(),
    )


def _jax() -> tuple[Any, Any, Any]:
    jax = pytest.importorskip("jax")
    if jax.default_backend() != "gpu":
        pytest.skip("jax has no GPU")
    return jax.device_put, jax.dlpack.from_dlpack, np.asarray


@pytest.mark.parametrize("library", [_cupy, _torch, _jax], ids=["cupy", "torch", "jax"])
def test_arrays_of_other_libraries_in_and_out(library: Any) -> None:
    there, back, host = library()
    f = backends.compile(tc.gradient(loss(w, X, y), w), target="cuda")
    values = data(40, 5, "float32")
    wanted = backends.compile(tc.gradient(loss(w, X, y), w))(**values)
    given = {name: there(array) for name, array in values.items()}
    for _ in range(5):
        found = f(**given)
        assert isinstance(found, DeviceArray)
        np.testing.assert_allclose(host(back(found)), wanted, rtol=1e-4, atol=1e-5)
    slope = ad.grad(loss, target="cuda")(given["w"], given["X"], given["y"])
    np.testing.assert_allclose(host(back(slope)), wanted, rtol=1e-4, atol=1e-5)


def test_work_of_a_torch_stream_is_waited_for() -> None:
    _torch()
    import torch

    f = backends.compile(2 * w, target="cuda")
    stream = torch.cuda.Stream()
    for _ in range(5):
        with torch.cuda.stream(stream):
            big = torch.ones(1 << 24, device="cuda")
            for _ in range(20):
                big = big * 1.01  # the stream is busy for a while
            result = torch.from_dlpack(f(w=big, stream=stream))
            total = (result - 2 * big).abs().max().item()
        assert total == 0.0


def test_out_of_cupy() -> None:
    there, _, host = _cupy()
    f = backends.compile(tc.gradient(loss(w, X, y), w), target="cuda")
    values = data(10, 4)
    out = there(np.zeros(4))
    assert f(**{name: there(array) for name, array in values.items()}, out=out) is out
    wanted = backends.compile(tc.gradient(loss(w, X, y), w))(**values)
    np.testing.assert_allclose(host(out), wanted, rtol=1e-11)


def test_arrays_with_gaps_are_refused() -> None:
    there, *_ = _cupy()
    f = backends.compile(np.sum(X), target="cuda")
    with pytest.raises(TypeError, match="not contiguous"):
        f(X=there(np.ones((3, 4))).T)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_dlpack_of_every_dtype(dtype: str, device: Any) -> None:
    _, back, host = _cupy()
    array = np.array([[0, 1, 1], [1, 0, 1]], dtype)
    found = back(to_device(array, device))
    assert found.dtype == dtype
    np.testing.assert_array_equal(host(found), array)
    assert arrays.is_on_device(found)
