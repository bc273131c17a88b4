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
