"""Vectorised elementary functions: accuracy against mpmath, special values, generated code."""

import platform
import re

import numpy as np
import pytest

numba = pytest.importorskip("numba")
mpmath = pytest.importorskip("mpmath")

from backends import vector_math  # noqa: E402

FORMATS = [np.float64, np.float32]
POINTS = 400
ALL = (-np.inf, np.inf)


def _sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


def _softplus(x):
    return mpmath.log1p(mpmath.exp(x))


def _numpy_sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _numpy_softplus(x):
    return np.logaddexp(x, x.dtype.type(0))


# name: exact function, NumPy's, and per width the interval outside of which it is trivial
TABLE = {
    "exp": (mpmath.exp, np.exp, (-746, 710), (-104, 89)),
    "expm1": (mpmath.expm1, np.expm1, (-40, 710), (-20, 89)),
    "sinh": (mpmath.sinh, np.sinh, (-711, 711), (-89.5, 89.5)),
    "cosh": (mpmath.cosh, np.cosh, (-711, 711), (-89.5, 89.5)),
    "tanh": (mpmath.tanh, np.tanh, (-20, 20), (-10, 10)),
    "sigmoid": (_sigmoid, _numpy_sigmoid, (-746, 40), (-104, 20)),
    "softplus": (_softplus, _numpy_softplus, (-746, 40), (-104, 20)),
    "log": (mpmath.log, np.log, (0, np.inf), (0, np.inf)),
    "log1p": (mpmath.log1p, np.log1p, (-1, np.inf), (-1, np.inf)),
}


def _loop(function):
    @numba.njit
    def over_array(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    return over_array


LOOPS = {name: _loop(getattr(vector_math, name)) for name in TABLE}


def evaluate(name, x):
    """The compiled function at every element of x."""
    out = np.empty_like(x)
    LOOPS[name](x, out)
    return out


def ulps(got, exact):
    """|got - exact| in units in the last place of the exact value, which is an mpf."""
    info = np.finfo(got.dtype)
    magnitude = abs(exact)
    exponent = mpmath.frexp(exact)[1] - 1 if exact else info.minexp
    unit = mpmath.mpf(2) ** (max(exponent, int(info.minexp)) - info.nmant)
    largest = mpmath.mpf(float(info.max))
    if np.isinf(got):
        # what rounds to infinity counts from the next number after the largest one
        return float(max(largest + unit - magnitude, 0) / unit)
    return float(abs(mpmath.mpf(float(got)) - exact) / unit)


def in_the_interval(dtype, low, high, rng):
    """Uniform, of every magnitude, near 0 and +-1, the ends and their neighbours."""
    info = np.finfo(dtype)
    exponents = rng.uniform(info.minexp - info.nmant, info.maxexp, POINTS)
    signs = rng.choice([-1.0, 1.0], POINTS)
    ends = [np.clip(end, -info.max, info.max) for end in (low, high)]
    uniform = rng.uniform(max(ends[0], -1e3), min(ends[1], 1e3), 2 * POINTS)
    near_one = signs * (1 + rng.normal(size=POINTS) * 2.0 ** rng.uniform(-info.nmant, 0, POINTS))
    special = [info.max, info.tiny, info.smallest_subnormal, info.eps, 0.5, 1, 2, np.pi, np.log(2)]
    edges = np.asarray([*special, *ends, 0.5 * np.log(2), np.sqrt(0.5), np.sqrt(2)], dtype=dtype)
    parts = [uniform, rng.normal(size=POINTS), signs * 2.0**exponents, near_one]
    points = np.concatenate([np.concatenate(parts).astype(dtype), edges, -edges])
    with np.errstate(over="ignore"):
        neighbours = [np.nextafter(points, dtype(end)) for end in (-np.inf, np.inf)]
    around = np.concatenate([points, *neighbours])
    return around[(around >= low) & (around <= high) & np.isfinite(around) & (around != 0)]


def _assert_within_two_ulps(name, x, got, exact_function):
    with mpmath.workprec(200), np.errstate(all="ignore"):
        errors = [
            ulps(g, exact_function(mpmath.mpf(float(v)))) for g, v in zip(got, x, strict=True)
        ]
    worst = int(np.argmax(errors))
    assert errors[worst] <= 2, f"{name}({x[worst]!r}): {errors[worst]:.2f} ulp"


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", TABLE)
def test_error_is_at_most_two_ulps(name, dtype):
    exact, _, *intervals = TABLE[name]
    low, high = intervals[FORMATS.index(dtype)]
    rng = np.random.default_rng(sum(map(ord, name)))
    x = in_the_interval(dtype, low, high, rng)
    x = x[exact_is_defined(name, x)]
    _assert_within_two_ulps(name, x, evaluate(name, x), exact)


def exact_is_defined(name, x):
    """Logarithms have no finite value at and below the end of their domain."""
    return x > {"log": 0, "log1p": -1}.get(name, -np.inf)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", TABLE)
def test_special_values_are_those_of_numpy(name, dtype):
    info = np.finfo(dtype)
    small = [info.smallest_subnormal, 3 * info.smallest_subnormal, info.tiny]
    large = [info.max, 1e4, 1e30]
    half_line = np.array([0.0, np.inf, np.nan, *small, *large], dtype=dtype)
    x = np.concatenate([half_line, -half_line] * 3)
    with np.errstate(all="ignore"):
        expected = TABLE[name][1](x)
    got = evaluate(name, x)
    trivial = ~np.isfinite(expected) | (expected == 0) | (np.abs(expected) == 1)
    np.testing.assert_array_equal(got[trivial], expected[trivial])
    zeros = expected == 0
    np.testing.assert_array_equal(np.signbit(got[zeros]), np.signbit(expected[zeros]))
    np.testing.assert_allclose(got, expected, rtol=8 * info.eps, atol=2 * info.smallest_subnormal)


@pytest.mark.parametrize("name", TABLE)
def test_width_of_the_argument_is_kept(name):
    function = getattr(vector_math, name)
    for kind, result in [(numba.float32,) * 2, (numba.float64,) * 2, (numba.int64, numba.float64)]:
        function.compile((kind,))
        assert function.overloads[(kind,)].signature.return_type == result


def _fused(function):
    @numba.njit(error_model="numpy")
    def loop(x, y, out):
        for i in range(x.size):
            out[i] = function(x[i]) * y[i] + x[i]

    return loop


def _body(assembly):
    """The lines of the compiled function itself, without its wrapper for the interpreter."""
    return assembly.split(".Lfunc_end0")[0]


X86 = platform.machine().lower() in ("x86_64", "amd64")


@pytest.mark.skipif(not X86, reason="the names of vector registers are those of x86-64")
@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", TABLE)
def test_fused_loop_runs_in_wide_registers_without_calls(name, dtype):
    import llvmlite.binding

    if not llvmlite.binding.get_host_cpu_features().get("fma"):
        pytest.skip("this processor has no fused multiply-add instructions")
    loop = _fused(getattr(vector_math, name))
    array = numba.from_dtype(np.dtype(dtype))[::1]
    loop.compile((array, array, array))
    body = _body(loop.inspect_asm(loop.signatures[0]))
    packed, other = ("pd", "ps") if dtype is np.float64 else ("ps", "pd")
    assert re.search(rf"\bvfn?m(add|sub)\d+{packed}\b.*[yz]mm", body), "not vectorised"
    assert not re.search(r"^\s*callq?\b", body, re.M), "a scalar call is left"
    assert not re.search(rf"\bv(mul|add|fmadd\d+)({other}|s{other[1]})\b", body), "width changed"
