"""Vectorised elementary functions: accuracy against mpmath, special values, generated code."""

import math
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


def _math_erf(x):
    return np.array([math.erf(v) for v in x], dtype=x.dtype)


def _math_erfc(x):
    return np.array([math.erfc(v) for v in x], dtype=x.dtype)


# name: exact function, NumPy's, and per width the interval outside of which it is trivial
TABLE = {
    "exp": (mpmath.exp, np.exp, (-746, 710), (-104, 89)),
    "expm1": (mpmath.expm1, np.expm1, (-40, 710), (-20, 89)),
    "sinh": (mpmath.sinh, np.sinh, (-711, 711), (-89.5, 89.5)),
    "cosh": (mpmath.cosh, np.cosh, (-711, 711), (-89.5, 89.5)),
    "tanh": (mpmath.tanh, np.tanh, (-20, 20), (-10, 10)),
    "sigmoid": (_sigmoid, _numpy_sigmoid, (-746, 40), (-104, 20)),
    "softplus": (_softplus, _numpy_softplus, (-746, 40), (-104, 20)),
    "sin": (mpmath.sin, np.sin, ALL, ALL),
    "cos": (mpmath.cos, np.cos, ALL, ALL),
    "tan": (mpmath.tan, np.tan, ALL, ALL),
    "sin_moderate": (mpmath.sin, np.sin, (-(2.0**40), 2.0**40), (-(2.0**17), 2.0**17)),
    "cos_moderate": (mpmath.cos, np.cos, (-(2.0**40), 2.0**40), (-(2.0**17), 2.0**17)),
    "tan_moderate": (mpmath.tan, np.tan, (-(2.0**40), 2.0**40), (-(2.0**17), 2.0**17)),
    "erf": (mpmath.erf, _math_erf, (-6.5, 6.5), (-4.5, 4.5)),
    "erfc": (mpmath.erfc, _math_erfc, (-6.5, 27.3), (-4.5, 10.1)),
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


def in_moderate_domain(name, x):
    """Everywhere for functions of the whole line."""
    return np.array(["moderate" not in name or vector_math.is_moderate(v) for v in x])


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
    x = x[~np.isfinite(x) | in_moderate_domain(name, x)]
    with np.errstate(all="ignore"):
        expected = TABLE[name][1](x)
    got = evaluate(name, x)
    trivial = ~np.isfinite(expected) | (expected == 0) | (np.abs(expected) == 1)
    np.testing.assert_array_equal(got[trivial], expected[trivial])
    zeros = expected == 0
    np.testing.assert_array_equal(np.signbit(got[zeros]), np.signbit(expected[zeros]))
    np.testing.assert_allclose(got, expected, rtol=8 * info.eps, atol=2 * info.smallest_subnormal)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", ["sin", "cos", "tan", "sin_moderate", "tan_moderate"])
def test_angles_next_to_multiples_of_half_pi(name, dtype):
    rng = np.random.default_rng(5)
    multiples = np.concatenate([np.arange(1, 100), rng.integers(1, 10**5, 200)])
    x = (multiples * (np.pi / 2)).astype(dtype)
    # the angles of each width that come closest to a multiple of pi/2 (Muller 2016, table 11.1)
    hardest = 6381956970095103 * 2.0**797 if dtype is np.float64 else 16367173 * 2.0**72
    if "moderate" not in name:
        x = np.append(x, dtype(hardest))
    x = x[in_moderate_domain(name, x)]
    _assert_within_two_ulps(name, x, evaluate(name, x), TABLE[name][0])


@numba.njit
def power_over_arrays(x, y, out):
    for i in range(x.size):
        out[i] = vector_math.power(x[i], y[i])


def _powers_of_every_magnitude(dtype, rng):
    info = np.finfo(dtype)
    logs = rng.uniform(info.minexp - info.nmant, info.maxexp, 2 * POINTS)
    near_one = rng.normal(size=2 * POINTS) * 2.0 ** rng.uniform(-info.nmant, 0, 2 * POINTS)
    x = np.exp2(np.concatenate([logs, near_one])).astype(dtype)
    x = x[(x > 0) & (x != 1) & np.isfinite(x)]
    results = rng.uniform(info.minexp - info.nmant - 3, info.maxexp, x.size)
    y = (results / np.log2(x.astype(np.float64))).astype(dtype)
    y[::5] = rng.uniform(-3, 3, y[::5].size)
    return x[np.isfinite(y)], y[np.isfinite(y)]


@pytest.mark.parametrize("dtype", FORMATS)
def test_power_is_within_two_ulps(dtype):
    with np.errstate(over="ignore"):
        x, y = _powers_of_every_magnitude(dtype, np.random.default_rng(7))
    got = np.empty_like(x)
    power_over_arrays(x, y, got)
    with mpmath.workprec(300):
        exact = [mpmath.mpf(float(a)) ** mpmath.mpf(float(b)) for a, b in zip(x, y, strict=True)]
        errors = [ulps(g, e) for g, e in zip(got, exact, strict=True)]
    worst = int(np.argmax(errors))
    assert errors[worst] <= 2, f"power({x[worst]!r}, {y[worst]!r}): {errors[worst]:.2f} ulp"


@pytest.mark.parametrize("dtype", FORMATS)
def test_power_has_the_special_values_of_numpy(dtype):
    info = np.finfo(dtype)
    integers = [0.0, 1, 2, 3, 5, 2.0**24 + 1, 2.0**53 - 1, 2.0**60]
    others = [0.5, 2.5, 1 + info.eps, info.max, info.tiny, info.smallest_subnormal, np.inf, np.nan]
    half_line = np.array(integers + others, dtype=dtype)
    line = np.concatenate([half_line, -half_line])
    x, y = (axis.ravel().copy() for axis in np.meshgrid(line, line))
    got = np.empty_like(x)
    power_over_arrays(x, y, got)
    with np.errstate(all="ignore"):
        expected = np.power(x, y)
    np.testing.assert_allclose(got, expected, rtol=4 * info.eps)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(got[numbers]), np.signbit(expected[numbers]))


