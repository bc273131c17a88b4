"""Tracing: once for all sizes, guards, closures and globals, arrays met on the way."""

from __future__ import annotations

import functools
import gc
import weakref
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.arguments import arguments_of, leaf_names
from tensorcalc import nodes
from tensorcalc.nodes import free_variables

rng = np.random.default_rng(3)
SIZES = [2, 3, 4, 5, 7, 8, 11, 13, 17, 20]
scale = 2.0
data = np.arange(3.0)


def mean_square(w: Any, X: Any, y: Any) -> Any:
    residual = X @ w - y
    return np.sum(residual**2) / X.shape[0]


def centred(w: Any, X: Any, y: Any) -> Any:
    rows, columns = X.shape
    centre = np.sum(X, axis=0) / rows
    return np.sum((X - centre) @ w - y) ** 2 / (rows * columns)


def by_method(w: Any, X: Any, y: Any) -> Any:
    return (X.T @ (X @ w - y)).sum()


def over_parts(w: Any, X: Any, y: Any) -> Any:
    return sum(np.sum(part) for part in [np.exp(-w), X @ w, y * y])


@pytest.mark.parametrize("function", [mean_square, centred, by_method, over_parts])
@pytest.mark.parametrize("transform", [ad.grad, ad.hessian])
def test_ten_sizes_are_traced_once(transform: Any, function: Any) -> None:
    def fresh(w: Any, X: Any, y: Any) -> Any:
        return function(w, X, y)

    derived = transform(fresh)
    for n in SIZES:
        w, X, y = rng.normal(size=n), rng.normal(size=(2 * n + 1, n)), rng.normal(size=2 * n + 1)
        result = derived(w, X, y)
        assert result.shape == (n,) * result.ndim
    assert ad.trace_count(derived) == ad.trace_count(fresh) == 1


def test_equal_sizes_that_were_not_asked_about_stay_apart() -> None:
    derived = ad.grad(lambda x, y: np.sum(x) * np.sum(y))
    derived(np.ones(3), np.ones(3))
    np.testing.assert_array_equal(derived(np.ones(2), np.ones(5)), [5.0, 5.0])
    assert derived.traces == 1


def test_transforms_of_one_function_share_its_trace() -> None:
    def function(x: Any) -> Any:
        return x @ x

    x = np.ones(3)
    ad.grad(function)(x), ad.hessian(function)(x), ad.value_and_grad(function)(x)
    ad.grad(function)(np.ones(4))
    assert ad.trace_count(function) == 1


def test_a_range_pins_its_extent() -> None:
    def prefix(x: Any) -> Any:
        return sum(x[k] ** 2 for k in range(x.shape[0]))

    derived = ad.grad(prefix)
    for n, traces in ((3, 1), (3, 1), (4, 2), (3, 2), (4, 2), (5, 3)):
        x = rng.normal(size=n)
        np.testing.assert_allclose(derived(x), 2 * x)
        assert derived.traces == traces


def test_an_answered_comparison_of_extents_is_a_guard() -> None:
    def tall_or_wide(X: Any) -> Any:
        return np.sum(X**2) if X.shape[0] > X.shape[1] else np.sum(X**3)

    derived = ad.grad(tall_or_wide)
    for shape, power, traces in (((4, 2), 2, 1), ((9, 5), 2, 1), ((2, 4), 3, 2), ((3, 3), 3, 2)):
        X = rng.normal(size=shape)
        np.testing.assert_allclose(derived(X), power * X ** (power - 1))
        assert derived.traces == traces


def test_singular_values_of_wide_and_tall_matrices_are_two_traces() -> None:
    slope = ad.grad(lambda a: np.linalg.norm(a, "nuc"))
    for shape in [(2, 5), (5, 2), (3, 7), (7, 3)]:
        a = np.random.default_rng(0).normal(size=shape)
        u, _, vt = np.linalg.svd(a, full_matrices=False)
        np.testing.assert_allclose(slope(a), u @ vt, atol=1e-12)
    assert slope.traces == 2


def test_axes_of_size_one_have_a_trace_of_their_own() -> None:
    derived = ad.grad(lambda x, y: np.sum(x * y))
    for n, traces in ((3, 1), (1, 2), (5, 2), (1, 2)):
        x, y = rng.normal(size=n), rng.normal(size=(4, 3) if n == 1 else (4, n))
        expected = [np.sum(y)] if n == 1 else y.sum(axis=0)
        np.testing.assert_allclose(derived(x, y), expected)
        assert derived.traces == traces


def test_another_rank_or_kind_of_dtype_is_another_trace() -> None:
    derived = ad.grad(lambda x, k: np.sum(x * x * k))
    derived(np.ones(3), np.ones(3))
    derived(np.ones(3, np.float32), np.ones(3))
    assert derived.traces == 1
    derived(np.ones((3, 2)), np.ones((3, 2)))
    assert derived.traces == 2
    derived(np.ones(3), np.arange(3))
    assert derived.traces == 3


