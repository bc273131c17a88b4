"""The algebra of affine deltas: rows of a product solved, substituted and split.

A row ``{label: coefficient, ...}, offset`` asserts that ``sum(coefficient*label) + offset`` is
zero. Rules are named as theorems and return what they changed, so that
:func:`tensorcalc.products.product` can run them until nothing changes.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from .extents import Extent, floor_divide, is_nonnegative, same_extents, whole_quotient

Label = Hashable
Size = Any  # int | Extent
Terms = dict[Label, Size]
LabelRow = tuple[Terms, Size]


class Contradiction(Exception):
    """A row that no index satisfies: the product is zero."""


def normalised_row(
    terms: Mapping[Label, Size], offset: Size, extents: Mapping[Label, Size]
) -> LabelRow | None:
    """Drop zero coefficients and common factors; None for a row that always holds.

    The index of an axis of size one is zero, so its coefficient does not matter.

    Raises Contradiction for a row that never holds.
    """
    kept = {k: c for k, c in terms.items() if not (_is_zero(c) or _is_one(extents[k]))}
    if not kept:
        if _is_zero(offset):
            return None
        if isinstance(offset, int) or _never_zero(offset):
            raise Contradiction
        return kept, offset
    bounds = value_range(kept, offset, extents)
    if bounds and (is_nonnegative(bounds[0] - 1) or is_nonnegative(-bounds[1] - 1)):
        raise Contradiction
    if all(isinstance(c, int) for c in kept.values()) and isinstance(offset, int):
        return _primitive(kept, offset)
    return kept, offset


def substituted(row: LabelRow, label: Label, terms: Terms, offset: Size) -> LabelRow:
    """``row`` with ``label`` replaced by ``sum(terms) + offset``."""
    row_terms, row_offset = row
    if label not in row_terms:
        return row
    c = row_terms[label]
    result = {other: d for other, d in row_terms.items() if other != label}
    for other, d in terms.items():
        result[other] = result.get(other, 0) + c * d
    return result, row_offset + c * offset


def solved_for(row: LabelRow, label: Label) -> tuple[Terms, Size] | None:
    """The row as ``label = sum(terms) + offset`` if its coefficient there is 1 or -1."""
    terms, offset = row
    c = terms[label]
    if not isinstance(c, int) or abs(c) != 1:
        return None
    others = {other: -c * d for other, d in terms.items() if other != label}
    return others, -c * offset


def kronecker_pair(row: LabelRow, extents: Mapping[Label, Size]) -> tuple[Label, Label] | None:
    """The two labels that a row equates over the same extent, if that is what it says."""
    terms, offset = row
    if len(terms) != 2 or not _is_zero(offset):
        return None
    (a, c), (b, d) = terms.items()
    if (isinstance(c, int) and c == 1 and isinstance(d, int) and d == -1) or (
        isinstance(c, int) and c == -1 and isinstance(d, int) and d == 1
    ):
        return (a, b) if same_extents((extents[a],), (extents[b],)) else None
    return None


def always_inside(terms: Terms, offset: Size, extents: Mapping[Label, Size], size: Size) -> bool:
    """Whether ``0 <= sum(terms) + offset < size`` provably holds for all indices."""
    bounds = value_range(terms, offset, extents)
    return bounds is not None and is_nonnegative(bounds[0]) and is_nonnegative(size - 1 - bounds[1])


def value_range(
    terms: Terms, offset: Size, extents: Mapping[Label, Size]
) -> tuple[Size, Size] | None:
    """Least and greatest value of an affine form over all indices, None where a sign is open."""
    low = high = offset
    for label, c in terms.items():
        reach = c * (extents[label] - 1)
        if is_nonnegative(c):
            high = high + reach
        elif is_nonnegative(-c):
            low = low + reach
        else:
            return None
    return low, high


def split_rows(row: LabelRow, extents: Mapping[Label, Size]) -> list[LabelRow]:
    """``d*u + v = 0`` with ``|v| < d`` says ``u = 0`` and ``v = 0`` (mixed radix)."""
    terms, _ = row
    for divisor in terms.values():
        if isinstance(divisor, int) and divisor < 0:
            divisor = -divisor
        if isinstance(divisor, int) and divisor == 1:
            continue
        split = _split_by(row, divisor, extents)
        if split:
            return split
    return [row]


def _split_by(row: LabelRow, divisor: Size, extents: Mapping[Label, Size]) -> list[LabelRow]:
    terms, offset = row
    multiples = {label: whole_quotient(c, divisor) for label, c in terms.items()}
    rest = {label: c - multiples[label] * divisor for label, c in terms.items()}
    multiples, rest = (
        {k: c for k, c in part.items() if not _is_zero(c)} for part in (multiples, rest)
    )
    if not multiples or not rest:
        return []
    offset_multiple = _exact(offset, divisor)
    rest_offset = 0 if offset_multiple is not None else offset
    bounds = value_range(rest, rest_offset, extents)
    if bounds is None:
        return []
    if is_nonnegative(divisor - 1 - bounds[1]) and is_nonnegative(divisor - 1 + bounds[0]):
        return [(multiples, offset_multiple or 0), (rest, rest_offset)]
    return []


def determines(terms: Terms, extents: Mapping[Label, Size]) -> bool:
    """Whether at most one choice of these labels gives ``sum(terms)`` any one value.

    The difference of two solutions must split into one row per label.
    """
    if len(terms) == 1:
        return True
    doubled = {("other", label): -c for label, c in terms.items()} | dict(terms)
    sizes = {("other", label): extents[label] for label in terms} | dict(extents)
    rows: list[LabelRow] = [(doubled, 0)]
    while len(rows) < len(terms):
        parts = [part for row in rows for part in split_rows(row, sizes)]
        if len(parts) == len(rows):
            return False
        rows = parts
    return True


def canonical_rows(rows: Iterable[LabelRow]) -> list[LabelRow]:
    """Rows without repetitions.

    Raises Contradiction for two that say the same of labels with offsets that differ.
    """
    seen: dict[Any, LabelRow] = {}
    said: dict[Any, Size] = {}
    for terms, offset in rows:
        key = frozenset(terms.items()), offset
        negated = frozenset((label, -c) for label, c in terms.items()), -offset
        for same, own in (key, negated):
            other = said.setdefault(same, own)
            if isinstance(other, int) and isinstance(own, int) and other != own:
                raise Contradiction
        if negated not in seen:
            seen.setdefault(key, (terms, offset))
    return list(seen.values())


def ordered_terms(
    row: LabelRow, extents: Mapping[Label, Size]
) -> tuple[list[Label], tuple[Any, Any]]:
    """Labels and coefficients of a row in an order and sign that do not depend on label names."""

    def arranged(sign: int) -> list[tuple[bool, str, str, Label]]:
        terms = row[0].items()
        return sorted(
            (
                (not is_nonnegative(sign * c), str(sign * c), str(extents[label]), label)
                for label, c in terms
            ),
            key=lambda item: item[:3],
        )

    def key(sign: int) -> tuple[int, list[tuple[bool, str, str]], str]:
        negative = sum(not is_nonnegative(sign * c) for c in row[0].values())
        return negative, [item[:3] for item in arranged(sign)], str(sign * row[1])

    sign = min((1, -1), key=key)
    labels = [item[3] for item in arranged(sign)]
    return labels, (tuple(sign * row[0][label] for label in labels), sign * row[1])


def _primitive(terms: Terms, offset: int) -> LabelRow:
    divisor = math.gcd(*terms.values())
    if offset % divisor:
        raise Contradiction
    if divisor == 1:
        return terms, offset
    return {label: c // divisor for label, c in terms.items()}, offset // divisor


def _exact(value: Size, divisor: Size) -> Size | None:
    quotient = floor_divide(value, divisor)
    return quotient if _is_zero(value - quotient * divisor) else None


def _is_one(value: Size) -> bool:
    return isinstance(value, int) and value == 1


def _is_zero(value: Size) -> bool:
    return isinstance(value, int) and value == 0


def _never_zero(value: Extent) -> bool:
    return is_nonnegative(value - 1) or is_nonnegative(-value - 1)
