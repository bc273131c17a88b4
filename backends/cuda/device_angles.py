"""sin, cos and tan in float32 without float64: CUDA's own reduce large angles in float64.

An angle is ``k * pi/2 + r`` with ``|r| <= pi/4``. Up to :data:`MODERATE` fused multiplications take
away three parts of pi/2 (Cody and Waite 1980). Beyond, ``x = m * 2**e`` with an integer m, and a
table has the first 96 bits of ``2**e * 2/pi`` modulo 4 (Payne and Hanek 1983): integers that
overflow take the multiples of 4 away. The polynomials are those of Cephes (Moshier 1989).
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

#: Angles up to here take the short way.
MODERATE = 65536.0
#: Bits of m, and the least e that large angles have.
BITS, LEAST = 24, 16 - 23
#: pi * 10**90.
PI = int(
    "3141592653589793238462643383279502884197169399375105820974944592307816406286208998628034825"
)
SIN = (-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4)
COS = (4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5)
TAN = (
    3.33331568548e-1,
    1.33387994085e-1,
    5.34112807005e-2,
    2.44301354525e-2,
    3.11992232697e-3,
    9.38540185543e-3,
)


class Language(NamedTuple):
    """What the functions are written in: CUDA, or the host's numba in tests."""

    device: Any
    #: ``lookup(high, low)`` makes a function that gives an entry of each table.
    lookup: Any
    #: ``a * b + c``, rounded once.
    fma: Any
    math: Any


@lru_cache(maxsize=1)
def tables() -> tuple[Any, Any]:
    """For each e the first 64 bits of ``2**e * 2/pi mod 4``, and the next 32."""
    bits = 256
    two_over_pi = 2 * 10**90 * 2**bits // PI
    high, low = [], []
    for e in range(LEAST, 128 - BITS + 1):
        scaled = two_over_pi << e if e >= 0 else two_over_pi >> -e
        value = scaled % (4 << bits)
        words = value >> (bits - 94)
        high.append(words >> 32)
        low.append(words & 0xFFFFFFFF)
    return np.array(high, np.uint64), np.array(low, np.uint64)


def angle_functions(language: Language) -> dict[str, Any]:
    """sin, cos and tan of float32."""
    device = language.device
    reduced = _reduction(language)
    sine, cosine = _polynomials(device)
    z0, z1, z2, z3, z4, z5 = map(np.float32, TAN)
    one = np.float32(1)

    @device
    def sin(x):
        k, r = reduced(x)
        y = cosine(r) if k & 1 else sine(r)
        return -y if k & 2 else y

    @device
    def cos(x):
        k, r = reduced(x)
        y = sine(r) if k & 1 else cosine(r)
        return -y if (k + 1) & 2 else y

    @device
    def tan(x):
        k, r = reduced(x)
        z = r * r
        y = r + r * z * (z0 + z * (z1 + z * (z2 + z * (z3 + z * (z4 + z * z5)))))
        return -one / y if k & 1 else y

    return {"sin": sin, "cos": cos, "tan": tan}


def _polynomials(device: Any) -> tuple[Any, Any]:
    s0, s1, s2 = map(np.float32, SIN)
    c0, c1, c2 = map(np.float32, COS)
    one, half = np.float32(1), np.float32(0.5)

    @device
    def sine(r):
        z = r * r
        return r + r * z * (s0 + z * (s1 + z * s2))

    @device
    def cosine(r):
        z = r * r
        return one - half * z + z * z * (c0 + z * (c1 + z * c2))

    return sine, cosine


def _parts_of_half_pi() -> list[Any]:
    """Three float32 whose sum is pi/2."""
    rest, parts = Fraction(PI, 2 * 10**90), []
    for _ in range(3):
        parts.append(np.float32(float(rest)))
        rest -= Fraction(float(parts[-1]))
    return parts


def _reduction(language: Language) -> Any:
    device, lookup, fma, math = language
    p0, p1, p2 = _parts_of_half_pi()
    scale, moderate = np.float32(2 / np.pi), np.float32(MODERATE)
    half, infinity = np.float32(0.5), np.float32(np.inf)
    nothing, mantissa = np.float32(0), np.float32(2.0**BITS)
    # one quarter turn is 2**62; the remainder as a fraction of it, times pi/2
    unit = np.float32(np.pi / 2 * 2.0**-62)
    rest = np.float32(np.pi / 2 * 2.0**-62 - float(unit))
    entry = lookup(*tables())

    @device
    def large(x):
        fraction, exponent = math.frexp(abs(x))
        m = np.uint64(fraction * mantissa)
        high, low = entry(exponent - BITS - LEAST)
        turns = m * high + ((m * low) >> np.uint64(32))
        rounded = (turns + np.uint64(1 << 61)) >> np.uint64(62)
        left = np.int64(turns - (rounded << np.uint64(62)))
        first = np.float32(left)
        second = np.float32(left - np.int64(first))
        r = first * unit + (first * rest + second * unit)
        k = np.int64(rounded)
        return (-k, -r) if x < nothing else (k, r)

    @device
    def reduced(x):
        if abs(x) > moderate:
            if abs(x) < infinity:
                return large(x)
            return np.int64(0), x - x
        k = np.int64(math.floor(x * scale + half))
        turns = -np.float32(k)
        return k, fma(turns, p2, fma(turns, p1, fma(turns, p0, x)))

    return reduced
