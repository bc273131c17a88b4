"""The numba target against the oracle, its files on disk, and the automatic target."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backends
import tensorcalc as tc
from backends import auto_target, numba_kernels, numba_target
from backends.nest_fusion import fused
from backends.numba_target import NumbaFunction, Recipe
from backends.steps import Nest
from tensorcalc.nodes import free_variables

from .examples import EXAMPLES
from .test_numpy_target import CASES, SIZES, arguments, reference, roots_of

numba = pytest.importorskip("numba", reason="numba, an optional extra, is not installed")

ROOT = Path(__file__).parent.parent


def compiled(name: str, target: str = "numba") -> Any:
    roots = roots_of(name)
    return backends.compile(roots, target, variables=free_variables(*roots, CASES[name][1]))


@pytest.mark.parametrize("name", list(CASES)[1::2])
def test_values_and_derivatives_agree_with_the_oracle_at_every_size(name: str) -> None:
    function = compiled(name)
    for sizes in SIZES:
        arrays = arguments(name, sizes)
        kept = {key: np.copy(array) for key, array in arrays.items()}
        for root, found in zip(roots_of(name), function(**arrays), strict=True):
            expected = reference(root, arrays, sizes)
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-11)
            assert np.shape(found) == np.shape(expected)
        for key, array in arrays.items():
            np.testing.assert_array_equal(array, kept[key])


@pytest.mark.parametrize("example", EXAMPLES[::16], ids=str)
def test_examples_and_their_derivatives_agree_with_the_oracle(example: Any) -> None:
    variables = example.declared()
    tower = [example.expression()]
    for _ in range(min(example.order, 2)):
        tower.append(tc.derivative(tower[-1], variables[0]))
    function = backends.compile(tower, "numba", variables=variables, real=True)
    for order, found in enumerate(function(**example.values())):
        wanted = example.evaluate(tower[order])
        scale = 1 + float(np.max(np.abs(wanted), initial=0, where=np.isfinite(wanted)))
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9 * scale)


FLOAT32 = ["nested", "softmax", "weighted_gram", "diagonal_plus_outer", "where", "powers"]


@pytest.mark.parametrize("name", FLOAT32)
def test_float32_kernels_do_no_float64_arithmetic(name: str) -> None:
    function = compiled(name)
    arrays = arguments(name, SIZES[0], np.float32)
    for root, found in zip(roots_of(name), function(**arrays), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, reference(root, arrays, SIZES[0]), rtol=3e-4, atol=1e-4)
    for text in intermediate_code(function):
        assert not re.findall(r"= (?:f(?:add|sub|mul|div) .*double|fpext) .*", text)


def test_float64_arithmetic_would_be_seen() -> None:
    function = compiled("nested")
    function(**arguments("nested", SIZES[0]))
    code = "".join(intermediate_code(function))
    assert re.findall(r"= f(?:add|sub|mul|div) .*double .*", code)


def intermediate_code(function: NumbaFunction) -> Iterator[str]:
    """LLVM text of the kernels that ran last, compiled anew: what comes from disk has none."""
    names = function._variants[0].code().function.__globals__
    for name, kernel in names.items():
        if name.startswith("kernel"):
            fresh = numba.njit(error_model="numpy")(kernel.py_func)
            for signature in kernel.signatures:
                fresh.compile(signature)
            yield from fresh.inspect_llvm().values()


@pytest.mark.parametrize("name", ["weighted_gram", "transpose_of_three", "identity", "windows"])
def test_results_own_their_memory(name: str) -> None:
    arrays = arguments(name, SIZES[0])
    results = compiled(name)(**arrays)
    for k, result in enumerate(results):
        others = [*arrays.values(), *results[:k]]
        assert not any(np.may_share_memory(result, other) for other in others)
        if np.ndim(result):
            result[...] = 1.0


@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_arguments_of_every_memory_order_are_read_as_they_are(order: str) -> None:
    function = compiled("weighted_gram")
    arrays = arguments("weighted_gram", SIZES[0])
    wanted = function(**arrays)
    A = arrays["A"]
    strided = np.repeat(A, 2, axis=1)[:, ::2]
    arrays["A"] = strided if order == "strided" else np.array(A, order=order)
    for found, expected in zip(function(**arrays), wanted, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_an_index_out_of_range_raises() -> None:
    function = compiled("gather_rows")
    arrays = arguments("gather_rows", SIZES[0])
    with pytest.raises(IndexError):
        function(**{**arrays, "pick": np.array([0, 99])})


# -- fusion ---------------------------------------------------------------------------------------
def test_a_loss_of_a_margin_is_one_loop() -> None:
    y, z = tc.variables("y: n, z: n")
    function = backends.compile(np.sum(np.log1p(np.exp(-y * z))), "numba")
    assert sum(isinstance(step, Nest) for step in function.program.steps) == 1


def test_pairwise_sums_and_their_derivatives_keep_nothing_of_rank_two() -> None:
    x, y, w, v = tc.variables("x: m, y: n, w: m, v: m")
    loss = np.sum(w * np.sum(np.exp(-((x[:, None] - y) ** 2)), axis=1))
    gradient = tc.gradient(loss, x)
    product = tc.derivative(np.sum(gradient * v), x)
    roots = [loss, gradient, product]
    function = backends.compile(roots, "numba", variables=(x, y, w, v))
    assert all(step.value.ndim < 2 for step in function.program.steps)
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(size=7), "y": rng.normal(size=5)}
    arrays |= {"w": rng.normal(size=7), "v": rng.normal(size=7)}
    for root, found in zip(roots, function(**arrays), strict=True):
        wanted = tc.evaluate(root, **{k: arrays[k] for k in map(str, free_variables(root))})
        np.testing.assert_allclose(found, wanted, rtol=1e-11)


@pytest.mark.parametrize("name", ["nested", "shared", "softmax", "where"])
def test_fusion_twice_is_fusion_once(name: str) -> None:
    program = compiled(name).program
    assert str(fused(program)) == str(program)


def test_several_cores_agree_with_one(monkeypatch: Any) -> None:
    X, y, w = tc.variables("X: 4000 6, y: 4000, w: 6")
    margin = y * (X @ w)
    loss = np.sum(np.log1p(np.exp(-margin)))
    roots = [loss, tc.gradient(loss, w), np.exp(-margin), np.sum(np.exp(X), axis=0)]
    roots += [tc.gradient(np.sum((y[1:] - y[:-1]) ** 4 * np.exp(y[1:])), y), np.cumsum(w)]
    roots.append(np.sum(np.exp(y[2:] * y[:-2])))
    monkeypatch.setattr(numba_target, "PARALLEL_FROM", 1000)
    function = backends.compile(roots, "numba", variables=(X, y, w))
    rng = np.random.default_rng(1)
    arrays = {"X": rng.normal(size=(4_000, 6)), "y": rng.normal(size=4_000)}
    arrays["w"] = rng.normal(size=6)
    found = function(**arrays)
    assert "prange(" in function.source
    wanted = backends.compile(roots, variables=(X, y, w))(**arrays)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11)


# -- files on disk --------------------------------------------------------------------------------
SECOND_PROCESS = """
import numpy as np, tensorcalc as tc, backends
x, y = tc.variables("x: n, y: n")
loss = np.sum(x * y * y)
f = backends.compile([loss, tc.gradient(loss, x)], "numba")
f(x=np.ones(10), y=np.ones(10))
kernel = f._variants[0].code().function.__globals__["kernel"]
print(sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values()))
"""


def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "TENSORCALC_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    outputs = []
    for _ in range(2):
        command = [sys.executable, "-c", SECOND_PROCESS]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        hits, misses = done.stdout.split()
        outputs.append((int(hits), int(misses)))
    assert outputs == [(0, 1), (1, 0)]


# -- the automatic target -------------------------------------------------------------------------
def logistic() -> tuple[list[Any], dict[str, Any]]:
    X, y, w = tc.variables("X: m n, y: m, w: n")
    loss = np.sum(np.log1p(np.exp(-y * (X @ w))))
    rng = np.random.default_rng(2)
    arrays = {"X": rng.normal(size=(20, 10)), "y": rng.normal(size=20), "w": rng.normal(size=10)}
    return [loss, tc.gradient(loss, w), tc.hessian(loss, w)], arrays


def test_long_programs_stay_on_numpy(monkeypatch: Any) -> None:
    monkeypatch.setattr(auto_target, "SECONDS", 0.0)
    monkeypatch.setattr(auto_target, "LINES", 20)
    x = tc.variables("x: n")
    function = backends.compile(np.sum(np.sin(x) * np.exp(x)), "auto")
    for _ in range(auto_target.CALLS + 1):
        function(x=np.ones(3))
    auto_target.finish_compiling()
    assert function.target == "numpy"
    assert function.failure is None


def test_the_automatic_target_starts_on_numpy_and_goes_over(monkeypatch: Any) -> None:
    """Four threads call it before, during and after the switch."""
    monkeypatch.setattr(auto_target, "SECONDS", 0.0)
    monkeypatch.setattr(auto_target, "_seconds", lambda *_: [2.0, 1.0])
    roots, arrays = logistic()
    function = backends.compile(roots, "auto")
    wanted = function(**arrays)
    assert function.target == "numpy"
    for _ in range(auto_target.CALLS):
        function(**arrays)
    finished = threading.Event()

    def agrees() -> bool:
        found = function(**arrays)
        return all(np.allclose(a, b, rtol=1e-11) for a, b in zip(found, wanted, strict=True))

    def work() -> bool:
        agree = agrees()
        while not finished.wait(0.001):
            agree &= agrees()
        return agree & agrees()

    with ThreadPoolExecutor(4) as pool:
        threads = [pool.submit(work) for _ in range(4)]
        auto_target.finish_compiling()
        finished.set()
        assert all(thread.result() for thread in threads)
    assert function.target == "numba" and function.failure is None
    for a, b in zip(function(**arrays), wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11)


def test_the_automatic_target_stays_where_numba_is_not_faster(monkeypatch: Any) -> None:
    monkeypatch.setattr(auto_target, "SECONDS", 0.0)
    x = tc.variables("x: n")
    function = backends.compile(np.sum(x), "auto")
    for _ in range(auto_target.CALLS):
        function(x=np.ones(3))
    auto_target.finish_compiling()  # both took no time, by the clock of the tests
    assert function.target == "numpy" and function.failure is None


def test_calls_that_take_no_time_compile_nothing() -> None:
    roots, arrays = logistic()
    function = backends.compile(roots, "auto")
    for _ in range(auto_target.CALLS + 1):
        function(**arrays)
    assert function.target == "numpy" and function._numba is None


def test_a_few_calls_compile_nothing(monkeypatch: Any) -> None:
    monkeypatch.setattr(auto_target, "SECONDS", 0.0)
    roots, arrays = logistic()
    function = backends.compile(roots, "auto")
    for _ in range(auto_target.CALLS - 1):
        function(**arrays)
    assert function.target == "numpy" and function._numba is None


def test_the_comparison_takes_the_least_time_of_calls_in_turn(monkeypatch: Any) -> None:
    called: list[str] = []
    clock = iter(np.cumsum([0, 5, 0, 3, 0, 4, 0, 9] * auto_target.ROUNDS).tolist())
    monkeypatch.setattr(auto_target, "perf_counter", lambda: next(clock))
    calls = [lambda _, name=name: called.append(name) for name in "ab"]
    assert auto_target._seconds(calls, [1.0]) == [4, 3]
    assert called == ["a", "b"] * auto_target.ROUNDS


def test_an_error_in_the_background_is_warned_of_once(monkeypatch: Any) -> None:
    def failing(self: Recipe) -> Any:
        raise RuntimeError("no compiler today")

    monkeypatch.setattr(auto_target, "SECONDS", 0.0)
    monkeypatch.setattr(Recipe, "function", failing)
    roots, arrays = logistic()
    function = backends.compile(roots, "auto")
    with pytest.warns(RuntimeWarning, match="no compiler today") as caught:
        for _ in range(auto_target.CALLS):
            function(**arrays)
        auto_target.finish_compiling()
        function(**arrays)
    assert len(caught) == 1
    assert function.target == "numpy" and str(function.failure) == "no compiler today"


def test_long_programs_are_several_kernels_that_write_into_the_same_array(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two diagonals are written into a matrix by a kernel that did not make it.

    A compiled function calls the kernels, so that no array passes through Python between them.
    """
    monkeypatch.setattr(numba_kernels, "LINES", 2)
    x = tc.variables("x: n")
    hessian = tc.hessian(np.sum(x[1:] * x[:-1] * x[:-1]), x)
    function = backends.compile(hessian, "numba")
    assert function.source.count("@njit") == 5
    body = function.source.partition("def f(")[2]
    assert "run0(" in body and "kernel" not in body
    point = np.arange(5.0)
    np.testing.assert_allclose(function(x=point), tc.evaluate(hessian, x=point))


