"""From structures to what makes their operators: one maker per structure.

A maker is asked once for a structure and its sizes, and what it gives once for each point: whatever
does not depend on the arrays of the cores is decided before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tensorcalc.extents import evaluate
from tensorcalc.nodes import Node
from tensorcalc.structure import (
    Banded,
    BlockGram,
    Blocks,
    Dense,
    Diagonal,
    Diagonals,
    Identity,
    Inverse,
    Kronecker,
    KroneckerSum,
    LowRank,
    PlusLowRank,
    Scatter,
    Structure,
    Zero,
)
from tensorcalc.structure.kinds import Pattern

from .base import StructuredOperator, require_symmetric
from .block_gram import BlockGramOperator
from .blocks import BlocksOperator
from .composite import InverseOperator
from .kronecker import KroneckerOperator, KroneckerSumOperator
from .low_rank import PlusLowRankOperator
from .scattering import BandScattering, Place, Scattering, SparseScattering, added_up
from .simple import DenseOperator, DiagonalOperator, ZeroOperator
from .sparse_patterns import BandedOperator, SparseOperator

Values = Mapping[Node, Any]
Sizes = Mapping[str, int]
Shape = tuple[int, ...]
#: The operator, or the array, of the values of the cores.
Make = Callable[[Values], Any]


def maker_of(found: Structure, shape: Sequence[int], sizes: Sizes) -> Make:
    """What makes the operators of a structure on parameters of this shape."""
    make = _MAKERS[type(found)](found, tuple(map(int, shape)), sizes)

    def made(values: Values) -> StructuredOperator:
        operator = make(values)
        operator.structure = found
        return operator  # type: ignore[no-any-return]

    return made


def rectangle_maker(found: Structure, rows: Shape, columns: Shape, sizes: Sizes) -> Make:
    """What makes the arrays of two axes of a coupling block, sparse ones where its structure is so;
    None for zero.
    """
    m, n = math.prod(rows), math.prod(columns)
    if isinstance(found, Zero):
        return lambda values: None
    if isinstance(found, LowRank):
        return _low_rank_rectangle(found, m, n)
    if isinstance(found, Scatter):
        return scatter_maker(found.patterns, SparseScattering(_places(found, sizes), rows, columns))
    if isinstance(found, Dense):
        return lambda values: values[found.formula].reshape(m, n)
    make = maker_of(found, rows, sizes)

    def formed(values: Values) -> Any:
        operator = make(values)
        return operator.to_scipy_sparse() if operator.is_sparse else operator.todense()

    return formed


def _low_rank_rectangle(found: LowRank, m: int, n: int) -> Make:
    def made(values: Values) -> Any:
        left, right, weights = (values[node] for node in (found.left, found.right, found.weights))
        inner = math.prod(left.shape[: found.middle])
        return (left.reshape(inner, m).T * np.reshape(weights, (1, -1))) @ right.reshape(inner, n)

    return made


# -- low rank -------------------------------------------------------------------------------------
def _plus_low_rank(found: PlusLowRank, shape: Shape, sizes: Sizes) -> Make:
    base = maker_of(found.base, shape, sizes)
    factors = _low_rank_factors(found.terms, math.prod(shape), sizes)
    return lambda values: _thin_or_dense(base(values), *factors(values))


def _low_rank(found: LowRank, shape: Shape, sizes: Sizes) -> Make:
    factors = _low_rank_factors([found], math.prod(shape), sizes)
    return lambda values: _thin_or_dense(ZeroOperator(shape), *factors(values))


def _thin_or_dense(base: StructuredOperator, Z: Any, M: Any) -> StructuredOperator:
    """The smaller of the two: where the rank is no less than the size, the matrix is formed."""
    operator = PlusLowRankOperator(base, Z, M)
    if len(operator.Z) < operator.shape[0]:
        return operator
    return DenseOperator(operator.todense(), base.parameter_shape)


def _low_rank_factors(
    parts: Sequence[LowRank], n: int, sizes: Sizes
) -> Callable[[Values], tuple[Any, Any]]:
    """What makes ``Z`` and ``M``, a vector where it is diagonal, with ``Z' M Z`` the sum."""
    starts, total = _stacked(parts, sizes)
    is_gram = all(part.is_gram for part in parts)
    shape = (total,) if is_gram else (total, total)
    ranks = [evaluate(part.inner, sizes) for part in parts]
    places = _joined([_on_diagonal(starts, p, r, shape) for p, r in zip(parts, ranks, strict=True)])

    def made(values: Values) -> tuple[Any, Any]:
        weights = [_weights(values[p.weights], r) for p, r in zip(parts, ranks, strict=True)]
        M = added_up(places, _joined(weights), math.prod(shape)).reshape(shape)
        Z = _joined([values[side].reshape(-1, n) for side in starts])
        if is_gram:
            return Z, M
        _require_symmetric(Z, M, n)
        return Z, (M + M.T) / 2

    return made


def _on_diagonal(starts: Mapping[Node, int], part: LowRank, rank: int, shape: Shape) -> Any:
    """The flat places of the weights of a part in ``M``: the diagonal of its block."""
    corner = [starts[side] for side in (part.left, part.right)][: len(shape)]
    return np.ravel_multi_index([start + np.arange(rank) for start in corner], shape)


def _weights(array: Any, count: int) -> Any:
    """One weight per middle index."""
    return array.reshape(-1) if array.size == count else np.full(count, array)


def _stacked(parts: Sequence[LowRank], sizes: Sizes) -> tuple[dict[Node, int], int]:
    """The first row of every side in the stack of all, each once, and the height of the stack."""
    starts: dict[Node, int] = {}
    total = 0
    for part in parts:
        for side in (part.left, part.right):
            if side not in starts:
                starts[side] = total
                total += evaluate(part.inner, sizes)
    return starts, total


