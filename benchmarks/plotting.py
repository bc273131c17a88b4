"""Ratios peer / ours as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .goals import geometric_mean
from .rows import Row

#: Results that have a panel each.
PANELS = ("Hessian", "value and gradient")
COLOURS = ("#30638e", "#edae49")


def plot(rows: Sequence[Row], path: Path) -> None:
    """A PNG of the models if there are any, else of the Hessians on real data."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    models = [row for row in rows if row.suite == "models"]
    figure = _models(plt, models) if models else _hessians(plt, rows)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _hessians(plt: Any, rows: Sequence[Row]) -> Any:
    """How many times faster than JAX, one bar for each problem and size, on a logarithmic axis."""
    shown = [r for r in rows if r.suite == "hessians" and "JAX" in r.seconds]
    labels = list(dict.fromkeys((r.problem, r.size) for r in shown))
    figure, axes = plt.subplots(figsize=(8, 0.8 + 0.36 * len(labels)), layout="constrained")
    bars: dict[str, dict[int, float]] = {"float64": {}, "float32": {}}
    for row in shown:
        bars[row.dtype][labels.index((row.problem, row.size))] = row.ratios()["JAX"]
    _bars(axes, bars, [_size_label(*label) for label in labels])
    axes.set_xlabel("Hessian: time of jitted jax.hessian / ours (right of 1, ours is faster)")
    return figure


def _models(plt: Any, rows: Sequence[Row]) -> Any:
    """Geometric means over sizes and precisions, one panel for each result, one bar per peer."""
    peers = [name for name in ("JAX", "torch.func") if any(name in r.seconds for r in rows)]
    problems = list(dict.fromkeys(row.problem for row in rows))
    size = (11, 1.2 + 0.3 * len(problems))
    figure, panels = plt.subplots(1, len(PANELS), figsize=size, layout="constrained", sharey=True)
    for axes, result in zip(panels, PANELS, strict=True):
        bars: dict[str, dict[int, float]] = {peer: {} for peer in peers}
        for peer in peers:
            for k, problem in enumerate(problems):
                fitting = [r for r in rows if (r.problem, r.result) == (problem, result)]
                ratios = [r.ratios()[peer] for r in fitting if peer in r.ratios()]
                if ratios:
                    bars[peer][k] = geometric_mean(ratios)
        _bars(axes, bars, problems)
        axes.set_title(result, fontsize=10, loc="right")
    label = "time of the peer / ours, geometric mean over sizes (right of 1: ours faster)"
    figure.supxlabel(label, fontsize=10)
    return figure


def _bars(axes: Any, bars: dict[str, dict[int, float]], labels: Sequence[str]) -> None:
    height = 0.38
    for k, (name, found) in enumerate(bars.items()):
        positions = [place + (k - 0.5) * height for place in found]
        widths = [ratio - 1 for ratio in found.values()]
        drawn = axes.barh(positions, widths, height, left=1, color=COLOURS[k], label=name)
        axes.bar_label(drawn, [*map(_ratio_text, found.values())], padding=3, fontsize=8)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.margins(x=0.15, y=0.01)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.spines[["top", "right"]].set_visible(False)
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": len(bars)}
    axes.legend(frameon=False, fontsize=8, **place)


def _ratio_text(ratio: float) -> str:
    return f"{ratio:.2g}" if ratio < 10 else f"{ratio:,.0f}"


def _size_label(problem: str, size: Any) -> str:
    return f"{problem}, {size if isinstance(size, str) else f'n = {size}'}"
