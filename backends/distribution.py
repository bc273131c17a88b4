"""Products distributed over sums that are mostly zero, or that only one vector meets.

``sum(S[a,i,k] x[a,j] over a)`` with ``S[a,i,k] = u[a,i] δ[i,k] + v[a,i] δ[i,k+m]`` is contracted
term by term: the entries between the diagonals are neither stored nor multiplied. Sums of such
sums are one sum, whose terms are written into one array, and a multiple of one has its terms
multiplied, not all entries. ``(A + A')[i,j] x[j]`` with stored ``A``
is two products with a vector, which read the matrix: the sum would be written and read again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tensorcalc.applications import apply
from tensorcalc.broadcasts import permutation_of
from tensorcalc.deltas import solved_for, substituted
from tensorcalc.extents import evaluate, symbols_of
from tensorcalc.nodes import Apply, Delta, Node, Product, Sum, Variable, postorder, use_counts
from tensorcalc.products import product, scale, split_coefficient
from tensorcalc.sums import add

#: The size assumed for a symbol where no other is known.
ASSUMED_SIZE = 100
#: The share of entries that may be filled, at most.
FILLED = 0.5


def distributed(roots: Sequence[Node]) -> list[Node]:
    """The roots with products distributed over sparse sums that nobody else needs.

    >>> import numpy as np, tensorcalc as tc
    >>> x, W = tc.variables("x: n, W: n m")
    >>> H = tc.hessian(np.sum(x[1:] * np.sin(x[:-1])), x)
    >>> len(distributed([tc.einsum("ij,jk->ik", H, W)])[0].operands)
    3
    """
    uses = use_counts(*roots)
    new: dict[Node, Node] = {}
    for node in postorder(*roots):
        new[node] = _rewritten(node, new, uses)
    return [new[root] for root in roots]


def _rewritten(node: Node, new: Mapping[Node, Node], uses: Mapping[Node, int]) -> Node:
    operands = [new[operand] for operand in node.operands]
    single = [uses[operand] == 1 for operand in node.operands]
    changed = any(a is not b for a, b in zip(operands, node.operands, strict=True))
    if isinstance(node, Sum):
        terms = [t for o, one in zip(operands, single, strict=True) for t in _terms(o, one)]
        return add(*terms) if changed or len(terms) > len(operands) else node
    if isinstance(node, Apply):
        made = apply(node.operation.name, *operands, **dict(node.params))
        return made if changed else node
    if isinstance(node, Product):
        for k, operand in enumerate(operands):
            if not single[k] or not isinstance(operand, Sum):
                continue
            if sparse(operand) and (_contracts(node, k) or _is_multiple(node, k)):
                return _with_scaled_terms(_over_sum(node, operands, k))
            if _contracts(node, k) and _meets_vectors(node, k, operand):
                return _over_sum(node, operands, k)
        if changed:
            return product(operands, node.subscripts, node.output, node.label_extents())
    return node


def _terms(node: Node, single: bool) -> Sequence[Node]:
    """The terms of a sparse sum that is a term itself, or the node."""
    coefficient, rest = split_coefficient(node)
    if single and isinstance(rest, Sum) and sparse(rest):
        return [scale(coefficient, term) for term in rest.operands]
    return [node]


def _with_scaled_terms(node: Node) -> Node:
    """A multiple of a sparse sum as a sum of multiples: few entries are multiplied."""
    coefficient, rest = split_coefficient(node)
    if coefficient == 1 or not isinstance(rest, Sum) or not sparse(rest):
        return node
    return Sum(tuple(scale(coefficient, term) for term in rest.operands))


def _contracts(node: Product, position: int) -> bool:
    """Whether an axis of an operand is summed together with another operand."""
    summed = set(node.subscripts[position]) - set(node.output)
    others = [own for k, own in enumerate(node.subscripts) if k != position]
    return any(label in own for label in summed for own in others)


def _is_multiple(node: Product, position: int) -> bool:
    """Whether all other factors are numbers."""
    return not any(own for k, own in enumerate(node.subscripts) if k != position)


def _meets_vectors(node: Product, position: int, operand: Sum) -> bool:
    """Whether a sum of stored arrays is larger than its product and all other factors."""
    labels = set(node.subscripts[position])
    others = [own for k, own in enumerate(node.subscripts) if k != position]
    largest = all(set(own) < labels for own in (*others, node.output))
    return largest and all(map(_is_stored, operand.operands))


def _is_stored(term: Node) -> bool:
    """Whether a term is an argument, up to its sign or size and the order of its axes."""
    _, rest = split_coefficient(term)
    return isinstance(rest.operands[0] if permutation_of(rest) else rest, Variable)


def _over_sum(node: Product, operands: Sequence[Node], position: int) -> Node:
    extents = node.label_extents()
    others = [
        (operand, own)
        for k, (operand, own) in enumerate(zip(operands, node.subscripts, strict=True))
        if k != position
    ]
    terms = []
    for term in operands[position].operands:
        nodes, subscripts = zip(*others, *_opened(term, node.subscripts[position]), strict=True)
        terms.append(product(nodes, subscripts, node.output, extents))
    return add(*terms)


def _opened(term: Node, labels: Sequence[Any]) -> list[tuple[Node, tuple[Any, ...]]]:
    """The factors of a term whose axes have these labels."""
    if not isinstance(term, Product):
        return [(term, tuple(labels))]
    names: dict[Any, Any] = dict(zip(term.output, labels, strict=True))
    return [
        (operand, tuple(names.setdefault(label, ("inner", label)) for label in own))
        for operand, own in zip(term.operands, term.subscripts, strict=True)
    ]


def sparse(node: Sum) -> bool:
    """Whether few entries of a sum can differ from zero."""
    known = node.facts.get("sparse")
    if known is None:
        filled = sum(_filled(term) for term in node.operands)
        known = node.facts["sparse"] = filled <= FILLED * _volume(node.extents)
    return known


def _filled(term: Node) -> float:
    """Entries of a term that its deltas let differ from zero."""
    whole = _volume(term.extents)
    if not isinstance(term, Product):
        return whole
    extents = term.label_extents()
    rows: list[Any] = [
        (dict(zip(own, coefficients, strict=True)), offset)
        for operand, own in zip(term.operands, term.subscripts, strict=True)
        if isinstance(operand, Delta)
        for coefficients, offset in operand.rows
    ]
    share = 1.0
    while rows:
        row = rows.pop()
        size, label = _largest(row, extents, term.output)
        if label is None:
            continue
        solution = solved_for(row, label)
        assert solution is not None
        rows = [substituted(other, label, *solution) for other in rows]
        if label in term.output:
            share /= size
        else:
            places = [_size(extents[k]) for k in row[0] if k in term.output]
            share *= min(1.0, size / max(places, default=size))
    return whole * share


def _largest(row: Any, extents: Mapping[int, Any], output: Any) -> tuple[float, int | None]:
    """The label that a row is solved for: a summed one if there is one, then the largest."""
    solvable = [label for label in row[0] if solved_for(row, label) is not None]
    keys = [(label not in output, _size(extents[label]), label) for label in solvable]
    _, size, label = max(keys, default=(False, 1.0, None))
    return size, label


def _volume(extents: Sequence[Any]) -> float:
    return math.prod(map(_size, extents))


def _size(extent: Any) -> float:
    return max(assumed_number(extent), 1)


def assumed_number(extent: Any) -> float:
    """The number that is assumed for an extent, or a coefficient, where no sizes are known."""
    if isinstance(extent, int):
        return extent
    return evaluate(extent, dict.fromkeys(symbols_of(extent), ASSUMED_SIZE))
