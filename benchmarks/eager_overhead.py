"""What recording costs: time per operation of the graph beyond NumPy's own, on tiny arrays.

``python -m benchmarks.eager_overhead`` prints, for several operations on four numbers, the medians
of NumPy's call, of the recorded call and of the operation's share of the backward pass. The target
is 10 microseconds of overhead per recorded operation.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import autodiff as ad
from autodiff.nn import functional

#: Overhead per recorded operation that is asked for, in microseconds.
TARGET = 10.0

X, W, B = np.full(4, 0.5), np.eye(4), np.zeros(4)

#: Name, and a function from vectors of four to vectors of four that works on arrays and tensors.
OPERATIONS: list[tuple[str, Callable[[Any], Any]]] = [
    ("x + 1.0", lambda x: x + 1.0),
    ("x * y", lambda x: x * X),
    ("np.tanh(x)", np.tanh),
    ("x @ W", lambda x: x @ W),
    ("np.where(x > 0, x, 0.0)", lambda x: np.where(X > 0, x, 0.0)),
    ("x[::-1]", lambda x: x[::-1]),
    ("linear(x, W, b)", lambda x: functional.linear(x, W, B)),
]


def chained(function: Callable[[Any], Any], start: Any, length: int) -> tuple[Any, float]:
    """``length`` calls one after the other, and the seconds they took."""
    begin = time.perf_counter()
    value = start
    for _ in range(length):
        value = function(value)
    return value, time.perf_counter() - begin


def plain(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same in NumPy alone."""
    return (lambda x: x @ W.T + B) if function is OPERATIONS[-1][1] else function


def measure(length: int = 400, repeats: int = 15) -> list[tuple[str, float, float, float]]:
    """Medians in microseconds per operation: NumPy, recorded forward, backward."""
    rows = []
    gc.disable()
    try:
        for name, function in OPERATIONS:
            leaf = ad.Tensor(X, requires_grad=True)
            np.sum(chained(function, leaf, 3)[0]).backward()
            times: list[list[float]] = [[], [], []]
            for _ in range(repeats):
                times[0].append(chained(plain(function), X, length)[1])
                result, forward = chained(function, leaf, length)
                times[1].append(forward)
                loss = np.sum(result)
                begin = time.perf_counter()
                loss.backward()
                times[2].append(time.perf_counter() - begin)
            medians = [statistics.median(each) / length * 1e6 for each in times]
            rows.append((name, *medians))
    finally:
        gc.enable()
    return rows  # type: ignore[return-value]


def main() -> None:
    """Print the table."""
    print(f"{'operation':<26}{'numpy':>9}{'forward':>9}{'overhead':>10}{'backward':>10}   (µs)")
    for name, numpy_time, forward, backward in measure():
        overhead = forward - numpy_time
        verdict = "" if overhead <= TARGET else f"   above the target of {TARGET:.0f}"
        print(f"{name:<26}{numpy_time:9.2f}{forward:9.2f}{overhead:10.2f}{backward:10.2f}{verdict}")


if __name__ == "__main__":
    main()
