"""sin, cos and tan."""

from backends.vector_math.primitives import *
from backends.vector_math.exponential import quotient


@inlined
def reduce_cw(x):
    shifted = fma(x, constant("two_over_pi_0", x), constant("shifted", x))
    n = shifted - constant("shifted", x)
    exact = fma(-n, constant("half_pi_0", x), x)
    p, p_low = two_product(n, constant("half_pi_1", x))
    high, low = two_sum(exact, -p)
    low = low - fma(n, constant("half_pi_2", x), p_low)
    high, low = ordered_sum(high, low)
    return shifted, high, low


@inlined
def reduce_ph(x):
    m, e = binade(x)
    a, a_low = two_product(m, turn_0(e))
    b, b_low = two_product(m, turn_1(e))
    c = m * turn_2(e)
    c, c_low = two_product(m, turn_2(e))
    c_low = fma(m, turn_3(e), c_low)
    whole = nearest(a)
    turns = nearest(like(0.25, x) * whole)
    quadrant = fma(like(-4.0, x), turns, whole)
    high, low = two_sum(a - whole, b)
    high, rest = two_sum(high, a_low)
    low, rest2 = two_sum(low, rest)
    more = nearest(high)
    high = high - more
    # second words
    low, r3 = two_sum(low, b_low)
    low, r4 = two_sum(low, c)
    high, low = two_sum(high, low)
    low = low + (rest2 + r3 + r4 + c_low)
    high, low = ordered_sum(high, low)
    shifted = constant("shifted", x) + (quadrant + more)
    r, r_low = two_product(high, constant("half_pi_0", x))
    r_low = fma(high, constant("half_pi_1", x), fma(low, constant("half_pi_0", x), r_low))
    r, r_low = ordered_sum(r, r_low)
    return shifted, r, r_low


@inlined
def sine_cosine(r, low):
    z = r * r
    half = like(0.5, r) * z
    sine, s_low = ordered_sum(r, fma(r * z, polynomial("sin", z), fma(-half, low, low)))
    one = like(1.0, r)
    cosine = one - half
    rest = (one - cosine) - half
    c_low = fma(z * z, polynomial("cos", z), fma(-r, low, rest))
    return sine, s_low, cosine, c_low


@inlined
def sin_ph(x):
    shifted, r, low = reduce_ph(x)
    sine, s_low, cosine, c_low = sine_cosine(r, low)
    value = select(low_bit(shifted), cosine + c_low, sine + s_low)
    value = negate_where_second_bit(value, shifted)
    return select(absolute(x) < constant("tiny", x), x, value)


@inlined
def sin_cw(x):
    shifted, r, low = reduce_cw(x)
    sine, s_low, cosine, c_low = sine_cosine(r, low)
    value = select(low_bit(shifted), cosine + c_low, sine + s_low)
    value = negate_where_second_bit(value, shifted)
    return select(absolute(x) < constant("tiny", x), x, value)

@inlined
def sin_both(x):
    shifted, r, low = reduce_cw(x)
    if absolute(x) > like(1e9,x):
        shifted, r, low = reduce_ph(x)
    sine, s_low, cosine, c_low = sine_cosine(r, low)
    value = select(low_bit(shifted), cosine + c_low, sine + s_low)
    value = negate_where_second_bit(value, shifted)
    return select(absolute(x) < constant("tiny", x), x, value)