# -- what the text does not do twice --------------------------------------------------------------
def test_windows_are_copied_once_for_all_products_of_them() -> None:
    images, kernels = tc.variables("images: b 7, kernels: 3 o")
    windows = np.lib.stride_tricks.sliding_window_view(images, 3, axis=1)
    loss = np.sum(np.tanh(np.einsum("bhu,uo->bho", windows, kernels)))
    function = backends.compile([loss, tc.gradient(loss, kernels)], "numba")
    assert len(re.findall(r"np\.empty\(\((b, 5, 3|3, b, 5)\)", function.source)) == 1
    arrays = {"images": np.sin(np.arange(14.0)).reshape(2, 7), "kernels": np.cos(np.ones((3, 2)))}
    for found, root in zip(function(**arrays), function.roots, strict=True):
        np.testing.assert_allclose(found, tc.evaluate(root, **arrays), rtol=1e-12)


def test_entries_of_whole_arrays_are_one_loop_and_transposed_ones_are_not() -> None:
    """A short inner loop would leave most of its entries to scalar code."""
    X, W = tc.variables("X: m n, W: n m")
    one = backends.compile([np.tanh(X @ W)], "numba")
    assert one.source.count("    for ") == 1
    entries = np.exp(X @ W)
    other = backends.compile([np.tanh(entries + entries.T)], "numba")
    assert "        for " in other.source
    rng = np.random.default_rng(0)
    arrays = {"X": rng.normal(size=(2, 3)), "W": rng.normal(size=(3, 2))}
    for function in (one, other):
        (found,) = function(**arrays)
        np.testing.assert_allclose(found, tc.evaluate(function.roots[0], **arrays), rtol=1e-12)


def test_matrices_of_a_batch_are_read_as_they_lie() -> None:
    A, B = tc.variables("A: i t k, B: k t j")
    product = np.einsum("itk,ktj->tij", np.sin(A), np.cos(B))
    function = backends.compile(product, "numba")
    assert "batched(" in function.source and function.source.count("np.empty(") == 2
    rng = np.random.default_rng(1)
    for size in (3, 20):  # by loops and by BLAS
        arrays = {"A": rng.normal(size=(size, 2, size)), "B": rng.normal(size=(size, 2, size))}
        wanted = np.einsum("itk,ktj->tij", np.sin(arrays["A"]), np.cos(arrays["B"]))
        np.testing.assert_allclose(function(**arrays), wanted, rtol=1e-10, atol=1e-12)
