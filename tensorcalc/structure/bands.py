"""Bands and diagonals: terms whose columns lie near their rows, by affine deltas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..curvature.forms import Factor, Label, collected
from ..deltas import LabelRow, solved_for, substituted
from ..extents import is_nonnegative, symbols_of
from ..nodes import Constant, Delta, Node
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
    band = simplify(add(*(_band_of_term(term, low, width) for term in terms)))
    toeplitz = 0 in invariant_axes(band)
    return Banded(H, 1, low, width, band, toeplitz, () if toeplitz else _affine_patterns(terms))


def _band_of_term(term: Term, low: Any, width: Any) -> Node:
    """``band[i, b]`` of one term, with ``i + low + b`` in place of the column in its deltas.

    Entries whose column does not exist may have any value: nothing reads them.
    """
    form = term.form
    (row,), (column,) = form.rows, form.columns
    rows, others = _delta_rows(form.factors)
    if row == column or any(column in own for _, own in others):
        return band_of(term.node(), low, width)
    band: Label = ("band", 0)
    sizes = {**form.extents(), band: width}
    moved = [substituted(each, column, {row: 1, band: 1}, low) for each in rows]
    deltas = [_delta(each, sizes) for each in _by_row(moved, row, sizes)]
    if not all(own for _, own in deltas):
        return band_of(term.node(), low, width)
    factors = [(Constant(form.coefficient), ()), *others, *deltas]
    return collected(factors, (row, band), sizes)


def _delta_rows(factors: Sequence[Factor]) -> tuple[list[LabelRow], list[Factor]]:
    """The rows of all deltas, and the other factors."""
    rows: list[LabelRow] = []
    others: list[Factor] = []
    for node, own in factors:
        if isinstance(node, Delta) and len(set(own)) == len(own):
            rows += [(dict(zip(own, c, strict=True)), offset) for c, offset in node.rows]
            others += [] if node.rows else [(node, own)]
        else:
            others.append((node, own))
    return rows, others


def _by_row(rows: Sequence[LabelRow], row: Label, sizes: Mapping[Label, Any]) -> list[LabelRow]:
    """Rows that say of every label as long as ``row`` how far it is from there, by short labels.

    Of a filter after a filter they leave a sum over the taps of both for every row, not one over
    all positions between the two.
    """
    solved: list[tuple[Label, LabelRow]] = []
    rest = list(rows)
    labels = dict.fromkeys(label for terms, _ in rows for label in terms)
    for label in (x for x in labels if x != row and _is_long(sizes[x], sizes[row])):
        having = [each for each in rest if each[0].get(label, 0) in (1, -1)]
        if not having:
            continue
        pivot = min(having, key=lambda each: (row not in each[0], len(each[0])))
        found = solved_for(pivot, label)
        assert found is not None
        rest = [substituted(each, label, *found) for each in rest if each is not pivot]
        solved = [(x, substituted(each, label, *found)) for x, each in solved]
        solved.append((label, found))
    return [*(_row_of(*each) for each in solved), *_without_repetition(rest, row)]


def _row_of(label: Label, solution: LabelRow) -> LabelRow:
    """The row that says ``label = sum(terms) + offset``."""
    terms, offset = solution
    return {**{x: -1 * c for x, c in terms.items()}, label: 1}, -1 * offset


def _is_long(extent: Any, reference: Any) -> bool:
    """Whether an extent grows with another, or is no less than half of it."""
    shared = symbols_of(extent) & symbols_of(reference)
    return bool(shared) or is_nonnegative(2 * extent - reference)


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


def _delta(row: LabelRow, sizes: Mapping[Label, Any]) -> Factor:
    labels = tuple(x for x, c in row[0].items() if not (isinstance(c, int) and c == 0))
    coefficients = tuple(row[0][x] for x in labels)
    return Delta(((coefficients, row[1]),), tuple(sizes[x] for x in labels)), labels


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
