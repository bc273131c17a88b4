"""Computes tables.py: minimax polynomials by Remez exchange, and constants split into parts.

    python -m backends.vector_math.coefficients > new.py
    ruff format --line-length 100 new.py && mv new.py backends/vector_math/tables.py

Each entry of TARGETS is a function f on an interval, an error weight w and a degree per width;
the polynomial minimises max |w (f - p)| (Remez 1934; the exchange as in Muller, "Elementary
Functions", 3rd edition, section 3.6). Coefficients are found in 60 digits and then rounded; the
error printed beside them is that of the rounded polynomial.
"""

from collections.abc import Callable
from dataclasses import dataclass

import mpmath
import numpy as np
from mpmath import mp, mpf

mp.dps = 60
# the largest float64 is below 2**1024, and four parts of 2/pi reach some 220 bits further
FRACTION_BITS = 1300


@dataclass(frozen=True)
class Target:
    """f on [low, high], the weight of its error, and the degree for each width."""

    function: Callable
    weight: Callable
    low: mpf
    high: mpf
    degrees: dict


def _series(coefficient, z, count=40):
    return mpmath.fsum(coefficient(k) * z**k for k in range(count))


def _factorial_series(first, sign):
    """sum_k sign^k z^k / (first + 2k)!, which is free of the cancellation at z = 0."""
    return lambda z: _series(lambda k: mpf(sign) ** k / mpmath.factorial(first + 2 * k), z)


def _erf_small(z):
    """erf(x)/x - 1 with z = x^2."""
    terms = (mpf(-1) ** k * z**k / (mpmath.factorial(k) * (2 * k + 1)) for k in range(60))
    return 2 / mpmath.sqrt(mp.pi) * mpmath.fsum(terms) - 1


def _tanh_small(z):
    """(tanh(x)/x - 1)/x^2 with z = x^2."""
    x = mpmath.sqrt(z)
    return (mpmath.tanh(x) / x - 1) / z if z else -mpf(1) / 3


def _log_erfc(x):
    return mpmath.log(mpmath.erfc(x))


def _scaled_erfc(x):
    """e^(x^2) erfc(x) (1 + 2 x), which is between 1 and 1.25."""
    return mpmath.exp(x**2) * mpmath.erfc(x) * (1 + 2 * x)


def _scaled_erfc_slope(end, degrees):
    """Its slope from x = 4 on, by s = (x - 4)/(x + 4)."""

    def slope(s):
        return (_scaled_erfc(4 * (1 + s) / (1 - s)) - _scaled_erfc(mpf(4))) / s

    low, high = ((x - 4) / (x + 4) for x in (mpf("0.46"), mpf(end)))
    return Target(slope, lambda s: s, low, high, degrees)


HALF_LN2 = mpmath.log(2) / 2 * mpf("1.0001")
QUARTER_PI_SQUARED = (mp.pi / 4 * mpf("1.0001")) ** 2
S_SQUARED = ((mpmath.sqrt(2) - 1) / (mpmath.sqrt(2) + 1)) ** 2 * mpf("1.0001")

TARGETS = {
    # e^r = 1 + r + r^2 p(r); the error counts relative to r, and never for nothing
    "exp": Target(
        lambda r: _series(lambda k: 1 / mpmath.factorial(k + 2), r),
        lambda r: mpmath.sqrt(r**2 + mpf("0.001")),
        -HALF_LN2,
        HALF_LN2,
        {64: 10, 32: 5},
    ),
    # the same where only e^r itself is wanted
    "exp_whole": Target(
        lambda r: _series(lambda k: 1 / mpmath.factorial(k + 2), r),
        lambda r: r**2,
        -HALF_LN2,
        HALF_LN2,
        {64: 9, 32: 4},
    ),
    # sinh r = r + r^3 p(r^2), cosh r = 1 + r^2 p(r^2)
    "sinh": Target(_factorial_series(3, 1), lambda z: z / 2, mpf(0), HALF_LN2**2, {64: 5, 32: 2}),
    "cosh": Target(_factorial_series(2, 1), lambda z: z, mpf(0), HALF_LN2**2, {64: 6, 32: 3}),
    # tanh x = x + x z p(z) with z = x^2, below 0.625
    "tanh": Target(_tanh_small, lambda z: z, mpf(0), mpf("0.626") ** 2, {64: 11, 32: 5}),
    # log((1+s)/(1-s)) = 2 s + s z p(z) with z = s^2
    "log": Target(
        lambda z: _series(lambda k: mpf(2) / (2 * k + 3), z, 60),
        lambda z: z,
        mpf(0),
        S_SQUARED,
        {64: 6, 32: 3},
    ),
    # the same up to s = 1/3, where (1+s)/(1-s) = 2
    "log_to_two": Target(
        lambda z: _series(lambda k: mpf(2) / (2 * k + 3), z, 60),
        lambda z: z,
        mpf(0),
        mpf(1) / 9,
        {64: 9, 32: 4},
    ),
    # the same as log from its third term on: log((1+s)/(1-s)) = 2 s + (2/3) s^3 + s^5 p(z)
    "log_tail": Target(
        lambda z: _series(lambda k: mpf(2) / (2 * k + 5), z, 60),
        lambda z: z**2,
        mpf(0),
        S_SQUARED,
        {64: 8, 32: 4},
    ),
    # sin r = r + r^3 p(r^2), cos r = 1 - r^2/2 + r^4 p(r^2)
    "sin": Target(
        lambda z: -_factorial_series(3, -1)(z),
        lambda z: z,
        mpf(0),
        QUARTER_PI_SQUARED,
        {64: 6, 32: 3},
    ),
    "cos": Target(
        _factorial_series(4, -1), lambda z: z**2, mpf(0), QUARTER_PI_SQUARED, {64: 6, 32: 3}
    ),
    # erf x = x + x p(x^2) below 1
    "erf": Target(_erf_small, lambda z: mpf(1), mpf(0), mpf("1.001"), {64: 12, 32: 6}),
    # erf x = 1 - exp(p(x)) from 1 to where erf rounds to 1
    "erf_tail:64": Target(_log_erfc, mpmath.erfc, mpf("0.999"), mpf(6), {64: 18}),
    "erf_tail:32": Target(_log_erfc, mpmath.erfc, mpf("0.999"), mpf(4), {32: 8}),
    # erfc x = exp(-x^2)/(1 + 2 x) (c + s p(s)), s = (x-4)/(x+4), from 0.46 to where it rounds to 0
    "erfc_slope:64": _scaled_erfc_slope("27.4", {64: 20}),
    "erfc_slope:32": _scaled_erfc_slope("10.2", {32: 9}),
}

