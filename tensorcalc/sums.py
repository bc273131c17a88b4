"""The constructor of sums: like terms collected, zeros dropped, operands in canonical order.

Nested sums are not flattened here: a shared one would be duplicated
(:mod:`tensorcalc.simplify` flattens those that are not).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from . import masks, products
from .broadcasts import constant_axes, without_axes
from .errors import ShapeError
from .extents import is_equal
from .nodes import Constant, Delta, Node, Product, Sum
from .products import broadcast, is_ones, is_zero, scale, split_coefficient, transpose, zeros


def add(*operands: Node) -> Node:
    """Sum of operands of one shape.

    Raises ShapeError if the shapes differ; broadcasting is the caller's to write.
    """
    check_same_shape(operands)
    coefficients: dict[Node, float] = {}
    for operand in operands:
        for coefficient, term in _terms(operand):
            coefficients[term] = coefficients.get(term, 0) + coefficient
    kept = {term: c for term, c in coefficients.items() if c != 0 and not is_zero(term)}
    if not kept:
        return zeros(operands[0].extents)
    if len(kept) == 1:
        ((term, c),) = kept.items()
        return scale(c, term)
    axes = set.intersection(*map(constant_axes, kept))
    if axes:
        return _broadcast_outside(kept, axes)
    content = _content(list(kept.values()))
    return scale(content, _primitive({term: c / content for term, c in kept.items()}))


def _broadcast_outside(coefficients: dict[Node, float], axes: set[int]) -> Node:
    """``a[i] 1[j] + b[i] 1[j] = (a + b)[i] 1[j]``."""
    extents = next(iter(coefficients)).extents
    kept = [axis for axis in range(len(extents)) if axis not in axes]
    inner = add(*(scale(c, without_axes(term, kept)) for term, c in coefficients.items()))
    return broadcast(inner, kept, extents)


def _primitive(coefficients: dict[Node, float]) -> Sum:
    terms = [scale(c, term) for term, c in coefficients.items()]
    return Sum(tuple(sorted(terms, key=lambda term: split_coefficient(term)[1].digest)))


def _content(coefficients: list[float]) -> float:
    """The factor taken out of a sum: a common divisor, and a sign that all terms have."""
    magnitude = _divisor(list(map(abs, coefficients)))
    return -magnitude if max(coefficients) < 0 else magnitude


def _divisor(magnitudes: list[float]) -> float:
    """The greatest common divisor of integers; of other numbers, the one they all are."""
    if all(isinstance(c, int) for c in magnitudes):
        return math.gcd(*magnitudes)  # type: ignore[arg-type]
    return magnitudes[0] if len(set(magnitudes)) == 1 else 1


def canonical_sum(node: Sum, turns: bool) -> tuple[int, Sum, bool]:
    """``(sign, other, transposed)`` with ``node = sign * other``, or ``sign * other'``.

    A sum among the factors of a product is known up to sign and, if it is a matrix, transposition;
    of the four equivalents one is chosen, so that equal products are one node. ``turns`` says that
    it may be transposed.
    """
    key = f"canonical {turns}"
    if key not in node.facts:
        node.facts[key] = _canonical_sum(dict(_terms_of(node)), turns and node.ndim == 2)
    return node.facts[key]


def has_negative_terms(node: Sum) -> bool:
    """Whether a term has a negative coefficient."""
    return any(c < 0 for _, c in _terms_of(node))


def _terms_of(node: Sum) -> list[tuple[Node, float]]:
    return [(term, c) for c, term in map(split_coefficient, node.operands)]


def _canonical_sum(coefficients: dict[Node, float], turns: bool) -> tuple[int, Sum, bool]:
    sign = _sign(coefficients)
    forms = [_primitive({term: sign * c for term, c in coefficients.items()})]
    if turns:
        turned = {transpose(term, (1, 0)): c for term, c in coefficients.items()}
        # Terms that differ may have the same transpose; they would have to be added first.
        if len(turned) == len(coefficients) and _sign(turned) == sign:
            forms.append(_primitive({term: sign * c for term, c in turned.items()}))
    best = min(forms, key=_orientation_key)
    return sign, best, best is not forms[0]


def _orientation_key(node: Sum) -> tuple[int, bytes]:
    """Fewer transposed terms first."""
    rests = [term for term, _ in _terms_of(node)]
    return sum(isinstance(r, Product) and len(r.operands) == 1 for r in rests), node.digest


def _sign(coefficients: dict[Node, float]) -> int:
    """The sign that leaves fewer minuses; ties go to constants, then diagonals, then the first."""
    negative = sum(c < 0 for c in coefficients.values())
    if 2 * negative == len(coefficients):
        return 1 if coefficients[min(coefficients, key=_sign_key)] > 0 else -1
    return -1 if 2 * negative > len(coefficients) else 1


def _sign_key(term: Node) -> tuple[bool, bool, list[bytes], bytes]:
    """Constants first, then diagonals, then by what a transposition does not change."""
    operands = term.operands or (term,)
    dense = not any(isinstance(operand, Delta) and operand.rows for operand in operands)
    digests = sorted(operand.digest for operand in operands)
    return not _is_constant(term), dense, digests, term.digest


def _is_constant(term: Node) -> bool:
    """Whether ``term`` is one everywhere."""
    factors = term.operands or (term,)
    return all(is_ones(factor) or isinstance(factor, Constant) for factor in factors)


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


products.common_masks = masks.common_masks
products.sum_of = lambda terms: add(*terms)
products.canonical_sum = canonical_sum
products.has_negative_terms = has_negative_terms
