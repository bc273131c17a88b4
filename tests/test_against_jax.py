"""Derivatives of orders 1 to 3 of every example against JAX in float64, along random directions."""

from types import SimpleNamespace

import jax
import jax.numpy
import jax.scipy.special
import numpy as np

from .examples import EXAMPLES
from .test_derivatives import contracted, derivatives, directions, every_example

jax.config.update("jax_enable_x64", True)
JAX = SimpleNamespace(**{**vars(jax.numpy), "special": jax.scipy.special})
DIRECTIONS = 2
#: Each function is compiled once and run once.
UNOPTIMISED = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def jax_derivatives(example):
    """Value and directional derivatives of orders 1, 2, ... by JAX, along rows of directions."""
    values = {name: jax.numpy.asarray(value) for name, value in example.values().items()}
    x, *rest = values.values()

    def function(x):
        return jax.numpy.asarray(example.formula(JAX, x, *rest))

    def along(moves):
        functions = [function]
        for move in moves:
            functions.append(lambda x, f=functions[-1], move=move: jax.jvp(f, (x,), (move,))[1])
        return [f(x) for f in functions]

    drawn = directions(example, DIRECTIONS * example.order)
    drawn = drawn.reshape(DIRECTIONS, example.order, *x.shape)
    compiled = jax.jit(jax.vmap(along)).lower(drawn).compile(compiler_options=UNOPTIMISED)
    return drawn, compiled(drawn)


@every_example
def test_derivatives_of_orders_1_to_3_agree_with_jax(example):
    drawn, wanted = jax_derivatives(example)
    for order, tensor in enumerate(derivatives(example, example.order)):
        value = example.evaluate(tensor)
        for moves, want in zip(drawn, wanted[order], strict=True):
            found = contracted(value, list(moves[:order]))
            scale = max(1.0, np.abs(want).max())
            np.testing.assert_allclose(found / scale, want / scale, rtol=1e-10, atol=1e-10)


def test_most_examples_are_compared_to_third_order():
    assert sum(example.order >= 3 for example in EXAMPLES) > len(EXAMPLES) / 2
