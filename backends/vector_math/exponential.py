"""exp, expm1, sinh, cosh, tanh and sigmoid from one argument reduction.

x = n ln 2 + r with |r| <= ln(2)/2, then e^x = 2^n e^r (Cody and Waite, "Software Manual for the
Elementary Functions", 1980, chapter 6). n ln 2 is subtracted in two parts by fused multiply-adds,
so r is known to twice the width; e^r = 1 + r + r^2 p(r) with p from coefficients.py. Where a sum
could cancel or a quotient would add its own rounding, values are pairs high + low (Dekker 1971).
"""

from backends.vector_math.primitives import (
    absolute,
    biased_power_of_two,
    constant,
    floating,
    fma,
    inlined,
    like,
    ordered_sum,
    polynomial,
    power_of_two,
    select,
    two_sum,
    with_sign,
)


@inlined
def reduce_by_ln2(x):
    """x = n ln 2 + high + low; returns shifted + n, high, low."""
    shifted = fma(x, constant("log2_e_0", x), constant("shifted", x))
    n = shifted - constant("shifted", x)
    exact = fma(-n, constant("ln2_0", x), x)
    high = fma(-n, constant("ln2_1", x), exact)
    low = fma(-n, constant("ln2_1", x), exact - high)
    return shifted, high, low


@inlined
def expm1_reduced(high, low):
    """e^r - 1 as a pair, for r = high + low of at most ln(2)/2."""
    square = high * high
    tail = fma(high, low, fma(square, polynomial("exp", high), low))
    return ordered_sum(high, tail)


@inlined
def exp_reduced(high, low):
    """e^r as a pair, for r = high + low of at most ln(2)/2."""
    minus_one, rest = expm1_reduced(high, low)
    total, error = ordered_sum(like(1.0, high), minus_one)
    return total, error + rest


@inlined
def quotient(a, a_low, b, b_low):
    """(a + a_low) / (b + b_low), nearly as if rounded once: one division and a correction."""
    inverse = like(1.0, a) / b
    first = a * inverse
    remainder = fma(-first, b, a) + fma(-first, b_low, a_low)
    return fma(remainder, inverse, first)


@inlined
def exp(x):
    """e^x; 2^n in two factors, since 2^n itself may overflow or be subnormal."""
    x = floating(x)
    high = constant("exp_highest", x)
    low = constant("exp_lowest", x)
    bounded = select(x < low, low, x)
    bounded = select(bounded > high, high, bounded)
    origin = constant("shifted_bias", x)
    shifted, value = exp_parts(bounded, origin)
    n = shifted - origin
    first = fma(n, like(0.5, x), origin)
    second = (n - (first - origin)) + origin
    return value * biased_power_of_two(first) * biased_power_of_two(second)


@inlined
def exp_parts(x, origin):
    """e^x = 2^n value; returns origin + n and value, for x that is not near overflow."""
    shifted = fma(x, constant("log2_e_0", x), origin)
    n = shifted - origin
    exact = fma(-n, constant("ln2_0", x), x)
    r = fma(-n, constant("ln2_1", x), exact)
    return shifted, fma(r * r, polynomial("exp_whole", r), r) + like(1.0, x)


@inlined
def exp_of_negative(x):
    """e^(-|x|), which may be subnormal but cannot overflow: 2^(n+k) first, then 2^-k."""
    low = constant("exp_lowest", x)
    argument = -absolute(x)
    argument = select(argument < low, low, argument)
    shifted, value = exp_parts(argument, constant("shifted_up", x))
    return value * biased_power_of_two(shifted) * constant("down", x)


@inlined
def half_expm1(x):
    """(e^x - 1)/2 as a pair, where 2^n does not underflow: x >= expm1_lowest."""
    shifted, r, rest = reduce_by_ln2(x)
    high, low = expm1_reduced(r, rest)
    # 2^(n-1) and not 2^n, which overflows where e^x is still finite
    power = power_of_two(shifted - like(1.0, x))
    total, error = two_sum(power - like(0.5, x), power * high)
    return total, fma(power, low, error)


