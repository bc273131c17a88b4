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

They need fused multiply-add instructions to be fast (every x86-64-v3 and 64-bit ARM processor has
them); without these they are correct and slow.
"""

from backends.vector_math.exponential import cosh, exp, expm1, sigmoid, sinh, tanh
from backends.vector_math.logarithm import log, log1p, softplus

__all__ = ["cosh", "exp", "expm1", "log", "log1p", "sigmoid", "sinh", "softplus", "tanh"]
