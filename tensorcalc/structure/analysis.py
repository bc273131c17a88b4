"""What a matrix of second derivatives is, read off its expression.

The terms of ``H`` are classified one by one and combined: what is claimed holds for all sizes and
all values, never by coincidence of numbers. Every core is a restriction of ``H`` to where it is not
zero, so the deltas that were the evidence vanish in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..curvature.forms import collected, plain_factors
from ..errors import ShapeError
from ..extents import is_nonnegative, same_extents
from ..nodes import Apply, Node, as_expression
from ..products import is_zero, kronecker, product, scale
from ..simplify import simplify
from ..sums import add
from .bands import in_bands
from .block_grams import block_gram
from .kinds import (
    Blocks,
    BlockSystem,
    Dense,
    Diagonal,
    Identity,
    Inverse,
    Kronecker,
    KroneckerSum,
    LowRank,
    Pattern,
    PlusLowRank,
    Scatter,
    Structure,
    Zero,
)
from .kronecker_terms import kronecker_of_terms
from .patterns import identity_places, merged_patterns, patterns_of
from .restrictions import shared_blocks
from .terms import (
    Term,
    band_limits,
    components,
    low_rank_parts,
    single_form,
    term_of,
    terms_of,
)


def structure(H: Node, row_axes: int | None = None) -> Structure:
    """What ``H`` is as a matrix from its last axes to its first ``row_axes`` (half of them).

    >>> import numpy as np, tensorcalc as tc
    >>> T, U, V = tc.variables("T: m n, U: m k, V: n k")
    >>> structure(tc.hessian(np.sum((T - U @ V.T) ** 2), U)).name
    'Kronecker product of an identity and a matrix'

    Raises ShapeError if ``H`` has an odd number of axes and ``row_axes`` is not given.
    """
    H = as_expression(H)
    if row_axes is None and H.ndim % 2:
        raise ShapeError(
            "the structure of a tensor that has no middle",
            [f"operand: shape {H.extents}"],
            "say how many of the axes are rows: structure(H, row_axes=1)",
        )
    rank = H.ndim // 2 if row_axes is None else row_axes
    H = simplify(H)
    if is_zero(H):
        return Zero(H, rank)
    square = 2 * rank == H.ndim and same_extents(H.extents[:rank], H.extents[rank:])
    terms = [term_of(form) for form in terms_of(H, rank)]
    if not rank or rank == H.ndim:
        return Dense(H, rank)
    if not square:
        return _rectangular(H, rank, terms)
    whole = _kronecker(H, rank, term_of(single_form(H, rank)))
    found = whole or _square(H, rank, terms)
    if not isinstance(found, Dense):
        return found
    more = [term_of(form) for form in terms_of(H, rank, chained=True)]
    return _square(H, rank, more) if len(more) > len(terms) else found


def structure_of_system(blocks: Sequence[Sequence[Node]], ranks: Sequence[int]) -> BlockSystem:
    """Structures of the blocks of a Hessian in several parameters with ``ranks[p]`` axes each."""
    return BlockSystem(
        tuple(
            tuple(structure(block, rank) for block in row)
            for row, rank in zip(blocks, ranks, strict=True)
        )
    )


def _square(H: Node, rank: int, terms: list[Term]) -> Structure:
    """Tied terms first, then sparse ones; what is left must be of low rank, or one product."""
    tied_terms = [term for term in terms if term.tied]
    others = [term for term in terms if not term.tied]
    base = _tied(tied_terms, rank) if tied_terms else None
    if base is not None and not others:
        along = isinstance(base, Blocks) and all(_goes_along(term, rank) for term in terms)
        found = _sparse(H, rank, terms) if along else None
        return found or replace(base, formula=H)
    several = kronecker_of_terms(H, rank, terms)
    if several is not None:
        return several
    low_rank = [_low_rank(term, rank) for term in others]
    found = _sparse(H, rank, terms) or _sparse_plus_low_rank(H, rank, terms)
    if found is None and (isinstance(base, Blocks) or None in low_rank):
        found = _block_gram(H, rank, terms)
    if found is not None:
        return found
    parts = [part for part in low_rank if part is not None]
    if len(parts) == len(others) and (base is not None or not tied_terms):
        return _with_low_rank(H, rank, base, _merged(parts))
    return _one_product(H, rank, terms) or Dense(H, rank)


def _goes_along(term: Term, rank: int) -> bool:
    """Whether a term has entries all along: single ones are no reason to give up blocks."""
    return all(
        sum(not isinstance(extent, int) for extent in pattern.values.extents) >= rank
        for pattern in patterns_of(term) or ()
    )


def _sparse(H: Node, rank: int, terms: Sequence[Term]) -> Structure | None:
    return in_bands(H, rank, terms) or _scatter(H, rank, terms)


def _sparse_plus_low_rank(H: Node, rank: int, terms: Sequence[Term]) -> Structure | None:
    """Terms in bands or patterns, some of them not tied, and others of low rank."""
    near = [term for term in terms if term.tied or _is_near(term, rank)]
    parts = [_low_rank(term, rank) for term in terms if term not in near]
    thin = [part for part in parts if part is not None and _is_thin(part)]
    if all(term.tied for term in near) or not thin or len(thin) < len(parts):
        return None
    sides = {(part.left, part.right) for part in thin}
    if any((right, left) not in sides for left, right in sides):
        return None  # a term and its transpose fell on different sides
    base = _sparse(simplify(add(*(term.node() for term in near))), rank, near)
    return None if base is None else _with_low_rank(H, rank, base, _merged(thin))


def _is_near(term: Term, rank: int) -> bool:
    limits = [band_limits(term, axis) for axis in range(rank)]
    return None not in limits or patterns_of(term) is not None


def _block_gram(H: Node, rank: int, terms: Sequence[Term]) -> Structure | None:
    """A Gram matrix with blocks, plus what is diagonal."""
    diagonal = [term for term in terms if len(term.tied) == rank]
    base = _tied(diagonal, rank) if diagonal else None
    others = [term for term in terms if len(term.tied) < rank]
    return block_gram(H, rank, others, base or Zero(H, rank))


def _rectangular(H: Node, rank: int, terms: list[Term]) -> Structure:
    parts = [_low_rank(term, rank) for term in terms]
    if len(parts) == 1 and parts[0] is not None:
        return replace(parts[0], formula=H)
    found = [patterns_of(term) for term in terms]
    patterns = [pattern for each in found if each is not None for pattern in each]
    return Dense(H, rank) if None in found else Scatter(H, rank, tuple(merged_patterns(patterns)))


# -- tied terms -----------------------------------------------------------------------------------
def _tied(terms: Sequence[Term], rank: int) -> Structure | None:
    """The sum of terms in which rows and columns agree on some axes."""
    H = simplify(add(*(term.node() for term in terms)))
    common = frozenset.intersection(*(term.tied for term in terms))
    if not common:
        return _kronecker_sum(H, rank, terms)
    if len(terms) == 1:
        several = _kronecker(H, rank, terms[0])
        if several is not None:
            return several
    tied = tuple(sorted(common))
    core, batch = shared_blocks(H, tied)
    if len(tied) < rank:
        return Blocks(H, rank, tied, batch, core)
    if not batch:
        return Identity(H, rank, core)
    return Diagonal(H, rank, shared_diagonal(H, rank))


def shared_diagonal(H: Node, rank: int) -> Node:
    """The diagonal of ``H`` as a node of the shape of the rows."""
    return simplify(product((H,), ((*range(rank), *range(rank)),), range(rank)))


def _kronecker(H: Node, rank: int, term: Term) -> Structure | None:
    """Two or more connected groups of factors, each with its own rows and the same columns."""
    if term.crossed or term.form.batch:
        return None
    free = set(range(rank)) - term.tied
    groups = [group for group in components(term) if group[0] or group[1]]
    loose = [group for group in components(term) if not group[0] and not group[1]]
    if len(groups) < 2 or any(rows != columns for rows, columns, _ in groups):
        return None
    if set().union(*(rows for rows, _, _ in groups)) != free:
        return None
    tied_labels = {term.form.rows[axis] for axis in term.tied}
    if any(tied_labels & set(own) for _, _, factors in [*groups, *loose] for _, own in factors):
        return None
    return _kronecker_of(H, rank, term, groups, [f for _, _, factors in loose for f in factors])


def _kronecker_of(H: Node, rank: int, term: Term, groups: Any, scalars: Any) -> Structure:
    form = term.form
    sizes = form.extents()
    axes, factors = [], []
    for position, (rows, _, members) in enumerate(groups):
        own = tuple(sorted(rows))
        members = [*members, *scalars] if position == 0 else members
        labels = [*(form.rows[a] for a in own), *(form.columns[a] for a in own)]
        node = collected(members, labels, sizes)
        factors.append(simplify(form.coefficient * node if position == 0 else node))
        axes.append(own)
    if term.tied:
        own = tuple(sorted(term.tied))
        axes.append(own)
        factors.append(kronecker([sizes[form.rows[a]] for a in own]))
    return Kronecker(H, rank, tuple(axes), tuple(factors))


def _kronecker_sum(H: Node, rank: int, terms: Sequence[Term]) -> Structure | None:
    """Two kinds of terms whose ties are complements, with blocks that do not depend on the ties."""
    kinds = {term.tied for term in terms if len(term.tied) < rank}
    if len(kinds) != 2 or frozenset.union(*kinds) != frozenset(range(rank)):
        return None
    first, second = sorted(kinds, key=sorted)
    if first & second:
        return None
    parts = []
    for tied_axes in (first, second):
        members = [t for t in terms if t.tied == tied_axes]
        if tied_axes is first:
            members += [t for t in terms if len(t.tied) == rank]
        total = simplify(add(*(term.node() for term in members)))
        core, batch = shared_blocks(total, tuple(sorted(tied_axes)))
        if batch:
            return None
        parts.append((tuple(a for a in range(rank) if a not in tied_axes), core))
    return KroneckerSum(H, rank, (parts[0][0], parts[1][0]), (parts[0][1], parts[1][1]))


# -- low rank -------------------------------------------------------------------------------------
def _low_rank(term: Term, rank: int) -> LowRank | None:
    parts = low_rank_parts(term)
    if parts is None:
        return None
    middle, left, right, weights = parts
    return LowRank(term.node(), rank, middle, left, right, weights)


def _merged(parts: Sequence[LowRank]) -> list[LowRank]:
    """Terms with the same two sides become one with the sum of the weights."""
    groups: dict[Any, list[LowRank]] = {}
    for part in parts:
        groups.setdefault((part.left, part.right, part.middle), []).append(part)
    return [_weights_added(members) for members in groups.values()]


def _weights_added(members: Sequence[LowRank]) -> LowRank:
    first = members[0]
    if len(members) == 1:
        return first
    formula = simplify(add(*(part.formula for part in members)))
    weights = simplify(add(*(part.weights for part in members)))
    return LowRank(formula, first.rank, first.middle, first.left, first.right, weights)


def _with_low_rank(
    H: Node, rank: int, base: Structure | None, parts: Sequence[LowRank]
) -> Structure:
    if base is not None:
        return PlusLowRank(H, rank, base, tuple(parts))
    if len(parts) == 1 and (parts[0].is_gram or _is_thin(parts[0])):
        return replace(parts[0], formula=H)
    thin = all(_is_thin(part) for part in parts)
    return PlusLowRank(H, rank, Zero(H, rank), tuple(parts)) if thin else Dense(H, rank)


def _is_thin(part: LowRank) -> bool:
    """Whether the rank is smaller than the matrix, or not comparable with it.

    A rank that grows with the size, at more than a quarter of its pace, is not.
    """
    total = math.prod(part.rows)
    grows = not isinstance(total, int) and is_nonnegative(4 * part.inner + 16 - total)
    return not grows and not is_nonnegative(part.inner - total)


# -- sparse patterns ------------------------------------------------------------------------------
def _scatter(H: Node, rank: int, terms: Sequence[Term]) -> Structure | None:
    """Terms whose entries lie where index arrays or affine forms say, in one of them at least."""
    found = [patterns_of(term) for term in terms if len(term.tied) < rank]
    patterns = [pattern for each in found if each is not None for pattern in each]
    if None in found or not any(pattern.determined for pattern in patterns):
        return None
    diagonal = [term for term in terms if len(term.tied) == rank]
    if diagonal:
        total = simplify(add(*(term.node() for term in diagonal)))
        patterns.append(Pattern(identity_places(rank), shared_diagonal(total, rank), False))
    return Scatter(H, rank, tuple(merged_patterns(patterns)))


def _one_product(H: Node, rank: int, terms: Sequence[Term]) -> Structure | None:
    """A Kronecker product, perhaps plus a multiple of the identity, or an inverse."""
    diagonal = [term for term in terms if len(term.tied) == rank]
    others = [term for term in terms if len(term.tied) < rank]
    base = _tied(diagonal, rank) if diagonal else None
    if base is not None and not isinstance(base, Identity):
        return None
    rest = simplify(add(*(term.node() for term in others))) if base is not None else H
    single = term_of(single_form(rest, rank))
    several = _kronecker(rest, rank, single)
    found = several if isinstance(several, Kronecker) else _inverse(rest, rank, others)
    shift = None if base is None else base.factor
    return None if found is None else replace(found, formula=H, shift=shift)


def _inverse(H: Node, rank: int, terms: Sequence[Term]) -> Inverse | None:
    """``c inv(A)`` for a structured symmetric ``A``, also where its transpose is written."""
    if rank != 1:
        return None
    total = 0.0
    inverted: set[Node] = set()
    for term in terms:
        form = term.form
        factors = plain_factors(form)
        (node, own), *more = factors or [(H, ())]
        is_inverse = isinstance(node, Apply) and node.operation.name == "inv"
        if more or not is_inverse or set(own) != {*form.rows, *form.columns}:
            return None
        inverted.add(node.operands[0])
        total += form.coefficient
    if len(inverted) != 1 or not total:
        return None
    (A,) = inverted
    transposed = product((A,), (("i", "j"),), ("j", "i"))
    inner = structure(scale(1 / total, A), 1)
    if isinstance(inner, Dense) or not is_zero(simplify(add(A, scale(-1, transposed)))):
        return None
    return Inverse(H, 1, inner)
