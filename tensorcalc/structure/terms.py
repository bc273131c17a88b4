"""Terms of a matrix of second derivatives, and the evidence of structure in one term.

Evidence is what holds for every size and value: Kronecker deltas and one-hot selections that tie a
row axis to its column axis, affine deltas that keep a column near its row, factors that touch the
rows or the columns but not both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..curvature.forms import (
    TERM_LIMIT,
    Factor,
    Form,
    Label,
    collected,
    distributed,
    form_of,
    plain_factors,
    tied,
)
from ..deltas import LabelRow, solved_for, substituted, value_range
from ..extents import is_nonnegative, symbols_of
from ..nodes import Apply, Constant, Delta, Node, Sum
from ..products import is_boolean, is_ones, kronecker, split_coefficient

#: Rows of the table whose last axis holds a single one.
ONE_HOT_ROWS = frozenset({"one_hot", "argmax_mask", "argmin_mask"})


def single_form(H: Node, rank: int) -> Form:
    """``H`` as one product, sums kept whole."""
    rows, columns = tuple(range(rank)), tuple(range(rank, H.ndim))
    return ties_found(form_of(H, rows, columns, weights_closed=True))


def terms_of(H: Node, rank: int, chained: bool = False) -> list[Form]:
    """``H`` as a sum of products; sums that join rows with columns are multiplied out.

    With ``chained`` these are also the sums between which and a side several deltas lie.
    """
    return _spread(single_form(H, rank), chained)


def _spread(form: Form, chained: bool) -> list[Form]:
    """The terms, unless they are too many."""
    found: list[Form] = []
    rest = [form]
    while rest:
        part = rest.pop()
        joining = [k for k, factor in enumerate(part.factors) if _joins(part, factor, chained)]
        parts = distributed(part, joining) if joining else [part]
        if len(parts) == 1:
            found += parts
        else:
            rest += map(ties_found, reversed(parts))
        if len(found) + len(rest) > TERM_LIMIT:
            return [form]
    return found


def _joins(form: Form, factor: Factor, chained: bool) -> bool:
    """Whether a sum touches both sides, or is one of selections alone."""
    node, labels = factor
    if not isinstance(node, Sum) or not node.ndim:
        return False
    if all(map(_is_selection, node.operands)):
        return True
    linked = _reached(form, form.rows, chained), _reached(form, form.columns, chained)
    return all(set(labels) & side for side in linked)


def _is_selection(term: Node) -> bool:
    """Whether every entry of a term is a multiple of 0 or 1 by construction, and not all alike."""
    _, rest = split_coefficient(term)
    return is_boolean(rest) and bool(rest.ndim) and not is_ones(rest)


def _reached(form: Form, labels: Sequence[Label], chained: bool) -> set[Label]:
    """The labels and those that affine deltas, one or a chain, make a function of them."""
    deltas = [set(own) for node, own in form.factors if isinstance(node, Delta) and node.rows]
    found = set(labels)
    while True:
        more = found.union(*(own for own in deltas if own & found))
        if not chained or more == found:
            return more
        found = more


def ties_found(form: Form) -> Form:
    """``E[b, i] E[b, k] = E[b, i] delta[i, k]`` for one-hot rows ``E[b]``."""
    factors = list(form.factors)
    for row, column in zip(form.rows, form.columns, strict=False):
        for node, own in form.factors:
            is_one_hot = isinstance(node, Apply) and node.operation.name in ONE_HOT_ROWS
            if not is_one_hot or own[-1] != row:
                continue
            twin = (*own[:-1], column)
            found = [k for k, f in enumerate(factors) if f[0] is node and f[1] == twin]
            if found and row != column:
                factors[found[0]] = (kronecker(node.extents[-1:]), (row, column))
    return replace(form, factors=tuple(factors))


@dataclass(frozen=True, eq=False)
class Term:
    """One product of the sum: ``form`` with its Kronecker deltas carried out."""

    source: Form
    form: Form

    @property
    def tied(self) -> frozenset[int]:
        """Positions of the axes on which rows and columns agree."""
        pairs = enumerate(zip(self.form.rows, self.form.columns, strict=False))
        return frozenset(axis for axis, (r, c) in pairs if r == c)

    @property
    def crossed(self) -> bool:
        """Whether a row axis agrees with the column axis of another position."""
        pairs = zip(self.form.rows, self.form.columns, strict=False)
        return any(r != c and (r in self.form.columns or c in self.form.rows) for r, c in pairs)

    def node(self) -> Node:
        """The term as a product."""
        return self.source.node()


def term_of(form: Form) -> Term:
    """The term of a form."""
    return Term(form, tied(form))


# -- factors that come apart ----------------------------------------------------------------------
def components(term: Term) -> list[tuple[set[int], set[int], list[Factor]]]:
    """Factors connected by labels that are not tied, with the row and column axes they touch."""
    form = term.form
    shared = {form.rows[axis] for axis in term.tied} | set(form.batch)
    groups: list[tuple[set[Label], list[Factor]]] = []
    for factor in plain_factors(form):
        labels = set(factor[1]) - shared
        touching = [g for g in groups if g[0] & labels]
        everything = [f for g in touching for f in g[1]] + [factor]
        merged = (labels.union(*(g[0] for g in touching)), everything)
        groups = [g for g in groups if all(g is not t for t in touching)] + [merged]
    return [
        (
            {a for a, r in enumerate(form.rows) if r in labels and a not in term.tied},
            {a for a, c in enumerate(form.columns) if c in labels and a not in term.tied},
            factors,
        )
        for labels, factors in groups
    ]


def split_sides(form: Form) -> tuple[list[Factor], list[Factor], list[Factor]] | None:
    """Factors with rows, with columns and with neither; None if one has both or a side has none."""
    rows, columns = set(form.rows), set(form.columns)
    sides: tuple[list[Factor], list[Factor], list[Factor]] = ([], [], [])
    for factor in plain_factors(form):
        labels = set(factor[1])
        if labels & rows and labels & columns:
            return None
        sides[0 if labels & rows else 1 if labels & columns else 2].append(factor)
    return sides


def low_rank_parts(term: Term) -> tuple[int, Node, Node, Node] | None:
    """Middle axes, left, right and weights of ``sum left[m, r] weights[m] right[m, c]``."""
    form = term.form
    if term.tied or term.crossed or form.batch:
        return None
    sides = split_sides(form)
    if sides is None:
        return None
    left, right, neither = _absorbed(sides)
    middle = [x for x in _labels(left) if x in _labels(right) or x in _labels(neither)]
    middle += [x for x in _labels(right) if x in _labels(neither) and x not in middle]
    sizes = form.extents()
    left_node = collected(left, (*middle, *form.rows), sizes)
    right_node = collected(right, (*middle, *form.columns), sizes)
    weights = collected([(Constant(form.coefficient), ()), *neither], middle, sizes)
    return len(middle), left_node, right_node, weights


def _absorbed(
    sides: tuple[list[Factor], list[Factor], list[Factor]],
) -> tuple[list[Factor], list[Factor], list[Factor]]:
    """A factor that one side alone meets, and that is no weight of the middle, joins that side."""
    left, right, neither = map(list, sides)
    moved = True
    while moved:
        moved = False
        middle = set(_labels(left)) & set(_labels(right))
        for k, (_, labels) in enumerate(neither):
            own = set(labels)
            meets = [bool(own & set(_labels(side))) for side in (left, right)]
            if not own or own <= middle or meets[0] == meets[1]:
                continue
            (left if meets[0] else right).append(neither.pop(k))
            moved = True
            break
    return left, right, neither


def _labels(factors: Sequence[Factor]) -> list[Label]:
    return list(dict.fromkeys(x for _, own in factors for x in own))


# -- bands ----------------------------------------------------------------------------------------
def band_limits(term: Term, axis: int) -> tuple[Any, Any] | None:
    """``(low, high)`` with ``low <= column - row <= high`` on an axis where the term is nonzero.

    None if no affine deltas say so, or if the band is provably as wide as the matrix, or grows with
    it at more than a quarter of its pace.
    """
    form = term.form
    row, column = form.rows[axis], form.columns[axis]
    if row == column:
        return 0, 0
    extents = form.extents()
    narrow = [x for x, extent in extents.items() if _is_narrow(extent, extents[row])]
    solved = solved_labels(affine_rows(form.factors), (*form.columns, *form.rows), narrow)
    difference = _difference(solved, row, column)
    if difference is None:
        return None
    bounds = value_range(*difference, extents)
    if bounds is None:
        return None
    width, n = bounds[1] - bounds[0] + 1, extents[row]
    grows = not isinstance(n, int) and is_nonnegative(4 * width + 16 - n)
    return None if grows or is_nonnegative(width - n) else bounds


def _is_narrow(extent: Any, n: Any) -> bool:
    """Whether an extent does not grow with ``n``, as that of a kernel: a number, other symbols."""
    if isinstance(n, int):
        return isinstance(extent, int) and 4 * extent < n
    return not symbols_of(extent) & symbols_of(n)


def _difference(solved: Mapping[Label, LabelRow], row: Label, column: Label) -> LabelRow | None:
    """``column - row`` as an affine form of other labels."""
    form: LabelRow = ({column: 1, row: -1}, 0)
    for label in (column, row):
        if label in solved:
            form = substituted(form, label, *solved[label])
    terms, offset = without_zeros(form)
    return None if row in terms or column in terms else (terms, offset)


def affine_rows(factors: Iterable[Factor]) -> list[LabelRow]:
    """What the affine deltas among the factors say of labels."""
    return [
        (dict(zip(own, coefficients, strict=True)), offset)
        for node, own in factors
        if isinstance(node, Delta) and len(set(own)) == len(own)
        for coefficients, offset in node.rows
    ]


def solved_labels(
    rows: Sequence[LabelRow], outer: Sequence[Label], kept: Collection[Label] = ()
) -> dict[Label, LabelRow]:
    """Labels as affine forms of others: those of rows and columns, then those inside.

    What is ``kept`` is not solved for. Of the labels inside the ones that no row or column needs
    come first: a row that is left among needed ones says that they are fewer.
    """
    found: dict[Label, LabelRow] = {}
    for row in rows:
        _solve(row, [x for x in outer if x not in kept], found)
    for row in rows:
        left = _reduced(row, found)
        needed = {*outer, *(y for x in outer if x in found for y in found[x][0])}
        inside = sorted((x for x in left[0] if x not in kept), key=needed.__contains__)
        _solve(left, inside, found)
    return found


def _solve(row: LabelRow, labels: Sequence[Label], found: dict[Label, LabelRow]) -> None:
    """The row solved for the first of the labels that it has, in everything found before."""
    row = _reduced(row, found)
    for label in labels:
        solution = solved_for(row, label) if label in row[0] else None
        if solution is not None:
            for other, own in found.items():
                found[other] = without_zeros(substituted(own, label, *solution))
            found[label] = solution
            return


def _reduced(row: LabelRow, found: Mapping[Label, LabelRow]) -> LabelRow:
    for label, solution in found.items():
        row = substituted(row, label, *solution)
    return without_zeros(row)


def without_zeros(row: LabelRow) -> LabelRow:
    """The row without the labels whose coefficients cancelled."""
    return {x: c for x, c in row[0].items() if not (isinstance(c, int) and c == 0)}, row[1]
