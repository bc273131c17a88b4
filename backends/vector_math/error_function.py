"""erf in two pieces: x + x p(x^2) below 1, and 1 - e^q(|x|) from there to where it rounds to 1.

q is a polynomial for log erfc, weighted by erfc itself: it needs few digits where erfc is small.
Both are from coefficients.py.
"""

from backends.vector_math.exponential import expm1_reduced, reduce_by_ln2
from backends.vector_math.primitives import (
    absolute,
    constant,
    floating,
    fma,
    inlined,
    like,
    polynomial,
    power_of_two,
    select,
    with_sign,
)


@inlined
def _erfc_above_one(magnitude):
    shifted, r, rest = reduce_by_ln2(polynomial("erf_tail", magnitude))
    power = power_of_two(shifted)
    high, _ = expm1_reduced(r, rest)
    return fma(power, high, power)


@inlined
def erf(x):
    """The error function, 2/sqrt(pi) times the integral of e^(-t^2) from 0 to x."""
    x = floating(x)
    magnitude = absolute(x)
    one = like(1.0, x)
    end = constant("erf_one", x)
    small = fma(x, polynomial("erf", x * x), x)
    large = one - _erfc_above_one(select(magnitude > end, end, magnitude))
    return select(magnitude < one, small, with_sign(large, x))
