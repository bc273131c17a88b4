"""How long a contestant is waited for, so that every table ends by itself.

Who took too long is left out of the rows that follow, with the reason. Whose time at the last size
lets one fear more is first tried in a process of its own,
``python -m benchmarks.patience PROBLEM RESULT SIZE DTYPE CONTESTANT``, which is ended after
:data:`TRIAL` seconds, or :data:`COMPILING` with numba: a call within a library cannot be broken
off, nor one that takes all memory.
"""

from __future__ import annotations

import subprocess
import sys

from .calling import Refused
from .modelling import Model, model_named
from .ours import own_name
from .rows import OURS

#: Seconds of a first call, and of a later one, after which the contestant is left out.
FIRST, LATER = 40.0, 2.0
#: Seconds that a trial may take, and that a call must be feared to take to be tried.
TRIAL, FEARED = 40.0, 5.0
#: Seconds that a trial of ours may take at first: numba keeps on disk what it compiled.
COMPILING = 180.0
#: A call is feared to take as many times longer as the size is larger, to this power.
GROWTH = 4
#: Compiling, and looking for structure, are feared to take so many times longer than our formula
#: took to derive. What numba has compiled in a trial is on disk for the call that follows.
ANALYSING = 10


class Patience:
    """What the contestants of one result took at the sizes so far."""

    def __init__(self) -> None:
        self.left_out: dict[str, str] = {}
        self.latest: dict[str, tuple[int, float]] = {}
        self.derived = 0.0

    def check(self, model: Model, result: str, size: int, dtype: str, name: str) -> None:
        """Raise Refused if a contestant is not to be waited for; a trial may tell."""
        if name not in self.left_out and self.feared(name, size) > FEARED:
            why = trial(model.name, result, size, dtype, name)
            if why:
                self.left_out[name] = f"{why} at size {size}"
            else:
                self.latest[name] = size, 0.0
        if name in self.left_out:
            raise Refused(self.left_out[name])

    def feared(self, name: str, size: int) -> float:
        """Seconds that a call may take, going by the last size; 0 if nothing is known.

        >>> patience = Patience()
        >>> patience.called("JAX", 10, 0.01)
        >>> patience.feared("JAX", 100)
        100.0
        """
        if name not in self.latest:
            return ANALYSING * self.derived if name.startswith(OURS) else 0.0
        last, seconds = self.latest[name]
        return seconds * (size / last) ** GROWTH

    def began(self, name: str, size: int, seconds: float) -> None:
        """Note a first call."""
        if name == own_name("numpy"):
            self.derived = max(self.derived, seconds)
        if seconds > FIRST:
            self.left_out[name] = f"its first call took {seconds:.0f} s at size {size}"

    def called(self, name: str, size: int, seconds: float) -> None:
        """Note the median of later calls."""
        self.latest[name] = size, seconds
        if seconds > LATER:
            self.left_out.setdefault(name, f"a call took {seconds:.0f} s at size {size}")


def trial(problem: str, result: str, size: int, dtype: str, name: str) -> str:
    """Why a call did not end in a process of its own, "" if it did."""
    command = [sys.executable, "-m", "benchmarks.patience", problem, result, str(size), dtype, name]
    limit = COMPILING if name == own_name("numba") else TRIAL
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=limit)
    except subprocess.TimeoutExpired:
        return f"no result after {limit:.0f} s"
    if done.returncode:
        return f"its process ended with {done.returncode}"
    return ""


def main(problem: str, result: str, size: str, dtype: str, name: str) -> None:
    """Make the call once."""
    from .suites.models import contestant

    model = model_named(problem)
    contestant(model, result, model.arguments(int(size), dtype), name)()


if __name__ == "__main__":
    main(*sys.argv[1:])
