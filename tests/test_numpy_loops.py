"""Elementwise steps of NumPy programs as compiled loops: the numbers, and what is overwritten."""

import numpy as np
import pytest

import autodiff as ad
import backends
import tensorcalc as tc
from backends.numpy_loops import loop_groups
from backends.numpy_scope import Scope

pytest.importorskip("numba")

ROWS, COLUMNS = 640, 512


def in_loops(expressions, variables, donated=()):
    """The compiled function, and the loops that its program has."""
    f = backends.compile(expressions, variables=variables)
    f.donate(donated)
    f.run_in_loops()
    scope = Scope(f.program)
    return f, loop_groups(f.program, scope.last_use)


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(ROWS, COLUMNS)), rng.normal(size=(COLUMNS, ROWS))
    return {"A": A, "B": B, "c": np.float64(0.5)}


def test_steps_of_one_shape_are_one_loop(arrays):
    A, B, c = tc.variables(f"A: {ROWS} {COLUMNS}, B: {COLUMNS} {ROWS}, c")
    first = c * np.tanh(A) + B.T**2
    second = np.exp(-first) + A
    f, groups = in_loops([first, second], (A, B, c))
    assert [len(group.results) for group in groups.values()] == [2]
    found = f(**arrays)
    expected = arrays["c"] * np.tanh(arrays["A"]) + arrays["B"].T ** 2
    np.testing.assert_allclose(found[0], expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found[1], np.exp(-expected) + arrays["A"], rtol=1e-12, atol=1e-14)


def test_results_keep_their_axes_whatever_lies_in_memory(arrays):
    A, B, c = tc.variables(f"A: {ROWS} {COLUMNS}, B: {COLUMNS} {ROWS}, c")
    f, groups = in_loops([np.sin(B).T * A.T.T * c, A.T * np.cos(B)], (A, B, c))
    assert groups
    found = f(**arrays)
    np.testing.assert_allclose(
        found[0], np.sin(arrays["B"]).T * arrays["A"] * 0.5, rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose(
        found[1], arrays["A"].T * np.cos(arrays["B"]), rtol=1e-12, atol=1e-14
    )


def test_only_donated_arguments_are_overwritten(arrays):
    A, B, c = tc.variables(f"A: {ROWS} {COLUMNS}, B: {COLUMNS} {ROWS}, c")
    f, _ = in_loops([c * A + np.tanh(A), c * B + np.tanh(B)], (A, B, c), donated=(A,))
    expected = 0.5 * arrays["A"] + np.tanh(arrays["A"])
    kept = arrays["B"].copy()
    found, _ = f(**arrays)
    assert found is arrays["A"]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(arrays["B"], kept)


def test_few_entries_are_left_to_numpy():
    a, b = tc.variables("a: 100, b: 100")
    _, groups = in_loops([np.tanh(a) * b + a], (a, b))
    assert not groups


@pytest.mark.parametrize("make", [ad.optim.Adam, ad.optim.SGD])
def test_a_step_in_loops_is_the_step_of_numpy(make):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(16, 600)).astype("f"), rng.normal(size=(16, 512)).astype("f")

    def trained(target):
        ad.manual_seed(0)
        model = ad.nn.Sequential(ad.nn.Linear(600, 512), ad.nn.Tanh(), ad.nn.Linear(512, 512))
        options = {"momentum": 0.9} if make is ad.optim.SGD else {}
        optimizer = make(model.parameters(), lr=1e-2, **options)
        step = ad.compile_step(model, ad.losses.MSELoss(), optimizer, target=target)
        losses = [float(step(x, y)) for _ in range(4)]
        return losses, [p.data for p in model.parameters()]

    (ours, params), (numpy, others) = trained("auto"), trained("numpy")
    np.testing.assert_allclose(ours, numpy, rtol=1e-5)
    for param, other in zip(params, others, strict=True):
        np.testing.assert_allclose(param, other, rtol=1e-4, atol=1e-6)
