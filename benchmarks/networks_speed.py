"""Training steps of four networks: compiled, against jitted JAX and torch eager.

    python -m benchmarks.networks_speed [--seconds 5] [--only CNN] [--json FILE] [--plot FILE]

A step is forward, backward and an update by Adam, in float32. Before timing, losses of five steps
agree with JAX's, in float64 and float32. All contestants are then timed in turn in one process,
each waited for until its parameters are ready; compile time is the first call. The peak memory of
a step is measured in a process of its own for each contestant: what its resident memory rises
above that between steps, after one on two examples. torch takes part where it is installed.

The contestants use the same cores. torch's threads go on spinning after a product and would take a
core from whoever is next, so they are told to sleep (OMP_WAIT_POLICY).
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import autodiff as ad
from autodiff import losses, nn, optim

from .measuring import interleaved, machine
from .networks_jax import JaxStep
from .networks_models import NETWORKS
from .peers import load_jax

LEARNING_RATE = 1e-3
STEPS = 5
CONTESTANTS = ("ours", "eager", "JAX", "torch")
#: Most memory of a step, as a multiple of torch's.
MEMORY_TARGET = 1.2

Step = Callable[..., Any]


def load_torch() -> Any:
    """The module, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    return torch


def our_model(name: str, dtype: str) -> Any:
    """The network with the same numbers at every call."""
    ad.manual_seed(0)
    model = NETWORKS[name].build(nn)
    return model.double() if dtype == "float64" else model


def ours(name: str, dtype: str, target: str = "auto") -> Step:
    """The compiled step."""
    model = our_model(name, dtype)
    optimizer = optim.Adam(model.parameters(), lr=LEARNING_RATE)
    step: Step = ad.compile_step(model, losses.cross_entropy, optimizer, target=target)
    return step


def eager(name: str, dtype: str) -> Step:
    """Forward, backward and update through the recorded graph."""
    model = our_model(name, dtype)
    optimizer = optim.Adam(model.parameters(), lr=LEARNING_RATE)

    def step(x: Any, classes: Any) -> Any:
        optimizer.zero_grad()
        loss = losses.cross_entropy(model(x), classes)
        loss.backward()
        optimizer.step()
        return loss.data

    return step


def jax_step(name: str, dtype: str) -> Step:
    """The jitted step of JAX on the same numbers."""
    model = our_model(name, dtype)
    params = {key: param.data for key, param in model.named_parameters()}
    buffers = {k: b for k, b in model.named_buffers() if "num_batches" not in k}
    return JaxStep(NETWORKS[name].apply, params, buffers, LEARNING_RATE)


def torch_step(name: str, dtype: str) -> Step:
    """torch eager on the same numbers."""
    torch = load_torch()
    model = NETWORKS[name].build(torch.nn).to(getattr(torch, dtype))
    own = our_model(name, dtype).state_dict()
    state = {key: torch.from_numpy(np.array(value)) for key, value in own.items()}
    model.load_state_dict(state)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)

    def step(x: Any, classes: Any) -> Any:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), classes)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


MAKERS: dict[str, Callable[..., Step]] = {
    "ours": ours,
    "eager": eager,
    "JAX": jax_step,
    "torch": torch_step,
}


def present() -> list[str]:
    """Contestants whose libraries are installed."""
    missing = {"JAX": load_jax() is None, "torch": load_torch() is None}
    return [name for name in CONTESTANTS if not missing.get(name)]


def placed(contestant: str, batch: tuple[Any, Any]) -> tuple[Any, ...]:
    """The batch as arrays of the contestant."""
    if contestant == "JAX":
        return tuple(load_jax().numpy.asarray(x) for x in batch)
    if contestant == "torch":
        return tuple(load_torch().from_numpy(x) for x in batch)
    return batch


def check(name: str, contestants: list[str]) -> None:
    """Losses of the first steps are the same for all, to rounding."""
    for dtype, tolerance in (("float64", 1e-7), ("float32", 2e-3)):
        batch = NETWORKS[name].batch(np.random.default_rng(0), dtype)
        found = {}
        for contestant in contestants:
            step, data = MAKERS[contestant](name, dtype), placed(contestant, batch)
            found[contestant] = [float(step(*data)) for _ in range(STEPS)]
        for contestant, values in found.items():
            message = f"{name}, {dtype}: losses of {contestant} and {contestants[0]}"
            np.testing.assert_allclose(
                values, found[contestants[0]], rtol=tolerance, err_msg=message
            )


def measured(name: str, contestants: list[str], seconds: float) -> dict[str, dict[str, float]]:
    """Median seconds of a step and of the first call, for every contestant."""
    batch = NETWORKS[name].batch(np.random.default_rng(0), "float32")
    calls, first = {}, {}
    for contestant in contestants:
        step, data = MAKERS[contestant](name, "float32"), placed(contestant, batch)
        start = perf_counter()
        step(*data)
        first[contestant] = perf_counter() - start
        calls[contestant] = lambda step=step, data=data: step(*data)
    for contestant, call in calls.items():
        if contestant == "ours":
            _settle(call)
    return {"step": interleaved(calls, seconds), "first": first}