CONSTANTS = {
    "log2_e": (1 / mpmath.log(2), 1),
    "ln2": (mpmath.log(2), 3),
    "two_thirds": (mpf(2) / 3, 2),
    "two_over_pi": (2 / mp.pi, 1),
    "half_pi": (mp.pi / 2, 4),
    "scaled_erfc_at_four": (_scaled_erfc(mpf(4)), 2),
}


def _chebyshev_points(low, high, count):
    angles = (mp.pi * k / (count - 1) for k in range(count))
    return [(low + high) / 2 - (high - low) / 2 * mpmath.cos(a) for a in angles]


def _interpolate(samples, points):
    """Coefficients and level error E with w (f - p) = +-E at the points, alternating."""
    count = len(points) - 1
    matrix = mpmath.matrix(count + 1, count + 1)
    right = mpmath.matrix(count + 1, 1)
    for row, (x, f, w) in enumerate(samples[i] for i in points):
        for column in range(count):
            matrix[row, column] = w * x**column
        matrix[row, count] = (-1) ** row
        right[row] = w * f
    solution = mpmath.lu_solve(matrix, right)
    return list(solution)[:-1], abs(solution[count])


def _extrema(errors, wanted):
    """Indices of the largest alternating extrema, `wanted` of them."""
    chosen: list[int] = []
    for i, error in enumerate(errors):
        if chosen and (error > 0) == (errors[chosen[-1]] > 0):
            if abs(error) > abs(errors[chosen[-1]]):
                chosen[-1] = i
        elif error != 0:
            chosen.append(i)
    while len(chosen) > wanted:
        chosen.pop(0 if abs(errors[chosen[0]]) < abs(errors[chosen[-1]]) else -1)
    return chosen


def _remez(samples, count, rounds=12):
    """Minimise max |w (f - sum_j c_j x^j)| over the samples, j < count."""
    last = len(samples) - 1
    points = [round(last * (1 - np.cos(np.pi * k / count)) / 2) for k in range(count + 1)]
    for _ in range(rounds):
        coefficients, level = _interpolate(samples, points)
        errors = [w * (f - mpmath.polyval(coefficients[::-1], x)) for x, f, w in samples]
        worst = max(abs(e) for e in errors)
        if worst <= level * mpf("1.02"):
            break
        better = _extrema(errors, count + 1)
        if len(better) < count + 1:
            break
        points = better
    return coefficients, worst


def round_to(width, value):
    """value rounded to the width, as an mpf."""
    if width == 64:
        return mpf(float(value))
    mantissa, exponent = mpmath.frexp(value)
    return mpmath.ldexp(mpmath.nint(mantissa * 2**24), exponent - 24)


def minimax(target, width):
    """Rounded coefficients, and the largest weighted error with them."""
    points = _chebyshev_points(target.low, target.high, 40 * (target.degrees[width] + 2))
    samples = [(x, target.function(x), target.weight(x)) for x in points]
    exact, _ = _remez(samples, target.degrees[width] + 1)
    rounded = [round_to(width, c) for c in exact]
    return rounded, max(abs(w * (f - mpmath.polyval(rounded[::-1], x))) for x, f, w in samples)


def split(value, parts, width):
    """value as a sum of parts, each rounded to the width."""
    found = []
    for _ in range(parts):
        found.append(round_to(width, value))
        value -= found[-1]
    return found


def _entry(name, values):
    texts = ", ".join(f'"{float(v).hex()}"' for v in values)
    return f'        "{name}": [{texts}],'


def print_tables():
    """Write tables.py to standard output."""
    with mpmath.workprec(FRACTION_BITS + 64):
        turn = int(mpmath.floor(mpmath.ldexp(2 / mp.pi, FRACTION_BITS)))
    print('"""Printed by coefficients.py: numbers in hexadecimal, lowest degree first."""')
    print("\n# ruff: noqa: E501\n")
    print(f"FRACTION_BITS = {FRACTION_BITS}\nTWO_OVER_PI = 0x{turn:x}\n\nSPLIT = {{")
    for width in (64, 32):
        print(f"    {width}: {{")
        for name, (value, parts) in CONSTANTS.items():
            print(_entry(name, split(value, parts, width)))
        print("    },")
    print("}\n\nPOLYNOMIALS = {")
    for width in (64, 32):
        print(f"    {width}: {{")
        for name, target in TARGETS.items():
            if width in target.degrees:
                values, worst = minimax(target, width)
                print(f"        # largest error 2**{float(mpmath.log(worst, 2)):.1f}")
                print(_entry(name.split(":")[0], values))
        print("    },")
    print("}")


if __name__ == "__main__":
    print_tables()
