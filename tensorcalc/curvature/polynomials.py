"""Sums as polynomials of one expression, and sums whose terms share powers of one base.

Interval arithmetic term by term forgets that the terms belong to one value: ``1 - x**2`` on
(-1, 1), ``(1 + x**2)**-0.5 - x**2 * (1 + x**2)**-1.5``.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from ..applications import power
from ..nodes import Apply, Constant, Delta, Node, Product, Sum
from ..products import is_ones, multiply, product, split_coefficient
from ..sums import add
from .intervals import INF, REAL, Interval


def as_polynomial(node: Sum) -> tuple[Node, dict[int, float]] | None:
    """``(t, {k: c})`` if the sum is ``sum(c * t**k)`` elementwise in one expression."""
    base: Node | None = None
    coefficients: dict[int, float] = {}
    for term in node.operands:
        coefficient, rest = split_coefficient(term)
        factors = elementwise_factors(rest)
        if factors is None:
            return None
        degree = 0
        for factor in factors:
            inner, exponent = base_and_exponent(factor)
            if exponent % 1 or exponent < 0:
                inner, exponent = factor, 1
            if base is not None and inner is not base:
                return None
            base = inner
            degree += int(exponent)
        coefficients[degree] = coefficients.get(degree, 0) + coefficient
    return None if base is None else (base, coefficients)


def elementwise_factors(node: Node) -> list[Node] | None:
    """Factors of an elementwise product, all-ones left out; None if it is something else."""
    if isinstance(node, Constant):
        return [] if node.value == 1 else None
    if not isinstance(node, Product):
        return [] if is_ones(node) else [node]
    factors = []
    for operand, own in zip(node.operands, node.subscripts, strict=True):
        if is_ones(operand) and own[0] in node.output:
            continue
        if own not in ((), node.output) or isinstance(operand, Delta):
            return None
        factors.append(operand)
    return factors


def base_and_exponent(node: Node) -> tuple[Node, float]:
    """``(x, p)`` with ``node = x**p``."""
    if isinstance(node, Apply) and node.operation.name == "power":
        return node.operands[0], dict(node.params)["exponent"]
    return node, 1


def polynomial_range(coefficients: Mapping[int, float], base: Interval) -> Interval:
    """Range of a polynomial of degree two on an interval: its values at the ends and the vertex."""
    if max(coefficients) > 2:
        return REAL
    c, b, a = (Fraction(coefficients.get(k, 0)) for k in range(3))
    if a == 0:
        return REAL
    candidates = [_quadratic_at(end, is_open, a, b, c) for end, is_open in _ends(base)]
    vertex = -b / (2 * a)
    if base.low < vertex < base.high:
        candidates.append(
            (_float(c - b * b / (4 * a), -INF), _float(c - b * b / (4 * a), INF), False)
        )
    low = min(candidate[0] for candidate in candidates)
    high = max(candidate[1] for candidate in candidates)
    return Interval(
        low,
        high,
        all(is_open for value, _, is_open in candidates if value == low),
        all(is_open for _, value, is_open in candidates if value == high),
    )


def _ends(base: Interval) -> tuple[tuple[float, bool], tuple[float, bool]]:
    return (base.low, base.low_open), (base.high, base.high_open)


def _quadratic_at(
    x: float, is_open: bool, a: Fraction, b: Fraction, c: Fraction
) -> tuple[float, float, bool]:
    if abs(x) == INF:
        infinite = INF if a > 0 else -INF
        return infinite, infinite, True
    exact = (a * Fraction(x) + b) * Fraction(x) + c
    return _float(exact, -INF), _float(exact, INF), is_open


def _float(exact: Fraction, toward: float) -> float:
    value = float(exact)
    if Fraction(value) == exact or (Fraction(value) < exact) == (toward < 0):
        return value
    return float(np.nextafter(value, toward))


def common_power_out(node: Sum) -> tuple[Node, Node] | None:
    """``x**a * r + x**b * s = x**b * (x**(a-b) * r + s)`` for ``a - b`` a positive integer.

    The power and the rest as nodes of the shape of ``node``; None where no base is common or
    nothing in the rest collects.
    """
    for base in _common_bases(node):
        terms = [_exponent_of(term, base) for term in node.operands]
        lowest = min(exponent for exponent, _ in terms)
        steps = [exponent - lowest for exponent, _ in terms]
        if any(step % 1 or step > 3 for step in steps) or not any(steps):
            continue
        parts = [
            _expanded(rest, base, int(step)) for (_, rest), step in zip(terms, steps, strict=True)
        ]
        collected = add(*[term for part in parts for term in part])
        if not isinstance(collected, Sum) or len(collected.operands) < sum(map(len, parts)):
            return power(base, lowest), collected
    return None


def _common_bases(node: Sum) -> list[Node]:
    """Bases of powers in the first term that have the rank of the sum or are scalars."""
    first = elementwise_factors(split_coefficient(node.operands[0])[1]) or []
    others = elementwise_factors(split_coefficient(node.operands[-1])[1]) or []
    bases = [base_and_exponent(factor) for factor in (*first, *others)]
    return list(dict.fromkeys(base for base, exponent in bases if exponent < 0))


def _exponent_of(term: Node, base: Node) -> tuple[float, Node]:
    """The exponent of ``base`` in a term, and the term without it."""
    coefficient, rest = split_coefficient(term)
    factors = elementwise_factors(rest)
    if factors is None:
        return 0, term
    exponent = 0.0
    others: list[Node] = []
    for factor in factors:
        inner, own = base_and_exponent(factor)
        if inner is base:
            exponent += own
        else:
            others.append(factor)
    return exponent, _joined(coefficient, others, term)


def _joined(coefficient: float, factors: list[Node], like: Node) -> Node:
    """An elementwise product of the shape of ``like``."""
    labels = tuple(range(like.ndim))
    return product(
        [Constant(coefficient), *factors],
        [(), *(labels if factor.ndim else () for factor in factors)],
        labels,
        dict(enumerate(like.extents)),
    )


def _expanded(rest: Node, base: Node, power: int) -> list[Node]:
    """Terms of ``rest * base**power`` with the sum multiplied out."""
    terms = [rest]
    for _ in range(power):
        coefficient, inner = split_coefficient(base)
        summands = inner.operands if isinstance(inner, Sum) else (inner,)
        terms = [
            multiply(Constant(coefficient), term, summand) for term in terms for summand in summands
        ]
    return terms
