"""Nanoseconds per element of backends.vector_math, NumPy and numba's own functions.

    python -m benchmarks.vector_math_speed

One thread, a million elements, medians of runs in turn; each result is first compared with
NumPy's. Where NumPy has no such function, its column is the usual expression.
"""

import math
from statistics import median
from time import perf_counter

import numba
import numpy as np

from backends import vector_math

ELEMENTS = 1_000_000
RUNS = 11


def _numpy_sigmoid(x, out):
    np.negative(x, out=out)
    np.exp(out, out=out)
    out += 1
    np.reciprocal(out, out=out)


def _numpy_softplus(x, out):
    np.logaddexp(x, x.dtype.type(0), out=out)


def _numpy_power(x, out):
    np.power(x, x, out=out)


@numba.njit(forceinline=True)
def _own_sigmoid(x):
    return 1 / (1 + math.exp(-x))


@numba.njit(forceinline=True)
def _own_softplus(x):
    return max(x, 0) + math.log1p(math.exp(-abs(x)))


@numba.njit(forceinline=True)
def _own_power(x):
    return x**x


@numba.njit(forceinline=True)
def _power_of_self(x):
    return vector_math.power(x, x)


# name: ours, NumPy's, numba's, interval of the arguments
TABLE = {
    "exp": (vector_math.exp, np.exp, math.exp, (-20, 20)),
    "expm1": (vector_math.expm1, np.expm1, math.expm1, (-20, 20)),
    "log": (vector_math.log, np.log, math.log, (0.01, 100)),
    "log1p": (vector_math.log1p, np.log1p, math.log1p, (-0.9, 100)),
    "sin": (vector_math.sin, np.sin, math.sin, (-30, 30)),
    "cos": (vector_math.cos, np.cos, math.cos, (-30, 30)),
    "tan": (vector_math.tan, np.tan, math.tan, (-30, 30)),
    "sin_moderate": (vector_math.sin_moderate, np.sin, math.sin, (-30, 30)),
    "cos_moderate": (vector_math.cos_moderate, np.cos, math.cos, (-30, 30)),
    "tan_moderate": (vector_math.tan_moderate, np.tan, math.tan, (-30, 30)),
    "sinh": (vector_math.sinh, np.sinh, math.sinh, (-20, 20)),
    "cosh": (vector_math.cosh, np.cosh, math.cosh, (-20, 20)),
    "tanh": (vector_math.tanh, np.tanh, math.tanh, (-5, 5)),
    "sigmoid": (vector_math.sigmoid, _numpy_sigmoid, _own_sigmoid, (-20, 20)),
    "softplus": (vector_math.softplus, _numpy_softplus, _own_softplus, (-20, 20)),
    "erf": (vector_math.erf, None, math.erf, (-4, 4)),
    "power": (_power_of_self, _numpy_power, _own_power, (0.1, 20)),
}


def _loop(function):
    @numba.njit(error_model="numpy")
    def over_array(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    return over_array


def _check(name, ours, peers, x):
    out, expected = np.empty_like(x), np.empty_like(x)
    ours(x, out)
    for peer in peers:
        peer(x, expected)
        tolerance = 64 * np.finfo(x.dtype).eps
        np.testing.assert_allclose(out, expected, tolerance, tolerance, err_msg=name)


def _seconds(run, x, out):
    start = perf_counter()
    run(x, out)
    return perf_counter() - start


def measure(name, dtype):
    """Medians in nanoseconds per element: ours, NumPy's (nan where it has none), numba's."""
    function, numpy_function, own_function, (low, high) = TABLE[name]
    x = np.random.default_rng(1).uniform(low, high, ELEMENTS).astype(dtype)
    out = np.empty_like(x)
    contenders = [_loop(function), numpy_function, _loop(own_function)]
    _check(name, contenders[0], [c for c in contenders[1:] if c], x)
    times = [[c and _seconds(c, x, out) for c in contenders] for _ in range(RUNS)]
    return [median(t) / ELEMENTS * 1e9 if t[0] else math.nan for t in zip(*times, strict=True)]


def main():
    """Print one line per function and width."""
    print(f"{'ns per element':24s}{'ours':>8s}{'NumPy':>8s}{'numba':>8s}")
    for dtype in (np.float64, np.float32):
        for name in TABLE:
            ours, peer, own = measure(name, dtype)
            print(f"{name:14s}{dtype.__name__:10s}{ours:8.2f}{peer:8.2f}{own:8.2f}")


if __name__ == "__main__":
    main()
