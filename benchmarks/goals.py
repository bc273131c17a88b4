"""What is wanted of the models, and the table that says where we stand.

Ratios are peer / ours in one run; ours is the faster of the targets that were asked for. A goal is
for the geometric mean over the sizes and precisions of a problem, and some are for every row:

- a Hessian, its dense array: 10 times JAX and never under 1, 20 times torch.func;
- a value, and a value with its gradient: 1.5 times JAX and never under 0.95, 2 times torch.func;
- the margin loss of 4 million: 1.5 times JAX, 2 times torch.func;
- at size 10 every result of every problem: 5 times JAX, 20 times torch.func. Rows are judged one by
  one, and the summary has the geometric mean over the results of each problem as well;
- a new process with a warm disk cache, to its first result: 2 times JAX;
- where most of the time is that of large contractions: 80 % of the measured rate of a gemm.

A Hessian as an operator of structure is a contestant more, in rows of its own: it is never what the
goals of dense results are judged by. Reasons for misses were found by profiling: ``reasons.toml``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import exp, log
from pathlib import Path
from typing import Any, NamedTuple

from .rows import Row

REASONS = Path(__file__).parent / "results" / "reasons.toml"


class Goal(NamedTuple):
    """Least ratios to a peer."""

    #: Geometric mean over the sizes of a problem.
    mean: float
    #: Every row.
    each: float = 0.0


#: By result, then by peer.
GOALS = {
    "Hessian": {"JAX": Goal(10, 1), "torch.func": Goal(20)},
    "value and gradient": {"JAX": Goal(1.5, 0.95), "torch.func": Goal(2)},
    "value": {"JAX": Goal(1.5, 0.95), "torch.func": Goal(2)},
}
#: The sum of log1p(exp(-y z)) at the largest size.
MARGIN = ("margin loss", "value", 4_000_000)
MARGIN_GOALS = {"JAX": 1.5, "torch.func": 2.0}
#: The Hessian of a factorization that stores its core only, against the dense one.
FACTORIZATION = ("matrix factorization", "Hessian, structured", 200)
FACTORIZATION_GOALS = {"JAX": 1000.0}
#: A new process with a warm disk cache, from its start to its first result.
START_GOALS = {"JAX": 2.0}
#: Any problem and result at size 10.
SMALL, SMALL_GOALS = 10, {"JAX": 5.0, "torch.func": 20.0}


def row_goals(row: Row) -> dict[str, float]:
    """The least ratios of a row by itself."""
    if (row.problem, row.result, row.size) == MARGIN:
        return dict(MARGIN_GOALS)
    if (row.problem, row.result, row.size) == FACTORIZATION:
        return dict(FACTORIZATION_GOALS)
    if row.suite == "start":
        return dict(START_GOALS)
    if is_small(row):
        return dict(SMALL_GOALS)
    return {peer: goal.each for peer, goal in GOALS.get(row.result, {}).items() if goal.each}


def is_small(row: Row) -> bool:
    """Whether a row is of the goal for size 10: one that is not of an operator."""
    return row.suite == "models" and row.size == SMALL and not row.own.endswith("structured")


def judge(row: Row) -> Row:
    """The row with its goals and, where there is one, the reason why it misses them."""
    if row.suite in ("models", "start"):
        row.targets, row.reason = row_goals(row), reason(row)
    return row


@lru_cache(maxsize=1)
def reasons() -> list[dict[str, Any]]:
    """The entries of the notes, the most particular last."""
    if not REASONS.exists():
        return []
    return tomllib.loads(REASONS.read_text())["reason"]


def reason(row: Row) -> str:
    """Why a row misses: the last entry whose fields all fit it."""
    fields = {"problem": row.problem, "result": row.result, "size": row.size, "dtype": row.dtype}
    fields["ours"] = row.own
    fitting = [
        entry["text"]
        for entry in reasons()
        if all(fields[key] == value for key, value in entry.items() if key != "text")
    ]
    return fitting[-1] if fitting else ""


def geometric_mean(ratios: Sequence[float]) -> float:
    """The n-th root of the product.

    >>> geometric_mean([1, 100])
    10.0
    """
    return round(exp(sum(map(log, ratios)) / len(ratios)), 12)


class Line(NamedTuple):
    """A line of the summary."""

    problem: str
    result: str
    peer: str
    mean: float
    least: float
    wanted: Goal
    reason: str

    @property
    def met(self) -> bool:
        """Whether both goals are."""
        return self.mean >= self.wanted.mean and self.least >= self.wanted.each

    def __str__(self) -> str:
        wanted = f"wanted {self.wanted.mean:g}"
        if self.wanted.each:
            wanted += f", never under {self.wanted.each:g}"
        verdict = "met" if self.met else "MISSED"
        why = f"; {self.reason}" if self.reason and not self.met else ""
        return (
            f"{self.problem:24}{self.result:22}{self.peer:12}{self.mean:10.2f}{self.least:10.2f}"
            f"  {verdict} ({wanted}){why}"
        )


def summary(rows: Sequence[Row]) -> Iterator[Line]:
    """Geometric means, problem by problem: over the sizes, and over the results of size 10."""
    shown = [row for row in rows if row.suite == "models"]
    kinds = [(name, goals, [r for r in shown if r.result == name]) for name, goals in GOALS.items()]
    small = {peer: Goal(mean) for peer, mean in SMALL_GOALS.items()}
    kinds.append((f"size {SMALL}, all results", small, [*filter(is_small, shown)]))
    for name, goals, fitting in kinds:
        for peer, goal in goals.items():
            for problem in dict.fromkeys(row.problem for row in fitting):
                timed = [r for r in fitting if r.problem == problem and peer in r.ratios()]
                if timed:
                    yield _line(problem, name, peer, timed, goal)


def _line(problem: str, result: str, peer: str, rows: Sequence[Row], goal: Goal) -> Line:
    """A line of the summary, with the reason of the slowest row; size 10 speaks for itself only."""
    rows = sorted(rows, key=lambda row: row.ratios()[peer])
    ratios = [row.ratios()[peer] for row in rows]
    own = [row for row in rows if not is_small(row)] or rows
    why = next((row.reason for row in own if row.reason), "")
    return Line(problem, result, peer, geometric_mean(ratios), ratios[0], goal, why)


def overall(rows: Sequence[Row]) -> Iterator[str]:
    """The goals over all problems, in words."""
    shown = [row for row in rows if row.suite == "models"]
    kinds = [(result, [r for r in shown if r.result == result]) for result in GOALS]
    kinds.append((f"size {SMALL}, any result", [*filter(is_small, shown)]))
    kinds.append(("margin loss, 4 million", [r for r in shown if _is_margin(r)]))
    kinds.append(("first call of a process", [r for r in rows if r.suite == "start"]))
    for what, fitting in kinds:
        for peer in ("JAX", "torch.func"):
            ratios = [r.ratios()[peer] for r in fitting if peer in r.ratios()]
            if ratios:
                mean, least = geometric_mean(ratios), min(ratios)
                yield f"{what:24}{peer:12} geometric mean {mean:9.2f}  least {least:7.2f}"
    fractions = [row.fraction for row in shown if row.contraction and row.fraction is not None]
    if fractions:
        what = f"{'large contractions':24}{'gemm rate':12}"
        mean, least = geometric_mean(fractions), min(fractions)
        yield f"{what} geometric mean {mean:9.0%}  least {least:7.0%}"


def _is_margin(row: Row) -> bool:
    return (row.problem, row.result, row.size) == MARGIN


def stored(rows: Sequence[Row]) -> dict[str, Any]:
    """The summary as it is written beside the rows."""
    lines = [line._asdict() | {"met": line.met} for line in summary(rows)]
    return {"summary": lines} if lines else {}
