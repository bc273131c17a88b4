"""Timing in turn: all contestants in one process, warmed, interleaved, medians.

Interleaving lets a slow spell of the machine fall on every contestant alike.
"""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from backends.auto_target import CALLS, SECONDS, finish_compiling

#: A sample repeats its call until it takes about this many seconds.
SAMPLE_SECONDS = 2e-3
#: Samples of every contestant, at least.
LEAST_ROUNDS = 7
#: Samples of a contestant that has taken so many seconds for them, at least; one if it took more.
SLOW_ROUNDS, SLOW_SECONDS, ONCE_SECONDS = 2, 2.0, 5.0


def interleaved(calls: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
    """Median seconds of one call of each contestant, measured in turn for about ``seconds``."""
    repeats, samples = {}, {}
    for name, call in calls.items():
        repeats[name], sample = sample_size(call)
        samples[name] = [sample] if sample > SLOW_SECONDS else []
    enabled = gc.isenabled()
    gc.disable()
    try:
        end = perf_counter() + seconds
        rounds = 0
        while rounds < LEAST_ROUNDS or perf_counter() < end:
            for name, call in calls.items():
                if not _had_enough(samples[name], repeats[name]):
                    samples[name].append(_sample(call, repeats[name]))
            rounds += 1
    finally:
        if enabled:
            gc.enable()
    return {name: median(own) for name, own in samples.items()}


def _had_enough(samples: list[float], repeats: int) -> bool:
    """Whether a contestant is so slow that more samples of it would keep all others waiting."""
    taken = repeats * sum(samples)
    return taken > ONCE_SECONDS or (len(samples) >= SLOW_ROUNDS and taken > SLOW_SECONDS)


def settled(call: Callable[[], Any]) -> Callable[[], Any]:
    """``call``, made so often that ``target="auto"`` has chosen what serves it from now on."""
    start, calls = perf_counter(), 0
    while calls < 2 * CALLS or perf_counter() < start + 2 * SECONDS:
        call()
        calls += 1
    finish_compiling()
    return call


def sample_size(call: Callable[[], Any]) -> tuple[int, float]:
    """Calls that one sample takes, and one; calling until it is known warms up as well."""
    repeats = 1
    while (taken := repeats * (sample := _sample(call, repeats))) < SAMPLE_SECONDS:
        repeats = max(2 * repeats, int(repeats * 0.7 * SAMPLE_SECONDS / max(taken, 1e-9)))
    return repeats, sample


def _sample(call: Callable[[], Any], repeats: int) -> float:
    start = perf_counter()
    for _ in range(repeats):
        call()
    return (perf_counter() - start) / repeats


def machine() -> dict[str, str]:
    """The processor, the number of its cores, and versions of what takes part."""
    names = "numpy scipy jax jaxlib numba scikit-learn torch autograd pytensor casadi tensorgrad"
    found = {
        "processor": _processor(),
        "cores": str(_cores()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    for name in names.split():
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    """The name in a file that only Linux has; what Python knows elsewhere."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def process_seconds(statement: str) -> float:
    """Seconds that a new Python process takes for a statement, its modules compiled to bytecode."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", statement]
    subprocess.run(command, check=True, env=environment)
    start = perf_counter()
    subprocess.run(command, check=True, env=environment)
    return perf_counter() - start
