"""Names in formulas: what is near an unknown one, and extents written as text."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

from ..errors import ParseError, UnknownNameError
from ..extents import Extent, symbol

_SIZE = re.compile(r"[+-]?[^+-]+")
_ATOM = re.compile(r"\d+|[^\W\d]\w*")


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """Known names that look like ``name``, nearest first; case is ignored.

    >>> near_names("logit", ["log", "logdet", "sin"])
    ['log', 'logdet']
    """
    lowered: dict[str, str] = {}
    for each in known:
        lowered.setdefault(each.lower(), each)
    found = difflib.get_close_matches(name.lower(), list(lowered), n=4, cutoff=0.5)
    return [lowered[each] for each in found]


def unknown_name(
    name: str, known: Iterable[str], kind: str, place: str, hint: str
) -> UnknownNameError:
    """The error for a name that means nothing, with the names that are near."""
    near = near_names(name, known)
    details = [*place.splitlines(), *([f"near names: {', '.join(near)}"] if near else [])]
    return UnknownNameError(f"unknown {kind} {name!r}", details, hint)


def caret(text: str, position: int) -> str:
    """The line of ``text`` that holds ``position``, and a caret under the place.

    >>> print(caret("sin(x", 3))
    sin(x
       ^
    """
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = text[start : end if end >= 0 else len(text)]
    return f"{line}\n{' ' * (position - start)}^"


def parse_extent(word: str) -> int | Extent:
    """An extent such as ``3``, ``n`` or ``2*n+1``.

    >>> parse_extent("2*n+1")
    2*n + 1

    Raises ParseError for anything else.
    """
    terms = _SIZE.findall(word)
    if not terms or "".join(terms) != word:
        raise _not_an_extent(word)
    total: Any = 0
    for term in terms:
        total = total + (-1 if term[0] == "-" else 1) * _monomial(term.lstrip("+-"), word)
    return total


def _monomial(term: str, word: str) -> Any:
    value: Any = 1
    for atom in term.split("*"):
        if not _ATOM.fullmatch(atom):
            raise _not_an_extent(word)
        value = value * (int(atom) if atom.isdigit() else symbol(atom))
    return value


def _not_an_extent(word: str) -> ParseError:
    return ParseError(
        f"{word!r} is not the size of an axis",
        hint="write a number, a word, or a sum of products of them without spaces: 3, n, 2*n+1",
    )
