"""log, log1p and softplus.

x = 2^k m with sqrt(1/2) <= m < sqrt(2), f = m - 1, s = f/(2 + f); then log m is the odd series
log((1+s)/(1-s)) = 2 s + s R with R = z p(z), z = s^2, arranged as f - (f^2/2 - s (f^2/2 + R)) so
that the leading term is exact (Tang, "Table-driven implementation of the logarithm function",
ACM TOMS 16, 1990; the arrangement is the usual one of C libraries). p is from coefficients.py.
"""

from backends.vector_math.exponential import exp_of_negative
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
    select,
    significand_and_exponent,
    two_sum,
)


@inlined
def log_sum(k, f, correction):
    """k ln 2 + log(1 + f) + correction."""
    s = f / (like(2.0, f) + f)
    z = s * s
    half_square = like(0.5, f) * f * f
    odd = fma(z, polynomial("log", z), half_square)
    small = fma(s, odd, fma(k, constant("ln2_1", f), correction))
    return fma(k, constant("ln2_0", f), f - (half_square - small))


@inlined
def normal_parts(x):
    """x = m 2^k for positive x, subnormal included; returns m and k."""
    zero = like(0.0, x)
    subnormal = x < constant("smallest_normal", x)
    normal = select(subnormal, x * constant("make_normal", x), x)
    m, shifted = significand_and_exponent(normal)
    k = shifted - constant("shifted", x)
    return m, k - select(subnormal, constant("make_normal_exponent", x), zero)


@inlined
def log(x):
    """The natural logarithm; -inf at 0, NaN below."""
    x = floating(x)
    m, k = normal_parts(x)
    return log_edges(x, log_sum(k, m - like(1.0, x), like(0.0, x)))


@inlined
def log_edges(x, value):
    """value, but -inf at x = 0, NaN below, and x itself at inf and NaN."""
    zero = like(0.0, x)
    infinity = like(float("inf"), x)
    value = select(x < infinity, value, x)
    value = select(x == zero, -infinity, value)
    return select(x < zero, like(float("nan"), x), value)


@inlined
def log1p_pair(high, low):
    """log(1 + high + low) for high > -1; a correction carries what 1 + high rounds away."""
    one = like(1.0, high)
    total, lost = two_sum(one, high)
    m, shifted = significand_and_exponent(total)
    k = shifted - constant("shifted", high)
    inverse = power_of_two(constant("shifted", high) - k)
    # beyond this bound 1 does not change x, and 2^-k may not be a normal number
    absorbs = high > constant("absorbs_one", high)
    correction = select(absorbs, like(0.0, high), (lost + low) * inverse)
    f, rest = ordered_sum(m - one, correction)
    return log_sum(k, f, rest)


@inlined
def log1p(x):
    """log(1 + x) without loss for small x; -inf at -1, NaN below."""
    x = floating(x)
    value = log1p_pair(x, like(0.0, x))
    value = log_edges(like(1.0, x) + x, value)
    return select(absolute(x) < constant("tiny", x), x, value)


@inlined
def softplus(x):
    """log(1 + e^x) = max(x, 0) + log1p(e^-|x|)."""
    x = floating(x)
    zero = like(0.0, x)
    return select(x > zero, x, zero) + log1p_up_to_one(exp_of_negative(x))


@inlined
def log1p_up_to_one(f):
    """log(1 + f) for f from 0 to 1: f - s (f - s^2 q(s^2)) with s = f/(2 + f) up to 1/3."""
    s = f / (like(2.0, f) + f)
    z = s * s
    return fma(-s, fma(-z, polynomial("log_to_two", z), f), f)
