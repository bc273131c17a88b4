"""Calls in a process of their own, which is ended when one takes too long.

A call within a library cannot be broken off, nor one that takes all memory. The process imports
everything once and goes on to the next call; a call that fails leaves it as it was.
"""

from __future__ import annotations

import multiprocessing
from typing import Any

from .calling import sentence
from .modelling import model_named
from .ours import own_name

#: Seconds that a trial may take, and those of one in which numba compiles: it keeps on disk what it
#: compiled.
TRIAL, COMPILING = 40.0, 180.0


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
            self._start()
        self._connection.send((problem, result, size, dtype, name))
        if not self._connection.poll(limit):
            self.end()
            return f"no result after {limit:.0f} s"
        try:
            why: str = self._connection.recv()
        except EOFError:
            self._process.join()
            why = f"its process ended with {self._process.exitcode}"
            self.end()
        if not self._lasting:
            self.end()
        return why

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()  # so that the end of the process is the end of the connection

    def end(self) -> None:
        """Let the process go."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = None


def _serve(connection: Any) -> None:
    """Make one call after the other, and say how each went."""
    while True:
        connection.send(_called(*connection.recv()))


def _called(problem: str, result: str, size: int, dtype: str, name: str) -> str:
    """Make a call once; why it failed, "" if it did not."""
    from .suites.models import contestant

    model = model_named(problem)
    try:
        contestant(model, result, model.arguments(size, dtype), name)()
    except Exception as error:
        return sentence(error)
    return ""
