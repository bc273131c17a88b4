"""From structures and arrays to operators: only the cores are computed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tensorcalc.extents import symbol_name
from tensorcalc.nodes import Node, Variable, free_variables
from tensorcalc.structure import BlockSystem, Products, Structure, structure, structure_of_system
from tensorcalc.substitution import sizes_from

from .base import StructuredOperator
from .iterated_system import Coupling, IteratedSystemOperator
from .makers import Make, Values, maker_of, rectangle_maker
from .system import JoinedOperator, SystemOperator

#: ``compile(nodes)`` gives a function of the arrays by name that returns the list of their values.
Compile = Callable[[Sequence[Node]], Callable[..., Sequence[Any]]]


def structured_operator(
    H: Node, compile: Compile, arrays: Mapping[str, Any], parameter_shape: Sequence[int]
) -> StructuredOperator:
    """The operator of a Hessian expression at the given arrays.

    ``compile`` turns the list of cores into a function of the arrays by name; ``arrays`` holds the
    values of the variables of ``H`` (others are ignored), ``parameter_shape`` the size of its rows.
    """
    found = structure(H)
    sizes = _sizes(arrays, free_variables(H), [(found.rows, parameter_shape)])
    values = core_values(found, compile, arrays, sizes)
    return maker_of(found, parameter_shape, sizes)(values)  # type: ignore[no-any-return]


def core_values(
    found: Structure | BlockSystem,
    compile: Compile,
    arrays: Mapping[str, Any],
    sizes: Mapping[str, int],
) -> Values:
    """The arrays of the cores of a structure; ``sizes`` are for extents that no array has."""
    cores = list(found.cores)
    if not cores:
        return {}
    function = compile(cores)
    names = {variable.name for variable in free_variables(*cores)}
    given = {name: arrays[name] for name in arrays if name in names}
    given |= {name: sizes[name] for name in getattr(function, "symbols", ())}
    return dict(zip(cores, map(np.asarray, function(**given)), strict=True))


def _sizes(
    arrays: Mapping[str, Any],
    variables: Sequence[Variable],
    parameters: Sequence[tuple[Sequence[Any], Sequence[int]]],
) -> dict[str, int]:
    """Sizes of the symbols that are an extent of a variable or of a parameter."""
    known = [v for v in variables if v.name in arrays]
    sizes = sizes_from(known, [np.shape(arrays[v.name]) for v in known])
    for extents, shape in parameters:
        for extent, size in zip(extents, shape, strict=True):
            name = symbol_name(extent)
            if name is not None:
                sizes.setdefault(name, int(size))
    return sizes


def system_operator(
    blocks: Sequence[Sequence[Node]],
    compile: Compile,
    arrays: Mapping[str, Any],
    shapes: Sequence[Sequence[int]],
) -> JoinedOperator:
    """The operator of a Hessian in several parameters: ``blocks[p][q]`` are its expressions."""
    found = structure_of_system(blocks, [len(shape) for shape in shapes])
    everything = [block.formula for row in found.blocks for block in row]
    rows = [found.blocks[p][p].rows for p in range(len(shapes))]
    sizes = _sizes(arrays, free_variables(*everything), list(zip(rows, shapes, strict=True)))
    values = core_values(found, compile, arrays, sizes)
    return system_maker(found, shapes, sizes)(values)


def system_maker(
    found: BlockSystem,
    shapes: Sequence[Sequence[int]],
    sizes: Mapping[str, int],
    compile: Callable[[Products], Callable[..., Sequence[Any]]] | None = None,
) -> Callable[[Values], JoinedOperator]:
    """What makes the operators of a block system on parameters of these shapes.

    ``compile`` gives the function of a coupling that is known by its products.
    """
    sides = [tuple(map(int, shape)) for shape in shapes]
    diagonal = [maker_of(found.blocks[p][p], shape, sizes) for p, shape in enumerate(sides)]
    coupling: dict[tuple[int, int], Make] = {}
    for p, rows in enumerate(sides):
        for q, columns in enumerate(sides[p + 1 :], p + 1):
            block = found.blocks[p][q]
            if isinstance(block, Products):
                assert compile is not None
                function = compile(block)
                coupling[p, q] = functools.partial(_coupling, block, function, rows, columns, sizes)
            else:
                coupling[p, q] = rectangle_maker(block, rows, columns, sizes)
    by_products = any(isinstance(block, Products) for row in found.blocks for block in row)
    kind = IteratedSystemOperator if by_products else SystemOperator

    def made(values: Values) -> JoinedOperator:
        blocks = [make(values) for make in diagonal]
        operator = kind(blocks, {pair: make(values) for pair, make in coupling.items()})
        operator.structure = found
        return operator

    return made


def _coupling(
    found: Products,
    function: Any,
    rows: Sequence[int],
    columns: Sequence[int],
    sizes: Mapping[str, int],
    values: Values,
) -> Coupling:
    """A coupling block as a function of vectors; it keeps the arrays that its formulas read."""
    arrays = {core.name: values[core] for core in found.cores if isinstance(core, Variable)}
    given = arrays | {name: sizes[name] for name in function.symbols}
    zeros = {found.left.name: np.zeros(rows), found.right.name: np.zeros(columns)}

    def product(name: str, v: Any) -> Any:
        results = function(**given, **zeros | {name: v})
        return results[0 if name == found.right.name else 1]

    forward = functools.partial(product, found.right.name)
    backward = functools.partial(product, found.left.name)
    return Coupling(forward, backward, rows, columns, tuple(arrays.values()))
