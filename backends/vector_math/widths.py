"""What float64 and float32 each know: layout, split constants, polynomial coefficients.

A constant is split as high + low, each rounded to the width, so that an argument reduction with
fused multiply-adds loses nothing: x - n * high is exact when it cancels to less than one.
"""

from dataclasses import dataclass, field

import numpy as np

from backends.vector_math.tables import POLYNOMIALS, SPLIT


@dataclass(frozen=True)
class Width:
    """One binary floating-point format with the constants of every function in it."""

    bits: int
    mantissa: int
    bias: int
    scalar: type
    constants: dict = field(repr=False)
    polynomials: dict = field(repr=False)

    def bits_of(self, value):
        """The integer whose bits are those of value in this width."""
        unsigned = np.uint64 if self.bits == 64 else np.uint32
        return int(np.asarray(value, dtype=self.scalar).view(unsigned))


def _numbers(table):
    return {name: [float.fromhex(c) for c in text] for name, text in table.items()}


def _split(table):
    """`ln2: (high, low)` becomes ln2_0 and ln2_1."""
    parts = _numbers(table).items()
    return {f"{name}_{k}": value for name, values in parts for k, value in enumerate(values)}


FLOAT64 = Width(
    bits=64,
    mantissa=52,
    bias=1023,
    scalar=np.float64,
    constants=_split(SPLIT[64])
    | {
        "shifted": 1.5 * 2.0**52,
        "shifted_bias": 1.5 * 2.0**52 + 1023,
        "shifted_up": 1.5 * 2.0**52 + 1023 + 128,
        "down": 2.0**-128,
        "smallest_normal": 2.0**-1022,
        "make_normal": 2.0**54,
        "make_normal_exponent": 54.0,
        "exp_highest": 710.0,
        "sinh_highest": 710.5,
        "absorbed_exponent": 256.0,
        "exp_lowest": -747.0,
        "expm1_lowest": -40.0,
        "tiny": 2.0**-55,
        "moderate": 2.0**40,
        "erf_one": 6.0,
        "erfc_zero": 27.3,
        "absorbs_one": 2.0**60,
    },
    polynomials=_numbers(POLYNOMIALS[64]),
)

FLOAT32 = Width(
    bits=32,
    mantissa=23,
    bias=127,
    scalar=np.float32,
    constants=_split(SPLIT[32])
    | {
        "shifted": 1.5 * 2.0**23,
        "shifted_bias": 1.5 * 2.0**23 + 127,
        "shifted_up": 1.5 * 2.0**23 + 127 + 64,
        "down": 2.0**-64,
        "smallest_normal": 2.0**-126,
        "make_normal": 2.0**25,
        "make_normal_exponent": 25.0,
        "exp_highest": 89.0,
        "sinh_highest": 89.45,
        "absorbed_exponent": 64.0,
        "exp_lowest": -105.0,
        "expm1_lowest": -20.0,
        "tiny": 2.0**-26,
        "moderate": 2.0**17,
        "erf_one": 4.0,
        "erfc_zero": 10.1,
        "absorbs_one": 2.0**30,
    },
    polynomials=_numbers(POLYNOMIALS[32]),
)

WIDTHS = {64: FLOAT64, 32: FLOAT32}
