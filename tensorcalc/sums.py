"""The constructor of sums: like terms collected, zeros dropped, operands in canonical order.

Nested sums are not flattened here: a shared one would be duplicated
(:mod:`tensorcalc.simplify` flattens those that are not).
"""

from __future__ import annotations

from collections.abc import Sequence

from .errors import ShapeError
from .extents import is_equal
from .nodes import Constant, Node, Sum
from .products import is_zero, scale, split_coefficient, zeros


def add(*operands: Node) -> Node:
    """Sum of operands of one shape.

    Raises ShapeError if the shapes differ; broadcasting is the caller's to write.
    """
    check_same_shape(operands)
    coefficients: dict[Node, float] = {}
    for operand in operands:
        for coefficient, term in _terms(operand):
            coefficients[term] = coefficients.get(term, 0) + coefficient
    terms = [scale(c, term) for term, c in coefficients.items() if c != 0 and not is_zero(term)]
    if not terms:
        return zeros(operands[0].extents)
    if len(terms) == 1:
        return terms[0]
    return Sum(tuple(sorted(terms, key=lambda term: split_coefficient(term)[1].digest)))


def subtract(left: Node, right: Node) -> Node:
    """``left - right``."""
    return add(left, scale(-1, right))


def check_same_shape(operands: Sequence[Node]) -> None:
    """Raise ShapeError unless all operands have the shape of the first."""
    first = operands[0]
    for k, operand in enumerate(operands[1:], 1):
        fits = operand.ndim == first.ndim and all(map(is_equal, operand.extents, first.extents))
        if not fits:
            raise ShapeError(
                "the operands of a sum have different shapes",
                [f"operand {j}: {o}, shape {o.extents}" for j, o in ((0, first), (k, operand))],
                "add axes or transpose so that the shapes agree",
            )


def _terms(operand: Node) -> list[tuple[float, Node]]:
    """A scaled sum is distributed: its terms are the operand's."""
    coefficient, rest = split_coefficient(operand)
    if isinstance(rest, Constant):
        return [(coefficient * rest.value, Constant(1))]
    if coefficient != 1 and isinstance(rest, Sum):
        inner = map(split_coefficient, rest.operands)
        return [(coefficient * c, term) for c, term in inner]
    return [(coefficient, rest)]
