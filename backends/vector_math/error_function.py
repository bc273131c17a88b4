"""erf in two pieces: x + x p(x^2) below 1, and 1 - e^q(|x|) from there to where it rounds to 1.

q is a polynomial for log erfc, weighted by erfc itself: it needs few digits where erfc is small.
erfc has all its digits: 1 - x - x p(x^2) near 0, and above e^(-x^2)/(1 + 2 x) (c + s p(s)) with
s = (x - 4)/(x + 4) (Shepherd and Laframboise, Math. Comp. 36, 1981) and x^2 to twice the width.
Polynomials are from coefficients.py.
"""

from backends.vector_math.exponential import exp_reduced, expm1_reduced, quotient, reduce_by_ln2
from backends.vector_math.primitives import (
    absolute,
    constant,
    floating,
    fma,
    inlined,
    like,
    ordered_sum,
    polynomial,
    power_of_two,
    scale,
    select,
    two_product,
    two_sum,
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


@inlined
def _erfc_of_positive(x):
    """erfc x for x from 0.46 to where it rounds to 0; the quotient is rounded nearly once."""
    one = like(1.0, x)
    square, square_low = two_product(x, x)
    shifted, r, rest = reduce_by_ln2(-square)
    power, power_low = exp_reduced(r, rest)
    power_low = fma(-power, square_low, power_low)
    four = like(4.0, x)
    place = (x - four) / (x + four)
    change = place * polynomial("erfc_slope", place)
    factor, factor_low = ordered_sum(constant("scaled_erfc_at_four_0", x), change)
    factor_low += constant("scaled_erfc_at_four_1", x)
    top, top_low = two_product(power, factor)
    top_low = fma(power, factor_low, fma(power_low, factor, top_low))
    bottom, bottom_low = two_sum(one, x + x)
    return scale(quotient(top, top_low, bottom, bottom_low), shifted)


@inlined
def erfc(x):
    """1 - erf x without cancellation."""
    x = floating(x)
    magnitude = absolute(x)
    end = constant("erfc_zero", x)
    small = fma(-x, polynomial("erf", x * x), like(1.0, x) - x)
    tail = _erfc_of_positive(select(magnitude > end, end, magnitude))
    large = select(x < like(0.0, x), like(2.0, x) - tail, tail)
    return select(magnitude < like(0.46875, x), small, large)
