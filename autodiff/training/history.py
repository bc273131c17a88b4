"""What happened in each epoch, and its picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class History:
    """One dictionary of numbers per epoch; ``history["loss"]`` is a column.

    >>> h = History(); h.append({"loss": 2.0}); h.append({"loss": 1.0, "val_loss": 3.0})
    >>> h["loss"], h["val_loss"]
    ([2.0, 1.0], [None, 3.0])

    Raises KeyError for a column that there is not.
    """

    def __init__(self, epochs: Any = ()) -> None:
        self.epochs: list[dict[str, Any]] = [dict(epoch) for epoch in epochs]

    def append(self, epoch: Mapping[str, Any]) -> None:
        """Add the numbers of an epoch."""
        self.epochs.append(dict(epoch))

    @property
    def names(self) -> list[str]:
        """Names of all columns, in the order they came."""
        return list(dict.fromkeys(name for epoch in self.epochs for name in epoch))

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self.names:
            raise KeyError(f"no column {name!r}; there are {', '.join(self.names) or 'none'}")
        return [epoch.get(name) for epoch in self.epochs]

    def __len__(self) -> int:
        return len(self.epochs)

    def __str__(self) -> str:
        names = self.names
        rows = [["epoch", *names]]
        for k, epoch in enumerate(self.epochs, 1):
            rows.append([str(k), *(_text(epoch.get(name)) for name in names)])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in rows
        )

    def plot(self, path: Any = None, log: bool = False) -> Any:
        """Losses in one panel, each metric in another, training and validation together.

        Gives the matplotlib figure; written to ``path`` where one is given.
        """
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        columns = [n for n in self.names if n not in ("seconds", "lr")]
        panels = list(dict.fromkeys(name.removeprefix("val_") for name in columns))
        figure = Figure(figsize=(4.2 * max(len(panels), 1), 3.2), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(1, max(len(panels), 1), squeeze=False)[0]
        for axis, panel in zip(axes, panels, strict=False):
            for name, label in ((panel, "training"), (f"val_{panel}", "validation")):
                if name in columns:
                    points = [(k, v) for k, v in enumerate(self[name], 1) if v is not None]
                    axis.plot(*zip(*points, strict=True), label=label)
            axis.set(title=panel, xlabel="epoch", yscale="log" if log else "linear")
            axis.grid(alpha=0.3)
            axis.legend()
        if path is not None:
            figure.savefig(path, dpi=120)
        return figure


def _text(value: Any) -> str:
    return "" if value is None else f"{value:.5g}"
