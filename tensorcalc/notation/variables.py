"""Declared variables: ``tc.variables("X: m n, w: n, A: n n symmetric, c: positive")``.

A declaration is a name, then one word per axis, then flags. The same word is the same extent, also
across calls. A name alone is a scalar.
"""

from __future__ import annotations

import re
from typing import Any

from ..errors import ParseError, ShapeError
from ..extents import same_extents
from ..nodes import Variable
from .names import near_names, parse_extent

#: What a variable can be declared to be.
FLAGS = ("symmetric", "psd", "positive", "nonnegative", "integer", "boolean")
_NAME = re.compile(r"[^\W\d]\w*")
_INTERVAL = re.compile(r"\bin\s*([\[(])\s*([^,\s]+)\s*,\s*([^\])\s]+)\s*([\])])")
_SEPARATOR = re.compile(r"[,;\n](?![^\[(]*[\])])")


def variables(declarations: str) -> Any:
    """The variables that a text declares: one is returned itself, several as a tuple.

    >>> X, w = variables("X: m n, w: n")
    >>> X.shape, w.shape
    ((m, n), (n,))
    >>> variables("p: n in [0, 1]").flags == {"in [0, 1]", "nonnegative"}
    True

    Flags: symmetric, psd, positive, nonnegative, integer, boolean, and an interval ``in [a, b]``.
    Raises ParseError for a text that is no declaration, ShapeError for a symmetric matrix that is
    not square.
    """
    declared = declared_variables(declarations)
    return declared[0] if len(declared) == 1 else declared


def declared_variables(declarations: str) -> tuple[Variable, ...]:
    """The variables that a text declares, as a tuple."""
    parts = [part.strip() for part in _SEPARATOR.split(declarations)]
    declared = tuple(_declared(part) for part in parts if part)
    names = [variable.name for variable in declared]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ParseError(
            f"declared twice: {', '.join(repeated)}",
            [f"declarations: {declarations}"],
            "declare each variable once",
        )
    if not declared:
        raise ParseError("no variable is declared", hint='write for example "X: m n, w: n"')
    return declared


def _declared(text: str) -> Variable:
    name, _, rest = text.partition(":")
    name = name.strip()
    if not _NAME.fullmatch(name):
        raise ParseError(
            f"{name!r} is not a name",
            [f"declaration: {text}"],
            'write a name, a colon and one word per axis: "X: m n"',
        )
    rest, flags = _interval(rest, text)
    words = rest.split()
    axes = [word for word in words if word not in FLAGS]
    flags |= {word for word in words if word in FLAGS}
    _check_order(words, text)
    variable = Variable(name, [parse_extent(word) for word in axes], flags)
    _check_square(variable)
    return variable


def _interval(rest: str, text: str) -> tuple[str, set[str]]:
    """The declaration without its interval, and what the interval says as flags."""
    found = _INTERVAL.search(rest)
    if not found:
        return rest, set()
    opening, low, high, closing = found.groups()
    try:
        bounds = float(low), float(high)
    except ValueError:
        raise ParseError(
            f"the interval {found.group()!r} has no numbers as bounds", [f"declaration: {text}"]
        ) from None
    flags = {f"in {opening}{low}, {high}{closing}"}
    if bounds[0] >= 0:
        open_at_zero = bounds[0] > 0 or opening == "("
        flags.add("positive" if open_at_zero else "nonnegative")
    return rest[: found.start()] + rest[found.end() :], flags


def _check_order(words: list[str], text: str) -> None:
    """Flags follow the axes; an axis that is nearly a flag is a misspelled flag."""
    flagged = False
    for word in words:
        near = near_names(word, FLAGS)
        misspelled = len(word) > 3 and word not in FLAGS and _is_near(word, near)
        if misspelled or (flagged and word not in FLAGS):
            raise ParseError(
                f"unknown flag {word!r}",
                [f"declaration: {text}", f"flags: {', '.join(FLAGS)}"],
                "write the axes first, then flags",
            )
        flagged = flagged or word in FLAGS


def _is_near(word: str, near: list[str]) -> bool:
    return (
        bool(near) and len(set(word.lower()) ^ set(near[0])) <= 2 and word[0].lower() == near[0][0]
    )


def _check_square(variable: Variable) -> None:
    if variable.flags & {"symmetric", "psd"} and not (
        variable.ndim >= 2 and same_extents(variable.extents[-1:], variable.extents[-2:-1])
    ):
        raise ShapeError(
            "a symmetric variable needs two equal last axes",
            [f"variable: {variable.name}, shape {variable.extents}"],
            f'declare it square: "{variable.name}: n n symmetric"',
        )
