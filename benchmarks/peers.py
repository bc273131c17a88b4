"""JAX as a contestant: jitted, its arrays on the device, every result waited for."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=None)
def load_jax() -> Any:
    """The module with float64 enabled, or None where it is not installed."""
    try:
        import jax
        import jax.numpy
        import jax.scipy.linalg
    except ImportError:
        return None
    jax.config.update("jax_enable_x64", True)
    return jax


def jax_call(function: Callable[..., Any], arrays: tuple[Any, ...]) -> Callable[[], Any]:
    """A call without arguments of the jitted function, compiled already."""
    jax = load_jax()
    jitted = jax.jit(function)
    placed = [jax.numpy.asarray(array) for array in arrays]

    def call() -> Any:
        return jax.block_until_ready(jitted(*placed))

    call()
    return call
