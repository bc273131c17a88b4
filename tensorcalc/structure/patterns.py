"""Sparse patterns: where the entries of a term lie, if few labels say it.

Affine deltas and one-hot selections determine row and column labels by others. What is left free
enumerates the entries: their positions are affine in the free labels or stand in index arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..curvature.forms import Factor, Form, Label, collected, distributed, sum_positions
from ..deltas import LabelRow
from ..extents import is_nonnegative
from ..nodes import Apply, Constant, Delta, Node, Sum
from ..simplify import simplify
from ..sums import add
from .delta_rows import by_kept, delta_of, delta_rows
from .kinds import Affine, Pattern
from .terms import Term, affine_rows, solved_labels, term_of, ties_found

#: A matrix whose sizes are numbers is sparse if it has at most one in so many entries.
SPARSE = 4


class _Known(NamedTuple):
    """Labels that others determine: by an index array, or as an affine form."""

    indexed: dict[Label, Factor]
    affine: dict[Label, LabelRow]

    def arguments(self) -> set[Label]:
        """Labels of index arrays, which stay as they are."""
        return {x for _, own in self.indexed.values() for x in own[:-1]}


def patterns_of(term: Term) -> list[Pattern] | None:
    """The entries of a term, sums of selections multiplied out; None if they are not sparse."""
    found = pattern_of(term)
    if found is not None:
        return [found]
    positions = [k for k in sum_positions(term.source) if _selects_in_all(term.source.factors[k])]
    parts = distributed(term.source, positions) if positions else []
    if len(parts) < 2:
        return None
    several = [patterns_of(term_of(ties_found(part))) for part in parts]
    known = [patterns for patterns in several if patterns is not None]
    return [each for one in known for each in one] if len(known) == len(parts) else None


def identity_places(rank: int) -> tuple[Affine, ...]:
    """Rows and columns that agree, for values of the shape of the rows."""
    units = [Affine(tuple(int(a == b) for b in range(rank)), 0) for a in range(rank)]
    return (*units, *units)


def merged_patterns(patterns: Sequence[Pattern]) -> Iterator[Pattern]:
    """Patterns with the same places as one with the sum of their values."""
    groups: dict[Any, list[Pattern]] = {}
    for pattern in patterns:
        groups.setdefault((pattern.places, pattern.values.extents), []).append(pattern)
    for first, *more in groups.values():
        total = add(first.values, *(pattern.values for pattern in more)) if more else first.values
        yield first._replace(values=simplify(total))


def pattern_of(term: Term) -> Pattern | None:
    """Positions and values over the free labels, if these are fewer than rows and columns."""
    form = term.form
    outer = list(dict.fromkeys((*form.rows, *form.columns)))
    known = _known(form, outer)
    free = list(dict.fromkeys(_free(outer, known)))
    sizes = form.extents()
    if form.batch or not _is_sparse([sizes[x] for x in free], form, known):
        return None
    rows, others = delta_rows(form.factors)
    moved = [delta_of(each, sizes) for part in by_kept(rows, free, sizes) for each in part]
    factors = [(Constant(form.coefficient), ()), *others, *moved]
    values = simplify(collected(factors, free, sizes))
    deltas = [f for f in form.factors if isinstance(f[0], Delta)]
    places = tuple(
        _place(label, known, free, deltas, sizes) for label in (*form.rows, *form.columns)
    )
    determined = term.crossed or bool(known.indexed or known.affine)
    return Pattern(places, values, determined)


def _known(form: Form, outer: Sequence[Label]) -> _Known:
    known = _Known(_indexed(form, outer), {})
    kept = known.arguments() | set(known.indexed)
    return known._replace(affine=solved_labels(affine_rows(form.factors), outer, kept))


def _indexed(form: Form, outer: Sequence[Label]) -> dict[Label, Factor]:
    """Rows and columns that an index array names, each by one and none by another's."""
    found: dict[Label, Factor] = {}
    used: set[Label] = set()
    for factor in form.factors:
        label, arguments = _selected(factor)
        if label in outer and label not in found and label not in used:
            if not arguments & {*found, label}:
                found[label] = factor
                used |= arguments
    return found


def _selected(factor: Factor) -> tuple[Label, set[Label]]:
    """The label that a one-hot factor selects, and those of its index array."""
    node, own = factor
    if isinstance(node, Apply) and node.operation.name == "one_hot":
        return own[-1], set(own[:-1])
    return None, set()


def _free(outer: Sequence[Label], known: _Known) -> Iterator[Label]:
    """Rows and columns that nothing determines, then what determines the others."""
    for label in (*outer, *known.arguments()):
        if label in known.affine:
            yield from known.affine[label][0]
        elif label not in known.indexed:
            yield label


def _is_sparse(free: Sequence[Any], form: Form, known: _Known) -> bool:
    """Whether the number of entries is of lower order than the matrix, or an index array's."""
    sizes = form.extents()
    total, entries = 1, 1
    for label in (*form.rows, *form.columns):
        total = total * sizes[label]
    for extent in free:
        entries = entries * extent
    outer = (*form.rows, *form.columns)
    symbolic = sum(not isinstance(extent, int) for extent in free)
    everything = set(known.indexed) >= set(outer)
    order = sum(not isinstance(sizes[x], int) for x in outer)
    fewer = symbolic < order if order else not symbolic and SPARSE * entries <= total
    return (fewer or everything) and not is_nonnegative(entries - total)


def _place(
    label: Label,
    known: _Known,
    free: Sequence[Label],
    deltas: Sequence[Factor],
    sizes: Mapping[Label, Any],
) -> Node | Affine:
    if label in known.indexed:
        node, own = known.indexed[label]
        index = (node.operands[0], own[:-1])
        needed = [] if set(own[:-1]) <= set(free) else deltas
        return simplify(collected([index, *needed], free, sizes))
    terms, offset = known.affine.get(label, ({label: 1}, 0))
    return Affine(tuple(terms.get(x, 0) for x in free), offset)


def _selects_in_all(factor: Factor) -> bool:
    """Whether every term of a sum selects something, by an index array or an affine delta."""
    return all(_has_selection(term) for term in factor[0].operands)


def _has_selection(node: Node) -> bool:
    if isinstance(node, Apply):
        return node.operation.name == "one_hot"
    if isinstance(node, Delta):
        return bool(node.rows)
    holds = all if isinstance(node, Sum) else any
    return holds(map(_has_selection, node.operands)) and bool(node.operands)
