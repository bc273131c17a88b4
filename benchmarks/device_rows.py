"""The rows of one model on the GPU, for :mod:`benchmarks.on_device`: a line of JSON each.

    python -m benchmarks.device_rows MODEL SECONDS

A process of its own for each model: a fault on a GPU ends everything that its process could have
done there. With ``machine`` in place of a model the only line tells about the GPU.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from backends.cuda import cuda_device

from .device_calls import device_limits, launch_seconds
from .device_warmup import calls
from .goals import FACTORIZATION, FACTORIZATION_GOALS, MARGIN
from .modelling import model_named
from .options import Options
from .patience import Patience
from .peers import load_jax
from .rows import Row
from .suites.models import PRECISIONS, measured

#: Least part of the bandwidth of a copy that elementwise losses reach.
BANDWIDTH = 0.8
#: Most launches of a graph that a problem of size 10 may take the time of.
SMALL, LAUNCHES = 10, 2.0
PACKAGES = (
    "numba-cuda cuda-core cuda-bindings nvmath-python nvidia-cublas nvidia-cusolver nvidia-nvvm "
    "nvidia-nvjitlink jax-cuda13-plugin"
)


def rows(name: str, seconds: float) -> Iterator[Row]:
    """The rows of a model, as :func:`.device_warmup.calls` has them."""
    model = model_named(name)
    options = Options(seconds=seconds, targets=("cuda",), peers=(jax_on_device() or "no peer",))
    patience = Patience()
    for result, size, dtype in calls(model):
        yield from _row(model, result, size, dtype, options, patience)


def _row(
    model: Any, result: str, size: int, dtype: str, options: Options, patience: Patience
) -> Iterator[Row]:
    """The rows of one call; what goes wrong besides the contestants is the row's text."""
    try:
        for row in measured(model, result, size, dtype, options, patience):
            _set_goals(row)
            yield row
    except Exception as error:
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        yield Row(
            "models",
            model.name,
            size,
            dtype,
            {},
            result=result,
            left_out={"ours cuda": why},
            own="ours cuda",
        )


def _set_goals(row: Row) -> None:
    """What is wanted on a GPU, in place of the goals for processors."""
    row.reason = ""  # those that are stored were found on processors
    row.targets = {"JAX": 1.0} if row.result.startswith("Hessian") else {}
    if (row.problem, row.result, row.size) == FACTORIZATION:
        row.targets = dict(FACTORIZATION_GOALS)
    if (row.problem, row.result, row.size) == MARGIN:
        row.least_fraction = BANDWIDTH
    if row.size == SMALL and row.own in row.seconds and row.result == "value and gradient":
        row.limit = LAUNCHES * launch_seconds()


def jax_on_device() -> str:
    """The name of JAX as a contestant if it runs on a GPU, "" if it does not or is missing."""
    jax = load_jax()
    return "JAX" if jax is not None and jax.default_backend() == "gpu" else ""


def machine() -> dict[str, Any]:
    """The GPU, what it can do at most, and the versions of what drives it."""
    device = cuda_device.open_device()
    found: dict[str, Any] = {
        "name": device.name,
        "compute capability": ".".join(map(str, device.capability)),
        "driver, as it counts": device.driver.cuDriverGetVersion()[1],
        "launch of a graph and wait, seconds": launch_seconds(),
    }
    for dtype in PRECISIONS:
        found[f"gemm and copy, {dtype}, per second"] = list(device_limits(dtype))
    for name in PACKAGES.split():
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    if not jax_on_device():
        found["JAX"] = 'takes no part, it has no GPU here: pip install "jax[cuda13]"'
    return found


def main(arguments: Sequence[str]) -> None:
    """Print the lines."""
    name, seconds = arguments
    if name == "machine":
        print(json.dumps(machine()), flush=True)
        return
    for row in rows(name, float(seconds)):
        print(json.dumps(asdict(row)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
