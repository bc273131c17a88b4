"""Special functions that neither ``math`` nor libdevice has, as functions of kernels.

Both climb to arguments from :data:`FROM` by the recurrence and take Euler and Maclaurin's series
there (NIST Digital Library of Mathematical Functions 5.11.2 and 25.11.43).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .device_library import device, math

#: Where the series is as good as float64.
FROM = 12.0
#: Steps of the recurrence at most: further down on the negative axis the result is NaN.
STEPS = 4096
#: ``B[2k]``, k = 1, 2, ...: Bernoulli numbers.
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)


def special_functions(real: Any, known: dict[str, Any]) -> dict[str, Any]:
    """The functions by name, in one precision, by means of others in that precision."""
    return {"digamma": _digamma(real, known["floor"], known["tan"]), "zeta": _zeta(real)}


def _digamma(real: Any, floor: Any, tan: Any) -> Any:
    zero, one, half, start, pi, nan = (real(x) for x in (0, 1, 0.5, FROM, np.pi, np.nan))
    a, b, c, d, e, f = (real(-n / (2 * k + 2)) for k, n in enumerate(BERNOULLI[:6]))

    @device
    def digamma(x):
        """The slope of ``log(gamma(x))``; below 0 by reflection, NaN at the poles."""
        reflected = zero
        if x <= zero:
            if x == floor(x):
                return nan
            reflected = -pi / tan(pi * (x - floor(x)))
            x = one - x
        below = zero
        while x < start:
            below -= one / x
            x += one
        t = one / (x * x)
        tail = t * (a + t * (b + t * (c + t * (d + t * (e + t * f)))))
        return reflected + (below + (math.log(x) - half / x + tail))

    return digamma


def _zeta(real: Any) -> Any:
    zero, one, half, start, nan = (real(x) for x in (0, 1, 0.5, FROM, np.nan))
    factorials = np.cumprod(np.arange(1.0, 2 * len(BERNOULLI) + 1))
    coefficients = tuple(real(n / factorials[2 * k + 1]) for k, n in enumerate(BERNOULLI))
    count = len(coefficients)

    @device
    def zeta(s, x):
        """``sum of (x + k)**-s``, s > 1; an infinite term at the poles."""
        total = zero
        steps = 0
        while x < start and steps < STEPS:
            total += math.pow(x, -s)
            x += one
            steps += 1
        if x < start:
            return nan
        power = math.pow(x, -s)
        total += x * power / (s - one) + half * power
        rising = s * power / x
        for k in range(count):
            total += coefficients[k] * rising
            shift = real(2 * k + 1)
            rising *= (s + shift) * (s + shift + one) / (x * x)
        return total

    return zeta


__all__ = ["special_functions"]
