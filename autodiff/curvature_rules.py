"""Derivations whose result is a structured operator: Hessian, Gauss-Newton and Fisher matrices.

Each rule finds the structure of the matrix in its expression once per trace; a call computes the
cores, together with the value and the gradient where those are wanted, and stores nothing else.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

import backends
from tensorcalc.derivatives import pullback
from tensorcalc.errors import DerivativeError
from tensorcalc.extents import evaluate
from tensorcalc.nodes import Constant, Node, Variable, postorder
from tensorcalc.products import kronecker, product, scale
from tensorcalc.simplify import rebuilt, simplify_all
from tensorcalc.structure import (
    Banded,
    BlockGram,
    Blocks,
    BlockSystem,
    Dense,
    Diagonal,
    Diagonals,
    Identity,
    LowRank,
    PlusLowRank,
    Scatter,
    Structure,
    Zero,
    products_of,
    structure,
    structure_of_system,
)
from tensorcalc.sums import add

from . import pytrees, rules, structured
from .pytrees import LEAF, tuple_of
from .rules import Derivation, Outputs, Selection
from .tracing import Trace


class Storage(NamedTuple):
    """Positions of what is stored in another way than by its structure."""

    #: Diagonal blocks that are taken as dense.
    dense: frozenset[int] = frozenset()
    #: Couplings ``(p, q)`` with ``p < q`` that are known by their products alone.
    products: frozenset[tuple[int, int]] = frozenset()

    def joined(self, other: Storage) -> Storage:
        """Both together."""
        return Storage(self.dense | other.dense, self.products | other.products)


#: Structures that a coupling between two parameters keeps, as a sparse array.
SPARSE = (Identity, Diagonal, Blocks, Banded, Diagonals, Scatter)
#: Bytes of a coupling beyond which it is not stored.
STORED_LIMIT = 2**31
#: Multiplications in a Schur complement beyond which products with the coupling serve a solve.
SCHUR_LIMIT = 10**11


class Local(NamedTuple):
    """A function at a point: value, gradients per leaf (for an objective one vector), curvature."""

    value: Any
    gradients: Any
    operator: structured.StructuredOperator


def structured_hessian(
    trace: Trace, selection: Selection, outputs: Outputs, storage: Storage
) -> Derivation:
    """The Hessian as an operator; of several leaves one block system on their concatenation."""
    rules.scalar(trace, outputs, "structured hessian")
    derivation = rules.hessian(trace, selection, outputs, ())
    xs = rules.variables_of(trace, selection)
    found, operator = _operator(derivation.nodes, xs, storage)
    cores = list(found.cores)
    return Derivation(cores, [None] * len(cores), _flat(cores), operator, found)


def local_hessian(
    trace: Trace, selection: Selection, outputs: Outputs, storage: Storage
) -> Derivation:
    """Value, gradient and structured Hessian in one program."""
    loss, gradients = rules.loss_and_adjoints(trace, selection, outputs, "hessian")
    loss, *gradients = simplify_all([loss, *gradients])
    xs = rules.variables_of(trace, selection)
    return _local(loss, gradients, rules.hessian_blocks(gradients, xs), xs, storage)


def local_gauss_newton(
    trace: Trace, selection: Selection, outputs: Outputs, storage: Storage
) -> Derivation:
    """Of residuals ``r``: ``sum(r^2) / 2``, its gradient ``J' r`` and the matrix ``J' J``."""
    xs = rules.variables_of(trace, selection)
    residuals = simplify_all(list(outputs.value))
    if outputs.definition == LEAF and not residuals[0].ndim:
        raise DerivativeError(
            "Gauss-Newton needs a function that returns residuals",
            ["returned: a scalar"],
            "return the array whose squares are summed, or use method='newton'",
        )
    loss = scale(0.5, add(*(_squared(r) for r in residuals)))
    parts = [_gram(_jacobians(r, xs), None, r, xs) for r in residuals]
    blocks = simplify_all([add(*column) for column in zip(*parts, strict=True)])
    loss, *gradients = simplify_all([loss, *pullback(loss, xs, Constant(1), 0)])
    return _local(loss, gradients, blocks, xs, storage)


def local_fisher(log_partition: Callable[[Any], Any]) -> Any:
    """A rule for functions that return the loss ``A(eta) - sum(eta * y)`` and ``eta``.

    The loss is a negative log-likelihood up to a constant; its expected Hessian
    ``J' (d2 A / d eta^2) J`` is the Fisher information, which has no ``y`` in it.
    """

    def rule(trace: Trace, selection: Selection, outputs: Outputs, storage: Storage) -> Derivation:
        xs = rules.variables_of(trace, selection)
        loss, eta = simplify_all(list(outputs.value))
        inner = Variable("natural_parameters", eta.extents)
        (gradient,) = simplify_all(pullback(log_partition(inner), [inner], Constant(1), 0))
        (hessian,) = rules.hessian_blocks([gradient], [inner])
        (hessian,) = _with_inner([hessian], inner, eta)
        blocks = simplify_all(_gram(_jacobians(eta, xs), hessian, eta, xs))
        loss, *gradients = simplify_all([loss, *pullback(loss, xs, Constant(1), 0)])
        return _local(loss, gradients, blocks, xs, storage)

    return rule


def half_squares(residuals: Callable[..., Any]) -> Callable[..., Any]:
    """The function ``sum(r^2) / 2`` of a function that returns residuals, nested at will."""

    @functools.wraps(residuals)
    def loss(*args: Any, **kwargs: Any) -> Any:
        leaves, _ = pytrees.flatten(residuals(*args, **kwargs))
        return sum(np.sum(r**2) for r in leaves) / 2

    return loss


def exponential_family(
    function: Callable[..., Any], log_partition: Callable[[Any], Any]
) -> Callable[..., Any]:
    """``(A(eta) - sum(eta * y), eta)`` of a function that returns ``(eta, y)``."""

    @functools.wraps(function)
    def loss(*args: Any, **kwargs: Any) -> Any:
        returned = function(*args, **kwargs)
        if not isinstance(returned, (tuple, list)) or len(returned) != 2:
            raise DerivativeError(
                "the Fisher information needs a function that returns a pair (eta, y)",
                ["returned: one value, as a loss is"],
                "return natural parameters and observations, or use method='newton' for the loss",
            )
        eta, observed = returned
        return log_partition(eta) - np.sum(eta * observed), eta

    return loss


def first_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that returns the first of several results."""

    @functools.wraps(function)
    def first(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)[0]

    return first


