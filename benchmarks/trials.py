"""Calls in a process of their own, which is ended when one takes too long.

A call within a library cannot be broken off, nor one that takes all memory. The process imports
everything once and goes on to the next call; a call that fails leaves it as it was.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from typing import Any

from .calling import sentence
from .modelling import model_named
from .ours import own_name

#: Seconds that a trial may take, and those of one in which numba compiles: it keeps on disk what it
#: compiled.
TRIAL, COMPILING = 40.0, 300.0


class Trials:
    """``trials(problem, result, size, dtype, name)``: why a call did not end, "" if it did.

    With ``lasting`` the process waits for the next call until :meth:`end`; without, it ends with
    the call, and gives back what libraries keep to themselves, such as the memory of a GPU.
    """

    def __init__(self, lasting: bool = False) -> None:
        self._lasting = lasting
        self._process: Any = None

    def __call__(self, problem: str, result: str, size: int, dtype: str, name: str) -> str:
        """Try a call."""
        limit = COMPILING if name == own_name("numba") else TRIAL
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.trials"],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        self._process.stdin.write(json.dumps([problem, result, size, dtype, name]).encode() + b"\n")
        answered, _, _ = select.select([self._process.stdout], [], [], limit)
        line = self._process.stdout.readline() if answered else b""
        if line:
            why: str = json.loads(line)
        elif answered:
            why = f"its process ended with {self._process.wait()}"
        else:
            why = f"no result after {limit:.0f} s"
        if not line or not self._lasting:
            self.end()
        return why

    def end(self) -> None:
        """Let the process go."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()
            self._process.stdout.close()
            self._process = None


def called(problem: str, result: str, size: int, dtype: str, name: str) -> str:
    """Make a call once; why it failed, "" if it did not."""
    from .suites.models import contestant

    model = model_named(problem)
    try:
        contestant(model, result, model.arguments(size, dtype), name)()
    except Exception as error:
        return sentence(error)
    return ""


def main() -> None:
    """Make one call after the other, and say how each went; a library may print elsewhere."""
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        print(json.dumps(called(*json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
