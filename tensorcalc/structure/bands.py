"""Bands and diagonals: terms whose columns lie near their rows, by affine deltas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..curvature.forms import Label, collected
from ..deltas import LabelRow, substituted
from ..extents import is_nonnegative
from ..nodes import Constant, Node
from ..products import product
from ..simplify import simplify
from ..sums import add
from .delta_rows import by_kept, delta_of, delta_rows
from .kinds import Banded, Diagonals, Pattern, Scatter, Structure
from .patterns import merged_patterns, patterns_of
from .restrictions import invariant_axes, offset_delta
from .terms import Term, band_limits


def in_bands(H: Node, rank: int, terms: Sequence[Term]) -> Structure | None:
    """``H`` as a band, or as sparse by affine patterns, if all terms keep columns near their rows.

    The entries of a term are values along its free labels where affine patterns say where they lie:
    restricting the sum to the band would compute it for all pairs of a row and a middle index.
    """
    limits = [[band_limits(term, axis) for axis in range(rank)] for term in terms]
    known = [each for each in limits if all(pair is not None for pair in each)]
    if len(known) < len(limits):
        return None
    if rank == 1:
        hull = _hull([pair for (pair,) in limits if pair is not None])
        if hull is not None and not is_nonnegative(hull[1] - hull[0] + 1 - H.extents[0]):
            return _banded(H, terms, hull[0], hull[1] - hull[0] + 1)
    patterns = _affine_patterns(terms)
    if patterns:
        return Scatter(H, rank, patterns)
    return _diagonals(H, rank, terms, limits)


def _banded(H: Node, terms: Sequence[Term], low: Any, width: Any) -> Banded:
    band = _band(terms, [(low, width)])
    toeplitz = 0 in invariant_axes(band)
    return Banded(H, 1, low, width, band, toeplitz, () if toeplitz else _affine_patterns(terms))


def _band(terms: Sequence[Term], pattern: Sequence[tuple[Any, Any]]) -> Node:
    """``band[i..., b...] = H[i..., i + low + b...]`` of the sum ``H`` of the terms; ``pattern`` has
    a low and a width for every axis.
    """
    return simplify(add(*(_band_of_term(term, pattern) for term in terms)))


def _band_of_term(term: Term, pattern: Sequence[tuple[Any, Any]]) -> Node:
    """The band of one term, with ``i + low + b`` in place of the columns in its deltas.

    Entries whose column does not exist may have any value: nothing reads them.
    """
    form = term.form
    moved, others = delta_rows(form.factors)
    used = {label for _, own in others for label in own}
    if used & set(form.columns) or set(form.rows) & set(form.columns):
        return _restricted(term, pattern)
    bands: list[Label] = [("band", axis) for axis in range(len(pattern))]
    sizes = {**form.extents(), **{b: width for b, (_, width) in zip(bands, pattern, strict=True)}}
    for row, column, band, (low, _) in zip(form.rows, form.columns, bands, pattern, strict=True):
        moved = [substituted(each, column, {row: 1, band: 1}, low) for each in moved]
    near, rest = by_kept(moved, form.rows, sizes)
    for row in form.rows:
        rest = _without_repetition(rest, row)
    deltas = [delta_of(each, sizes) for each in (*near, *rest)]
    if not all(own for _, own in deltas):
        return _restricted(term, pattern)
    factors = [(Constant(form.coefficient), ()), *others, *deltas]
    return collected(factors, (*form.rows, *bands), sizes)


def _restricted(term: Term, pattern: Sequence[tuple[Any, Any]]) -> Node:
    """The band of a term as its product with deltas that select it."""
    H, axes = term.node(), range(len(pattern))
    nodes, subscripts = [H], [(*(("i", a) for a in axes), *(("k", a) for a in axes))]
    for a, (low, width) in enumerate(pattern):
        nodes.append(offset_delta(low, H.extents[a], width, H.extents[a]))
        subscripts.append((("i", a), ("b", a), ("k", a)))
    return product(nodes, subscripts, [*(("i", a) for a in axes), *(("b", a) for a in axes)])


def _without_repetition(rows: Sequence[LabelRow], label: Label) -> list[LabelRow]:
    """Rows of which one at most has ``label``, with a coefficient of 1 or -1 there.

    The row with fewest labels is subtracted from the others that have it.
    """
    having = [each for each in rows if each[0].get(label, 0) in (1, -1)]
    if not having:
        return list(rows)
    pivot = min(having, key=lambda each: len(each[0]))
    reduced = [pivot]
    for each in rows:
        factor = each[0].get(label, 0)
        if each is pivot:
            continue
        if not isinstance(factor, int):
            return list(rows)
        factor *= pivot[0][label]
        labels = dict.fromkeys([*each[0], *pivot[0]])
        terms = {x: each[0].get(x, 0) - factor * pivot[0].get(x, 0) for x in labels}
        reduced.append((terms, each[1] - factor * pivot[1]))
    return reduced


def _affine_patterns(terms: Sequence[Term]) -> tuple[Pattern, ...]:
    """The patterns of all terms, if every one has them and no array says where they are."""
    found = [patterns_of(term) for term in terms]
    patterns = [pattern for each in found if each is not None for pattern in each]
    if None in found or any(isinstance(place, Node) for p in patterns for place in p.places):
        return ()
    return tuple(merged_patterns(patterns))


def _hull(pairs: Sequence[tuple[Any, Any]]) -> tuple[Any, Any] | None:
    low, high = pairs[0]
    for a, b in pairs[1:]:
        lower, upper = _lesser(low, a), _lesser(-high, -b)
        if lower is None or upper is None:
            return None
        low, high = lower, -upper
    return low, high


def _lesser(a: Any, b: Any) -> Any:
    if is_nonnegative(b - a):
        return a
    return b if is_nonnegative(a - b) else None


def _diagonals(H: Node, rank: int, terms: Sequence[Term], limits: Any) -> Structure:
    """One band per pattern of offsets; equal patterns are added."""
    groups: dict[Any, list[Term]] = {}
    for term, each in zip(terms, limits, strict=True):
        groups.setdefault(tuple(each), []).append(term)
    lows, bands = [], []
    for pattern, members in groups.items():
        spans = [(low, high - low + 1) for low, high in pattern]
        lows.append(tuple(low for low, _ in spans))
        bands.append(_band(members, spans))
    return Diagonals(H, rank, tuple(lows), tuple(bands))
