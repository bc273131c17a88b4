"""Rows of results: what was measured, how it is printed, stored and plotted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .measuring import machine

OURS = "ours"


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

    def ratios(self) -> dict[str, float]:
        """Peer / ours by name of the peer: above one, ours is the faster."""
        own = self.seconds[OURS]
        return {name: other / own for name, other in self.seconds.items() if name != OURS}

    def misses(self) -> list[str]:
        """What was wanted and not reached, in words."""
        ratios = self.ratios()
        missed = [
            f"{name} / ours {ratios[name]:.3g}, wanted {wanted:g}"
            for name, wanted in self.targets.items()
            if name in ratios and ratios[name] < wanted
        ]
        if self.limit is not None and self.seconds[OURS] > self.limit:
            missed.append(f"{time_text(self.seconds[OURS])}, wanted {time_text(self.limit)}")
        return missed

    def __str__(self) -> str:
        times = "  ".join(f"{name} {time_text(s):>8}" for name, s in self.seconds.items())
        ratios = "  ".join(f"{name} / ours {ratio:7.2f}" for name, ratio in self.ratios().items())
        missed = "; ".join(self.misses())
        verdict = f"  MISSED: {missed}" if missed else "  met" if self.target_count() else ""
        return f"{self.size!s:>6} {self.dtype:8} {times}  {ratios}{verdict}"

    def target_count(self) -> int:
        """How many targets were set for this row."""
        return len(self.targets.keys() & self.seconds.keys()) + (self.limit is not None)


def time_text(seconds: float) -> str:
    """Seconds in a unit that leaves three digits.

    >>> time_text(1.5e-5)
    '15.0 µs'
    """
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}".replace("e+03", "000")
    return f"{seconds * 1e9:.3g} ns"


def write_json(rows: Iterable[Row], path: Path) -> None:
    """Store the rows with a description of the machine."""
    stored = [{**asdict(row), "ratios": row.ratios(), "missed": row.misses()} for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": machine(), "rows": stored}, indent=1)
    path.write_text(text + "\n")


def plot(rows: Sequence[Row], path: Path) -> None:
    """How many times faster than JAX, one bar for each problem and size, on a logarithmic axis."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = [r for r in rows if r.suite == "hessians" and "JAX" in r.seconds]
    labels = list(dict.fromkeys((r.problem, r.size) for r in shown))
    height = 0.38
    figure, axes = plt.subplots(figsize=(8, 0.8 + 0.36 * len(labels)), layout="constrained")
    for k, (dtype, colour) in enumerate({"float64": "#30638e", "float32": "#edae49"}.items()):
        own = [r for r in shown if r.dtype == dtype]
        positions = [labels.index((r.problem, r.size)) + (k - 0.5) * height for r in own]
        ratios = [r.ratios()["JAX"] for r in own]
        widths = [ratio - 1 for ratio in ratios]
        bars = axes.barh(positions, widths, height, left=1, color=colour, label=dtype)
        axes.bar_label(bars, [*map(_ratio_text, ratios)], padding=3, fontsize=8)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.margins(x=0.15, y=0.01)
    axes.set_yticks(range(len(labels)), [_size_label(*label) for label in labels], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("Hessian: time of jitted jax.hessian / ours (right of 1, ours is faster)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper right")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _ratio_text(ratio: float) -> str:
    return f"{ratio:.2g}" if ratio < 10 else f"{ratio:,.0f}"


def _size_label(problem: str, size: Any) -> str:
    return f"{problem}, {size if isinstance(size, str) else f'n = {size}'}"
