"""Sums and products of formulas as lists of their terms and factors."""

from __future__ import annotations

from typing import Any

from .formula import (
    Arrow,
    Binary,
    Definition,
    Document,
    Formula,
    Name,
    Negative,
    Number,
    Subscript,
)


def is_sum(formula: Formula) -> bool:
    """Whether the formula adds or subtracts."""
    return isinstance(formula, Binary) and formula.operator in ("+", "-")


def is_unit(formula: Formula) -> bool:
    """Whether the formula is a delta or ones, whose sizes others must tell."""
    if not isinstance(formula, Subscript):
        return False
    base = formula.base
    return isinstance(base, Number) or (isinstance(base, Name) and base.text in ("δ", "delta"))


def terms(formula: Formula) -> list[tuple[int, Formula]]:
    """Terms of ``a + b - c`` with their signs; iterative along the left spine."""
    terms: list[tuple[int, Formula]] = []
    stack = [(1, formula)]
    while stack:
        sign, part = stack.pop()
        if isinstance(part, Binary) and part.operator in ("+", "-"):
            stack.append((sign if part.operator == "+" else -sign, part.right))
            stack.append((sign, part.left))
        else:
            terms.append((sign, part))
    return terms


def factors(formula: Formula) -> tuple[float, float, list[Formula]]:
    """Numeric numerator and denominator of a product, and its other factors."""
    numerator, denominator = 1.0, 1.0
    factors: list[Formula] = []
    stack = [formula]
    while stack:
        part = stack.pop()
        if isinstance(part, Negative):
            numerator = -numerator
            stack.append(part.operand)
        elif isinstance(part, Number):
            numerator *= part.value
        elif isinstance(part, Binary) and part.operator == "*":
            stack += [part.right, part.left]
        elif isinstance(part, Binary) and part.operator == "/" and not is_one(part.left):
            right = part.right
            if isinstance(right, Number):
                denominator *= right.value
            else:
                stack.append(Binary("/", Number(1), right, place=part.place))
            stack.append(part.left)
        elif isinstance(part, Binary) and part.operator == "/" and isinstance(part.right, Number):
            denominator *= part.right.value
        else:
            factors.append(part)
    return numerator, denominator, factors


def is_one(formula: Formula) -> bool:
    """Whether the formula is the literal 1."""
    return isinstance(formula, Number) and formula.value == 1


def index_names(document: Document) -> set[str]:
    """Words that stand alone between brackets."""
    found: set[str] = set()
    stack: list[Any] = [document]
    while stack:
        part = stack.pop()
        if isinstance(part, (Subscript, Arrow, Definition)) and (
            len(part.items) != 1 or not is_unit(part)
        ):
            found |= {item.text for item in part.items if isinstance(item, Name)}
        if isinstance(part, (Formula, tuple)):
            stack.extend(part if isinstance(part, tuple) else vars(part).values())
    return found
