"""Formulas before they have a meaning: what the parser reads and index notation in Python builds.

``place`` is the position in the text, -1 where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..nodes import Node

#: Rows of the comparison operators.
COMPARISONS = {
    ">": "greater",
    ">=": "greater_equal",
    "<": "less",
    "<=": "less_equal",
    "==": "equal",
    "!=": "not_equal",
}


@dataclass(frozen=True, eq=False)
class Formula:
    """A part of a formula."""

    place: int = field(default=-1, kw_only=True)


@dataclass(frozen=True, eq=False)
class Number(Formula):
    """A literal such as ``2.5``."""

    value: float


@dataclass(frozen=True, eq=False)
class Name(Formula):
    """A word that a reader looks up: a variable, an extent, a definition, an index."""

    text: str


@dataclass(frozen=True, eq=False)
class Leaf(Formula):
    """An expression that is already a node."""

    node: Node


@dataclass(frozen=True, eq=False)
class Subscript(Formula):
    """``base[items]``."""

    base: Formula
    items: tuple[Formula, ...]


@dataclass(frozen=True, eq=False)
class Call(Formula):
    """``function[binder](operands, name=value)``."""

    function: str
    operands: tuple[Formula, ...]
    binder: tuple[Formula, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Binary(Formula):
    """Two formulas joined by an operator."""

    operator: str
    left: Formula
    right: Formula


@dataclass(frozen=True, eq=False)
class Negative(Formula):
    """``-operand``."""

    operand: Formula


@dataclass(frozen=True, eq=False)
class Transposed(Formula):
    """``operand'``."""

    operand: Formula


@dataclass(frozen=True, eq=False)
class Group(Formula):
    """``(body)``; a product in parentheses is a product of its own."""

    body: Formula


@dataclass(frozen=True, eq=False)
class Arrow(Formula):
    """``[items] -> body``: the tensor whose axes are ``items`` in this order."""

    items: tuple[Formula, ...]
    body: Formula


@dataclass(frozen=True, eq=False)
class Definition(Formula):
    """``name[items] = body`` after ``where``."""

    name: str
    items: tuple[Formula, ...]
    body: Formula


@dataclass(frozen=True, eq=False)
class Document(Formula):
    """A whole text: a formula, sizes of indices and definitions after ``where``."""

    body: Formula
    sizes: Mapping[str, Formula]
    definitions: tuple[Definition, ...]