def stacked_rank(parts: Sequence[LowRank], sizes: Sizes) -> int:
    """Rows of the sides of a sum of products, each side once: the bound of its rank."""
    return _stacked(parts, sizes)[1]


def _require_symmetric(Z: Any, M: Any, n: int) -> None:
    require_symmetric("low rank", lambda v: Z.T @ (M @ (Z @ v)), lambda v: Z.T @ (M.T @ (Z @ v)), n)


def _joined(parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _block_gram(found: BlockGram, shape: Shape, sizes: Sizes) -> Make:
    make = maker_of(found.base, shape, sizes)

    def made(values: Values) -> StructuredOperator:
        base = make(values)
        side, blocks = values[found.side], values[found.blocks]
        operator = BlockGramOperator(side, blocks, base.core, found.own, shape)
        if operator.nbytes > 8 * operator.shape[0] ** 2:
            return DenseOperator(operator.todense(), shape)
        return operator

    return made


# -- sparse ---------------------------------------------------------------------------------------
def _banded(found: Banded, shape: Shape, sizes: Sizes) -> Make:
    low = evaluate(found.low, sizes)
    if not found.patterns:
        return lambda values: BandedOperator(values[found.band], low, shape)
    width = evaluate(found.width, sizes)
    scattering = BandScattering(_places(found, sizes), math.prod(shape), low, width)
    band = scatter_maker(found.patterns, scattering)
    return lambda values: BandedOperator(band(values), low, shape)


def _diagonals(found: Diagonals, shape: Shape, sizes: Sizes) -> Make:
    """Rows ``i`` and columns ``i + low + b`` of the axes ``i..., b...`` of every band."""
    rank = len(shape)
    unit = [tuple(map(int, row)) for row in np.eye(2 * rank)]
    rows: list[Place] = [(unit[a], 0) for a in range(rank)]
    ahead = [tuple(map(int, np.add(unit[a], unit[rank + a]))) for a in range(rank)]
    places = [
        rows + [(ahead[a], evaluate(low, sizes)) for a, low in enumerate(pattern)]
        for pattern in found.lows
    ]
    scattering = SparseScattering(places, shape, shape)
    return lambda values: SparseOperator(scattering([values[b] for b in found.bands]), shape)


def _scatter(found: Scatter, shape: Shape, sizes: Sizes) -> Make:
    matrix = scatter_maker(found.patterns, SparseScattering(_places(found, sizes), shape, shape))
    return lambda values: SparseOperator(matrix(values), shape)


def scatter_maker(patterns: Sequence[Pattern], scattering: Scattering) -> Make:
    """What gives the values and index arrays of patterns to a scattering."""
    nodes = _index_arrays(patterns)

    def made(values: Values) -> Any:
        return scattering([values[p.values] for p in patterns], [values[node] for node in nodes])

    return made


def _index_arrays(patterns: Sequence[Pattern]) -> list[Node]:
    places = [place for pattern in patterns for place in pattern.places]
    return list(dict.fromkeys(place for place in places if isinstance(place, Node)))


def _places(found: Scatter | Banded, sizes: Sizes) -> list[list[Place]]:
    """The places of patterns in numbers."""
    numbers = {node: k for k, node in enumerate(_index_arrays(found.patterns))}

    def place(each: Any) -> Place:
        if isinstance(each, Node):
            return numbers[each]
        return tuple(evaluate(c, sizes) for c in each.coefficients), evaluate(each.offset, sizes)

    return [[place(each) for each in pattern.places] for pattern in found.patterns]


# -- the others -----------------------------------------------------------------------------------
def _kronecker(found: Kronecker, shape: Shape, sizes: Sizes) -> Make:
    def made(values: Values) -> StructuredOperator:
        factors = [values[factor] for factor in found.factors]
        return KroneckerOperator(factors, found.axes, shape, _number(found.shift, values))

    return made


def _kronecker_sum(found: KroneckerSum, shape: Shape, sizes: Sizes) -> Make:
    return lambda values: KroneckerSumOperator(
        [values[factor] for factor in found.factors], found.axes, shape
    )


def _inverse(found: Inverse, shape: Shape, sizes: Sizes) -> Make:
    inner = maker_of(found.of, shape, sizes)
    return lambda values: InverseOperator(inner(values), _number(found.shift, values))


def _number(node: Node | None, values: Values) -> float:
    return 0.0 if node is None else float(values[node])


def _blocks(found: Blocks, shape: Shape, sizes: Sizes) -> Make:
    return lambda values: BlocksOperator(values[found.core], found.tied, found.batch, shape)


_MAKERS: dict[type[Structure], Callable[[Any, Shape, Sizes], Make]] = {
    Zero: lambda found, shape, sizes: lambda values: ZeroOperator(shape),
    Identity: lambda found, shape, sizes: lambda v: DiagonalOperator(v[found.factor], shape),
    Diagonal: lambda found, shape, sizes: lambda v: DiagonalOperator(v[found.core], shape),
    Dense: lambda found, shape, sizes: lambda v: DenseOperator(v[found.formula], shape),
    Blocks: _blocks,
    Kronecker: _kronecker,
    KroneckerSum: _kronecker_sum,
    LowRank: _low_rank,
    PlusLowRank: _plus_low_rank,
    BlockGram: _block_gram,
    Banded: _banded,
    Diagonals: _diagonals,
    Scatter: _scatter,
    Inverse: _inverse,
}


__all__ = ["Make", "Shape", "Sizes", "Values", "maker_of", "rectangle_maker", "stacked_rank"]
