"""sin, cos and tan of an angle of any size, and of a moderate one in a third of the time.

x = n pi/2 + r with |r| <= pi/4, r to twice the width; then sin r = r + r^3 p(r^2) and
cos r = 1 - r^2/2 + r^4 q(r^2) with p, q from coefficients.py, exchanged and negated by n mod 4.

Two reductions. For |x| up to the constant `moderate` (2**40, or 2**17 for float32) n is a float
and n pi/2 is subtracted in three parts; x - n * high is exact with a fused multiply-add (Cody and
Waite 1980; Boldo, Daumas and Li, "Formally verified argument reduction with a fused multiply-add",
IEEE Trans. Comp. 58, 2009). For any x the table of turns.py is used: its gathers cost more than all
the rest, and a branch around them would end vectorisation. A loop that knows its angles, or has
checked them with is_moderate first, calls sin_moderate and its relatives.
"""

from backends.vector_math.exponential import quotient
from backends.vector_math.primitives import (
    absolute,
    constant,
    floating,
    fma,
    inlined,
    like,
    low_bit,
    nearest,
    negate_where_second_bit,
    ordered_sum,
    polynomial,
    select,
    two_product,
    two_sum,
)
from backends.vector_math.turns import binade, turn_0, turn_1, turn_2, turn_3


@inlined
def is_moderate(x):
    """Whether sin_moderate, cos_moderate and tan_moderate hold at x."""
    x = floating(x)
    return absolute(x) <= constant("moderate", x)


@inlined
def reduce_moderate(x):
    """x = n pi/2 + high + low; returns shifted + n, high, low."""
    shifted = fma(x, constant("two_over_pi_0", x), constant("shifted", x))
    n = shifted - constant("shifted", x)
    exact = fma(-n, constant("half_pi_0", x), x)
    product, rest = two_product(n, constant("half_pi_1", x))
    high, low = two_sum(exact, -product)
    high, low = ordered_sum(high, low - fma(n, constant("half_pi_2", x), rest))
    return shifted, high, low


@inlined
def quarter_turns(x):
    """Quarter turns, as an integer modulo 4 and a pair of at most about 1/2."""
    m, e = binade(x)
    a, a_low = two_product(m, turn_0(e))
    b, b_low = two_product(m, turn_1(e))
    c, c_low = two_product(m, turn_2(e))
    whole = nearest(a)
    quadrant = fma(like(-4.0, x), nearest(like(0.25, x) * whole), whole)
    first, first_low = two_sum(a - whole, b)
    first, rest = two_sum(first, a_low)
    more = nearest(first)
    second, second_low = two_sum(first_low, rest)
    second, third = two_sum(second, b_low)
    second, fourth = two_sum(second, c)
    high, low = two_sum(first - more, second)
    low = low + (second_low + third + fourth + fma(m, turn_3(e), c_low))
    high, low = ordered_sum(high, low)
    return quadrant + more, high, low


@inlined
def reduce_any(x):
    """x = n pi/2 + high + low for finite x; returns shifted + n, high, low."""
    quadrant, turns, turns_low = quarter_turns(x)
    high, rest = two_product(turns, constant("half_pi_0", x))
    low = fma(turns, constant("half_pi_1", x), fma(turns_low, constant("half_pi_0", x), rest))
    high, low = ordered_sum(high, low)
    return constant("shifted", x) + quadrant, high, low


@inlined
def sine_cosine(r, low):
    """sin and cos of r + low, at most pi/4, each as a pair."""
    square = r * r
    half = like(0.5, r) * square
    tail = fma(r * square, polynomial("sin", square), fma(-half, low, low))
    sine, sine_low = ordered_sum(r, tail)
    one = like(1.0, r)
    cosine = one - half
    rest = fma(-r, low, (one - cosine) - half)
    return sine, sine_low, cosine, fma(square * square, polynomial("cos", square), rest)


@inlined
def _finish_sin(x, shifted, r, low):
    sine, sine_low, cosine, cosine_low = sine_cosine(r, low)
    value = select(low_bit(shifted), cosine + cosine_low, sine + sine_low)
    value = _nan_at_infinity(x, negate_where_second_bit(value, shifted))
    return select(absolute(x) < constant("tiny", x), x, value)


@inlined
def _finish_cos(x, shifted, r, low):
    sine, sine_low, cosine, cosine_low = sine_cosine(r, low)
    odd = low_bit(shifted)
    value = select(odd, sine + sine_low, cosine + cosine_low)
    # cos is negative in quadrants 1 and 2: the second bit of n + 1
    next_quadrant = shifted + like(1.0, x)
    return _nan_at_infinity(x, negate_where_second_bit(value, next_quadrant))


@inlined
def _finish_tan(x, shifted, r, low):
    sine, sine_low, cosine, cosine_low = sine_cosine(r, low)
    cosine, cosine_low = ordered_sum(cosine, cosine_low)
    odd = low_bit(shifted)
    top, top_low = select(odd, -cosine, sine), select(odd, -cosine_low, sine_low)
    bottom, bottom_low = select(odd, sine, cosine), select(odd, sine_low, cosine_low)
    value = _nan_at_infinity(x, quotient(top, top_low, bottom, bottom_low))
    return select(absolute(x) < constant("tiny", x), x, value)


@inlined
def _nan_at_infinity(x, value):
    return select(absolute(x) < like(float("inf"), x), value, x - x)


@inlined
def sin(x):
    """sin x; NaN at infinity."""
    x = floating(x)
    shifted, r, low = reduce_any(x)
    return _finish_sin(x, shifted, r, low)


@inlined
def cos(x):
    """cos x; NaN at infinity."""
    x = floating(x)
    shifted, r, low = reduce_any(x)
    return _finish_cos(x, shifted, r, low)


@inlined
def tan(x):
    """tan x = sin x / cos x; NaN at infinity."""
    x = floating(x)
    shifted, r, low = reduce_any(x)
    return _finish_tan(x, shifted, r, low)


@inlined
def sin_moderate(x):
    """sin x where is_moderate(x), and anything elsewhere."""
    x = floating(x)
    shifted, r, low = reduce_moderate(x)
    return _finish_sin(x, shifted, r, low)


@inlined
def cos_moderate(x):
    """cos x where is_moderate(x), and anything elsewhere."""
    x = floating(x)
    shifted, r, low = reduce_moderate(x)
    return _finish_cos(x, shifted, r, low)


@inlined
def tan_moderate(x):
    """tan x where is_moderate(x), and anything elsewhere."""
    x = floating(x)
    shifted, r, low = reduce_moderate(x)
    return _finish_tan(x, shifted, r, low)
