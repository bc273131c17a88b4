"""A table that is measured in parts: rows go on disk part by part, a later run goes on with them.

A part is what a suite measures in one go, mostly a problem. Only whole parts are stored, so that an
interrupted run leaves a table in which nothing is cut off.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from . import goals
from .measuring import machine
from .options import Options
from .rows import Row, write_json

#: What changes the times: the library, and how it and the peers are called and timed.
CODE = (
    *("tensorcalc", "backends", "autodiff"),
    *(f"benchmarks/{name}" for name in ("models", "contestants", "suites", "problems")),
    *("benchmarks/measuring.py", "benchmarks/ours.py"),
)


class Table:
    """The rows of a run, and of the runs before that it goes on with."""

    def __init__(self, path: Path | None, options: Options) -> None:
        self.path = path
        self.rows: list[Row] = []
        #: Seconds that each finished part took.
        self.parts: dict[str, float] = {}
        asked = {name: getattr(options, name) for name in Options.COMPARABLE}
        self.about = json.loads(json.dumps({"options": asked, "code": code_digest()}))

    def resume(self) -> None:
        """Take over the rows of the file, judged by the goals and the reasons of today.

        Raises SystemExit for a file from another machine, code or options.
        """
        if self.path is None or not self.path.exists():
            return
        found = json.loads(self.path.read_text())
        differences = list(_differences(found, {"machine": machine(), **self.about}))
        if differences:
            sys.exit(
                f"{self.path} holds rows that these would not be comparable with: "
                f"{'; '.join(differences)}. Give another file, or leave out --resume to begin anew"
            )
        known = {field.name for field in fields(Row)}
        self.parts = found["parts"]
        self.rows = [Row(**{k: v for k, v in row.items() if k in known}) for row in found["rows"]]
        for row in self.rows:
            goals.judge(row)

    def add(self, part: str, rows: list[Row], seconds: float) -> None:
        """The rows of a part that is finished."""
        self.rows += rows
        self.parts[part] = round(seconds, 1)
        self.write()

    def write(self) -> None:
        """Store all rows, where a file was given."""
        if self.path:
            more = {**self.about, "parts": self.parts, **goals.stored(self.rows)}
            write_json(self.rows, self.path, more)


def _differences(found: dict[str, Any], wanted: dict[str, Any]) -> Iterator[str]:
    """What a stored table and this run do not have in common, in words."""
    for name, here in wanted.items():
        there = found.get(name)
        if isinstance(here, dict):
            yield from _differences(there or {}, here)
        elif there != here:
            yield f"{name} {there} there, {here} here"


@lru_cache(maxsize=1)
def code_digest() -> str:
    """The hash of the sources that the times depend on."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for name in CODE:
        path = root / name
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(f"{source.relative_to(root)}\n".encode() + source.read_bytes())
    return digest.hexdigest()[:16]