def test_python_ints_and_keyword_values_are_constants() -> None:
    def power_sum(x: Any, k: int, *, shift: float = 0.0, name: str = "sum") -> Any:
        total = np.zeros_like(x)
        for _ in range(k):
            total = total + x
        return np.sum((total + shift) ** 2) if name == "sum" else np.sum(x)

    x, derived = np.array([1.0, -2.0]), ad.grad(power_sum)
    np.testing.assert_allclose(derived(x, 3), 18 * x)
    np.testing.assert_allclose(derived(x, 2, shift=1.0), 4 * (2 * x + 1))
    np.testing.assert_allclose(derived(x, 2, name="other"), [1.0, 1.0])
    assert derived.traces == 3
    derived(x, 2, shift=1.0)
    assert derived.traces == 3


def test_positional_floats_are_traced() -> None:
    derived = ad.grad(lambda x, c: c * np.sum(x * x))
    for c in (1.0, 2.5, -3.0):
        np.testing.assert_allclose(derived(np.ones(2), c), [2 * c, 2 * c])
    assert derived.traces == 1


def test_keyword_arrays_are_traced() -> None:
    derived = ad.grad(lambda x, data: np.sum(x * data["a"]))
    for n in (2, 3, 4):
        a = rng.normal(size=n)
        np.testing.assert_allclose(derived(np.ones(n), data={"a": a}), a)
    assert derived.traces == 1


def test_comprehensions_and_closures_work() -> None:
    weights = [1.0, 2.0, 3.0]
    derived = ad.grad(lambda xs: sum(c * np.sum(x**2) for c, x in zip(weights, xs, strict=True)))
    xs = [rng.normal(size=n) for n in (2, 3, 4)]
    for c, x, g in zip(weights, xs, derived(xs), strict=True):
        np.testing.assert_allclose(g, 2 * c * x)


# -- what the function reads besides its arguments ------------------------------------------------
def test_arrays_in_closures_are_read_at_call_time() -> None:
    X = rng.normal(size=(3, 2))
    derived = ad.grad(lambda w: np.sum(X @ w))
    before = derived(np.ones(2))
    X[:] *= 2
    np.testing.assert_allclose(derived(np.ones(2)), 2 * before)
    assert derived.traces == 1


def test_a_rebound_closure_is_noticed() -> None:
    factor, X = 2.0, rng.normal(size=(3, 2))
    derived = ad.grad(lambda w: factor * np.sum(X @ w))
    np.testing.assert_allclose(derived(np.ones(2)), 2 * X.sum(axis=0))
    factor = 3.0
    np.testing.assert_allclose(derived(np.ones(2)), 3 * X.sum(axis=0))
    X = rng.normal(size=(5, 2))
    np.testing.assert_allclose(derived(np.ones(2)), 3 * X.sum(axis=0))
    assert derived.traces == 3


def helper(x: Any) -> Any:
    return scale * np.sum(x * data)


def calls_helper(x: Any) -> Any:
    return helper(x)


def test_rebound_globals_are_noticed_also_behind_other_functions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    derived = ad.grad(calls_helper)
    np.testing.assert_allclose(derived(np.ones(3)), 2 * np.arange(3))
    monkeypatch.setitem(globals(), "scale", 5.0)
    np.testing.assert_allclose(derived(np.ones(3)), 5 * np.arange(3))
    monkeypatch.setitem(globals(), "data", np.ones(3))
    np.testing.assert_allclose(derived(np.ones(3)), [5.0, 5.0, 5.0])
    monkeypatch.setitem(globals(), "helper", np.sum)
    np.testing.assert_allclose(derived(np.ones(3)), [1.0, 1.0, 1.0])
    assert derived.traces == 4


def test_a_rebinding_to_the_same_number_is_no_reason_to_trace() -> None:
    factor = float("2.5")
    derived = ad.grad(lambda w: factor * np.sum(w))
    derived(np.ones(2))
    factor = float("2.5")
    derived(np.ones(2))
    assert derived.traces == 1


def test_items_of_dicts_and_attributes_of_objects_are_watched() -> None:
    class Model:
        strength = 1.0

        def loss(self, w: Any) -> Any:
            return self.strength * np.sum(w**2)

    settings, model = {"shift": 1.0}, Model()
    derived = ad.grad(lambda w: settings["shift"] * model.loss(w))
    w = np.ones(2)
    assert derived(w)[0] == 2.0
    settings["shift"] = 3.0
    assert derived(w)[0] == 6.0
    model.strength = 5.0
    assert derived(w)[0] == 30.0


def test_methods_and_partials_can_be_differentiated() -> None:
    class Model:
        def __init__(self) -> None:
            self.X = rng.normal(size=(3, 2))

        def loss(self, w: Any) -> Any:
            return np.sum(self.X @ w)

    model = Model()
    derived = ad.grad(model.loss)
    np.testing.assert_allclose(derived(np.ones(2)), model.X.sum(axis=0))
    model.X = np.ones((4, 2))
    np.testing.assert_allclose(derived(np.ones(2)), [4.0, 4.0])
    partial = functools.partial(lambda c, x: c * np.sum(x), 3.0)
    np.testing.assert_allclose(ad.grad(partial)(np.ones(2)), [3.0, 3.0])


