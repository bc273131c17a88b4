"""From structures and arrays to operators: only the cores are computed."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tensorcalc.extents import evaluate, symbol_name
from tensorcalc.nodes import Node, Variable, free_variables
from tensorcalc.structure import (
    Banded,
    BlockGram,
    Blocks,
    BlockSystem,
    Dense,
    Diagonal,
    Diagonals,
    Identity,
    Inverse,
    Kronecker,
    KroneckerSum,
    LowRank,
    PlusLowRank,
    Products,
    Scatter,
    Structure,
    Zero,
    structure,
    structure_of_system,
)
from tensorcalc.structure.kinds import Affine, Pattern
from tensorcalc.substitution import sizes_from

from .base import StructuredOperator, require_symmetric
from .block_gram import BlockGramOperator
from .blocks import BlocksOperator
from .composite import InverseOperator
from .iterated_system import Coupling, IteratedSystemOperator
from .kronecker import KroneckerOperator, KroneckerSumOperator
from .low_rank import PlusLowRankOperator
from .simple import DenseOperator, DiagonalOperator, ZeroOperator
from .sparse_patterns import (
    BandedOperator,
    SparseOperator,
    affine_matrix,
    scattered_band,
    scattered_matrix,
)
from .system import JoinedOperator, SystemOperator

Values = Mapping[Node, Any]
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
    return operator_of(found, values, parameter_shape, sizes)


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


def operator_of(
    found: Structure, values: Values, shape: Sequence[int], sizes: Mapping[str, int]
) -> StructuredOperator:
    """The operator of a structure whose cores have these values."""
    shape = tuple(map(int, shape))
    operator = _MAKERS[type(found)](found, values, shape, sizes)
    operator.structure = found
    return operator


def system_operator(
    blocks: Sequence[Sequence[Node]],
    compile: Compile,
    arrays: Mapping[str, Any],
    shapes: Sequence[Sequence[int]],
) -> SystemOperator:
    """The operator of a Hessian in several parameters: ``blocks[p][q]`` are its expressions."""
    found = structure_of_system(blocks, [len(shape) for shape in shapes])
    everything = [block.formula for row in found.blocks for block in row]
    rows = [found.blocks[p][p].rows for p in range(len(shapes))]
    sizes = _sizes(arrays, free_variables(*everything), list(zip(rows, shapes, strict=True)))
    values = core_values(found, compile, arrays, sizes)
    return system_of(found, values, shapes, sizes)


def system_of(
    found: BlockSystem,
    values: Values,
    shapes: Sequence[Sequence[int]],
    sizes: Mapping[str, int],
    compile: Callable[[Products], Callable[..., Sequence[Any]]] | None = None,
) -> JoinedOperator:
    """The operator of a block system whose cores have these values.

    ``compile`` gives the function of a coupling that is known by its products.
    """
    shapes = [tuple(map(int, shape)) for shape in shapes]
    diagonal = []
    coupling: dict[tuple[int, int], Any] = {}
    for p, shape in enumerate(shapes):
        own = found.blocks[p][p]
        diagonal.append(operator_of(own, values, shape, sizes))
        for q in range(p + 1, len(shapes)):
            block = found.blocks[p][q]
            if isinstance(block, Products):
                assert compile is not None
                coupling[p, q] = _coupling(block, compile(block), values, shape, shapes[q], sizes)
            else:
                coupling[p, q] = _rectangle(block, values, shape, shapes[q], sizes)
    by_products = any(isinstance(B, Coupling) for B in coupling.values())
    operator = (IteratedSystemOperator if by_products else SystemOperator)(diagonal, coupling)
    operator.structure = found
    return operator


def _coupling(
    found: Products,
    function: Any,
    values: Values,
    rows: Sequence[int],
    columns: Sequence[int],
    sizes: Mapping[str, int],
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


def _rectangle(
    found: Structure,
    values: Values,
    rows: Sequence[int],
    columns: Sequence[int],
    sizes: Mapping[str, int],
) -> Any:
    """A coupling block as an array of two axes, a sparse one where its structure is; None for 0."""
    m, n = math.prod(rows), math.prod(columns)
    if isinstance(found, Zero):
        return None
    if isinstance(found, LowRank):
        left, right, weights = (values[node] for node in (found.left, found.right, found.weights))
        inner = math.prod(left.shape[: found.middle])
        return (left.reshape(inner, m).T * np.reshape(weights, (1, -1))) @ right.reshape(inner, n)
    if isinstance(found, Scatter):
        return _scattered(found, values, rows, columns, sizes)
    if isinstance(found, Dense):
        return values[found.formula].reshape(m, n)
    operator = operator_of(found, values, rows, sizes)
    return operator.to_scipy_sparse() if operator.is_sparse else operator.todense()


# -- one maker per structure ----------------------------------------------------------------------
def _low_rank_terms(parts: Sequence[LowRank], values: Values, n: int) -> tuple[Any, Any]:
    """``Z`` and ``M`` with ``Z' M Z`` the sum; ``M`` is a vector where it is diagonal."""
    if all(part.is_gram for part in parts):
        rows = [values[part.left].reshape(-1, n) for part in parts]
        weights = [
            _weights(values[part.weights], len(z)) for part, z in zip(parts, rows, strict=True)
        ]
        return np.concatenate(rows), np.concatenate(weights)
    sides = list(dict.fromkeys(side for part in parts for side in (part.left, part.right)))
    rows = [values[side].reshape(-1, n) for side in sides]
    starts = np.cumsum([0, *map(len, rows)])
    M = np.zeros((starts[-1], starts[-1]))
    for part in parts:
        a, b = _position(sides, part.left), _position(sides, part.right)
        weight = np.diag(_weights(values[part.weights], len(rows[a])))
        M[starts[a] : starts[a + 1], starts[b] : starts[b + 1]] += weight
    Z = np.concatenate(rows)
    require_symmetric("low rank", lambda v: Z.T @ (M @ (Z @ v)), lambda v: Z.T @ (M.T @ (Z @ v)), n)
    return Z, (M + M.T) / 2


