"""The JAX target: the generated function under ``jax.jit``."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .binding import sizes_of
from .compiled import Code, CompiledFunction, TargetError, Variant
from .jax_writer import JaxWriter
from .prefix_sums import prefix_sums
from .program import Program


def _jax() -> Any:
    try:
        import jax
    except ImportError as missing:
        raise TargetError("target 'jax' needs JAX", [str(missing)], "pip install jax") from None
    return jax


class JaxVariant(Variant):
    """The code for one order of contractions."""

    def prepared(self, program: Program) -> Program:
        """Without signed Gram matrices: how many weights are negative only values say, and XLA
        needs shapes.
        """
        return prefix_sums(program)

    def code(self, pooled: bool = False) -> Code:
        """The text, and the function jitted; XLA takes care of memory."""
        if False not in self.codes:
            writer = JaxWriter(self.program, "f", self.template)
            source = writer.source()
            namespace: dict[str, Any] = {}
            exec(builtins.compile(source, "<tensorcalc>", "exec"), namespace)  # noqa: S102
            sizes = writer.open_symbols
            jitted = _jax().jit(namespace["f"], static_argnames=sizes)
            self.codes[False] = Code(source, jitted, sizes)
        return self.codes[False]


class JaxFunction(CompiledFunction):
    """A compiled function of JAX arrays; ``jax.vmap``, ``jax.grad`` and sharding work on ``call``.

    Raises TargetError for float64 arguments where JAX would silently make them float32.
    """

    variant_class = JaxVariant

    @property
    def function(self) -> Callable[..., Any]:
        """The pure function before ``jax.jit``, of arrays in the order of ``variables``.

        For ``jax.jit`` with shardings of one's own, inside other jitted functions, and for
        arguments that are no concrete arrays.
        """
        jitted: Any = self._variants[0].code(pooled=False).function
        return jitted.__wrapped__

    def _arrays(self, values: Sequence[Any]) -> list[Any]:
        jax = _jax()
        for variable, value in zip(self.variables, values, strict=True):
            if getattr(value, "dtype", None) == "float64" and not jax.config.jax_enable_x64:
                raise TargetError(
                    f"the argument {variable.name} is float64, but JAX computes in float32",
                    ["jax_enable_x64 is off"],
                    "jax.config.update('jax_enable_x64', True), or pass float32 arrays",
                )
        return [jax.numpy.asarray(value) for value in values]

    def _planned(self, arrays: Sequence[Any], given: Mapping[str, int]) -> Callable[..., Any]:
        self._choose_variant(sizes_of(self.variables, arrays, given))
        return self._variants[0].code(pooled=False).function
