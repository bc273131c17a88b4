"""Expressions to compiled functions, by target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tensorcalc.nodes import Node, Variable, free_variables
from tensorcalc.simplify import simplify_all

from .auto_target import AutoFunction
from .compiled import CompiledFunction, Results, TargetError, specialised
from .cuda.target import CudaFunction
from .jax_target import JaxFunction
from .numba_target import NumbaFunction

#: What runs a Program, by the name of the target.
TARGETS: dict[str, type[CompiledFunction]] = {
    "numpy": CompiledFunction,
    "jax": JaxFunction,
    "numba": NumbaFunction,
    "cuda": CudaFunction,
    "auto": AutoFunction,
}


def compile(
    expressions: Any,
    target: str = "numpy",
    variables: Sequence[Variable] | None = None,
    sizes: Mapping[str, int] | None = None,
    real: bool = False,
) -> CompiledFunction:
    """A function of the variables by name that computes ``expressions`` together.

    ``expressions`` is one expression or a list, tuple or dict of them, nested at will; calls return
    the same nesting of arrays. ``variables`` fixes the arguments and their order where some are
    not read; a symbol that is the extent of no argument is an argument itself. ``sizes`` are hints
    of extents for the order of contractions, which is chosen anew where real sizes ask for it.
    With ``real``, results that are true or false come as 1.0 and 0.0, as derivatives must.

    >>> import numpy as np, tensorcalc as tc
    >>> A, x = tc.variables("A: m n, x: n")
    >>> compile(A @ x)(A=np.eye(2), x=np.ones(2))
    array([1., 1.])

    Raises TargetError for an unknown target.
    """
    if target not in TARGETS:
        raise TargetError(
            f"target {target!r} is not available", [f"available: {', '.join(TARGETS)}"]
        )
    results = Results()
    template = results.template(expressions, "the result")
    roots = simplify_all(results.roots)
    arguments = _arguments(roots, variables)
    function = TARGETS[target](roots, template, arguments, target, real, sizes or {})
    function.result_names = results.names
    return specialised(function)


def _arguments(roots: Sequence[Node], variables: Sequence[Variable] | None) -> tuple[Variable, ...]:
    """The given variables, then those that expressions read besides; arrays they met are bound."""
    read = free_variables(*roots)
    if variables is None:
        return read
    given = set(variables)
    return (*variables, *(variable for variable in read if variable not in given))
