"""How many quarter turns an angle of any size is: the table of Payne and Hanek in floating point.

x = m 2^e with m a multiple of 2^-mantissa. Of the number 2^e * 2/pi only what lies below
2^(mantissa+2) matters: the rest changes the product with m by a multiple of 4, a full turn (Payne
and Hanek, "Radian reduction for trigonometric functions", ACM SIGNUM Newsletter 18, 1983). A row
of the table holds that remainder as a sum of four floats, because a float64 angle can be as near
as 2**-61 to a multiple of pi/2. One element loads one row; LLVM makes gathers of it.

For float32, two parts in float64 were measured: half the loads, but also half the lanes. It was
10 % faster with AVX-512 and no faster with AVX2, so float32 keeps to its own width.
"""

from fractions import Fraction

from llvmlite import ir
from numba.core import cgutils

from backends.vector_math.primitives import llvm_float, llvm_integer, primitive
from backends.vector_math.tables import FRACTION_BITS, TWO_OVER_PI

PARTS = 4


def row(width, e):
    """The parts of 2**e * 2/pi modulo 2**(mantissa + 2), largest first."""
    one = 1 << FRACTION_BITS
    modulus = one << (width.mantissa + 2)
    rest = (TWO_OVER_PI << e) % modulus
    rest -= modulus if rest > modulus // 2 else 0
    parts = []
    for _ in range(PARTS):
        parts.append(float(width.scalar(rest / one)))
        rest -= int(Fraction(parts[-1]) * one)
    return parts


def _table(module, width):
    """All rows, e from 0 to the largest exponent, as one constant of the module."""
    name = f"vector_math_turns_{width.bits}"
    if name in module.globals:
        return module.globals[name]
    numbers = [part for e in range(width.bias + 1) for part in row(width, e)]
    kind = ir.ArrayType(llvm_float(width), len(numbers))
    table = cgutils.add_global_variable(module, kind, name)
    table.linkage, table.global_constant = "internal", True
    table.initializer = ir.Constant(kind, [ir.Constant(kind.element, n) for n in numbers])
    return table


@primitive
def binade(builder, width, x) -> tuple:
    """x = m * 2**e with 1 <= |m| < 2, and the integer e held in the bits of a float.

    e is 0 where |x| < 2. Infinity gives some finite m: the caller excludes it.
    """
    bits = builder.bitcast(x, llvm_integer(width))
    mantissa, bias = llvm_integer(width, width.mantissa), llvm_integer(width, width.bias)
    biased = builder.and_(builder.lshr(bits, mantissa), llvm_integer(width, 2 * width.bias + 1))
    above = builder.sub(biased, bias)
    positive = builder.icmp_signed(">", above, llvm_integer(width, 0))
    e = builder.select(positive, above, llvm_integer(width, 0))
    beyond = builder.icmp_signed(">", e, bias)
    e = builder.select(beyond, bias, e)
    m = builder.sub(bits, builder.shl(e, mantissa))
    return builder.bitcast(m, llvm_float(width)), builder.bitcast(e, llvm_float(width))


def _part(number):
    def emit(builder, width, exponent):
        # the index keeps the width of the float, so that a gather takes as many lanes
        e = builder.bitcast(exponent, llvm_integer(width))
        start = builder.shl(e, llvm_integer(width, 2))
        index = builder.or_(start, llvm_integer(width, number))
        table = _table(builder.module, width)
        return builder.load(builder.gep(table, [llvm_integer(width, 0), index]))

    emit.__name__ = f"turn_{number}"
    emit.__doc__ = f"Part {number} of the row that binade found."
    return primitive(emit)


turn_0, turn_1, turn_2, turn_3 = (_part(number) for number in range(PARTS))