def _with_inner(roots: Sequence[Node], inner: Node, value: Node) -> list[Node]:
    """Expressions with a variable replaced by its value."""
    new = {inner: value}
    for node in postorder(*roots):
        if node is not inner:
            new[node] = rebuilt(node, new)
    return [new[root] for root in roots]


def _squared(r: Node) -> Node:
    return _inner_product(r, r)


def _inner_product(a: Node, b: Node) -> Node:
    axes = tuple(range(a.ndim))
    return product((a, b), (axes, axes), (), dict(enumerate(a.extents)))


def _jacobians(r: Node, xs: Sequence[Node]) -> list[Node]:
    return simplify_all(pullback(r, list(xs), kronecker(r.extents), r.ndim))


def _gram(
    jacobians: Sequence[Node], middle: Node | None, r: Node, xs: Sequence[Node]
) -> list[Node]:
    """Blocks ``sum(J_a[i, k] M[i, j] J_b[j, l])`` row by row; without ``M`` it is the identity."""
    return [
        _form(jacobians[a], middle, jacobians[b], r, x, y)
        for a, x in enumerate(xs)
        for b, y in enumerate(xs)
    ]


def _form(left: Node, middle: Node | None, right: Node, r: Node, x: Node, y: Node) -> Node:
    i = [("i", k) for k in range(r.ndim)]
    j = [("j", k) for k in range(r.ndim)] if middle is not None else i
    rows, columns = [("r", k) for k in range(x.ndim)], [("c", k) for k in range(y.ndim)]
    operands, subscripts = [left, right], [(*i, *rows), (*j, *columns)]
    if middle is not None:
        operands.append(middle)
        subscripts.append((*i, *j))
    extents: dict[Any, Any] = {}
    for operand, own in zip(operands, subscripts, strict=True):
        extents.update(zip(own, operand.extents, strict=True))
    return product(operands, subscripts, (*rows, *columns), extents)


# -- from blocks to operators ---------------------------------------------------------------------
def _local(
    loss: Node,
    gradients: Sequence[Node],
    blocks: Sequence[Node],
    xs: Sequence[Node],
    storage: Storage,
) -> Derivation:
    found, operator = _operator(blocks, xs, storage)
    nodes = [loss, *gradients, *found.cores]
    count = 1 + len(xs)

    def assemble(sizes: Mapping[str, int], shapes: Sequence[Any]) -> Callable[[Any], Local]:
        make = operator(sizes, shapes)
        return lambda results: Local(results[0], list(results[1:count]), make(results[count:]))

    return Derivation(nodes, [None] * len(nodes), _flat(nodes), assemble, found)


