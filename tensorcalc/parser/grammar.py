"""The grammar of formulas: text to :mod:`tensorcalc.notation.formula`, by operator precedence.

::

    document    = formula ["where" item {"," item}]
    item        = name ":" expression | name ["[" names "]"] "=" expression
    formula     = ["[" names "]" "->"] expression
    expression  = operands joined by, from weakest to strongest:
                  > >= < <= == !=     + -     * / .* ./ ⊗ //     - (prefix)     ^ .^ (right)
    operand     = primary {"'" | "[" expressions "]"}
    primary     = number | name | name ["[" names "]"] "(" arguments ")" | "(" formula ")"
    argument    = formula | name "=" (expression | string | None | True | False | "[" ... "]")

Nothing is evaluated here. Every error shows the text with a caret under the place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ..errors import ParseError
from ..notation.formula import (
    Arrow,
    Binary,
    Call,
    Definition,
    Document,
    Formula,
    Group,
    Name,
    Negative,
    Number,
    Subscript,
    Transposed,
)
from ..notation.names import caret

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>(?:\d+(?:\.(?![*/^])\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<name>[^\W\d]\w*)
      | (?P<string>"[^"\n]*")
      | (?P<operator>\.\*|\./|\.\^|->|>=|<=|==|!=|//|\*\*|[-+*/^'()\[\],:=<>⊗@;])
      | (?P<end>$)
    )""",
    re.VERBOSE,
)
#: Binding powers of the operators between two operands: left, right.
_BINARY = {
    **dict.fromkeys((">", ">=", "<", "<=", "==", "!="), (10, 11)),
    **dict.fromkeys(("+", "-"), (20, 21)),
    **dict.fromkeys(("*", "/", ".*", "./", "⊗", "//"), (30, 31)),
    **dict.fromkeys(("^", ".^"), (51, 40)),
}
_PREFIX = 40
_FOREIGN = {"**": "write ^ for a power (.^ elementwise)", "@": "write * for a matrix product"}
_CONSTANTS = {"None": None, "True": True, "False": False}


@dataclass(frozen=True)
class Token:
    """A word of the text: kind, spelling, position."""

    kind: str
    text: str
    place: int


def tokens(text: str) -> list[Token]:
    """The words of ``text``.

    >>> [token.text for token in tokens("2*x.^3")]
    ['2', '*', 'x', '.^', '3', '']

    Raises ParseError at a character that no word begins with.
    """
    found: list[Token] = []
    position = 0
    while not found or found[-1].kind != "end":
        match = _TOKEN.match(text, position)
        if match is None:
            place = position + len(text[position:]) - len(text[position:].lstrip())
            raise ParseError(
                f"unexpected character {text[place]!r}", caret(text, place).splitlines()
            )
        kind = match.lastgroup or "end"
        found.append(Token(kind, match.group(kind), match.start(kind)))
        position = match.end()
    return found


def read(text: str) -> Document:
    """The structure of a formula text.

    Raises ParseError where the text leaves the grammar.
    """
    try:
        return _Reader(text).document()
    except RecursionError:
        raise ParseError(
            "the formula is nested too deeply", hint="name inner parts after 'where'"
        ) from None