def test_what_an_inner_derivative_reads_is_watched_and_nothing_else() -> None:
    factor = 2.0
    inner = ad.grad(lambda x: factor * np.sum(x**3))
    outer = ad.grad(lambda x: np.sum(inner(x)))
    x = np.ones(2)
    assert outer(x)[0] == 12.0 and inner(x)[0] == 6.0
    assert outer(x)[0] == 12.0 and outer.traces == 1
    factor = 1.0
    assert outer(x)[0] == 6.0 and outer.traces == 2


def test_two_instances_of_a_class_are_both_watched() -> None:
    class Term:
        def __init__(self, c: float) -> None:
            self.c = c

        def value(self, x: Any) -> Any:
            return self.c * np.sum(x)

    first, second = Term(1.0), Term(2.0)
    derived = ad.grad(lambda x: first.value(x) + second.value(x))
    assert derived(np.ones(2))[0] == 3.0
    second.c = 5.0
    assert derived(np.ones(2))[0] == 6.0


def test_traces_do_not_keep_the_function_alive() -> None:
    def function(x: Any) -> Any:
        return x @ x

    ad.grad(function)(np.ones(3))
    reference = weakref.ref(function)
    del function
    gc.collect()
    assert reference() is None


# -- nodes and names ------------------------------------------------------------------------------
def test_the_same_function_traced_twice_gives_the_same_nodes() -> None:
    def make() -> Any:
        return lambda w, X: np.sum(np.tanh(X @ w) * np.array([1.0, 2.0, 3.0]))

    X = np.ones((3, 2))
    first, second = (ad.grad(make()).formula(np.ones(2), X) for _ in range(2))
    assert first is second


def test_variables_have_the_names_that_the_code_has_for_them() -> None:
    table = np.ones((4, 3))

    def function(params: Any, x: Any) -> Any:
        linear = np.sum(params["W"] @ x) + params["b"]
        return linear + np.sum(table @ x) + np.sum(np.arange(3.0) * x)

    args = ({"W": np.ones((2, 3)), "b": 0.5}, np.ones(3))
    formula = ad.value_and_grad(function).formula(*args)[0]
    assert {v.name for v in free_variables(formula)} == {"W", "b", "x", "table", "c1"}


@pytest.mark.parametrize(
    ("tree", "names"),
    [
        ({"W": 1.0, "b": 1.0}, ["W", "b"]),
        ([1.0, 1.0], ["params_0", "params_1"]),
        ([{"W": 1.0}, {"W": 1.0}], ["params_0_W", "params_1_W"]),
        ({"lambda": 1.0, "n0": 1.0}, ["params_lambda", "n0_"]),
        (1.0, ["params"]),
    ],
)
def test_leaves_are_named_by_valid_identifiers(tree: Any, names: list[str]) -> None:
    assert leaf_names(lambda params: None, arguments_of((tree,), {})) == names


# -- work ----------------------------------------------------------------------------------------
def chain(weights: Any, x: Any) -> Any:
    for W in weights:
        x = np.tanh(W @ x)
    return np.sum(x)


def _derivation_work(monkeypatch: pytest.MonkeyPatch, layers: int) -> int:
    """Nodes that are looked up while the gradients of a chain of new weights are derived."""
    weights = [rng.normal(size=(5, 5)) for _ in range(layers)]
    made: list[Any] = []
    intern = nodes._intern

    def counted(*key: Any, **fields: Any) -> Any:
        made.append(key)
        return intern(*key, **fields)

    with monkeypatch.context() as patch:
        patch.setattr(nodes, "_intern", counted)
        ad.grad(lambda Ws, x: chain(Ws, x)).formula(weights, np.ones(5))
    return len(made)


def test_all_gradients_of_a_chain_are_derived_in_linear_work(monkeypatch: Any) -> None:
    short, long = (_derivation_work(monkeypatch, layers) for layers in (25, 100))
    assert 3 * short < long < 5 * short


def test_the_derived_chain_is_right() -> None:
    weights = [rng.normal(size=(4, 4)) / 2 for _ in range(20)]
    ad.check(chain, weights, np.ones(4), order=1)


def test_slices_that_end_with_their_axis_are_views():
    """The last bound is met exactly, so the axis is known to be four times as long."""

    def gates(z, c):
        n = c.shape[0]
        return np.sum(c * np.tanh(z[n : 2 * n]) * z[3 * n : 4 * n] ** 2)

    gradient = ad.grad(gates)
    z, c = np.linspace(0, 1, 12), np.arange(3.0)
    h = 1e-6 * np.eye(12)
    differences = [(gates(z + e, c) - gates(z - e, c)) / 2e-6 for e in h]
    np.testing.assert_allclose(gradient(z, c), differences, atol=1e-8)
    assert "affine_view" not in gradient.source(z, c)
    assert gradient(np.ones(16), np.ones(3)).shape == (16,)
    assert gradient(np.ones(20), np.ones(5)).shape == (20,)
    assert gradient.traces == 2
