"""What readers of formulas share: names, numbers, extents, errors with a place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import NotationError, ParseError, TensorcalcError
from ..extents import Extent, floor_divide, symbol
from ..nodes import Node, extent_scalar
from ..numpy_protocol.ufuncs import COMPOSITE
from ..table import TABLE
from .formula import Binary, Call, Formula, Group, Leaf, Name, Negative, Number, Subscript
from .names import caret, unknown_name

Labels = tuple[str, ...]


class Reader:
    """Names and sizes of a formula, and the text that it came from."""

    def __init__(
        self,
        names: Mapping[str, Node] | None = None,
        sizes: Mapping[str, Any] | None = None,
        symbols: Iterable[str] = (),
        text: str = "",
    ) -> None:
        self.names = dict(names or {})
        self.sizes = dict(sizes or {})
        self.symbols = set(symbols)
        self.text = text
        self.indices: set[str] = set()  # what a text uses as an index is no extent in its deltas

    # -- names and numbers ------------------------------------------------------------------
    def look_up(self, formula: Formula) -> Node:
        """The node that a name stands for; an extent is a scalar."""
        if isinstance(formula, Leaf):
            return formula.node
        assert isinstance(formula, Name)
        if formula.text in self.names:
            return self.names[formula.text]
        if formula.text in self.symbols:
            return extent_scalar(symbol(formula.text))
        place = caret(self.text, formula.place) if formula.place >= 0 else ""
        raise unknown_name(
            formula.text,
            [*self.names, *self.symbols],
            "name",
            place,
            f'declare it, for example "{formula.text}: m n" (a scalar: "{formula.text}")',
        )

    def label_names(self, items: Iterable[Formula]) -> Labels:
        """Items of a bracket as index names."""
        labels = []
        for item in items:
            if not isinstance(item, Name):
                raise self.error(item, "an index is a name here")
            labels.append(item.text)
        return tuple(labels)

    def number(self, formula: Formula) -> float | None:
        """The number that a formula spells, if it is one."""
        if isinstance(formula, Group):
            return self.number(formula.body)
        if isinstance(formula, Number):
            return formula.value
        if isinstance(formula, Negative):
            value = self.number(formula.operand)
            return None if value is None else -value
        if isinstance(formula, Binary) and formula.operator == "/":
            left, right = self.number(formula.left), self.number(formula.right)
            return None if left is None or not right else left / right
        return None

    def param(self, value: Any) -> Any:
        """A parameter: numbers and words are themselves, formulas are extents."""
        if isinstance(value, tuple):
            return tuple(map(self.param, value))
        if not isinstance(value, Formula):
            return value
        number = self.number(value)
        return number if number is not None else self.extent(value)

    def only(self, formula: Call) -> Formula:
        """The one operand of a call."""
        if len(formula.operands) != 1:
            raise self.error(formula, f"{formula.function} takes one operand")
        return formula.operands[0]

    def only_item(self, formula: Subscript) -> Formula:
        """The one item of a bracket."""
        if len(formula.items) != 1:
            raise self.error(formula, "δ takes two indices, or one expression that is zero")
        return formula.items[0]

    def error(self, formula: Formula, message: str, hint: str = "") -> TensorcalcError:
        """A ParseError with a caret where there is a text, else a NotationError."""
        if formula.place < 0 or not self.text:
            return NotationError(message, hint=hint)
        return ParseError(message, caret(self.text, formula.place).splitlines(), hint)

    def unknown_function(self, formula: Call) -> TensorcalcError:
        """The error for a function that is not in the table."""
        known = [*TABLE, *COMPOSITE, "sum"]
        place = caret(self.text, formula.place) if formula.place >= 0 else ""
        return unknown_name(formula.function, known, "function", place, "see the operation table")

    # -- extents ----------------------------------------------------------------------------
    def affine(self, formula: Formula) -> tuple[dict[str, Any], Any]:
        """``2*i - j + n`` as coefficients of indices and an offset."""
        if isinstance(formula, Group):
            return self.affine(formula.body)
        if isinstance(formula, Name) and formula.text not in self.symbols - self.indices:
            return {formula.text: 1}, 0
        if isinstance(formula, Binary) and formula.operator in "+-":
            left, right = self.affine(formula.left), self.affine(formula.right)
            return _combined(left, right, 1 if formula.operator == "+" else -1)
        if isinstance(formula, Negative):
            return _combined(({}, 0), self.affine(formula.operand), -1)
        if isinstance(formula, Binary) and formula.operator == "*":
            (one, a), (two, b) = self.affine(formula.left), self.affine(formula.right)
            if not one or not two:
                terms, factor = (two, a) if not one else (one, b)
                return {label: c * factor for label, c in terms.items()}, a * b
        return {}, self.extent(formula)

    def extent(self, formula: Formula) -> int | Extent:
        """An integer expression of extents."""
        if isinstance(formula, Group):
            return self.extent(formula.body)
        if isinstance(formula, Number) and isinstance(formula.value, int):
            return formula.value
        if isinstance(formula, Name):
            return symbol(formula.text)
        if isinstance(formula, Negative):
            return -self.extent(formula.operand)
        if isinstance(formula, Binary) and formula.operator in ("+", "-", "*", "//", "^"):
            left, right = self.extent(formula.left), self.extent(formula.right)
            return {
                "+": lambda: left + right,
                "-": lambda: left - right,
                "*": lambda: left * right,
                "//": lambda: floor_divide(left, right),
                "^": lambda: left**right,  # type: ignore[operator]
            }[formula.operator]()
        raise self.error(formula, "this is not an integer expression of sizes")


def _combined(left: Any, right: Any, sign: int) -> tuple[dict[str, Any], Any]:
    terms = dict(left[0])
    for label, c in right[0].items():
        terms[label] = terms.get(label, 0) + sign * c
    return terms, left[1] + sign * right[1]
