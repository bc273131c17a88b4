"""The JAX target against the oracle, and as a function that JAX transforms."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backends
import tensorcalc as tc

from .examples import EXAMPLES
from .test_numpy_target import CASES, SIZES, arguments, reference, roots_of

jax.config.update("jax_enable_x64", True)

X, w, y = tc.variables("X: m n, w: n, y: m")
LOSS = np.sum(np.logaddexp(0, -y * (X @ w)))


@pytest.mark.parametrize("name", list(CASES)[::2])
def test_values_and_derivatives_agree_with_the_oracle(name: str) -> None:
    roots = roots_of(name)
    variables = tc.free_variables(*roots, CASES[name][1])
    function = backends.compile(roots, target="jax", variables=variables)
    values = arguments(name, SIZES[0])
    for root, found in zip(roots, function(**values), strict=True):
        wanted = reference(root, values, SIZES[0])
        np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("example", EXAMPLES[::16], ids=str)
def test_examples_agree_with_the_oracle(example: Any) -> None:
    variables = example.declared()
    tower = [example.expression(), tc.derivative(example.expression(), variables[0])]
    function = backends.compile(tower, target="jax", variables=variables)
    for found, expression in zip(function(**example.values()), tower, strict=True):
        wanted = example.evaluate(expression)
        np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-9, atol=1e-10)


def test_jax_transforms_the_compiled_function() -> None:
    rng = np.random.default_rng(0)
    data = rng.random((5, 3)), rng.random(3), rng.random(5)
    loss = backends.compile(LOSS, target="jax", variables=(X, w, y))
    gradient = backends.compile(tc.gradient(LOSS, w), target="jax", variables=(X, w, y))
    np.testing.assert_allclose(jax.grad(loss.call, argnums=1)(*data), gradient.call(*data))
    many = jnp.stack([data[1], 2 * data[1]])
    rows = jax.vmap(loss.call, in_axes=(None, 0, None))(data[0], many, data[2])
    np.testing.assert_allclose(rows[1], loss.call(data[0], 2 * data[1], data[2]))


def test_the_source_is_pure_jax() -> None:
    source = backends.compile(tc.hessian(LOSS, w), target="jax").source
    assert "import jax.numpy as jnp" in source and "np." not in source.replace("jnp.", "")


def test_float64_without_x64_is_refused_with_the_remedy() -> None:
    function = backends.compile(X @ w, target="jax")
    with jax.enable_x64(False):
        with pytest.raises(backends.TargetError, match="X is float64, but JAX computes in float32"):
            function(w=np.ones(2, np.float32), X=np.ones((2, 2)))
        single = function(w=np.ones(2, np.float32), X=np.ones((2, 2), np.float32))
        assert single.dtype == np.float32


def test_a_hessian_is_differentiated_further_by_jax() -> None:
    """The third derivative by JAX of our second, against our third."""
    rng = np.random.default_rng(1)
    data = rng.normal(size=(6, 3)), rng.normal(size=3), rng.normal(size=6)
    H = tc.hessian(LOSS, w)
    second = backends.compile(H, target="jax", variables=(X, w, y))
    third = backends.compile(tc.derivative(H, w), variables=(X, w, y)).call(*data)
    for jacobian in (jax.jacfwd, jax.jacrev):
        found = jax.jit(jacobian(second.function, argnums=1))(*data)
        np.testing.assert_allclose(found, third, rtol=1e-10, atol=1e-12)
    of_norm = jax.grad(lambda w: jnp.sum(second.function(data[0], w, data[2]) ** 2))(data[1])
    wanted = 2 * np.einsum("ij,ijk->k", second.call(*data), third)
    np.testing.assert_allclose(of_norm, wanted, rtol=1e-10)


def test_a_hessian_is_mapped_over_many_points() -> None:
    rng = np.random.default_rng(2)
    X0, y0, many = rng.normal(size=(5, 3)), rng.normal(size=5), rng.normal(size=(4, 3))
    second = backends.compile(tc.hessian(LOSS, w), target="jax", variables=(X, w, y))
    found = jax.jit(jax.vmap(second.function, in_axes=(None, 0, None)))(X0, many, y0)
    for own, point in zip(found, many, strict=True):
        np.testing.assert_allclose(own, second.call(X0, point, y0), rtol=1e-12)


def test_nested_results_and_parameters_are_pytrees() -> None:
    """What was compiled as a nesting comes out as one, and JAX differentiates by another."""
    rng = np.random.default_rng(3)
    X0, params = rng.normal(size=(5, 3)), {"w": rng.normal(size=3), "y": rng.normal(size=5)}
    nested = {"loss": LOSS, "slopes": (tc.gradient(LOSS, w), [tc.gradient(LOSS, y)])}
    f = backends.compile(nested, target="jax", variables=(X, w, y))
    found = jax.jit(f.function)(X0, params["w"], params["y"])
    shapes = jax.tree.map(jnp.shape, found, is_leaf=lambda x: hasattr(x, "shape"))
    assert shapes == {"loss": (), "slopes": ((3,), [(5,)])}
    slopes = jax.grad(lambda p: f.function(X0, p["w"], p["y"])["loss"])(params)
    np.testing.assert_allclose(slopes["w"], found["slopes"][0], rtol=1e-12)
    np.testing.assert_allclose(slopes["y"], found["slopes"][1][0], rtol=1e-12)
