"""From the start of a process to its first Hessian, with whatever is kept on disk warm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from statistics import median
from time import perf_counter

from ..calling import peers
from ..goals import judge
from ..modelling import all_models
from ..options import Options
from ..ours import own_name
from ..rows import Row

DEFAULT = False
PROBLEMS = ("logistic regression", "ridge regression", "Rosenbrock", "kernel density")
SIZE, RESULT = 100, "Hessian"
ROUNDS = 5


def parts(options: Options) -> list[str]:
    """The problems."""
    return [name for name in options.problems or PROBLEMS if name in all_models()]


def run(part: str, options: Options) -> Iterator[Row]:
    """The row of a problem; JAX keeps its compiled code on disk as well."""
    options.show(f"\n{part}: from the start of a process to its first Hessian, disk caches warm")
    with tempfile.TemporaryDirectory() as folder:
        yield _measured(part, options, folder)


def _measured(problem: str, options: Options, folder: str) -> Row:
    """Medians over processes in turn; the first of each, which fills the caches, is left out."""
    names = [own_name(target) for target in options.targets] + ["JAX"] * ("JAX" in peers())
    whole: dict[str, list[float]] = {name: [] for name in names}
    first: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(1 + (1 if options.quick else ROUNDS)):
        for name in names:
            options.doing(f"process of {name}, {problem}")
            seconds, call = _process(problem, name, folder)
            whole[name].append(seconds)
            first[name].append(call)
    row = Row("start", problem, SIZE, "float64", {n: median(s[1:]) for n, s in whole.items()})
    row.first = {name: median(found[1:]) for name, found in first.items()}
    row.own = min((n for n in names if n != "JAX"), key=row.seconds.__getitem__)
    return judge(row)


def _process(problem: str, name: str, folder: str) -> tuple[float, float]:
    """Seconds of a whole process, and of its first call."""
    cache = {
        "JAX_COMPILATION_CACHE_DIR": folder,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "PYTHONPYCACHEPREFIX": os.path.join(folder, "bytecode"),
    }
    given = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "benchmarks.first_result", problem, RESULT, str(SIZE), name]
    start = perf_counter()
    done = subprocess.run(command, env=given | cache, capture_output=True, check=True, text=True)
    return perf_counter() - start, float(json.loads(done.stdout))
