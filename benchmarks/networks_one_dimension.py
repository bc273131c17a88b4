"""``python -m benchmarks.networks_one_dimension``: from one neuron to a deep network, y = f(x).

Six stories, each with what must come out: five linear neurons collapse to one line; ReLU networks
are straight between their kinks; tanh networks are smooth; Glorot's initial weights fit tanh and
He's fit ReLU (how the spread of activations changes with depth); momentum needs fewer steps on an
ill-conditioned loss; and outside the training range a network knows nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import autodiff as ad
from autodiff import nn
from autodiff.training import predict

POINTS = np.linspace(-2.0, 2.0, 80)[:, None]
WIDE = np.linspace(-5.0, 5.0, 401)[:, None]


class Row(NamedTuple):
    """A claim with the number that decides it."""

    claim: str
    value: str
    holds: bool


def wave(x: Any) -> Any:
    """The function to be learned."""
    return np.sin(3 * x) + 0.3 * x**2


def trained(model: Any, targets: Any, optimizer: Any, steps: int) -> list[float]:
    """Losses of full-batch steps with a rate that falls to zero."""
    schedule = ad.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    step = ad.compile_step(model, ad.losses.MSELoss(), optimizer)
    losses = []
    for _ in range(steps):
        losses.append(float(step(POINTS, targets)))
        schedule.step()
    return losses


def perceptron(width: int, depth: int, activation: Callable[[], Any], seed: int = 0) -> Any:
    """A network from one number to one number."""
    ad.manual_seed(seed)
    layers: list[Any] = [nn.Linear(1, width), activation()]
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 1)).double()


# -- the stories ----------------------------------------------------------------------------------
def one_neuron(axis: Any) -> list[Row]:
    """A line through points on a line."""
    ad.manual_seed(0)
    model = nn.Linear(1, 1).double()
    trained(model, 0.8 * POINTS - 0.5, ad.optim.Adam(model.parameters(), lr=0.1), 300)
    found = model.weight.data.item(), model.bias.data.item()
    axis.plot(POINTS, 0.8 * POINTS - 0.5, "k.", ms=4, label="0.8 x - 0.5")
    axis.plot(WIDE, predict(model, WIDE), zorder=0, label="one neuron")
    axis.set(title="one neuron finds the line")
    error = max(abs(found[0] - 0.8), abs(found[1] + 0.5))
    return [Row("one linear neuron finds slope and offset", f"{error:.1e} off", error < 1e-4)]


def linear_collapse(axis: Any) -> list[Row]:
    """Five linear neurons and the line that they amount to."""
    ad.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 5), nn.Linear(5, 1)).double()
    trained(model, wave(POINTS), ad.optim.Adam(model.parameters(), lr=0.05), 500)
    line = np.polyfit(POINTS[:, 0], wave(POINTS)[:, 0], 1)
    first, last = model[0], model[1]
    slope = (last.weight.data @ first.weight.data).item()
    axis.plot(POINTS, wave(POINTS), "k.", ms=3)
    axis.plot(WIDE, predict(model, WIDE), label="five linear neurons")
    axis.plot(WIDE, np.polyval(line, WIDE), ":", label="least squares line")
    axis.set(title="five linear neurons are a line", xlim=(-2.5, 2.5), ylim=(-1.5, 3))
    return [
        Row(
            "five linear neurons collapse to the least squares line",
            f"slope {slope:.4f} against {line[0]:.4f}",
            abs(slope - line[0]) < 1e-3,
        )
    ]


def kinks(axis: Any) -> list[Row]:
    """ReLU networks are straight between kinks, tanh networks smooth; neither extrapolates."""
    rows, errors = [], {}
    axis.plot(WIDE, wave(WIDE), "k:", lw=1, label="sin 3x + 0.3 x²")
    axis.axvspan(-2, 2, color="0.92")
    for name, activation in (("ReLU", nn.ReLU), ("tanh", nn.Tanh)):
        model = perceptron(32, 2, activation)
        trained(model, wave(POINTS), ad.optim.Adam(model.parameters(), lr=0.02), 2500)
        inside = predict(model, POINTS)
        outside = predict(model, WIDE)
        errors[name] = np.abs(inside - wave(POINTS)).max()
        axis.plot(WIDE, outside, label=name)
        far = np.abs(outside - wave(WIDE)).max()
        rows.append(
            Row(
                f"{name}: largest error inside the range, and outside",
                f"{errors[name]:.3f}, {far:.1f}",
                errors[name] < 0.1 and far > 1,
            )
        )
        fine = np.linspace(-2, 2, 4001)[:, None]
        bend = np.abs(np.diff(predict(model, fine)[:, 0], 2))
        straight = np.mean(bend < 1e-9)
        holds = straight > 0.9 if name == "ReLU" else straight < 0.1
        rows.append(Row(f"{name}: share of points without a bend", f"{straight:.1%}", holds))
    axis.set(title="inside and outside the training range", ylim=(-3, 9))
    return rows


def spreads(axis: Any) -> list[Row]:
    """Standard deviation of activations layer by layer."""
    rng = np.random.default_rng(0)
    rows = []
    kept: dict[tuple[str, str], float] = {}
    for name, function in (("ReLU", lambda x: np.maximum(x, 0)), ("tanh", np.tanh)):
        for start, fill in (("Glorot", ad.init.glorot_normal_), ("He", ad.init.he_normal_)):
            options: dict[str, Any] = {"nonlinearity": "relu"} if start == "He" else {}
            x, spread = rng.normal(size=(256, 200)), []
            for _ in range(20):
                x = function(x @ fill(np.zeros((200, 200)), generator=rng, **options).T)
                spread.append(np.sqrt(np.mean(x**2)))
            kept[name, start] = spread[-1]
            axis.plot(
                range(1, 21), spread, "--" if name == "tanh" else "-", label=f"{name}, {start}"
            )
    axis.set(title="spread of activations", xlabel="layer", yscale="log")
    ratio = kept["ReLU", "He"] / kept["ReLU", "Glorot"]
    rows.append(
        Row(
            "20 ReLU layers: He keeps the spread, Glorot loses it",
            f"{kept['ReLU', 'He']:.2f}, {kept['ReLU', 'Glorot']:.4f}",
            ratio > 100,
        )
    )
    both = kept["tanh", "He"], kept["tanh", "Glorot"]
    rows.append(
        Row(
            "20 tanh layers: neither He nor Glorot loses the spread",
            f"{both[0]:.2f}, {both[1]:.2f}",
            min(both) > 0.1,
        )
    )
    return rows


def momentum(axis: Any) -> list[Row]:
    """Steps until the loss of an ill-conditioned line fit has fallen a thousandfold."""
    counts = {}
    features = np.concatenate([POINTS, POINTS**2], axis=1) * [1.0, 0.15]
    targets = features @ [[0.7], [4.0]]
    settings: dict[str, dict[str, Any]] = {
        "plain": {},
        "momentum 0.9": {"momentum": 0.9},
        "Nesterov 0.9": {"momentum": 0.9, "nesterov": True},
    }
    for name, options in settings.items():
        ad.manual_seed(0)
        model = nn.Linear(2, 1).double()
        step = ad.compile_step(
            model, ad.losses.MSELoss(), ad.optim.SGD(model.parameters(), lr=0.05, **options)
        )
        losses = [float(step(features, targets)) for _ in range(1500)]
        counts[name] = int(np.argmax(np.array(losses) < 1e-3 * losses[0]))
        axis.plot(losses, label=name)
    axis.set(title="momentum", xlabel="step", yscale="log", ylim=(1e-12, None))
    text = ", ".join(f"{name} {count}" for name, count in counts.items())
    return [
        Row(
            "steps to a thousandth of the loss",
            text,
            0 < counts["momentum 0.9"] < counts["plain"] / 3,
        )
    ]


def depth(axis: Any) -> list[Row]:
    """One hidden layer against four, with about as many weights."""
    final = {}
    for name, width, layers in (("1 × 96", 96, 1), ("4 × 10", 10, 4)):
        model = perceptron(width, layers, nn.Tanh)
        count = sum(p.size for p in model.parameters())
        losses = trained(model, wave(POINTS), ad.optim.Adam(model.parameters(), lr=0.01), 1500)
        final[name] = losses[-1]
        axis.plot(losses, label=f"{name} neurons, {count} weights")
    axis.set(title="width against depth (tanh)", xlabel="step", yscale="log")
    values = ", ".join(f"{name}: {value:.1e}" for name, value in final.items())
    return [Row("deep reaches a lower loss than wide", values, final["4 × 10"] < final["1 × 96"])]


STORIES = [one_neuron, linear_collapse, kinks, spreads, momentum, depth]


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell all stories; the exit status is 1 if a claim does not hold."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.networks_one_dimension", description=__doc__
    )
    parser.add_argument("--plot", type=Path, default=Path("networks_one_dimension.png"))
    options = parser.parse_args(arguments)
    figure = Figure(figsize=(13, 7), layout="constrained")
    FigureCanvasAgg(figure)
    rows: list[Row] = []
    for story, axis in zip(STORIES, figure.subplots(2, 3).ravel(), strict=True):
        rows += story(axis)
        axis.legend(fontsize=8)
        axis.grid(alpha=0.3)
    figure.savefig(options.plot, dpi=110)
    for row in rows:
        print(f"{row.claim:58} {row.value:>44}  {'holds' if row.holds else 'DOES NOT HOLD'}")
    print(f"figure: {options.plot}")
    return int(not all(row.holds for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
