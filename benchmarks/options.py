"""What the command line asks of a suite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True)
class Options:
    """Passed to every suite."""

    #: What two runs must have in common for their rows to be comparable.
    COMPARABLE: ClassVar = ("seconds", "quick", "targets", "peers", "memory")

    #: Seconds of measuring for each row.
    seconds: float = 0.3
    #: Leave out what takes long.
    quick: bool = False
    #: Where lines of text go.
    show: Callable[[str], Any] = print
    #: Where it goes what is being done now.
    doing: Callable[[str], Any] = field(default=lambda _: None)
    #: Our targets; the ratios are those of the fastest.
    targets: Sequence[str] = ("numpy", "numba")
    #: Names of the problems that are wanted; all if there are none.
    problems: Sequence[str] = field(default=())
    #: Names of the peers that are wanted; all that are installed if there are none.
    peers: Sequence[str] = field(default=())
    #: Measure peaks of memory, each in a process of its own.
    memory: bool = False

    def wants(self, problem: str) -> bool:
        """Whether a problem was named, or none was."""
        return not self.problems or problem in self.problems