def _settle(call: Callable[[], Any]) -> None:
    """Call until a target that is chosen while running has been chosen."""
    end = perf_counter() + 2
    while perf_counter() < end:
        call()


# -- memory ---------------------------------------------------------------------------------------
def peak_memory(name: str, contestant: str) -> float:
    """Bytes by which a step raises resident memory; in this process.

    Not counted are libraries, compiled code, parameters and the optimizer's state.
    """
    x, classes = NETWORKS[name].batch(np.random.default_rng(0), "float32")
    small = placed(contestant, (x[:2], classes[: 2 * len(classes) // len(x)]))
    data = placed(contestant, (x, classes))
    step = MAKERS[contestant](name, "float32")
    for batch in (data, small):  # libraries are loaded, programs written and compiled
        for _ in range(3):
            step(*batch)
    if contestant == "ours":
        step.release()  # type: ignore[attr-defined]
    base = _trimmed("VmRSS")
    for _ in range(3):
        step(*data)
    _trimmed("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    for _ in range(5):
        step(*data)
    return _status("VmHWM") - base


def _trimmed(field: str) -> float:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return _status(field)


def _status(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return float(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def memory(name: str, contestants: list[str]) -> dict[str, float]:
    """Peak bytes of a step for every contestant, each in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.networks_speed", "--peak"]
    return {
        contestant: float(
            subprocess.run(
                [*command, name, contestant], check=True, capture_output=True, text=True
            ).stdout.split()[-1]
        )
        for contestant in contestants
    }


# -- table ----------------------------------------------------------------------------------------
def row_text(row: dict[str, Any]) -> str:
    """Milliseconds, ratios and megabytes of a network."""
    step, first, peak = row["step"], row["first"], row["memory"]
    lines: list[str] = []
    for contestant in step:
        cells = [f"{step[contestant] * 1e3:9.2f}", f"{step[contestant] / step['ours']:9.2f}"]
        cells += [f"{first[contestant]:9.2f}"]
        cells += [f"{peak[contestant] / 2**20:9.1f}" if contestant in peak else " " * 9]
        lines.append(f"{row['network'] if not lines else '':<22}{contestant:<8}{''.join(cells)}")
    return "\n".join(lines)


def misses(row: dict[str, Any]) -> list[str]:
    """Targets that were not reached, in words."""
    step, peak, wanted = row["step"], row["memory"], row["target"]
    found = []
    if "JAX" in step and step["JAX"] < wanted * step["ours"]:
        found.append(f"JAX / ours {step['JAX'] / step['ours']:.2f}, wanted {wanted:g}")
    if "torch" in peak and peak["ours"] > MEMORY_TARGET * peak["torch"]:
        ratio = peak["ours"] / peak["torch"]
        found.append(f"memory {ratio:.2f} of torch's, wanted at most {MEMORY_TARGET}")
    return found


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Milliseconds of a step, a group of bars for every network."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = list(rows[0]["step"])
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    for k, contestant in enumerate(shown):
        places = [n + (k - (len(shown) - 1) / 2) * 0.8 / len(shown) for n in range(len(rows))]
        times = [row["step"][contestant] * 1e3 for row in rows]
        bars = axes.bar(places, times, 0.8 / len(shown), label=contestant)
        axes.bar_label(bars, [f"{t:.1f}" for t in times], fontsize=7)
    axes.set_xticks(range(len(rows)), [row["network"] for row in rows])
    axes.set_yscale("log")
    axes.set_ylabel("milliseconds per training step")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main() -> int:
    """Print the table."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    options = _parser().parse_args()
    if options.peak:
        print(peak_memory(*options.peak))
        return 0
    contestants = [c for c in present() if c not in options.without]
    print("  ".join(f"{key}: {value}" for key, value in machine().items()))
    print(f"{'network':<30}{'ms':>9}{'/ ours':>9}{'first, s':>9}{'peak, MB':>9}")
    rows = []
    for name in (n for n in NETWORKS if options.only in n):
        if not options.unchecked:
            check(name, contestants)
        row: dict[str, Any] = {"network": name, "target": NETWORKS[name].target}
        row.update(measured(name, contestants, options.seconds))
        row["memory"] = {} if options.unchecked else memory(name, contestants)
        row["missed"] = misses(row)
        rows.append(row)
        print(row_text(row), *(f"  MISSED: {text}" for text in row["missed"]), sep="\n", flush=True)
    if options.json:
        text = json.dumps({"machine": machine(), "rows": rows}, indent=1)
        options.json.write_text(text + "\n")
    if options.plot:
        plot(rows, options.plot)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.networks_speed")
    parser.add_argument("--seconds", type=float, default=5, help="of measuring for each network")
    parser.add_argument("--only", default="", help="networks whose name contains this")
    parser.add_argument("--without", action="append", default=[], help="a contestant to leave out")
    parser.add_argument("--unchecked", action="store_true", help="no check, no memory: times alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="store the rows")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the times, a PNG")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