def test_fastmath_of_the_caller_stays_outside():
    @numba.njit(fastmath=True)
    def careless(x, out):
        for i in range(x.size):
            out[i] = vector_math.log1p(vector_math.expm1(x[i]))

    x = np.array([np.inf, -np.inf, 1e-17, -0.0, 3e-9, 0.7] * 4)
    out = np.empty_like(x)
    careless(x, out)
    np.testing.assert_allclose(out, x, rtol=1e-15)


def test_a_printed_polynomial_can_be_computed_again():
    from backends.vector_math import coefficients, tables

    values, _ = coefficients.minimax(coefficients.TARGETS["sinh"], 32)
    assert [float(v).hex() for v in values] == tables.POLYNOMIALS[32]["sinh"]


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


@numba.njit(forceinline=True)
def _self_power(x):
    return vector_math.power(x, x)


def _has_fused_multiply_add():
    import llvmlite.binding

    chosen = numba.config.CPU_FEATURES
    if chosen is not None:
        return "+fma" in chosen.split(",")
    return llvmlite.binding.get_host_cpu_features().get("fma", False)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("count", [0, 1, 8, 9, 1023, 1024])
def test_sums_of_softplus_take_one_logarithm_for_eight_terms(dtype, count):
    @numba.njit(error_model="numpy")
    def total(x):
        powers = np.empty(1024, x.dtype)
        first = x.dtype.type(0)
        for k in range(x.size):
            part, powers[k] = vector_math.softplus_parts(x[k])
            first += part
        return first + vector_math.sum_of_log1p(powers, x.size)

    highest = 700 if dtype is np.float64 else 80
    draw = np.random.default_rng(count).uniform
    rows = [draw(-highest, low, count) for low in (-0.9 * highest, 0, highest)]
    rows += [np.full(count, value) for value in (0.0, -np.inf, np.inf, np.nan)]
    for x in np.array(rows, dtype):
        exact = float(mpmath.fsum(_softplus(mpmath.mpf(float(v))) for v in x))
        np.testing.assert_allclose(total(x), exact, rtol=40 * np.finfo(dtype).eps)


@pytest.mark.skipif(not X86, reason="the names of vector registers are those of x86-64")
@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", [*TABLE, "power"])
def test_fused_loop_runs_in_wide_registers_without_calls(name, dtype):
    if not _has_fused_multiply_add():
        pytest.skip("numba's target processor has no fused multiply-add instructions")
    loop = _fused(_self_power if name == "power" else getattr(vector_math, name))
    array = numba.from_dtype(np.dtype(dtype))[::1]
    loop.compile((array, array, array))
    body = _body(loop.inspect_asm(loop.signatures[0]))
    packed, other = ("pd", "ps") if dtype is np.float64 else ("ps", "pd")
    assert re.search(rf"\bvfn?m(add|sub)\d+{packed}\b.*[yz]mm", body), "not vectorised"
    assert not re.search(r"^\s*callq?\b", body, re.M), "a scalar call is left"
    wrong = rf"\bv(mul|add|fmadd\d+){other}\b.*[yz]mm"
    assert not re.search(wrong, body), "another width in the loop"
