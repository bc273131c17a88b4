"""What the machine can do at most, measured: rates of a large gemm, bandwidth of a copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from backends import CompiledFunction
from backends.step_costs import cost
from backends.steps import Contract
from tensorcalc.extents import evaluate

#: Rows of the square matrices of the gemm, and bytes of the copied array.
GEMM, COPY = 2000, 256 * 2**20
ROUNDS = 5
#: Contractions count as large from this many seconds at the rate of the gemm.
LARGE = 1e-3


class Limits(NamedTuple):
    """Operations per second of a gemm in one precision, and bytes per second of a copy."""

    flops: float
    bytes: float


@lru_cache(maxsize=4)
def limits(dtype: str) -> Limits:
    """The best of a few rounds."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(GEMM, GEMM)).astype(dtype) for _ in range(2))
    source = np.ones(COPY // 8)
    target = np.empty_like(source)
    out = np.empty_like(a)
    return Limits(
        2 * GEMM**3 / least(lambda: np.matmul(a, b, out=out)),
        2 * COPY / least(lambda: np.copyto(target, source)),
    )


def least(call: Any) -> float:
    """The least seconds of a few calls, after one that is not counted."""
    call()
    times = []
    for _ in range(ROUNDS):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return min(times)


class Work(NamedTuple):
    """What cannot be avoided: operations of contractions, bytes of arguments and results."""

    flops: float
    bytes: float

    def seconds(self, own: Limits) -> float:
        """The least time on a machine, both at once."""
        return max(self.flops / own.flops, self.bytes / own.bytes)

    def is_large_contraction(self, own: Limits) -> bool:
        """Whether it is contractions that take the time."""
        time = self.flops / own.flops
        return time >= LARGE and time > 2 * self.bytes / own.bytes


def work(
    compiled: CompiledFunction, sizes: Mapping[str, int], arguments: Sequence[Any], result: Any
) -> Work:
    """Of a compiled function. The product of a matrix with its transpose counts half."""
    flops = 0.0
    for step in compiled.program.steps:
        if isinstance(step, Contract):
            half = 0.5 if _is_own_transpose(step) else 1
            flops += half * float(evaluate(cost(step).flops, sizes))
    arrays = [*arguments, *(result if isinstance(result, (tuple, list)) else [result])]
    return Work(flops, float(sum(np.asarray(array).nbytes for array in arrays)))


def _is_own_transpose(step: Contract) -> bool:
    """``sum_k A[k,i] A[k,j]``, of which one triangle is enough."""
    if step.left is not step.right or len(step.output) != 2:
        return False
    i, j = step.output
    left, right = ([None if k in (i, j) else k for k in own] for own in step.subscripts)
    return left == right
