"""Certificates: the chain of reasons behind a statement about curvature."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reason:
    """A statement and the statements it rests on.

    ``parts`` is a text, or a tuple of texts and expressions, which are printed when somebody reads.
    """

    parts: str | tuple[Any, ...]
    because: tuple[Reason, ...] = ()

    @property
    def claim(self) -> str:
        """The statement as text."""
        return self.parts if isinstance(self.parts, str) else "".join(map(str, self.parts))

    def lines(self, depth: int = 0) -> Iterator[str]:
        """The chain as indented text."""
        yield "  " * depth + self.claim
        for reason in self.because:
            yield from reason.lines(depth + 1)

    def __str__(self) -> str:
        return "\n".join(self.lines())


class Curvature(str):
    """``"affine"``, ``"convex"``, ``"concave"`` or ``"unknown"``; compares equal to that text.

    ``strict`` says strictly convex or concave on the interior of the domain, ``certificate`` is the
    chain of reasons (for "unknown": what could not be shown).
    """

    __slots__ = ("certificate", "strict")
    certificate: Reason
    strict: bool

    def __new__(cls, kind: str, certificate: Reason, strict: bool = False) -> Curvature:
        """The word ``kind`` with its certificate."""
        made = super().__new__(cls, kind)
        made.certificate = certificate
        made.strict = strict
        return made

    @property
    def description(self) -> str:
        """The words with the adverb: "strictly convex"."""
        return f"strictly {self}" if self.strict else str(self)

    def explain(self) -> str:
        """The certificate as text."""
        return str(self.certificate)
