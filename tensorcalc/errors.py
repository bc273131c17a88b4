"""Errors of the library: what was attempted, the operands, the contradiction, the remedy."""

from __future__ import annotations

from collections.abc import Iterable


class TensorcalcError(Exception):
    """Base of every error that is the user's to mend; anything else is a bug of the library."""

    def __init__(self, attempt: str, details: Iterable[str] = (), hint: str = "") -> None:
        lines = [attempt, *(f"  {detail}" for detail in details)]
        if hint:
            lines.append(f"  hint: {hint}")
        super().__init__("\n".join(lines))


class ShapeError(TensorcalcError, ValueError):
    """Extents or ranks of operands contradict each other."""


class TraceError(TensorcalcError, TypeError):
    """User code asked of an expression what only a number can answer."""


class NotationError(TensorcalcError, ValueError):
    """The requested notation cannot say this expression."""


class ParseError(TensorcalcError, ValueError):
    """A formula text does not follow the grammar."""


class UnknownNameError(TensorcalcError, NameError):
    """A name that is neither a variable, an index nor an operation."""


class DerivativeError(TensorcalcError, TypeError):
    """A derivative was requested of something that has none of that kind."""
