"""Rows of results: what was measured, how it is printed and stored."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .measuring import machine

OURS = "ours"
#: How the reason begins why a contestant was left out whose result failed its check.
WRONG = "wrong"


@dataclass
class Row:
    """Seconds of each contestant for one problem, size and precision."""

    suite: str
    problem: str
    size: int | str
    dtype: str
    seconds: dict[str, float]
    #: Least wanted ratio peer / ours by name of the peer, where one was set.
    targets: dict[str, float] = field(default_factory=dict)
    #: Most seconds wanted of ours, where that was set.
    limit: float | None = None
    #: What was computed, where a problem has several results.
    result: str = ""
    #: Which of our contestants the ratios are of; names of the others begin with "ours" as well.
    own: str = OURS
    #: Seconds of the first call, which derives, traces and compiles.
    first: dict[str, float] = field(default_factory=dict)
    #: Bytes by which the call raises the peak of a new process's memory.
    memory: dict[str, int] = field(default_factory=dict)
    #: Least seconds that the machine needs for the same work, over ours.
    fraction: float | None = None
    #: Part of that least time which is large contractions, if it is what bounds the work.
    contraction: bool = False
    #: Least wanted fraction, where one was set.
    least_fraction: float | None = None
    #: Contestants that do not take part, and why.
    left_out: dict[str, str] = field(default_factory=dict)
    #: Why a target was missed, found by profiling.
    reason: str = ""

    def ratios(self) -> dict[str, float]:
        """Peer / ours by name of the peer: above one, ours is the faster."""
        own_seconds = self.seconds.get(self.own)
        if own_seconds is None:
            return {}
        peers = {name: s for name, s in self.seconds.items() if not name.startswith(OURS)}
        return {name: seconds / own_seconds for name, seconds in peers.items()}

    def misses(self) -> list[str]:
        """What was wanted and not reached, in words."""
        ratios = self.ratios()
        missed = [
            f"{name} / ours {ratios[name]:.3g}, wanted {wanted:g}"
            for name, wanted in self.targets.items()
            if name in ratios and ratios[name] < wanted
        ]
        if self.own in self.left_out:
            missed.append(f"not computed: {self.left_out[self.own]}")
        if self.limit is not None and self.seconds[self.own] > self.limit:
            missed.append(f"{time_text(self.seconds[self.own])}, wanted {time_text(self.limit)}")
        if self._below_machine():
            missed.append(f"{self.fraction:.0%} of the machine, wanted {self.least_fraction:.0%}")
        return missed

    def _below_machine(self) -> bool:
        if self.fraction is None or self.least_fraction is None:
            return False
        return self.fraction < self.least_fraction

    def __str__(self) -> str:
        times = "  ".join(f"{name} {time_text(s):>8}" for name, s in self.seconds.items())
        ratios = "  ".join(f"{name} / ours {ratio:7.2f}" for name, ratio in self.ratios().items())
        machine = "" if self.fraction is None else f"  {self.fraction:.0%} of the machine"
        missed = "; ".join(self.misses())
        verdict = f"  MISSED: {missed}" if missed else "  met" if self.target_count() else ""
        verdict += "".join(f"  {name} {self.left_out[name]}" for name in self.wrong())
        what = f" {self.result:23}" if self.result else ""
        about = f"{self._first_calls()}{self._peaks()}{machine}"
        return f"{self.size!s:>6} {self.dtype:8}{what} {times}  {ratios}{about}{verdict}"

    def _first_calls(self) -> str:
        """What deriving, tracing and compiling took, in the order of the times."""
        first = [time_text(self.first[name]) for name in self.seconds if name in self.first]
        return f"  first calls {' / '.join(first)}" if first else ""

    def _peaks(self) -> str:
        peaks = [f"{self.memory[name] / 1e6:.3g}" for name in self.seconds if name in self.memory]
        return f"  peaks {' / '.join(peaks)} MB" if peaks else ""

    def wrong(self) -> list[str]:
        """The contestants whose results failed their checks."""
        return [name for name, why in self.left_out.items() if why.startswith(WRONG)]

    def target_count(self) -> int:
        """How many targets were set for this row."""
        known = len(self.targets.keys() & self.seconds.keys())
        return known + (self.limit is not None) + (self.least_fraction is not None)


def time_text(seconds: float) -> str:
    """Seconds in a unit that leaves three digits.

    >>> time_text(1.5e-5)
    '15.0 µs'
    """
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}".replace("e+03", "000")
    return f"{seconds * 1e9:.3g} ns"


def write_json(rows: Iterable[Row], path: Path, more: Mapping[str, Any] | None = None) -> None:
    """Store the rows with a description of the machine, and ``more`` beside them.

    The file is replaced as a whole: whoever reads it, and whoever interrupts, finds all or nothing.
    """
    stored = [{**_short(row), "ratios": row.ratios(), "missed": row.misses()} for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": machine(), **(more or {}), "rows": stored}, indent=1)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_text(text + "\n")
    beside.replace(path)


def _short(row: Row) -> dict[str, Any]:
    """The fields of a row that say something."""
    always = {"suite", "problem", "size", "dtype", "seconds", "targets", "limit"}
    return {k: v for k, v in asdict(row).items() if k in always or v not in ("", None, {}, False)}
