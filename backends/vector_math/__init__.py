"""Elementary functions for numba loops that LLVM turns into AVX2 or AVX-512 code.

    from backends import vector_math

    @numba.njit
    def kernel(x, out):
        for i in range(x.size):
            out[i] = vector_math.exp(x[i]) * vector_math.tanh(x[i])

numba has no vector mathematics library here: its own `exp` is one scalar call per element. These
functions are branch-free Python compiled for the type of their argument, float64 or float32 (an
integer becomes float64), and are inlined into the calling loop. Each is within 2 units in the
last place over the whole range, with infinities, NaN and subnormal numbers as in NumPy; a caller's
fastmath flags do not reach them.

sin, cos and tan take angles of any size, which costs three times as much as angles below 2**40
(2**17 for float32). A loop that can be run twice takes the short way first and checks:

    moderate = True
    for i in range(x.size):
        moderate &= vector_math.is_moderate(x[i])
        out[i] = vector_math.sin_moderate(x[i])
    if not moderate:
        for i in range(x.size):
            out[i] = vector_math.sin(x[i])

All need fused multiply-add instructions to be fast (every x86-64-v3 and 64-bit ARM processor has
them); without these they are correct and slow.
"""

from backends.vector_math.error_function import erf, erfc
from backends.vector_math.exponential import cosh, exp, expm1, sigmoid, sinh, tanh
from backends.vector_math.logarithm import log, log1p, softplus
from backends.vector_math.powers import power
from backends.vector_math.sums import softplus_parts, sum_of_log1p
from backends.vector_math.trigonometric import (
    cos,
    cos_moderate,
    is_moderate,
    sin,
    sin_moderate,
    tan,
    tan_moderate,
)

__all__ = [
    "cos",
    "cos_moderate",
    "cosh",
    "erf",
    "erfc",
    "exp",
    "expm1",
    "is_moderate",
    "log",
    "log1p",
    "power",
    "sigmoid",
    "sin",
    "sin_moderate",
    "sinh",
    "softplus",
    "softplus_parts",
    "sum_of_log1p",
    "tan",
    "tan_moderate",
    "tanh",
]