@inlined
def expm1(x):
    """e^x - 1 without cancellation."""
    x = floating(x)
    high = constant("exp_highest", x)
    low = constant("expm1_lowest", x)
    bounded = select(x > high, high, select(x < low, low, x))
    total, error = half_expm1(bounded)
    value = total + error
    return select(absolute(x) < constant("tiny", x), x, value + value)


@inlined
def _tanh_above(magnitude):
    """1 - 2/(e^(2x) + 1), which is near 1."""
    one = like(1.0, magnitude)
    highest = -constant("expm1_lowest", magnitude)
    double = magnitude + magnitude
    shifted, r, _ = reduce_by_ln2(select(double > highest, highest, double))
    power = power_of_two(shifted)
    minus_one = fma(r * r, polynomial("exp", r), r)
    return one - like(2.0, magnitude) / fma(power, minus_one, power + one)


@inlined
def tanh(x):
    """tanh x: a polynomial below 0.625, where 1 - 2/(e^(2x) + 1) would cancel."""
    x = floating(x)
    magnitude = absolute(x)
    square = x * x
    small = fma(x * square, polynomial("tanh", square), x)
    return with_sign(select(magnitude < like(0.625, x), small, _tanh_above(magnitude)), x)


@inlined
def sigmoid(x):
    """1 / (1 + e^-x), and e^x / (1 + e^x) below zero: neither overflows."""
    x = floating(x)
    one = like(1.0, x)
    power = exp_of_negative(x)
    bottom, rest = ordered_sum(one, power)
    top = select(x < like(0.0, x), power, one)
    first = top / bottom
    # what dividing and rounding 1 + e^-|x| lost; 1/bottom is near enough for a correction
    lost = fma(-first, bottom, top) - first * rest
    return fma(lost, one - power * like(0.5, x), first)


@inlined
def scaled_sinh_cosh(x):
    """sinh(x)/2 and cosh(x)/2, each as a pair, for |x| up to where they overflow.

    With t = 2^n/4 and u = 2^-n/4: sinh(x)/2 = (t-u) cosh r + (t+u) sinh r, and cosh(x)/2 with the
    signs exchanged. Quarters, because 2^n itself overflows where sinh and cosh are still finite.
    """
    shifted, r, rest = reduce_by_ln2(x)
    square = r * r
    s, s_low = ordered_sum(r, fma(square * r, polynomial("sinh", square), rest))
    c = fma(square, polynomial("cosh", square), r * rest)
    n = shifted - constant("shifted", x)
    most = constant("absorbed_exponent", x)
    n = select(n > most, most, n)
    up = power_of_two(shifted - like(2.0, x))
    down = power_of_two(constant("shifted", x) - (n + like(2.0, x)))
    difference = up - down
    total = up + down
    sine, sine_low = two_sum(difference, total * s)
    cosine, cosine_low = two_sum(total, difference * s)
    sine_low = fma(difference, c, fma(total, s_low, sine_low))
    return sine, sine_low, cosine, fma(total, c, fma(difference, s_low, cosine_low))


@inlined
def _bounded_magnitude(x):
    high = constant("sinh_highest", x)
    magnitude = absolute(x)
    return select(magnitude > high, high, magnitude)


@inlined
def sinh(x):
    """(e^x - e^-x)/2 without cancellation."""
    x = floating(x)
    sine, low, _, _ = scaled_sinh_cosh(_bounded_magnitude(x))
    half = sine + low
    return select(absolute(x) < constant("tiny", x), x, with_sign(half + half, x))


@inlined
def cosh(x):
    """(e^x + e^-x)/2."""
    x = floating(x)
    _, _, cosine, low = scaled_sinh_cosh(_bounded_magnitude(x))
    half = cosine + low
    return half + half
