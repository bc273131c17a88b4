"""Where one way overtakes another: ``taskset -c 0 python -m benchmarks.thresholds``.

Prints what stands behind constants of :mod:`backends`: for growing sizes the seconds of both ways,
interleaved, and their ratio; for the order of a training step's program, the memory it holds with
other constants.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from backends import frugal_order, numba_blas, numba_runtime
from backends.disk_cache import loaded
from backends.liveness import peak
from backends.numba_writer import HEAD
from backends.program import Program

from .measuring import interleaved
from .networks_models import NETWORKS
from .networks_speed import ours

SECONDS = 0.2


class Line(NamedTuple):
    """Seconds of two ways at a size."""

    what: str
    size: int
    first: float
    second: float

    def __str__(self) -> str:
        seconds = f"{self.first * 1e6:12.2f} µs{self.second * 1e6:12.2f} µs"
        return f"{self.what:48}{self.size:8}{seconds}{self.first / self.second:8.2f}"


def _timed(what: str, size: int, first: Callable[[], Any], second: Callable[[], Any]) -> Line:
    found = interleaved({"first": first, "second": second}, SECONDS)
    return Line(what, size, found["first"], found["second"])


def signed_grams() -> Iterator[Line]:
    """``A' diag(d) A`` as one product of matrices, and as two by syrk, by columns of ``A``."""
    for columns in (64, 128, 256, 512, 1024):
        rng = np.random.default_rng(columns)
        a, d = rng.normal(size=(2 * columns, columns)), rng.normal(size=2 * columns)

        def product(a: Any = a, d: Any = d) -> Any:
            return a.T.dot(d[:, None] * a)

        def parts(a: Any = a, d: Any = d) -> Any:
            b = np.sqrt(np.abs(d))[:, None] * a
            p, n = b[d >= 0], b[d < 0]
            return p.T.dot(p) - n.T.dot(n)

        yield _timed("A' D A, columns: one product, two syrk", columns, product, parts)


def small_products() -> Iterator[Line]:
    """A product of square matrices by loops and by BLAS, by multiplications."""
    for size in (4, 8, 10, 12, 16, 20, 24):
        a = np.random.default_rng(size).normal(size=(size, size))
        for what, b in (("a matrix", a), ("a transposed one", a.T)):
            out = np.empty_like(a)

            def loops(a: Any = a, b: Any = b, out: Any = out) -> None:
                numba_runtime.small_matrix_matrix(a, b, out)

            def blas(a: Any = a, b: Any = b, out: Any = out) -> None:
                numba_blas.gemm(a, b, out)

            yield _timed(f"matrix times {what}: loops, BLAS", size**3, loops, blas)


def long_functions() -> Iterator[str]:
    """Seconds that numba takes to compile a function, by lines."""
    head = [HEAD.format(precision="float64"), "", "@njit(nogil=True)", "def f(x):"]
    head += ["    n = x.size", "    t = np.zeros(n)"]
    for lines in (50, 100, 200, 400):
        body = []
        for k in range(lines // 2):
            body += ["    for i in range(n):", f"        t[i] = x[i] * {k}.5 + t[i]"]
        start = perf_counter()
        # a text of its own, so that no earlier process has compiled it
        loaded("\n".join([*head, *body, "    return t", f"# {start}", ""])).f(np.ones(3))
        taken = perf_counter() - start
        each = taken / lines * 1e3
        yield f"{'compiling one function, lines':48}{lines:8}{taken:12.2f} s{each:9.1f} ms a line"


def given_memory() -> Iterator[Line]:
    """Eight products held at once in new memory, and in memory given up before, by entries."""
    for power in (14, 16, 17, 18, 19, 20, 22):
        n = math.isqrt(2**power)
        rng = np.random.default_rng(n)
        a, b = (rng.normal(size=shape).astype("float32") for shape in ((n, 16), (16, n)))
        outs = [np.empty((n, n), "float32") for _ in range(8)]

        def new(a: Any = a, b: Any = b, outs: Any = outs) -> Any:
            return [a.dot(b) for _ in outs]

        def given(a: Any = a, b: Any = b, outs: Any = outs) -> Any:
            return [a.dot(b, out) for out in outs]

        yield _timed("8 products, entries of each: new memory, given", n * n, new, given)


def frugal_orders() -> Iterator[str]:
    """Memory that training steps hold at once, with other constants of the order of their steps."""
    own = {name: getattr(frugal_order, name) for name in ("LARGE", "LONG", "CHEAP")}
    tried = {"LARGE": (2**10, 2**20), "LONG": (12, 24, 96, 10**9), "CHEAP": (0, 1, 4, 8)}
    yield f"{'memory of a training step: the order as written':56}{'with':>10}" + str(own)
    for name, network in NETWORKS.items():
        step = ours(name, "float32", "numpy")
        step(*network.batch(np.random.default_rng(0), "float32"))
        program = next(iter(step._steps.values())).program.compiled.program  # type: ignore[attr-defined]
        yield f"  {name:30}{_held(program)}   {_held(frugal_order.frugal(program))}"
        for constant, values in tried.items():
            for value in values:
                with _constant(constant, value):
                    better = frugal_order.frugal(program)
                yield f"    {constant} = {value:<20}{'':23}{_held(better)}"


def _held(program: Program) -> str:
    again = sum(step.value.name.endswith("_again") for step in program.steps)
    return f"{peak(program, frugal_order._bytes) / 1e6:8.2f} MB, {again:3} made again"


@contextmanager
def _constant(name: str, value: int) -> Iterator[None]:
    """A constant of :mod:`backends.frugal_order` set to another value for a moment."""
    before = getattr(frugal_order, name)
    setattr(frugal_order, name, value)
    try:
        yield
    finally:
        setattr(frugal_order, name, before)


if __name__ == "__main__":
    measured = (signed_grams, small_products, given_memory, frugal_orders, long_functions)
    chosen = [each for each in measured if each.__name__ in sys.argv[1:]] or measured
    for each in chosen:
        for line in each():
            print(line, flush=True)
