"""Records: what a recorded operation leaves behind until the backward pass."""

from __future__ import annotations

import itertools
import linecache
import os
import sys
from collections.abc import Sequence
from types import CodeType
from typing import Any

from ..user_code import LIBRARY_ROOTS
from . import modes
from .modes import Scope, path_of

#: Numbers records in the order they are made; users of a result come after it.
next_number = itertools.count().__next__

_is_library: dict[str, bool] = {}


class Record:
    """One recorded operation.

    ``edges`` lead to the inputs that want gradients: pairs of a record and the position of a
    result, or of a leaf tensor and -1. ``saved`` are the arrays that the pullback reads.
    """

    __slots__ = ("code", "edges", "hooks", "instruction", "number", "plan", "saved", "scope")

    def __init__(self, plan: Any, edges: list[tuple[Any, int]], saved: list[Any]) -> None:
        self.plan = plan
        self.edges: list[tuple[Any, int]] | None = edges
        self.saved: Sequence[Any] | None = saved
        self.number = next_number()
        self.hooks: dict[int, list[Any]] | None = None
        self.scope: Scope | None = modes.scope.get()
        frame = sys._getframe(1)
        while True:
            file = frame.f_code.co_filename
            library = _is_library.get(file)
            if library is None:
                library = _is_library[file] = _belongs_to_library(file)
            if not library or frame.f_back is None:
                break
            frame = frame.f_back
        self.code: CodeType = frame.f_code
        self.instruction = frame.f_lasti

    def free(self) -> None:
        """Forget saved arrays and the way to the inputs."""
        self.edges = self.saved = None

    def described(self) -> list[str]:
        """The layer and the user's line that made the record."""
        lines = []
        layer = path_of(self.scope)
        if layer:
            lines.append(f"in layer {layer}")
        file, number = self.code.co_filename, line_number(self.code, self.instruction)
        text = linecache.getline(file, number).strip()
        return [*lines, f"recorded at {file}, line {number}" + (f": {text}" if text else "")]


def line_number(code: CodeType, instruction: int) -> int:
    """The line of an instruction, looked up only when an error needs it."""
    for start, end, line in code.co_lines():
        if start <= instruction < end and line is not None:
            return line
    return code.co_firstlineno


def _belongs_to_library(file: str) -> bool:
    return os.path.abspath(file).startswith(LIBRARY_ROOTS)
