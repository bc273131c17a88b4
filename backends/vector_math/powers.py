"""power(x, y) = e^(y log x), with log x to about 64 bits (32 for float32).

An error of log x is multiplied by y log x, up to 745, so log x is a pair high + low; the leading
terms of 2 s + (2/3) s^3 + s^5 p(s^2), s = (m-1)/(m+1), are summed as pairs and the rest is not
(Tang, "Table-driven implementation of the logarithm function", 1990, without his table; pairs by
Dekker 1971). p is from coefficients.py.
"""

from backends.vector_math.exponential import exp_reduced, reduce_by_ln2
from backends.vector_math.logarithm import normal_parts
from backends.vector_math.primitives import (
    absolute,
    constant,
    fma,
    inlined,
    like,
    nearest,
    ordered_sum,
    polynomial,
    promoted,
    scale,
    select,
    two_product,
    two_sum,
    with_sign,
)


@inlined
def _ratio(m):
    """s = (m - 1)/(m + 1) as a pair."""
    one = like(1.0, m)
    f = m - one
    bottom, bottom_low = ordered_sum(like(2.0, m), f)
    inverse = one / bottom
    s = f * inverse
    return s, inverse * fma(-s, bottom_low, fma(-s, bottom, f))


@inlined
def _cubic_and_above(s, s_low):
    """(2/3) s^3 + s^5 p(s^2) as a pair."""
    z, z_low = two_product(s, s)
    z_low = fma(s + s, s_low, z_low)
    cube, cube_low = two_product(s, z)
    cube_low = fma(s, z_low, fma(s_low, z, cube_low))
    factor, factor_low = ordered_sum(constant("two_thirds_0", s), z * polynomial("log_tail", z))
    factor_low = factor_low + constant("two_thirds_1", s)
    high, low = two_product(cube, factor)
    return high, fma(cube, factor_low, fma(cube_low, factor, low))


@inlined
def log_pair(x):
    """log x as a pair, for positive finite x."""
    m, k = normal_parts(x)
    s, s_low = _ratio(m)
    cubic, cubic_low = _cubic_and_above(s, s_low)
    whole, whole_low = two_product(k, constant("ln2_0", x))
    first, lost = ordered_sum(whole, s + s)
    second, lost_too = ordered_sum(first, cubic)
    small = fma(k, constant("ln2_1", x), whole_low) + (s_low + s_low + cubic_low)
    return ordered_sum(second, lost + lost_too + small)


@inlined
def exp_of_pair(high, low):
    """e^(high + low), with overflow to inf and underflow to 0."""
    top, bottom = constant("exp_highest", high), constant("exp_lowest", high)
    bounded = select(high > top, top, select(high < bottom, bottom, high))
    shifted, r, rest = reduce_by_ln2(bounded)
    r, rest = two_sum(r, select(bounded == high, rest + low, rest))
    value, value_low = exp_reduced(r, rest)
    return scale(value + value_low, shifted)


@inlined
def _power_of_magnitude(magnitude, y):
    infinity = like(float("inf"), y)
    high, low = log_pair(magnitude)
    product, product_low = two_product(y, high)
    product_low = fma(y, low, product_low)
    # at the ends log is infinite, and so is the product with any y but 0
    product = select(magnitude == infinity, y * infinity, product)
    product = select(magnitude == like(0.0, y), y * -infinity, product)
    return exp_of_pair(select(magnitude == magnitude, product, magnitude), product_low)


@inlined
def _sign_rule(x, y, value):
    """A negative base: the sign of an odd y, NaN where y is no integer."""
    whole = nearest(y) == y
    half = like(0.5, y) * y
    odd = select(nearest(half) == half, like(1.0, y), with_sign(like(1.0, y), x))
    signed = with_sign(value, select(whole, odd, like(1.0, y)))
    finite_negative = select(absolute(x) < like(float("inf"), x), x, like(0.0, x)) < like(0.0, x)
    defined = select(whole, signed, like(float("nan"), y))
    return select(finite_negative, defined, signed)


@inlined
def power(x, y):
    """x^y, with the special values of C's pow and NumPy's power."""
    base = promoted(x, y)
    exponent = promoted(y, x)
    one = like(1.0, base)
    value = _sign_rule(base, exponent, _power_of_magnitude(absolute(base), exponent))
    endless = absolute(exponent) == like(float("inf"), base)
    value = select(base == select(endless, -one, one), one, value)
    value = select(base == one, one, value)
    return select(exponent == like(0.0, base), one, value)
