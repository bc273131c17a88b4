"""``python -m benchmarks.first_result PROBLEM RESULT SIZE CONTESTANT``: seconds of a first call.

Only what the contestant needs is imported, so that the process can be timed from outside.
"""

from __future__ import annotations

import importlib
import sys
from time import perf_counter
from typing import Any


def first_seconds(problem: str, result: str, size: int, name: str) -> float:
    """Seconds of making and running a call, imports not counted."""
    from .modelling import model_named

    model = model_named(problem)
    arguments = model.arguments(size, "float64")
    direction = model.direction(arguments)
    if name == "JAX":
        peer: Any = importlib.import_module("benchmarks.contestants.jax_jit")
        peer.load_jax()
        start = perf_counter()
        peer.contestant(model, result, arguments, direction)()
        return perf_counter() - start
    ours = importlib.import_module("benchmarks.ours").ours
    start = perf_counter()
    ours(model, result, arguments, direction, name.split()[1])()
    return perf_counter() - start


if __name__ == "__main__":
    problem, result, size, name = sys.argv[1:]
    print(first_seconds(problem, result, int(size), name))
