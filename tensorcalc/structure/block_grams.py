"""Gram matrices with blocks: ``A' D A`` where ``A = X x I`` and ``D`` is block diagonal.

The Hessian of any function of the rows of ``X W`` is of this kind, softmax regression's first of
all: ``H[j, a, l, b] = sum(X[i, j] D[i, a, b] X[i, l] over i)`` with one small block per row.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from ..curvature.forms import Factor, Label, collected, plain_factors
from ..nodes import Constant, Node
from ..simplify import simplify
from ..sums import add
from .kinds import BlockGram, Structure
from .restrictions import invariant_axes
from .terms import Term


class _Split(NamedTuple):
    """One term taken apart: the factor of both sides, its middle axes, the blocks."""

    middle: int
    side: Node
    blocks: Node


def block_gram(H: Node, rank: int, terms: Sequence[Term], base: Structure) -> BlockGram | None:
    """``base`` plus a Gram matrix with blocks, if all ``terms`` have one ``X`` at both sides.

    None if they do not, or if the blocks are the same for all rows: that is a Kronecker product.
    """
    for count in range(1, rank):
        for own in itertools.combinations(range(rank), count):
            parts = [_split(term, own) for term in terms]
            found = [part for part in parts if part is not None]
            if len(found) == len(parts) and len({(p.middle, p.side) for p in found}) == 1:
                middle, side, _ = found[0]
                blocks = simplify(add(*(part.blocks for part in found)))
                if not set(range(middle)) <= invariant_axes(blocks):
                    return BlockGram(H, rank, base, own, middle, side, blocks)
    return None


def _split(term: Term, own: Sequence[int]) -> _Split | None:
    """``sum(X[m, rows of own] X[m, columns of own] D[m, other rows, other columns] over m)``."""
    form = term.form
    if term.crossed or form.batch or term.tied & set(own):
        return None
    rows, columns = [form.rows[a] for a in own], [form.columns[a] for a in own]
    factors = plain_factors(form)
    left = [f for f in factors if set(f[1]) & set(rows)]
    right = [f for f in factors if set(f[1]) & set(columns)]
    rest = [f for f in factors if not set(f[1]) & {*rows, *columns}]
    others = [a for a in range(len(form.rows)) if a not in own]
    outer = [form.rows[a] for a in others] + [form.columns[a] for a in others]
    if any(set(f[1]) & {*columns, *outer} for f in left) or not left:
        return None
    if any(set(f[1]) & {*rows, *outer} for f in right) or not right:
        return None
    middle = _labels_but(left, rows)
    if not middle or set(middle) != set(_labels_but(right, columns)):
        return None
    sizes = form.extents()
    side = collected(left, (*middle, *rows), sizes)
    if side is not collected(right, (*middle, *columns), sizes):
        return None
    blocks = collected([(Constant(form.coefficient), ()), *rest], (*middle, *outer), sizes)
    return _Split(len(middle), side, blocks)


def _labels_but(factors: Sequence[Factor], known: Sequence[Label]) -> list[Label]:
    return [x for x in dict.fromkeys(x for _, own in factors for x in own) if x not in known]