def _weights(array: Any, count: int) -> Any:
    """One weight per middle index."""
    return np.broadcast_to(np.ravel(array), count)


def _position(nodes: Sequence[Node], node: Node) -> int:
    return next(k for k, other in enumerate(nodes) if other is node)


def _plus_low_rank(
    found: PlusLowRank, values: Values, shape: Any, sizes: Any
) -> StructuredOperator:
    base = operator_of(found.base, values, shape, sizes)
    Z, M = _low_rank_terms(found.terms, values, int(np.prod(shape)))
    return _thin_or_dense(base, Z, M)


def _low_rank(found: LowRank, values: Values, shape: Any, sizes: Any) -> StructuredOperator:
    Z, M = _low_rank_terms([found], values, int(np.prod(shape)))
    return _thin_or_dense(ZeroOperator(shape), Z, M)


def _thin_or_dense(base: StructuredOperator, Z: Any, M: Any) -> StructuredOperator:
    """The smaller of the two: where the rank is no less than the size, the matrix is formed."""
    operator = PlusLowRankOperator(base, Z, M)
    if len(operator.Z) < operator.shape[0]:
        return operator
    return DenseOperator(operator.todense(), base.parameter_shape)


def _block_gram(found: BlockGram, values: Values, shape: Any, sizes: Any) -> StructuredOperator:
    base = operator_of(found.base, values, shape, sizes)
    assert isinstance(base, DiagonalOperator)
    operator = BlockGramOperator(
        values[found.side], values[found.blocks], base.core, found.own, shape
    )
    if operator.nbytes > 8 * operator.shape[0] ** 2:
        return DenseOperator(operator.todense(), shape)
    return operator


def _kronecker(found: Kronecker, values: Values, shape: Any, sizes: Any) -> StructuredOperator:
    factors = [values[factor] for factor in found.factors]
    return KroneckerOperator(factors, found.axes, shape, _number(found.shift, values))


def _number(node: Node | None, values: Values) -> float:
    return 0.0 if node is None else float(values[node])


def _banded(found: Banded, values: Values, shape: Any, sizes: Any) -> StructuredOperator:
    low = evaluate(found.low, sizes)
    if not found.patterns:
        return BandedOperator(values[found.band], low, shape)
    width = evaluate(found.width, sizes)
    places, entries = _entries(found.patterns, values, sizes)
    return BandedOperator(scattered_band(places, entries, low, (*shape, width)), low, shape)


def _diagonals(found: Diagonals, values: Values, shape: Any, sizes: Any) -> StructuredOperator:
    lows = [[evaluate(low, sizes) for low in pattern] for pattern in found.lows]
    return SparseOperator(affine_matrix([values[b] for b in found.bands], lows, shape), shape)


def _scatter(found: Scatter, values: Values, shape: Any, sizes: Any) -> StructuredOperator:
    return SparseOperator(_scattered(found, values, shape, shape, sizes), shape)


def _scattered(found: Scatter, values: Values, rows: Any, columns: Any, sizes: Any) -> Any:
    return scattered_matrix(*_entries(found.patterns, values, sizes), rows, columns)


def _entries(patterns: Sequence[Pattern], values: Values, sizes: Any) -> tuple[Any, Any]:
    """Places and values of patterns, as arrays and numbers."""

    def place(each: Node | Affine) -> Any:
        if isinstance(each, Node):
            return values[each]
        return tuple(evaluate(c, sizes) for c in each.coefficients), evaluate(each.offset, sizes)

    places = [[place(each) for each in pattern.places] for pattern in patterns]
    return places, [values[pattern.values] for pattern in patterns]


_MAKERS: dict[type[Structure], Callable[[Any, Values, Any, Any], StructuredOperator]] = {
    Zero: lambda found, values, shape, sizes: ZeroOperator(shape),
    Identity: lambda found, values, shape, sizes: DiagonalOperator(values[found.factor], shape),
    Diagonal: lambda found, values, shape, sizes: DiagonalOperator(values[found.core], shape),
    Blocks: lambda found, values, shape, sizes: BlocksOperator(
        values[found.core], found.tied, found.batch, shape
    ),
    Kronecker: _kronecker,
    KroneckerSum: lambda found, values, shape, sizes: KroneckerSumOperator(
        [values[factor] for factor in found.factors], found.axes, shape
    ),
    LowRank: _low_rank,
    PlusLowRank: _plus_low_rank,
    BlockGram: _block_gram,
    Banded: _banded,
    Diagonals: _diagonals,
    Scatter: _scatter,
    Inverse: lambda found, values, shape, sizes: InverseOperator(
        operator_of(found.of, values, shape, sizes), _number(found.shift, values)
    ),
    Dense: lambda found, values, shape, sizes: DenseOperator(values[found.formula], shape),
}
