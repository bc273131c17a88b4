"""``python -m benchmarks.networks_optimizers``: first-order against second-order on one network.

The same convolutional network with the same seed on scikit-learn's digits, trained by SGD with
momentum, Adam, L-BFGS, Newton-CG with the Gauss-Newton matrix and K-FAC. Learning rates of SGD and
Adam are the best of a grid by the training loss at the end; the others choose their steps. What is
drawn is the loss of all training images against steps and against seconds of stepping; evaluating
it, tracing and compiling are not counted, the latter are a column of their own.
"""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from sklearn.datasets import load_digits

import autodiff as ad
from autodiff import nn
from autodiff.training import Batches, predict, split

from .measuring import machine
from .networks_models import convolutions

LOSS = ad.losses.CrossEntropyLoss()
#: Losses whose first time below is a column of the table.
LEVELS = (0.1, 0.01, 0.001)
#: The loss is evaluated at about this many points of a run, evenly in the logarithm of the steps.
POINTS = 60


class Run(NamedTuple):
    """One optimizer's way: steps, seconds and losses where it was looked at."""

    name: str
    options: str
    preparation: float
    steps: list[int]
    seconds: list[float]
    losses: list[float]
    accuracy: float

    def first_below(self, level: float) -> tuple[int, float] | None:
        """Steps and seconds at the first point with a loss below ``level``."""
        for step, seconds, loss in zip(self.steps, self.seconds, self.losses, strict=True):
            if loss < level:
                return step, seconds
        return None


class Data(NamedTuple):
    """Training and held-out images and labels."""

    x: Any
    y: Any
    held_x: Any
    held_y: Any


def digits(seed: int) -> Data:
    """Four fifths to train on."""
    found = load_digits()
    images = (found.images[:, None] / 16).astype(np.float32)
    x, held_x, y, held_y = split(images, found.target, seed=seed, stratify=found.target)
    return Data(x, y, held_x, held_y)


def network(seed: int) -> Any:
    """Two convolutions with tanh and average pooling, two linear layers: 3,658 parameters."""
    ad.manual_seed(seed)
    layers = convolutions(nn, (1, 8, 16), 3, "Tanh", "AvgPool2d")
    return nn.Sequential(*layers, nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))


# -- running --------------------------------------------------------------------------------------
def batches(data: Data, size: int, seed: int) -> Iterator[Any]:
    """Shuffled batches without end; of the whole data in one batch if ``size`` is 0."""
    if not size:
        return repeat((data.x, data.y))
    shuffled = Batches(data.x, data.y, batch_size=size, shuffle=True, seed=seed, drop_last=True)
    return chain.from_iterable(repeat(shuffled))


def raced(
    name: str,
    options: str,
    model: Any,
    make: Callable[[], Callable[..., Any]],
    size: int,
    data: Data,
    limits: tuple[int, float],
    seed: int,
) -> Run:
    """Steps of an optimizer until a number of steps, or of seconds spent stepping."""
    start = model.state_dict()
    began = perf_counter()
    make()(*next(batches(data, size, seed)))  # traces and compiles
    preparation = perf_counter() - began
    model.load_state_dict(start)
    step = make()
    steps, seconds, losses = [0], [0.0], [full_loss(model, data)]
    spent, count = 0.0, 0
    looks = set(np.unique(np.geomspace(1, limits[0], POINTS).astype(int)).tolist())
    for batch in batches(data, size, seed):
        began = perf_counter()
        step(*batch)
        spent, count = spent + perf_counter() - began, count + 1
        over = count >= limits[0] or spent >= limits[1]
        if count in looks or over:
            steps.append(count)
            seconds.append(spent)
            losses.append(full_loss(model, data))
        if over:
            break
    return Run(name, options, preparation, steps, seconds, losses, accuracy(model, data))


def full_loss(model: Any, data: Data) -> float:
    """The loss of all training images."""
    return float(LOSS(predict(model, data.x), data.y))


def accuracy(model: Any, data: Data) -> float:
    """The share of held-out images that are recognised."""
    return float(np.mean(predict(model, data.held_x).argmax(axis=1) == data.held_y))


# -- contestants ----------------------------------------------------------------------------------
def first_order(
    kind: Any, rates: Sequence[float], data: Data, limits: Any, seed: int, **options: Any
) -> Run:
    """The best of a grid of learning rates, by the loss at the end."""
    runs = []
    for rate in rates:
        model = network(seed)

        def make(model: Any = model, rate: float = rate) -> Any:
            optimizer = kind(model.parameters(), lr=rate, **options)
            return ad.compile_step(model, LOSS, optimizer)

        text = f"batches of 128, lr {rate:g} of {', '.join(map('{:g}'.format, rates))}"
        runs.append(raced(kind.__name__, text, model, make, 128, data, limits, seed))
    return min(runs, key=lambda run: run.losses[-1])


