"""Tangents and adjoints that callers pass: checked against what they belong to, and named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorcalc.errors import DerivativeError, ShapeError
from tensorcalc.nodes import Node, Variable

from . import pytrees
from .arguments import Arguments, is_traced, kind_of, unique_name
from .pytrees import Definition
from .rules import Outputs
from .tracing import Trace


def integer_input(what: str, position: int, path: Sequence[Any], leaf: Any) -> DerivativeError:
    """The error for an argument that cannot be moved a little."""
    dtype = getattr(leaf, "dtype", type(leaf).__name__)
    return DerivativeError(
        f"{what} needs real numbers to differentiate, but got {dtype}",
        [f"argument {position}{pytrees.path_text(path)}: {leaf!r:.60}"],
        "convert it with .astype(float) or float(), or differentiate other arguments (argnums)",
    )


def check_real(what: str, arguments: Arguments, position: int) -> None:
    """Raise DerivativeError unless every leaf of a positional argument is a real number."""
    paths = pytrees.paths(arguments.positional[position])
    for index, path in zip(arguments.leaf_indices(position), paths, strict=True):
        leaf = arguments.leaves[index]
        if not is_traced(leaf) or kind_of(leaf) != "f":
            raise integer_input(what, position, path, leaf)


def tangent_leaves(what: str, arguments: Arguments, tangents: Sequence[Any]) -> list[Any]:
    """One tangent per leaf of the positional arguments; None where it is zero."""
    if len(tangents) != len(arguments.positional):
        raise ShapeError(
            f"{what}: {len(tangents)} tangents for {len(arguments.positional)} primals",
            hint="pass one tangent per primal; None stands for zero",
        )
    result: list[Any] = []
    for k, (own, tangent) in enumerate(zip(arguments.positional, tangents, strict=True)):
        if tangent is None:
            result += [None] * pytrees.leaf_count(own)
            continue
        check_real(what, arguments, k)
        leaves, definition = pytrees.flatten(tangent)
        _check_nesting(what, (definition, own), (f"tangent {k}", f"primal {k}"))
        for index, leaf in zip(arguments.leaf_indices(k), leaves, strict=True):
            shape = shape_of(arguments.leaves[index])
            _check_shape(what, leaf, shape, (f"tangent {k}", f"primal {k}"))
        result += leaves
    return result


def adjoint_leaves(trace: Trace, outputs: Outputs, adjoint: Any) -> list[Any]:
    """One adjoint per leaf of the output."""
    leaves, definition = pytrees.flatten(adjoint)
    _check_nesting("vjp", (definition, outputs.definition), ("the adjoint", "the output"))
    for leaf, node in zip(leaves, outputs.value, strict=True):
        if not isinstance(leaf, Node):
            _check_shape("vjp", leaf, trace.shape_of(node), ("the adjoint", "the output"))
    return leaves


def shape_of(leaf: Any) -> tuple[int, ...] | None:
    """The shape of an array or number; None for an expression."""
    return None if isinstance(leaf, Node) else np.shape(leaf)


def tangent_variables(trace: Trace, leaves: Sequence[Any]) -> list[Variable | None]:
    """A variable per tangent, of the shape of the variable it moves."""
    taken = {variable.name for variable in trace.inputs}
    owners = trace.variables[: len(leaves)]
    several = sum(leaf is not None for leaf in leaves) > 1
    return [
        Variable(unique_name(f"v_{owner.name}" if several else "v", taken), owner.extents)
        if leaf is not None and owner is not None
        else None
        for leaf, owner in zip(leaves, owners, strict=True)
    ]


def adjoint_variables(trace: Trace, outputs: Outputs) -> list[Variable]:
    """A variable per output, of its shape."""
    taken = {variable.name for variable in trace.inputs}
    return [Variable(unique_name("u", taken), node.extents) for node in outputs.value]


def _check_nesting(
    what: str, definitions: tuple[Definition, Definition], names: tuple[str, str]
) -> None:
    if definitions[0] != definitions[1]:
        raise ShapeError(
            f"{what}: {names[0]} does not have the nesting of {names[1]}",
            [f"{name}: {_shown(d)}" for name, d in zip(names, definitions, strict=True)],
        )


def _shown(definition: Definition) -> str:
    class Leaf:
        def __repr__(self) -> str:
            return "*"

    count = pytrees.leaf_count(definition)
    return repr(pytrees.unflatten(definition, [Leaf()] * count))


def _check_shape(what: str, leaf: Any, expected: Any, names: tuple[str, str]) -> None:
    got = shape_of(leaf)
    if got is not None and expected is not None and got != expected:
        raise ShapeError(
            f"{what}: {names[0]} does not have the shape of {names[1]}",
            [f"{names[0]}: shape {got}", f"{names[1]}: shape {expected}"],
        )
