"""Polynomials as dictionaries from monomials to integer coefficients: what extents are made of.

A monomial is a tuple of atoms with their powers, ordered by name; the empty one is the constant.
An atom is the name of a size or a :class:`Quotient`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .extents import Extent

Monomial = tuple[tuple["str | Quotient", int], ...]
Terms = dict[Monomial, int]


@dataclass(frozen=True, order=False)
class Quotient:
    """Floor division of two extents where it is not exact."""

    numerator: int | Extent
    denominator: int | Extent

    def __str__(self) -> str:
        return f"(({self.numerator})//({self.denominator}))"


def added(left: Terms, right: Terms) -> Terms:
    """The sum of two polynomials, terms that cancel left out."""
    total = dict(left)
    for monomial, c in right.items():
        value = total.get(monomial, 0) + c
        if value:
            total[monomial] = value
        else:
            total.pop(monomial, None)
    return total


def multiplied(left: Terms, right: Terms) -> Terms:
    """The product of two polynomials."""
    total: Terms = {}
    for a, c in left.items():
        for b, d in right.items():
            total = added(total, {_times(a, b): c * d})
    return total


def _times(left: Monomial, right: Monomial) -> Monomial:
    powers = dict(left)
    for atom, p in right:
        powers[atom] = powers.get(atom, 0) + p
    return tuple(sorted(powers.items(), key=lambda item: str(item[0])))


def divided(numerator: Terms, denominator: Terms) -> tuple[Terms, Terms]:
    """Terms of the numerator that a one-term denominator divides, and the rest."""
    if numerator == denominator:
        return {(): 1}, {}
    if len(denominator) != 1:
        return {}, numerator
    ((divisor, d),) = denominator.items()
    whole: Terms = {}
    rest: Terms = {}
    for monomial, c in numerator.items():
        powers = dict(monomial)
        for atom, p in divisor:
            powers[atom] = powers.get(atom, 0) - p
        if c % d == 0 and all(p >= 0 for p in powers.values()):
            whole[tuple(item for item in powers.items() if item[1])] = c // d
        else:
            rest[monomial] = c
    return whole, rest


def monomial_name(monomial: Monomial) -> str:
    """A monomial as text, ``m*n**2``; also what monomials are ordered by."""
    return "*".join(f"{atom}**{p}" if p > 1 else str(atom) for atom, p in monomial)


def term_text(monomial: Monomial, coefficient: int) -> str:
    """A monomial with its coefficient as text, ``-2*m*n``."""
    if not monomial:
        return str(coefficient)
    sign = {1: "", -1: "-"}.get(coefficient, f"{coefficient}*")
    return sign + monomial_name(monomial)
