"""Windows of arrays on the NumPy target: convolutions, pooling and their adjoints."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import backends
import tensorcalc as tc
from autodiff.nn import functional
from backends.numpy_writer import released
from backends.unrolling import unrolled
from tensorcalc.nodes import Apply, Variable, postorder
from tensorcalc.operations.helpers import function

RNG = np.random.default_rng(0)


def checked(y: Any, *variables: Any) -> Any:
    """``y`` and its adjoints compiled, and compared with the oracle."""
    seed = Variable("seed", y.extents)
    roots = [y, *(tc.vjp(y, x, seed) for x in variables)]
    compiled = backends.compile(roots, variables=(*variables, seed))
    values = {v.name: RNG.integers(-4, 5, v.extents).astype(float) for v in (*variables, seed)}
    for found, root in zip(compiled(**values), roots, strict=True):
        own = {v.name: values[v.name] for v in tc.free_variables(root)}
        np.testing.assert_allclose(found, tc.evaluate(root, **own), atol=1e-12)
    return compiled


@given(
    st.integers(1, 3), st.integers(0, 2), st.integers(1, 2), st.integers(1, 3), st.integers(5, 8)
)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_convolutions_are_products_with_windows(stride, padding, dilation, width, size):
    x, w = Variable("x", (2, 3, size, 7)), Variable("w", (4, 3, width, 2))
    checked(functional.conv2d(x, w, None, stride, padding, dilation), x, w)


@pytest.mark.parametrize("pool", [functional.max_pool2d, functional.avg_pool2d])
@pytest.mark.parametrize("width, stride, padding", [(2, 2, 0), (3, 2, 1), (2, 1, 0), (3, 3, 1)])
def test_pooling_and_its_adjoint(pool, width, stride, padding):
    x = Variable("x", (2, 3, 6, 7))
    checked(pool(x, width, stride, padding), x)


def test_a_convolution_makes_windows_of_its_input_and_no_band_matrix_of_its_kernel():
    x, w = Variable("x", (2, 3, 9, 8)), Variable("w", (4, 3, 3, 3))
    steps = str(checked(functional.conv2d(x, w, None, 1, 1), x, w).program).splitlines()
    views = [line for line in steps if "view w[" in line]
    assert views and all("[4, 3, 3, 3]" in line for line in views), "only turned round"
    assert not any("indicator" in line for line in steps)


def test_windows_of_windows_are_one_view():
    x, w = Variable("x", (2, 3, 9, 8)), Variable("w", (4, 3, 3, 3))
    program = str(backends.compile(functional.conv2d(x, w, None, 1, 1)).program)
    assert len(re.findall("view", program)) == 2, "the windows, and the result's order of axes"


def test_windows_are_multiplied_in_blocks_with_the_same_result():
    x, w = Variable("x", (40, 16, 24, 24)), Variable("w", (8, 16, 5, 5))
    compiled = backends.compile(functional.conv2d(x, w))
    a, b = (RNG.normal(size=v.extents).astype("f4") for v in (x, w))
    shown = np.lib.stride_tricks.sliding_window_view(a, (5, 5), axis=(2, 3))
    wanted = np.einsum("bcyxuv,ocuv->boyx", shown, b, optimize=True)
    np.testing.assert_allclose(compiled(x=a, w=b), wanted, rtol=1e-4, atol=1e-4)
    assert "rows_by_blocks" in compiled.source


def test_short_windows_are_written_out():
    """No reduction over a short axis and no mask of all positions is left of max-pooling."""
    x = Variable("x", (2, 3, 6, 8))
    y = functional.max_pool2d(x, 2)
    compiled = checked(y, x)
    assert "reduce" not in compiled.source and "argmax_mask" not in compiled.source
    assert compiled.source.count("np.maximum") == 3


@pytest.mark.parametrize("axis", [17, 1])
def test_long_or_trivial_windows_are_not_written_out(axis):
    x = Variable("x", (2, 3, axis))
    assert unrolled(np.max(x, axis=-1)) is None


def test_ties_within_a_window_give_the_adjoint_to_the_first_entry():
    x = Variable("x", (1, 1, 2, 2))
    g = tc.gradient(np.sum(functional.max_pool2d(x, 2)), x)
    assert any(isinstance(n, Apply) and n.operation.name == "argmax_mask" for n in postorder(g))
    found = backends.compile(g)(x=np.array([[[[1.0, 3.0], [3.0, 3.0]]]]))
    np.testing.assert_array_equal(found[0, 0], [[0, 1], [0, 0]])


@pytest.mark.parametrize("reduction", [np.max, np.min])
@pytest.mark.parametrize("target", ["numpy", "numba"])
def test_nan_in_a_window_propagates_and_its_first_place_gets_the_adjoint(reduction, target):
    x = Variable("x", (6, 3))
    y = reduction(np.lib.stride_tricks.sliding_window_view(x, 3, axis=1), axis=-1)[:, 0]
    nan, inf = np.nan, np.inf
    a = np.array([[nan, 1, 2], [1, nan, 3], [2, 1, nan], [1, nan, nan], [nan] * 3, [inf] * 3])
    roots = [y, tc.gradient(np.sum(y * np.arange(1.0, 7.0)), x)]
    found = backends.compile(roots, target, variables=(x,))(x=a)
    for value, root in zip(found, roots, strict=True):
        np.testing.assert_array_equal(value, tc.evaluate(root, x=a))
    np.testing.assert_array_equal(np.count_nonzero(found[1], axis=1), 1)


def test_what_a_mask_leaves_out_may_be_infinite_in_large_arrays():
    mask, x = Variable("mask", (100, 100), ("boolean",)), Variable("x", (100, 100))
    compiled = backends.compile(mask * x)
    values = np.full((100, 100), np.nan)
    kept = np.eye(100, dtype=bool)
    values[kept] = -np.arange(100.0)
    for dtype in ("f8", "f4"):
        found = compiled(mask=kept, x=values.astype(dtype))
        np.testing.assert_array_equal(found, np.diag(-np.arange(100.0)))
        assert found.dtype == dtype


def test_sums_over_first_axes_of_large_arrays():
    x = Variable("x", (70, 30, 5))
    a = RNG.normal(size=x.extents)
    found = backends.compile(np.sum(x, axis=(0, 1)))(x=a)
    np.testing.assert_allclose(found, a.sum(axis=(0, 1)), rtol=1e-12)


def test_rows_added_up_at_an_index():
    """Few places go through a matrix product, many through np.add.at."""
    for places in (7, 600):
        table, index = Variable("table", (places, 16)), Variable("index", (300,), ("integer",))
        seed = Variable("seed", (300, 16))
        compiled = backends.compile(tc.vjp(table[index], table, seed))
        at, values = RNG.integers(0, places, 300), RNG.normal(size=(300, 16))
        wanted = np.zeros((places, 16))
        np.add.at(wanted, at, values)
        np.testing.assert_allclose(compiled(index=at, seed=values), wanted, rtol=1e-12)


def test_normal_distribution_in_single_precision_by_blocks():
    x = np.linspace(-9, 6, 50_000, dtype="f4")
    found = function("ndtr")(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, special.ndtr(x.astype("f8")), rtol=6e-6)
    extreme = np.resize(np.array([np.inf, -np.inf, np.nan, 0], "f4"), 5000)
    np.testing.assert_array_equal(function("ndtr")(extreme)[:4], [1, 0, np.nan, 0.5])


def test_elementwise_steps_in_a_row_are_written_for_blocks_of_rows():
    """Every step agrees with its formula, those that are results and those read again later."""
    x, b, row = Variable("x", (1100, 1000)), Variable("b", (1000,)), Variable("row", (1100,))
    first = np.tanh(x + b)
    second = first * row[:, None] - 3 * x
    roots = [np.where(second > 0, first, 0) + x, second, np.sum(first, axis=0)]
    compiled = backends.compile(roots, variables=(x, b, row))
    values = {v.name: RNG.normal(size=v.extents) for v in (x, b, row)}
    kept = {name: value.copy() for name, value in values.items()}
    for _ in range(2):
        found = compiled(**values)
        for value, root in zip(found, roots, strict=True):
            own = {v.name: kept[v.name] for v in tc.free_variables(root)}
            np.testing.assert_allclose(value, tc.evaluate(root, **own), rtol=1e-9, atol=1e-12)
    assert "in_blocks(" in compiled._variants[0].code(pooled=True).source
    assert all(np.array_equal(values[name], kept[name]) for name in kept)


def test_names_are_given_up_after_the_line_that_reads_them_last():
    lines = ["t1 = a + b", "t2 = t1 * t1", "t3 = t2 + t1", "t4 = t3 + 1"]
    assert released(lines, "[t4, t2]") == [
        "t1 = a + b",
        "t2 = t1 * t1",
        "t3 = t2 + t1",
        "del t1",
        "t4 = t3 + 1",
        "del t3",
    ]
