"""Bands and diagonals: terms whose columns lie near their rows, by affine deltas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..extents import is_nonnegative
from ..nodes import Node
from ..products import product
from ..simplify import simplify
from ..sums import add
from .kinds import Banded, Diagonals, Pattern, Scatter, Structure
from .patterns import merged_patterns, patterns_of
from .restrictions import band_of, invariant_axes, offset_delta
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
    band = band_of(H, low, width)
    toeplitz = 0 in invariant_axes(band)
    return Banded(H, 1, low, width, band, toeplitz, () if toeplitz else _affine_patterns(terms))


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
        total = simplify(add(*(term.node() for term in members)))
        lows.append(tuple(low for low, _ in pattern))
        bands.append(_band(total, rank, [(low, high - low + 1) for low, high in pattern]))
    return Diagonals(H, rank, tuple(lows), tuple(bands))


def _band(H: Node, rank: int, pattern: Sequence[tuple[Any, Any]]) -> Node:
    """``band[i..., b...] = H[i..., i + low + b...]``."""
    from_axes = range(rank)
    nodes, subscripts = [H], [(*(("i", a) for a in from_axes), *(("k", a) for a in from_axes))]
    for axis, (low, width) in enumerate(pattern):
        nodes.append(offset_delta(low, H.extents[axis], width, H.extents[axis]))
        subscripts.append((("i", axis), ("b", axis), ("k", axis)))
    output = [*(("i", a) for a in from_axes), *(("b", a) for a in from_axes)]
    return simplify(product(nodes, subscripts, output))
