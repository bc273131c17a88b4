"""Branch-free building blocks: LLVM instructions that numba's Python does not spell.

Each primitive emits its instructions straight into the function that uses it, so that a loop over
it has no call, no branch and no integer of another width, which is what LLVM's loop vectoriser
needs. Every one accepts float64 and float32 and never leaves the width of its argument.

Integers travel inside floats. `shifted + n`, where shifted = 1.5 * 2**(mantissa bits), holds the
rounded integer n in its low bits: converting a float64 to an int64 has no AVX2 instruction, while
adding and subtracting this number does. (The device is old; see Hecker, "Let's get to the
(floating) point", Game Developer 1996.)
"""

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from backends.vector_math.widths import WIDTHS

# A caller's fastmath flags would be inherited where none are given, and error-free transforms do
# not survive reassociation. The numpy error model removes the branch on division by zero.
inlined: Any = njit(fastmath=False, error_model="numpy", forceinline=True, boundscheck=False)


# what a checker of Python types sees of these takes the typing context as an argument: Any
by_type: Any = intrinsic
by_literal: Any = intrinsic(prefer_literal=True)


def llvm_float(width):
    """The LLVM type of the width."""
    return ir.DoubleType() if width.bits == 64 else ir.FloatType()


def llvm_integer(width, value=None):
    """The integer type as wide as the float, or a constant of it."""
    kind = ir.IntType(width.bits)
    return kind if value is None else ir.Constant(kind, value)


def _number(width, value):
    return ir.Constant(llvm_float(width), float(width.scalar(value)))


def _call(builder, name, width, operands):
    kind = llvm_float(width)
    module = builder.module
    full_name = f"llvm.{name}.f{width.bits}"
    signature = ir.FunctionType(kind, [kind] * len(operands))
    return builder.call(cgutils.get_or_insert_function(module, signature, full_name), operands)


def primitive(emit) -> Any:
    """Make an intrinsic of emit(builder, width, *operands).

    It returns a float, or what the annotation says: bool, or tuple for a pair of floats.
    """

    def define(typing, *operands):
        kind = operands[-1]
        if kind not in (types.float64, types.float32):
            return None
        width = WIDTHS[kind.bitwidth]

        def generate(context, builder, signature, values):
            made = emit(builder, width, *values)
            if isinstance(made, tuple):
                return context.make_tuple(builder, signature.return_type, made)
            return made

        returned = {tuple: types.UniTuple(kind, 2), bool: types.boolean}
        result = returned.get(emit.__annotations__.get("return"), kind)
        return result(*operands), generate

    return _with_arity(define, emit)


def _with_arity(define, emit):
    # numba reads the number of arguments from the signature: it must be spelled out
    count = emit.__code__.co_argcount - 2
    made = {
        1: lambda typing, a: define(typing, a),
        2: lambda typing, a, b: define(typing, a, b),
        3: lambda typing, a, b, c: define(typing, a, b, c),
    }[count]
    made.__name__ = made.__qualname__ = emit.__name__
    made.__doc__ = emit.__doc__
    return intrinsic(made)


@by_type
def like(typing, value, x):
    """A number in the type of x (a literal such as 0.5 would promote float32 to float64)."""
    if x not in (types.float64, types.float32):
        return None

    def generate(context, builder, signature, values):
        return context.cast(builder, values[0], signature.args[0], signature.return_type)

    return x(value, x), generate


@by_type
def floating(typing, x):
    """x itself when it is a float; an integer or boolean becomes float64, as in NumPy."""
    if not isinstance(x, types.Integer | types.Boolean | types.Float):
        return None
    result = x if x in (types.float64, types.float32) else types.float64

    def generate(context, builder, signature, values):
        return context.cast(builder, values[0], signature.args[0], signature.return_type)

    return result(x), generate


@by_type
def promoted(typing, x, other):
    """x in the type that both share: float32 if both are, otherwise float64."""
    if not isinstance(x, types.Integer | types.Boolean | types.Float):
        return None
    result = types.float32 if x == other == types.float32 else types.float64

    def generate(context, builder, signature, values):
        return context.cast(builder, values[0], signature.args[0], signature.return_type)

    return result(x, other), generate


@by_literal
def constant(typing, name, x):
    """The constant of this name in the type of x; the values are in widths.py."""
    if not isinstance(name, types.StringLiteral) or x not in (types.float64, types.float32):
        return None
    width = WIDTHS[x.bitwidth]

    def generate(context, builder, signature, values):
        return _number(width, width.constants[name.literal_value])

    return x(name, x), generate


