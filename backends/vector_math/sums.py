"""Sums of softplus with one logarithm for eight terms.

sum log1p(p[k]) is log1p of prod (1 + p[k]) - 1, and (1 + p) (1 + q) - 1 = p + q + p q has no
cancellation for p, q >= 0. Eight factors of at most 2 stay far from overflow, and the logarithm,
which costs as much as the exponential, is taken once for them.
"""

from typing import Any

import numba

from backends.vector_math.exponential import exp_of_negative
from backends.vector_math.logarithm import log1p
from backends.vector_math.primitives import fma, inlined, like, select

#: Factors that share a logarithm.
FACTORS = 8

_summing: Any = numba.njit(
    cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"}, nogil=True
)


@inlined
def softplus_parts(x):
    """softplus(x) = first + log1p(second): max(x, 0) and e^-|x|."""
    zero = like(0.0, x)
    return select(x > zero, x, zero), exp_of_negative(x)


@inlined
def _joined(p, q):
    """(1 + p) (1 + q) - 1."""
    return fma(p, q, p + q)


@_summing
def sum_of_log1p(p, count):
    """sum of log1p(p[k]) for k < count and 0 <= p[k] <= 1; changes p.

    ``p`` has room for ``count`` rounded up to a multiple of FACTORS.
    """
    width = (count + FACTORS - 1) // FACTORS
    for k in range(count, FACTORS * width):
        p[k] = 0
    total = p.dtype.type(0)
    for k in range(width):
        first = _joined(_joined(p[k], p[k + width]), _joined(p[k + 2 * width], p[k + 3 * width]))
        k_above = k + 4 * width
        second = _joined(
            _joined(p[k_above], p[k_above + width]),
            _joined(p[k_above + 2 * width], p[k_above + 3 * width]),
        )
        total += log1p(_joined(first, second))
    return total
