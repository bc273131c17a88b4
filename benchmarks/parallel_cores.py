"""From which work on several cores are faster: ``python -m benchmarks.parallel_cores``.

Times the sum of log1p(exp(-y z)) and its gradient on one core and on all, for growing sizes, and
prints the operations of the loop from which all cores win. That is what
:data:`backends.numba_target.PARALLEL_FROM` is set to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

import backends
import tensorcalc as tc
from backends import numba_target

from .measuring import interleaved

SIZES = tuple(2**k for k in range(10, 23))
SECONDS = 0.3


class Timed(NamedTuple):
    """Operations of a loop, and seconds on one core and on all."""

    operations: int
    one: float
    all: float


def timed() -> Iterator[Timed]:
    """A row for each size."""
    z, y = tc.variables("z: n, y: n")
    loss = np.sum(np.log1p(np.exp(-y * z)))
    roots = [loss, tc.gradient(loss, z)]
    limits = {"one": 2**62, "all": 0}
    compiled = {name: backends.compile(roots, "numba") for name in limits}
    before = numba_target.PARALLEL_FROM
    rng = np.random.default_rng(0)
    try:
        for size in SIZES:
            arrays = rng.normal(size=size), rng.choice([-1.0, 1.0], size=size)
            calls = {}
            for name, limit in limits.items():
                numba_target.PARALLEL_FROM = limit
                calls[name] = compiled[name].prepared(*arrays)
            seconds = interleaved(
                {k: lambda call=call: call(*arrays) for k, call in calls.items()},  # type: ignore[misc]
                SECONDS,
            )
            program = compiled["one"].program
            yield Timed(numba_target.largest_nest(program, {"n": size}), **seconds)
    finally:
        numba_target.PARALLEL_FROM = before


def crossing(rows: list[Timed]) -> int | None:
    """Operations from which all cores stay ahead; None if they never do."""
    slower = [k for k, row in enumerate(rows) if row.all >= row.one]
    first = slower[-1] + 1 if slower else 0
    return rows[first].operations if first < len(rows) else None


def main() -> None:
    """Print the table."""
    print(f"{os.cpu_count()} cores")
    rows = []
    for row in timed():
        rows.append(row)
        ratio = row.one / row.all
        print(f"{row.operations:>12,} operations {row.one * 1e6:>10.1f} µs on one core"
              f" {row.all * 1e6:>10.1f} µs on all {ratio:>6.2f}", flush=True)  # fmt: skip
    found = crossing(rows)
    print(f"all cores are faster from {found:,} operations" if found else "one core is faster")


if __name__ == "__main__":
    main()