class _Reader:
    """A cursor over the tokens."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.position = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.position]

    def ahead(self, distance: int = 1) -> Token:
        return self.tokens[min(self.position + distance, len(self.tokens) - 1)]

    def is_at(self, *operators: str) -> bool:
        return self.token.kind == "operator" and self.token.text in operators

    def take(self) -> Token:
        token = self.token
        self.position += 1
        return token

    def expect(self, operator: str, opened: Token | None = None) -> Token:
        if self.is_at(operator):
            return self.take()
        hint = f"it closes the {opened.text!r} at position {opened.place}" if opened else ""
        raise self.error(f"expected {operator!r} but found {self.spelling()}", hint)

    def spelling(self) -> str:
        return repr(self.token.text) if self.token.text else "the end of the text"

    def error(self, message: str, hint: str = "", token: Token | None = None) -> ParseError:
        place = (token or self.token).place
        return ParseError(message, caret(self.text, place).splitlines(), hint)

    # -- rules ------------------------------------------------------------------------------
    def document(self) -> Document:
        body = self.formula()
        sizes: dict[str, Formula] = {}
        definitions: list[Definition] = []
        if self.token.text == "where":
            self.take()
            self.item(sizes, definitions)
            while self.is_at(","):
                self.take()
                self.item(sizes, definitions)
        if self.token.kind != "end":
            raise self.left_over()
        return Document(body, sizes, tuple(definitions))

    def left_over(self) -> ParseError:
        """The error at a token that cannot follow a complete formula."""
        if self.token.text in _FOREIGN:
            return self.error(f"unknown operator {self.token.text!r}", _FOREIGN[self.token.text])
        if self.token.kind in ("number", "name") or self.is_at("("):
            return self.error(
                f"{self.spelling()} follows an operand without an operator",
                "write * for a product (.* elementwise)",
            )
        return self.error(f"unexpected {self.spelling()}")

    def item(self, sizes: dict[str, Formula], definitions: list[Definition]) -> None:
        if self.token.kind != "name":
            raise self.error(f"expected a name after 'where' but found {self.spelling()}")
        name = self.take()
        if self.is_at(":"):
            self.take()
            sizes[name.text] = self.expression()
            return
        items = self.bracket() if self.is_at("[") else ()
        self.expect("=")
        definitions.append(Definition(name.text, items, self.expression(), place=name.place))

    def formula(self) -> Formula:
        if not self.is_at("["):
            return self.expression()
        place = self.token.place
        items = self.bracket()
        self.expect("->")
        return Arrow(items, self.expression(), place=place)

    def expression(self, least: int = 0) -> Formula:
        left = self.prefixed()
        while True:
            token = self.token
            if token.kind == "operator" and token.text in _BINARY:
                strength, right = _BINARY[token.text]
                if strength < least:
                    return left
                self.take()
                left = Binary(token.text, left, self.expression(right), place=token.place)
            else:
                self.check_end_of_operand()
                return left

    def check_end_of_operand(self) -> None:
        """An operand ends at an operator, a bracket, a comma, 'where' or the end."""
        token = self.token
        is_where = token.text == "where" and self.ahead().text != "("
        if token.text in _FOREIGN or token.kind == "number" or self.is_at("("):
            raise self.left_over()
        if token.kind == "name" and not is_where:
            raise self.left_over()

    def prefixed(self) -> Formula:
        if self.is_at("-", "+"):
            token = self.take()
            operand = self.expression(_PREFIX)
            return Negative(operand, place=token.place) if token.text == "-" else operand
        return self.postfixed(self.primary())

    def postfixed(self, formula: Formula) -> Formula:
        while True:
            if self.is_at("'"):
                formula = Transposed(formula, place=self.take().place)
            elif self.is_at("["):
                formula = Subscript(formula, self.bracket(), place=formula.place)
            else:
                return formula

    def primary(self) -> Formula:
        token = self.token
        if token.kind == "number":
            self.take()
            return Number(_number(token.text), place=token.place)
        if token.kind == "name":
            return self.named()
        if self.is_at("("):
            self.take()
            body = self.formula()
            self.expect(")", token)
            return Group(body, place=token.place)
        if token.text in _FOREIGN:
            raise self.left_over()
        raise self.error(f"expected an operand but found {self.spelling()}")

    def named(self) -> Formula:
        token = self.take()
        if self.is_at("("):
            return self.call(token, ())
        if self.is_at("[") and self.closes_before_call():
            return self.call(token, self.bracket())
        if token.text in ("inf", "nan"):
            return Number(float(token.text), place=token.place)
        return Name(token.text, place=token.place)

    def closes_before_call(self) -> bool:
        """Whether the bracket ahead holds names only and a call follows: ``softmax[j](``."""
        distance = 1
        while self.ahead(distance).kind == "name" or self.ahead(distance).text == ",":
            distance += 1
        return self.ahead(distance).text == "]" and self.ahead(distance + 1).text == "("

    def call(self, name: Token, binder: tuple[Formula, ...]) -> Formula:
        opened = self.expect("(")
        operands: list[Formula] = []
        params: dict[str, Any] = {}
        while not self.is_at(")"):
            if self.token.kind == "name" and self.ahead().text == "=":
                word = self.take().text
                self.take()
                params[word] = self.parameter()
            else:
                operands.append(self.formula())
            if not self.is_at(","):
                break
            self.take()
        self.expect(")", opened)
        return Call(name.text, tuple(operands), binder, params, place=name.place)

    def parameter(self) -> Any:
        """A value of a parameter: an expression, a word in quotes, None, True, False, a list."""
        if self.token.kind == "string":
            return self.take().text[1:-1]
        if self.token.text in _CONSTANTS:
            return _CONSTANTS[self.take().text]
        if self.is_at("["):
            opened = self.take()
            values = [] if self.is_at("]") else [self.parameter()]
            while self.is_at(","):
                self.take()
                values.append(self.parameter())
            self.expect("]", opened)
            return tuple(values)
        return self.expression()

    def bracket(self) -> tuple[Formula, ...]:
        opened = self.expect("[")
        items = [self.expression()]
        while self.is_at(","):
            self.take()
            items.append(self.expression())
        self.expect("]", opened)
        return tuple(items)


def _number(text: str) -> float:
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