def second_order(kind: Any, size: int, data: Data, limits: Any, seed: int, **options: Any) -> Run:
    """A second-order optimizer with its own choice of steps."""
    model = network(seed)
    given = ", ".join(f"{key} {value}" for key, value in options.items())
    text = ", ".join(filter(None, [f"batches of {size}" if size else "all images", given]))
    return raced(
        kind.__name__,
        text,
        model,
        lambda: kind(model, LOSS, **options).step,
        size,
        data,
        limits,
        seed,
    )


def lbfgs(data: Data, limits: Any, seed: int) -> Run:
    """SciPy's L-BFGS-B on all images with derived gradients; its iterations are the steps."""
    model = network(seed)
    names = [name for name, _ in model.named_parameters()]
    start = [p.data for p in model.parameters()]
    ends = np.cumsum([p.size for p in start])[:-1]

    def parameters(vector: Any) -> list[Any]:
        parts = np.split(vector.astype(np.float32), ends)
        return [part.reshape(p.shape) for part, p in zip(parts, start, strict=True)]

    @functools.partial(ad.value_and_grad, target="numpy")
    def derived(values: Any, x: Any, y: Any) -> Any:
        return LOSS(nn.functional_call(model, dict(zip(names, values, strict=True)), x), y)

    def fun(vector: Any) -> Any:
        value, slopes = derived(parameters(vector), data.x, data.y)
        return float(value), np.concatenate([np.ravel(s) for s in slopes]).astype(float)

    x0 = np.concatenate([np.ravel(p) for p in start]).astype(float)
    began = perf_counter()
    fun(x0), fun(x0)
    preparation = perf_counter() - began
    visited, times = [x0], [0.0]
    began = perf_counter()

    def callback(x: Any) -> None:
        visited.append(np.array(x))
        times.append(perf_counter() - began)
        if times[-1] > limits[1]:
            raise StopIteration

    minimize(
        fun,
        x0,
        jac=True,
        method="L-BFGS-B",
        callback=callback,
        options={"maxiter": limits[0], "gtol": 1e-9, "ftol": 0},
    )
    looks = np.unique(np.geomspace(1, len(visited), POINTS).astype(int)) - 1
    losses = []
    for k in looks:
        model.load_state_dict(dict(zip(names, parameters(visited[k]), strict=True)))
        losses.append(full_loss(model, data))
    times = [times[k] for k in looks]
    return Run(
        "L-BFGS", "all images", preparation, looks.tolist(), times, losses, accuracy(model, data)
    )


def every_run(seconds: float, seed: int) -> list[Run]:
    """All contestants in turn."""
    data = digits(seed)
    optim = ad.optim
    return [
        first_order(optim.SGD, (0.03, 0.1, 0.3), data, (3000, seconds), seed, momentum=0.9),
        first_order(optim.Adam, (0.001, 0.003, 0.01), data, (3000, seconds), seed),
        lbfgs(data, (1000, seconds), seed),
        second_order(optim.NewtonCG, 512, data, (300, seconds), seed, max_iterations=20),
        second_order(optim.KFAC, 256, data, (600, seconds), seed, factor_every=2),
    ]


# -- table and figure -----------------------------------------------------------------------------
def table(runs: Sequence[Run]) -> str:
    """Steps and seconds to each level, the loss at the end, accuracy on held-out images."""
    head = [
        "optimizer",
        *(f"to {level:g}" for level in LEVELS),
        "at the end",
        "held out",
        "preparation",
        "options",
    ]
    lines = [head]
    for run in runs:
        reached = [run.first_below(level) for level in LEVELS]
        cells = ["never" if r is None else f"{r[0]} steps, {r[1]:.1f} s" for r in reached]
        end = f"{run.losses[-1]:.1e}, {run.steps[-1]} steps, {run.seconds[-1]:.1f} s"
        lines.append(
            [run.name, *cells, end, f"{run.accuracy:.1%}", f"{run.preparation:.1f} s", run.options]
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in lines)


def plot(path: Path, runs: Sequence[Run]) -> None:
    """Loss of all training images against steps and against seconds."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    for run in runs:
        left.plot(np.maximum(run.steps, 0.7), run.losses, label=run.name)
        right.plot(np.maximum(run.seconds, 0.01), run.losses, label=run.name)
    left.set(
        xscale="log",
        yscale="log",
        xlabel="steps",
        ylabel="loss of all training images",
        title="loss against steps",
    )
    right.set(xscale="log", xlabel="seconds of stepping", title="loss against seconds")
    for axis in (left, right):
        axis.grid(alpha=0.3)
    left.legend()
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run everything; the exit status is 1 if a method did not reach a loss of 0.1."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.networks_optimizers", description=__doc__
    )
    parser.add_argument("--seconds", type=float, default=40, help="of stepping, per optimizer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, default=Path("networks_optimizers.png"))
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args(arguments)
    runs = every_run(options.seconds, options.seed)
    print(table(runs))
    plot(options.plot, runs)
    if options.json is not None:
        stored = {"machine": machine(), "runs": [run._asdict() for run in runs]}
        options.json.write_text(json.dumps(stored, indent=1) + "\n")
    print(f"figure: {options.plot}")
    return int(any(run.first_below(0.1) is None for run in runs))


if __name__ == "__main__":
    raise SystemExit(main())
