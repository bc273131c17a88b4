"""Sums of Kronecker products that are one: all terms but for one factor the same.

``A x B + A x C = A x (B + C)``, where an identity is a factor like any other; one term more may be
a multiple of the identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..curvature.forms import collected
from ..nodes import Constant, Node
from ..products import is_zero, kronecker, product, scale
from ..simplify import simplify
from ..sums import add
from .kinds import Kronecker
from .terms import Term, components

Axes = tuple[int, ...]


class _Factors(NamedTuple):
    """A term taken apart: a scalar, and a matrix for every group of axes that is not tied."""

    scalar: Node
    by_axes: dict[Axes, Node]


def kronecker_of_terms(H: Node, rank: int, terms: Sequence[Term]) -> Kronecker | None:
    """``H`` as one Kronecker product, perhaps plus a multiple of the identity; else None."""
    found = [_factors_of(term) for term in terms]
    parts = [part for part in found if part is not None]
    groups = sorted({axes for part in parts for axes in part.by_axes})
    flat = [axis for group in groups for axis in group]
    if len(parts) < len(terms) or len(groups) < 2 or len(set(flat)) < len(flat):
        return None
    rest = tuple(axis for axis in range(rank) if axis not in flat)
    axes = [*groups, rest] if rest else groups
    single = _combined(H, axes, parts)
    shift = None
    if single is None:
        identities = [part for part in parts if not part.by_axes]
        others = [part for part in parts if part.by_axes]
        single = _combined(H, axes, others) if identities else None
        shift = simplify(add(*(part.scalar for part in identities))) if identities else None
    return None if single is None else Kronecker(H, rank, tuple(axes), single, shift)


def _factors_of(term: Term) -> _Factors | None:
    form = term.form
    if term.crossed or form.batch:
        return None
    tied_labels = {form.rows[axis] for axis in term.tied}
    sizes = form.extents()
    scalars: list[Any] = [(Constant(form.coefficient), ())]
    by_axes: dict[Axes, Node] = {}
    for rows, columns, factors in components(term):
        if rows != columns or any(tied_labels & set(own) for _, own in factors):
            return None
        if not rows:
            scalars += factors
            continue
        own = tuple(sorted(rows))
        labels = [*(form.rows[a] for a in own), *(form.columns[a] for a in own)]
        by_axes[own] = simplify(collected(factors, labels, sizes))
    if {axis for own in by_axes for axis in own} | term.tied != set(range(len(form.rows))):
        return None
    return _Factors(simplify(collected(scalars, (), sizes)), by_axes)


def _combined(H: Node, axes: Sequence[Axes], parts: Sequence[_Factors]) -> tuple[Node, ...] | None:
    """One factor per group of axes, if the terms differ in no more than one of them."""
    extents = H.extents
    identities = [kronecker([extents[axis] for axis in group]) for group in axes]
    table = [
        [part.by_axes.get(group, one) for group, one in zip(axes, identities, strict=True)]
        for part in parts
    ]
    differing = [k for k in range(len(axes)) if any(row[k] is not table[0][k] for row in table)]
    if len(differing) > 1:
        return None
    at = differing[0] if differing else 0
    total = add(*(_scaled(p.scalar, row[at]) for p, row in zip(parts, table, strict=True)))
    factors = list(table[0])
    factors[at] = simplify(total)
    return None if is_zero(factors[at]) else tuple(factors)


def _scaled(scalar: Node, matrix: Node) -> Node:
    if isinstance(scalar, Constant):
        return scale(scalar.value, matrix)
    return product((scalar, matrix), ((), tuple(range(matrix.ndim))), tuple(range(matrix.ndim)))
