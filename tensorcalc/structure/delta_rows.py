"""Rows of deltas brought into a form in which long labels are near the few that are kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..curvature.forms import Factor, Label
from ..deltas import LabelRow, solved_for, substituted
from ..extents import is_nonnegative, symbols_of
from ..nodes import Delta


def delta_rows(factors: Sequence[Factor]) -> tuple[list[LabelRow], list[Factor]]:
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


def delta_of(row: LabelRow, sizes: Mapping[Label, Any]) -> Factor:
    """The delta that a row is."""
    labels = tuple(x for x, c in row[0].items() if not (isinstance(c, int) and c == 0))
    coefficients = tuple(row[0][x] for x in labels)
    return Delta(((coefficients, row[1]),), tuple(sizes[x] for x in labels)), labels


def by_kept(
    rows: Sequence[LabelRow], kept: Collection[Label], sizes: Mapping[Label, Any]
) -> tuple[list[LabelRow], list[LabelRow]]:
    """Rows that say of the labels as long as those ``kept`` how far they are from there, by short
    labels; and the other rows, in which the former do not occur.

    Of a filter after a filter they leave a sum over the taps of both for every row, not one over
    all positions between the two.
    """
    solved: list[tuple[Label, LabelRow]] = []
    rest = list(rows)
    labels = dict.fromkeys(label for terms, _ in rows for label in terms if label not in kept)
    for label in (x for x in labels if any(_is_long(sizes[x], sizes[k]) for k in kept)):
        having = [each for each in rest if each[0].get(label, 0) in (1, -1)]
        if not having:
            continue
        pivot = min(having, key=lambda each: (not set(each[0]) & set(kept), len(each[0])))
        found = solved_for(pivot, label)
        assert found is not None
        rest = [substituted(each, label, *found) for each in rest if each is not pivot]
        solved = [(x, substituted(each, label, *found)) for x, each in solved]
        solved.append((label, found))
    return [_row_of(*each) for each in solved], rest


def _row_of(label: Label, solution: LabelRow) -> LabelRow:
    """The row that says ``label = sum(terms) + offset``."""
    terms, offset = solution
    return {**{x: -1 * c for x, c in terms.items()}, label: 1}, -1 * offset


def _is_long(extent: Any, reference: Any) -> bool:
    """Whether an extent grows with another, or is no less than half of it."""
    shared = symbols_of(extent) & symbols_of(reference)
    return bool(shared) or is_nonnegative(2 * extent - reference)


__all__ = ["by_kept", "delta_of", "delta_rows"]
