"""Squares completed: ``A'A - A'B - B'A + B'B = (A - B)'(A - B)``.

A derivative distributes a square over the terms of what is squared. Terms whose factors fall into a
part with the rows and a part with the columns are collected by their parts: with ``c[p, q]`` the
coefficient of ``R_p' D R_q`` the sum is positive semidefinite if ``D >= 0`` and the matrix ``c``
is.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from ..nodes import Node
from .certificate import Reason
from .forms import Factor, Form, Label, collected, plain_factors, tied

Split = tuple[object, Node, Node, float]


def completed_squares(prover: Any, terms: Sequence[Form]) -> tuple[list[Reason], list[Form]]:
    """Reasons for the groups of terms that are squares, and the terms that are left."""
    groups: dict[object, list[tuple[Form, Split]]] = {}
    rest: list[Form] = []
    for term in terms:
        split = _split(prover, term)
        if split is None:
            rest.append(term)
        else:
            groups.setdefault(split[0], []).append((term, split))
    reasons = []
    for members in groups.values():
        if len(members) > 1 and _is_square([split for _, split in members]):
            parts = dict.fromkeys(split[1] for _, split in members)
            names = [piece for part in parts for piece in (", ", part)][1:]
            reasons.append(Reason(("a sum of squares of combinations of ", *names)))
        else:
            rest.extend(term for term, _ in members)
    return reasons, rest


def _split(prover: Any, form: Form) -> Split | None:
    """What terms of one square share, the parts with rows and with columns, the coefficient."""
    form = tied(form)
    shared = {r for r, c in zip(form.rows, form.columns, strict=True) if r == c} | set(form.batch)
    rows, columns = set(form.rows) - shared, set(form.columns) - shared
    parts: dict[str, list[Factor]] = {"row": [], "column": [], "core": []}
    for factor in plain_factors(form):
        labels = set(factor[1])
        if labels & rows and labels & columns:
            return None
        parts["row" if labels & rows else "column" if labels & columns else "core"].append(factor)
    inner = _inner_labels(parts, shared)
    if (
        inner is None
        or not prover.ranges.of_factors(parts["core"], [*shared, *inner]).is_nonnegative
    ):
        return None
    return _parts_collected(
        form, parts, [x for x in dict.fromkeys(form.output) if x in shared], inner
    )


def _inner_labels(parts: dict[str, list[Factor]], shared: set[Label]) -> list[Label] | None:
    """Summed labels that both parts have; None where one part has more of its own or several."""
    own = {side: {x for _, labels in parts[side] for x in labels} for side in parts}
    common = (own["row"] & own["column"]) - shared
    hidden = own["core"] - common - shared
    return None if len(common) > 1 or hidden & (own["row"] | own["column"]) else list(common)


def _parts_collected(
    form: Form, parts: dict[str, list[Factor]], shared: list[Label], inner: list[Label]
) -> Split:
    sizes = form.extents()

    def node(side: str, labels: Sequence[Label]) -> Node:
        return collected(parts[side], labels, sizes)

    free_rows = [x for x in form.rows if x not in shared]
    free_columns = [x for x in form.columns if x not in shared]
    core = node("core", [*shared, *inner])
    pattern = tuple(map(form.output.index, form.output))
    key = (core, pattern, len(inner))
    return (
        key,
        node("row", [*free_rows, *shared, *inner]),
        node("column", [*free_columns, *shared, *inner]),
        form.coefficient,
    )


def _is_square(members: Sequence[Split]) -> bool:
    """Whether the matrix of coefficients over the distinct parts is positive semidefinite."""
    parts = list(dict.fromkeys(part for _, row, column, _ in members for part in (row, column)))
    position = {part: k for k, part in enumerate(parts)}
    matrix = [[Fraction(0)] * len(parts) for _ in parts]
    for _, row, column, coefficient in members:
        matrix[position[row]][position[column]] += Fraction(coefficient)
    return is_psd_matrix(matrix)


def is_psd_matrix(matrix: list[list[Fraction]]) -> bool:
    """Exact test of a small symmetric rational matrix by elimination.

    >>> is_psd_matrix([[Fraction(1), Fraction(-1)], [Fraction(-1), Fraction(1)]])
    True
    """
    work = [list(row) for row in matrix]
    n = len(work)
    if any(work[i][j] != work[j][i] for i in range(n) for j in range(i)):
        return False
    for k in range(n):
        pivot = work[k][k]
        if pivot < 0 or (pivot == 0 and any(work[k][j] for j in range(k, n))):
            return False
        if pivot == 0:
            continue
        for i in range(k + 1, n):
            ratio = work[i][k] / pivot
            for j in range(k, n):
                work[i][j] -= ratio * work[k][j]
    return True
