"""Seconds from a function never seen before to its first Hessian, in a process of its own.

``python -m benchmarks.first_hessian NUMBER`` prints them as JSON for a problem. Both sides have
differentiated another function before, so what they load once is not counted.
"""

from __future__ import annotations

import json
import sys
from time import perf_counter
from typing import Any

import numpy as np

import autodiff as ad

from .peers import load_jax
from .problems import PROBLEMS
from .rows import OURS

SIZE = 10


def first_seconds(number: int) -> dict[str, float]:
    """Seconds of each side for a problem."""
    problem = PROBLEMS[number]
    arrays = problem.arguments(SIZE, "float64")
    ad.hessian(_another(np))(np.ones(3))
    start = perf_counter()
    problem.ours()(*arrays)
    found = {OURS: perf_counter() - start}
    jax = load_jax()
    if jax is not None:
        jax.block_until_ready(jax.jit(jax.hessian(_another(jax.numpy)))(np.ones(3)))
        start = perf_counter()
        jax.block_until_ready(jax.jit(problem.jax(jax))(*arrays))
        found["JAX"] = perf_counter() - start
    return found


def _another(np: Any) -> Any:
    return lambda x: np.sum(np.sin(x) ** 2)


if __name__ == "__main__":
    print(json.dumps(first_seconds(int(sys.argv[1]))))
