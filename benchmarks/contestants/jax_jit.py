"""JAX: everything under one ``jax.jit``, arrays on the device, results waited for."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ..calling import Call
from ..modelling import Model
from ..peers import load_jax

NAME = "JAX"
PACKAGE = "jax"


def contestant(model: Model, result: str, arguments: tuple[Any, ...], direction: Any) -> Call:
    """A call of the jitted function with these arguments; a new size is compiled anew."""
    jax, function = load_jax(), jitted(model, result)
    given = (direction, *arguments) if result == "Hessian product" else arguments
    placed = [jax.numpy.asarray(array) for array in given]
    return lambda: jax.block_until_ready(function(*placed))


@lru_cache(maxsize=2)
def jitted(model: Model, result: str) -> Any:
    """The function of the arguments, and of a direction before them for a Hessian product."""
    jax = load_jax()
    own = model.variant("jax")

    def loss(*args: Any) -> Any:
        return own(jax, *args) if own else model.loss(jax.numpy, *args)

    def product(v: Any, x: Any, *rest: Any) -> Any:
        return jax.jvp(lambda x: jax.grad(loss)(x, *rest), (x,), (v,))[1]

    def newton(x: Any, *rest: Any) -> Any:
        gradient, hessian = jax.grad(loss)(x, *rest), jax.hessian(loss)(x, *rest)
        factor = jax.scipy.linalg.cho_factor(hessian.reshape(x.size, x.size))
        return jax.scipy.linalg.cho_solve(factor, gradient.ravel()).reshape(x.shape)

    functions = {
        "value": loss,
        "value and gradient": jax.value_and_grad(loss),
        "Hessian": jax.hessian(loss),
        "Hessian product": product,
        "Newton step": newton,
    }
    return jax.jit(functions[result])
