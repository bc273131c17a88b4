"""Transforms against JAX: values, argnums, nesting over pytrees, auxiliary results, dtypes."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import autodiff as ad
from tensorcalc.errors import DerivativeError, ShapeError, TraceError

jax.config.update("jax_enable_x64", True)

Layer = namedtuple("Layer", "W b")
rng = np.random.default_rng(7)
w, X, y = rng.normal(size=3), rng.normal(size=(5, 3)), np.sign(rng.normal(size=5))
A, u = rng.normal(size=(3, 3)), rng.normal(size=3)
NET = {"layers": [Layer(rng.normal(size=(4, 3)), rng.normal(size=4))], "out": rng.normal(size=4)}


def logistic(np_: Any, w: Any, X: Any, y: Any) -> Any:
    return np_.sum(np_.log1p(np_.exp(-y * (X @ w)))) / X.shape[0]


def quadratic(np_: Any, x: Any, A: Any) -> Any:
    return x @ A @ x + np_.sum(np_.sin(x))


def network(np_: Any, params: Any, X: Any) -> Any:
    hidden = X
    for layer in params["layers"]:
        hidden = np_.tanh(hidden @ layer.W.T + layer.b)
    return np_.sum((hidden @ params["out"]) ** 2)


def ridge(np_: Any, params: Any, X: Any, y: Any) -> Any:
    residual = X @ params["w"] + params["b"] - y
    return residual @ residual + 0.1 * np_.sum(params["w"] ** 2)


def two_outputs(np_: Any, x: Any, z: Any) -> Any:
    return {"sin": np_.sin(x) * z, "dot": x @ x}


SCALAR = [
    (logistic, (w, X, y), 0),
    (logistic, (w, X, y), (0, 1)),
    (logistic, (w, X, y), -2),
    (quadratic, (u, A), (1, 0)),
    (quadratic, (u, A), [0]),
    (network, (NET, X), 0),
    (ridge, ({"w": w, "b": np.float64(0.3)}, X, y), 0),
    (ridge, ({"w": w, "b": 0.3}, X, y), (0, 2)),
]
SCALAR_IDS = [f"{f.__name__}-{argnums}" for f, _, argnums in SCALAR]


def both(function: Any) -> tuple[Any, Any]:
    """The function on NumPy and on JAX."""

    def on_numpy(*args: Any, **kwargs: Any) -> Any:
        return function(np, *args, **kwargs)

    def on_jax(*args: Any, **kwargs: Any) -> Any:
        return function(jnp, *args, **kwargs)

    return on_numpy, on_jax


def assert_same(ours: Any, theirs: Any) -> None:
    """Same nesting, shapes and numbers."""
    ours_leaves, ours_tree = jax.tree_util.tree_flatten(ours)
    theirs_leaves, theirs_tree = jax.tree_util.tree_flatten(theirs)
    assert ours_tree == theirs_tree
    for a, b in zip(ours_leaves, theirs_leaves, strict=True):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["grad", "value_and_grad", "hessian", "jacobian"])
@pytest.mark.parametrize(("function", "args", "argnums"), SCALAR, ids=SCALAR_IDS)
def test_transforms_of_scalar_functions_agree_with_jax(
    name: str, function: Any, args: Any, argnums: Any
) -> None:
    ours, theirs = both(function)
    result = getattr(ad, name)(ours, argnums=argnums)(*args)
    jax_argnums = tuple(argnums) if isinstance(argnums, list) else argnums
    assert_same(result, jax.jit(getattr(jax, name)(theirs, argnums=jax_argnums))(*args))


@pytest.mark.parametrize("argnums", [0, 1, (0, 1)])
def test_jacobian_nests_outputs_outside_arguments(argnums: Any) -> None:
    ours, theirs = both(two_outputs)
    z = rng.normal(size=3)
    expected = jax.jit(jax.jacobian(theirs, argnums=argnums))(u, z)
    assert_same(ad.jacobian(ours, argnums=argnums)(u, z), expected)


def test_jvp_agrees_with_jax() -> None:
    ours, theirs = both(two_outputs)
    z, tangents = rng.normal(size=3), (rng.normal(size=3), rng.normal(size=3))
    assert_same(ad.jvp(ours, (u, z), tangents), jax.jvp(theirs, (u, z), tangents))


def test_jvp_of_nested_parameters_agrees_with_jax() -> None:
    ours, theirs = both(network)
    tangents = (NET, np.ones_like(X))
    assert_same(ad.jvp(ours, (NET, X), tangents), jax.jvp(theirs, (NET, X), tangents))


def test_a_tangent_of_none_is_zero() -> None:
    ours, _ = both(logistic)
    zeros = (np.zeros_like(X), np.zeros_like(y))
    assert_same(ad.jvp(ours, (w, X, y), (u, None, None)), ad.jvp(ours, (w, X, y), (u, *zeros)))


def test_vjp_agrees_with_jax() -> None:
    ours, theirs = both(two_outputs)
    z, adjoint = rng.normal(size=3), {"sin": rng.normal(size=3), "dot": np.float64(0.7)}
    value, pullback = ad.vjp(ours, u, z)
    jax_value, jax_pullback = jax.vjp(theirs, u, z)
    assert_same(value, jax_value)
    assert_same(pullback(adjoint), jax_pullback(adjoint))


def test_hvp_is_the_recipe_of_the_jax_cookbook() -> None:
    ours, theirs = both(network)
    tangents = (jax.tree_util.tree_map(np.ones_like, NET), np.ones_like(X))
    expected = jax.jit(lambda *at: jax.jvp(jax.grad(theirs), at, tangents)[1])(NET, X)
    assert_same(ad.hvp(ours, (NET, X), tangents), expected)


def test_hvp_leaves_data_alone_where_the_tangent_is_none() -> None:
    ours, _ = both(logistic)
    expected = ad.hessian(ours)(w, X, y) @ u
    np.testing.assert_allclose(ad.hvp(ours, (w, X, y), (u, None, None)), expected, atol=1e-14)


def with_aux(np_: Any, x: Any, A: Any) -> Any:
    product = A @ x
    return np_.sum(product**2), {"product": product, "label": "kept", "rows": A.shape[0]}


@pytest.mark.parametrize("name", ["grad", "value_and_grad", "hessian", "jacobian"])
def test_auxiliary_results_are_returned_as_jax_does(name: str) -> None:
    ours, theirs = both(with_aux)
    result = getattr(ad, name)(ours, has_aux=True)(u, A)

    def theirs_with_array(x: Any, A: Any) -> Any:
        value, aux = theirs(x, A)
        return value, aux["product"]

    expected = getattr(jax, name)(theirs_with_array, has_aux=True)(u, A)
    aux = result[0][1] if name == "value_and_grad" else result[1]
    assert aux["label"] == "kept" and aux["rows"] == 3
    only = aux["product"]
    pair = name == "value_and_grad"
    assert_same(((result[0][0], only), result[1]) if pair else (result[0], only), expected)


def test_auxiliary_results_of_jvp_and_vjp_come_last() -> None:
    ours, _ = both(with_aux)
    *_, aux = ad.jvp(ours, (u, A), (w, None), has_aux=True)
    np.testing.assert_allclose(aux["product"], A @ u)
    value, pullback, aux = ad.vjp(ours, u, A, has_aux=True)
    np.testing.assert_allclose(aux["product"], A @ u)
    np.testing.assert_allclose(pullback(1.0)[0], 2 * A.T @ (A @ u))
    np.testing.assert_allclose(value, np.sum((A @ u) ** 2))


def test_transforms_nest() -> None:
    ours, theirs = both(quadratic)

    def of_gradient(transform: Any, function: Any) -> Any:
        return transform(lambda x: transform(function)(x, A) @ w)

    assert_same(of_gradient(ad.grad, ours)(u), jax.jit(of_gradient(jax.grad, theirs))(u))
    assert_same(ad.jacobian(ad.grad(ours))(u, A), ad.hessian(ours)(u, A))


def test_third_derivative_agrees_with_jax() -> None:
    ours, theirs = both(quadratic)
    third = ad.jacobian(ad.hessian(ours))(u, A)
    assert_same(third, jax.jit(jax.jacobian(jax.hessian(theirs)))(u, A))


def test_an_inner_derivative_is_not_confused_with_the_outer_variable() -> None:
    result = ad.grad(lambda x: x * ad.grad(lambda x_: x_ * x)(1.0))(3.0)
    assert result == 6.0


def test_a_python_float_gives_a_numpy_scalar() -> None:
    result = ad.grad(lambda x: x**3)(2.0)
    assert isinstance(result, np.float64) and result == 12.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_have_the_dtype_of_the_argument(dtype: Any) -> None:
    function, _ = both(logistic)
    args = [array.astype(dtype) for array in (w, X, y)]
    value, gradient = ad.value_and_grad(function)(*args)
    assert value.dtype == gradient.dtype == dtype
    assert ad.hessian(function)(*args).dtype == dtype
    assert ad.hessian(lambda x: np.sum(x**2))(args[0]).dtype == dtype
    np.testing.assert_allclose(gradient, ad.grad(function)(w, X, y), rtol=1e-4)


@pytest.mark.parametrize("transform", [ad.grad, ad.jacobian, ad.hessian])
def test_one_trace_serves_both_precisions_with_their_own_dtypes(transform: Any) -> None:
    derived = transform(lambda x, scale: scale * np.sum(np.tanh(x)) ** 2)
    x = np.linspace(0.1, 0.5, 4)
    for dtype in (np.float64, np.float32, np.float64):
        assert derived(x.astype(dtype), 0.5).dtype == dtype
    assert derived.traces == 1


def test_results_own_their_memory() -> None:
    c = np.array([1.0, 2.0, 3.0])
    gradient = ad.grad(lambda x, c: c @ x)(u, c)
    gradient[0] = 99.0
    assert c[0] == 1.0
    jacobian = ad.jacobian(lambda x, A: A @ x)(u, A)
    assert not np.shares_memory(jacobian, A)
    first, second = ad.grad(lambda a, b: np.sum(a) + np.sum(b), argnums=(0, 1))(u, u)
    first[0] = 5.0
    assert second[0] == 1.0


def test_the_gradient_of_an_unused_argument_is_zero() -> None:
    gradient = ad.grad(lambda x, z: np.sum(x), argnums=1)(u, X)
    np.testing.assert_array_equal(gradient, np.zeros((5, 3)))


def test_formula_and_source_can_be_looked_at() -> None:
    def form(x: Any, A: Any) -> Any:
        return x @ A @ x

    gradient = ad.grad(form)
    assert gradient.formula(u, A).shape == ad.hessian(form).formula(u, A).shape[:1]
    assert "def f(" in gradient.source(u, A)


# -- errors ---------------------------------------------------------------------------------------
def test_a_loss_that_is_no_scalar_is_refused_with_its_shape() -> None:
    with pytest.raises(DerivativeError, match=r"grad needs .* scalar(.|\n)*\(3,\)(.|\n)*jacobian"):
        ad.grad(lambda x: x**2)(u)


def test_a_nested_loss_is_refused() -> None:
    with pytest.raises(DerivativeError, match="scalar"):
        ad.grad(lambda x: (x @ x, x @ x))(u)


@pytest.mark.parametrize("value", [np.arange(3), 3, True, np.array([True])])
def test_integer_input_is_refused_with_argument_and_remedy(value: Any) -> None:
    message = r"real numbers(.|\n)*argument 1(.|\n)*astype\(float\)"
    with pytest.raises(DerivativeError, match=message):
        ad.grad(lambda x, k: np.sum(x) * np.sum(k), argnums=1)(u, value)


def test_the_integer_leaf_of_nested_parameters_is_named() -> None:
    with pytest.raises(DerivativeError, match=r"argument 0\['a'\]\[1\]"):
        ad.grad(lambda p: np.sum(p["a"][0]))({"a": [u, np.arange(2)]})


def test_argnums_out_of_range_are_refused() -> None:
    with pytest.raises(DerivativeError, match="argument 2, but the call has 1"):
        ad.grad(lambda x: x @ x, argnums=2)(u)


def test_a_tangent_of_another_shape_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"tangent 0: shape \(2,\)(.|\n)*primal 0: shape \(3,\)"):
        ad.jvp(lambda x: x**2, (u,), (np.ones(2),))


def test_an_adjoint_of_another_nesting_is_refused() -> None:
    _, pullback = ad.vjp(lambda x: x**2, u)
    with pytest.raises(ShapeError, match="nesting"):
        pullback((u, u))


@pytest.mark.parametrize("transform", [ad.grad, ad.jacobian, ad.hessian])
def test_a_function_that_returns_nothing_is_refused(transform: Any) -> None:
    with pytest.raises(TraceError, match=r"returned None(.|\n)*return statement"):
        transform(lambda x: None)(u)


def test_a_gradient_of_a_pair_names_has_aux() -> None:
    with pytest.raises(DerivativeError, match="has_aux=True"):
        ad.grad(lambda x: (np.sum(x), x))(u)


def test_a_function_that_returns_text_is_refused() -> None:
    with pytest.raises(TraceError, match="str"):
        ad.jacobian(lambda x: "text")(u)


@pytest.mark.parametrize("argnums", [0, 1, (0, 1), (1, 0)])
def test_hessian_of_arrays_nests_outputs_outside_two_arguments(argnums: Any) -> None:
    ours, theirs = both(two_outputs)
    z = rng.normal(size=3)
    expected = jax.jit(jax.hessian(theirs, argnums=argnums))(u, z)
    assert_same(ad.hessian(ours, argnums=argnums)(u, z), expected)


def test_hessian_of_an_array_by_nested_parameters() -> None:
    ours, theirs = both(lambda m, p: [m.sin(p["a"] @ p["b"]), p["b"] ** 3])
    p = {"a": rng.normal(size=3), "b": rng.normal(size=(3, 2))}
    assert_same(ad.hessian(ours)(p), jax.jit(jax.hessian(theirs))(p))


def test_hessian_of_an_array_with_aux() -> None:
    ours, theirs = both(lambda m, x: (x**3, {"twice": 2 * x}))
    assert_same(ad.hessian(ours, has_aux=True)(u), jax.jit(jax.hessian(theirs, has_aux=True))(u))


@pytest.mark.parametrize("option", [{"structured": True}, {"memory": "1 MB"}])
def test_structured_hessian_of_a_vector_names_the_remedy(option: Any) -> None:
    with pytest.raises(DerivativeError, match=r"hessian needs(.|\n)*hessian without"):
        ad.hessian(lambda x: x**2, **option)(u)
