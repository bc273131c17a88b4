"""``out=``: results in arrays of the caller, on every CPU target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backends
import tensorcalc as tc
from tensorcalc.errors import ShapeError


def compiled(target: str) -> tuple[Any, dict[str, Any]]:
    if target == "numba":
        pytest.importorskip("numba", reason="numba, an optional extra, is not installed")
    X, w, y = tc.variables("X: m n, w: n, y: m")
    loss = np.sum(np.log1p(np.exp(-y * (X @ w))))
    rng = np.random.default_rng(0)
    arrays = {"X": rng.normal(size=(8, 5)), "w": rng.normal(size=5), "y": rng.normal(size=8)}
    roots = {"value": loss, "parts": [tc.gradient(loss, w), tc.hessian(loss, w)]}
    return backends.compile(roots, target, variables=(X, w, y)), arrays


@pytest.mark.parametrize("target", ["numpy", "numba", "auto"])
def test_results_come_in_the_arrays_of_the_caller(target: str) -> None:
    function, arrays = compiled(target)
    wanted = function(**arrays)
    out: Any = {"value": np.empty(()), "parts": [np.empty(5), np.empty((5, 5))]}
    for _ in range(2):
        out["parts"][1].fill(np.nan)
        assert function(**arrays, out=out) is out
        np.testing.assert_allclose(out["value"], wanted["value"], rtol=1e-13)
        for found, expected in zip(out["parts"], wanted["parts"], strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("target", ["numpy", "numba"])
def test_an_array_that_is_an_argument_too_is_written_last(target: str) -> None:
    if target == "numba":
        pytest.importorskip("numba", reason="numba, an optional extra, is not installed")
    A, B = tc.variables("A: n n, B: n n")
    function = backends.compile(A @ B + A, target)
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 6, 6))
    wanted = a @ b + a
    function(A=a, B=b, out=a)
    np.testing.assert_allclose(a, wanted, rtol=1e-13)


@pytest.mark.parametrize("order", ["F", "strided"])
def test_arrays_of_any_memory_order_are_filled(order: str) -> None:
    pytest.importorskip("numba", reason="numba, an optional extra, is not installed")
    x = tc.variables("x: n")
    function = backends.compile(np.exp(x[:, None] - 2 * x), "numba")
    out = np.empty((4, 4), order="F") if order == "F" else np.empty((4, 8))[:, ::2]
    values = np.arange(4.0)
    function(x=values, out=out)
    np.testing.assert_allclose(out, np.exp(values[:, None] - 2 * values), rtol=1e-13)


@pytest.mark.parametrize("target", ["numpy", "numba", "auto"])
def test_an_array_that_does_not_fit_is_refused(target: str) -> None:
    function, arrays = compiled(target)
    right = [np.empty(()), np.empty(5), np.empty((5, 5))]
    for position, wrong in [(1, np.empty(6)), (2, np.empty((5, 5), np.float32)), (1, [1.0])]:
        leaves = [*right[:position], wrong, *right[position + 1 :]]
        out = {"value": leaves[0], "parts": leaves[1:]}
        for _ in range(2):
            with pytest.raises(ShapeError, match="out does not fit"):
                function(**arrays, out=out)


def test_the_shapes_are_in_the_message() -> None:
    function, arrays = compiled("numpy")
    out = {"value": np.empty(()), "parts": [np.empty(6), np.empty((5, 5))]}
    with pytest.raises(ShapeError, match=r"result 1: shape \(5,\), float64\n.*shape \(6,\)"):
        function(**arrays, out=out)


def test_numba_writes_into_the_array_itself() -> None:
    pytest.importorskip("numba", reason="numba, an optional extra, is not installed")
    function, arrays = compiled("numba")
    out = {"value": np.empty(()), "parts": [np.empty(5), np.empty((5, 5))]}
    function(**arrays, out=out)
    run = function.prepared(*arrays.values())
    found = run(*arrays.values(), *out["parts"])
    assert found["parts"][0] is out["parts"][0] and found["parts"][1] is out["parts"][1]


def test_a_variable_may_be_called_out() -> None:
    x, out = tc.variables("x: n, out: n")
    function = backends.compile(x + out)
    np.testing.assert_array_equal(function(x=np.ones(2), out=np.ones(2)), [2.0, 2.0])


@pytest.mark.parametrize("target", ["numpy", "numba"])
def test_equal_results_are_arrays_of_their_own(target):
    X = tc.variables("X: n n")
    for roots in ([X * 0, X * 0], [X > 0, X > 0], [np.sin(X), np.sin(X)], [X, X]):
        first, second = backends.compile(roots, target, variables=(X,))(X=np.eye(3))
        np.testing.assert_array_equal(first, second)
        assert not np.shares_memory(first, second)