def _operator(blocks: Sequence[Node], xs: Sequence[Node], storage: Storage) -> tuple[Any, Any]:
    """The structure of a matrix, and what gives for sizes and shapes the maker of its operators."""
    single = len(xs) == 1
    if single:
        found: Any = structure(blocks[0])
        found = _as_dense(found) if storage.dense else found
    else:
        rows = [blocks[k : k + len(xs)] for k in range(0, len(blocks), len(xs))]
        found = _as_stored(structure_of_system(rows, [x.ndim for x in xs]), storage)
    cores = list(found.cores)
    compile = functools.cache(lambda block: backends.compile([block.forward, block.backward]))

    def assemble(sizes: Mapping[str, int], shapes: Sequence[Any]) -> Callable[[Any], Any]:
        if single:
            make: Callable[[Any], Any] = structured.maker_of(found, shapes[0], sizes)
        else:
            make = structured.system_maker(found, shapes, sizes, compile)
        return lambda results: make(dict(zip(cores, map(np.asarray, results), strict=True)))

    return found, assemble


def _as_stored(found: BlockSystem, storage: Storage) -> BlockSystem:
    """The system with its blocks as they are stored.

    Dense are diagonal blocks whose structure is larger, and couplings: they are not symmetric, and
    of their structures zero and what is sparse are of use to a solve.
    """

    def stored(block: Structure, p: int, q: int) -> Structure:
        if (min(p, q), max(p, q)) in storage.products:
            return products_of(block)
        dense = p in storage.dense if p == q else not isinstance(block, (Zero, *SPARSE))
        return _as_dense(block) if dense else block

    rows = [[stored(b, p, q) for q, b in enumerate(row)] for p, row in enumerate(found.blocks)]
    return replace(found, blocks=tuple(map(tuple, rows)))


def _as_dense(found: Structure) -> Dense:
    """The whole matrix in place of its structure."""
    return found if isinstance(found, Dense) else Dense(found.formula, found.rank, found)


def better_storage(
    found: Structure | BlockSystem,
    sizes: Mapping[str, int],
    shapes: Sequence[Sequence[int]],
    limit: int,
) -> Storage:
    """What is stored in another way at these sizes, where an array has at most ``limit`` bytes."""
    return Storage(_wasteful(found, sizes, shapes), _heavy(found, shapes, limit))


def _heavy(
    found: Structure | BlockSystem, shapes: Sequence[Sequence[int]], limit: int
) -> frozenset[tuple[int, int]]:
    """Dense couplings that are too large, or that make the Schur complement too long a work."""
    if isinstance(found, Structure):
        return frozenset()
    counts = [math.prod(shape) for shape in shapes]
    return frozenset(
        (p, q)
        for p, m in enumerate(counts)
        for q, n in enumerate(counts)
        if p < q and isinstance(found.blocks[p][q], Dense)
        if 8 * m * n > limit or m * n * min(m, n) > SCHUR_LIMIT
    )


def _wasteful(
    found: Structure | BlockSystem, sizes: Mapping[str, int], shapes: Sequence[Sequence[int]]
) -> frozenset[int]:
    """Positions of products whose factors are larger than the dense block at these sizes."""
    diagonal = (
        [found] if isinstance(found, Structure) else [r[p] for p, r in enumerate(found.blocks)]
    )
    return frozenset(
        p
        for p, (block, shape) in enumerate(zip(diagonal, shapes, strict=True))
        if _is_wasteful(block, math.prod(shape), sizes)
    )


def _is_wasteful(found: Structure, n: int, sizes: Mapping[str, int]) -> bool:
    """Whether the factors of a product are larger than the matrix, or its rank may be full."""
    if isinstance(found, PlusLowRank):
        return structured.stacked_rank(found.terms, sizes) >= n
    return isinstance(found, (LowRank, BlockGram)) and _entries(found, sizes) > n**2


def _entries(found: Structure, sizes: Mapping[str, int]) -> int:
    return sum(math.prod(evaluate(e, sizes) for e in core.extents) for core in found.cores)


def _flat(nodes: Sequence[Node]) -> Any:
    return tuple_of([LEAF] * len(nodes))


__all__ = [
    "SPARSE",
    "STORED_LIMIT",
    "Local",
    "Storage",
    "better_storage",
    "exponential_family",
    "first_of",
    "half_squares",
    "local_fisher",
    "local_gauss_newton",
    "local_hessian",
    "structured_hessian",
]
