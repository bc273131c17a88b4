"""Where one way overtakes another: ``taskset -c 0 python -m benchmarks.thresholds``.

Prints what stands behind constants of :mod:`backends`: for growing sizes the seconds of both ways,
interleaved, and their ratio.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from backends import numba_blas, numba_runtime
from backends.disk_cache import loaded
from backends.numba_writer import HEAD

from .measuring import interleaved

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


if __name__ == "__main__":
    for found in (signed_grams(), small_products(), long_functions()):
        for line in found:
            print(line, flush=True)