@by_literal
def polynomial(typing, name, x):
    """The polynomial of this name at x, by Estrin's scheme with fused multiply-adds.

    A long loop body fills the processor's window of instructions, so the depth of Horner's chain
    would be waited for; neighbours are joined pairwise instead (Estrin 1960).
    """
    if not isinstance(name, types.StringLiteral) or x not in (types.float64, types.float32):
        return None
    width = WIDTHS[x.bitwidth]

    def generate(context, builder, signature, values):
        power = values[1]
        terms = [_number(width, c) for c in width.polynomials[name.literal_value]]
        while len(terms) > 1:
            alone = terms[len(terms) // 2 * 2 :]
            pairs = zip(terms[0::2], terms[1::2], strict=False)
            terms = [_call(builder, "fma", width, [b, power, a]) for a, b in pairs] + alone
            power = builder.fmul(power, power)
        return terms[0]

    return x(name, x), generate


@primitive
def fma(builder, width, a, b, c):
    """a * b + c, rounded once."""
    return _call(builder, "fma", width, [a, b, c])


@primitive
def absolute(builder, width, x):
    """|x|."""
    return _call(builder, "fabs", width, [x])


@primitive
def with_sign(builder, width, x, y):
    """|x| with the sign of y."""
    return _call(builder, "copysign", width, [x, y])


@primitive
def nearest(builder, width, x):
    """The integer nearest to x, ties to even."""
    return _call(builder, "rint", width, [x])


@primitive
def select(builder, width, condition, a, b):
    """a where the condition holds, otherwise b; both are evaluated."""
    return builder.select(condition, a, b)


@primitive
def two_sum(builder, width, a, b) -> tuple:
    """a + b = high + low exactly (Knuth, TAOCP 2, 4.2.2, theorem B)."""
    high = builder.fadd(a, b)
    part = builder.fsub(high, a)
    rest = builder.fsub(a, builder.fsub(high, part))
    return high, builder.fadd(rest, builder.fsub(b, part))


@primitive
def ordered_sum(builder, width, a, b) -> tuple:
    """a + b = high + low exactly where |a| >= |b| or a = 0 (Dekker 1971)."""
    high = builder.fadd(a, b)
    return high, builder.fsub(b, builder.fsub(high, a))


@primitive
def two_product(builder, width, a, b) -> tuple:
    """a * b = high + low exactly, unless low underflows."""
    high = builder.fmul(a, b)
    return high, _call(builder, "fma", width, [a, b, builder.fneg(high)])


@primitive
def low_bit(builder, width, shifted) -> bool:
    """Whether n is odd, from shifted + n."""
    bits = builder.bitcast(shifted, llvm_integer(width))
    return builder.trunc(bits, ir.IntType(1))


@primitive
def negate_where_second_bit(builder, width, x, shifted):
    """-x where n mod 4 is 2 or 3, from shifted + n."""
    bits = builder.bitcast(shifted, llvm_integer(width))
    second = builder.and_(bits, llvm_integer(width, 2))
    sign = builder.shl(second, llvm_integer(width, width.bits - 2))
    return builder.bitcast(
        builder.xor(builder.bitcast(x, llvm_integer(width)), sign), llvm_float(width)
    )


def _two_to_the(builder, width, n):
    biased = builder.add(n, llvm_integer(width, width.bias))
    return builder.bitcast(
        builder.shl(biased, llvm_integer(width, width.mantissa)), llvm_float(width)
    )


def _held_integer(builder, width, shifted):
    zero = width.bits_of(width.constants["shifted"])
    return builder.sub(builder.bitcast(shifted, llvm_integer(width)), llvm_integer(width, zero))


@primitive
def power_of_two(builder, width, shifted):
    """2**n from shifted + n; only where 2**n is a normal number."""
    return _two_to_the(builder, width, _held_integer(builder, width, shifted))


@primitive
def biased_power_of_two(builder, width, shifted):
    """2**n from shifted_bias + n: the biased exponent is in the low bits already."""
    bits = builder.bitcast(shifted, llvm_integer(width))
    return builder.bitcast(
        builder.shl(bits, llvm_integer(width, width.mantissa)), llvm_float(width)
    )


@primitive
def scale(builder, width, x, shifted):
    """x * 2**n from shifted + n, in two steps: 2**n itself may overflow or be subnormal."""
    n = _held_integer(builder, width, shifted)
    # An arithmetic shift of 64 bits has no AVX2 instruction: halve a nonnegative number instead.
    offset = 4 * width.bias
    half = builder.lshr(builder.add(n, llvm_integer(width, offset)), llvm_integer(width, 1))
    first = builder.sub(half, llvm_integer(width, offset // 2))
    second = builder.sub(n, first)
    once = builder.fmul(x, _two_to_the(builder, width, first))
    return builder.fmul(once, _two_to_the(builder, width, second))


@primitive
def significand_and_exponent(builder, width, x) -> tuple:
    """x = m * 2**k with sqrt(1/2) <= m < sqrt(2); returns m and shifted + k; x normal, positive."""
    mantissa = llvm_integer(width, width.mantissa)
    low = width.bits_of(0.5**0.5)
    one = width.bits_of(1.0)
    moved = builder.add(builder.bitcast(x, llvm_integer(width)), llvm_integer(width, one - low))
    biased = builder.lshr(moved, mantissa)
    shift = width.bits_of(width.constants["shifted"]) - width.bias
    exponent = builder.add(biased, llvm_integer(width, shift))
    fraction = builder.and_(moved, llvm_integer(width, 2**width.mantissa - 1))
    significand = builder.add(fraction, llvm_integer(width, low))
    return builder.bitcast(significand, llvm_float(width)), builder.bitcast(
        exponent, llvm_float(width)
    )
