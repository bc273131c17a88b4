"""Intervals of real numbers with open or closed ends, rounded outward.

An infinite end is never attained. Sums and products that floating point cannot represent are
widened to the next number, so that an interval never loses a value it should contain.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

INF = math.inf


@dataclass(frozen=True)
class Interval:
    """All real numbers between ``low`` and ``high``.

    >>> Interval(0, 1, low_open=True) * Interval(-2, 3)
    [-2, 3]
    >>> (Interval(0, INF, low_open=True) + Interval(1, 1)).is_positive
    True
    """

    low: float = -INF
    high: float = INF
    low_open: bool = False
    high_open: bool = False

    @property
    def is_nonnegative(self) -> bool:
        """Whether no number is below zero."""
        return self.low >= 0

    @property
    def is_nonpositive(self) -> bool:
        """Whether no number is above zero."""
        return self.high <= 0

    @property
    def is_positive(self) -> bool:
        """Whether every number is above zero; an open end at zero counts."""
        return self.low > 0 or (self.low == 0 and self.low_open)

    @property
    def is_negative(self) -> bool:
        """Whether every number is below zero; an open end at zero counts."""
        return self.high < 0 or (self.high == 0 and self.high_open)

    @property
    def excludes_zero(self) -> bool:
        """Whether zero is not inside, so that a quotient by it exists."""
        return self.is_positive or self.is_negative

    @property
    def is_point(self) -> bool:
        """Whether there is one number only."""
        return self.low == self.high

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low, self.high_open, self.low_open)

    def __add__(self, other: Interval) -> Interval:
        return Interval(
            _exact_or(_add, self.low, other.low, -INF),
            _exact_or(_add, self.high, other.high, INF),
            self.low_open or other.low_open,
            self.high_open or other.high_open,
        )

    def __mul__(self, other: Interval) -> Interval:
        corners = [
            _corner(a, a_open, b, b_open)
            for a, a_open in ((self.low, self.low_open), (self.high, self.high_open))
            for b, b_open in ((other.low, other.low_open), (other.high, other.high_open))
        ]
        low = min(corner[0] for corner in corners)
        high = max(corner[1] for corner in corners)
        return Interval(
            low,
            high,
            all(is_open for a, _, is_open in corners if a == low),
            all(is_open for _, b, is_open in corners if b == high),
        )

    def intersection(self, other: Interval) -> Interval:
        """Numbers in both; ``other`` where they share nothing is the caller's contradiction."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        if low > high:
            return other
        return Interval(
            low,
            high,
            (self.low == low and self.low_open) or (other.low == low and other.low_open),
            (self.high == high and self.high_open) or (other.high == high and other.high_open),
        )

    def hull(self, other: Interval) -> Interval:
        """The least interval that contains both."""
        low, high = min(self.low, other.low), max(self.high, other.high)
        return Interval(
            low,
            high,
            all(i.low_open for i in (self, other) if i.low == low),
            all(i.high_open for i in (self, other) if i.high == high),
        )

    def within(self, other: Interval) -> bool:
        """Whether every number here is in ``other``."""
        low = self.low > other.low or (
            self.low == other.low and (self.low_open or not other.low_open)
        )
        high = self.high < other.high or (
            self.high == other.high and (self.high_open or not other.high_open)
        )
        return (low or other.low == -INF) and (high or other.high == INF)

    def __repr__(self) -> str:
        left = "(" if self.low_open or self.low == -INF else "["
        right = ")" if self.high_open or self.high == INF else "]"
        return f"{left}{self.low:g}, {self.high:g}{right}"


REAL = Interval()
NONNEGATIVE = Interval(0, INF)
POSITIVE = Interval(0, INF, low_open=True)
UNIT = Interval(0, 1)


def point(value: float) -> Interval:
    """The interval of one number."""
    return Interval(value, value)


def even_power(interval: Interval, exponent: int) -> Interval:
    """``x**exponent`` for even ``exponent > 0``.

    >>> even_power(Interval(-1, 1, True, True), 2)
    [0, 1)
    """
    ends = _powered(interval.low, exponent), _powered(interval.high, exponent)
    high = max(end[1] for end in ends)
    opens = (interval.low_open, interval.high_open)
    high_open = all(is_open for end, is_open in zip(ends, opens, strict=True) if end[1] == high)
    if not interval.excludes_zero:
        return Interval(0, high, False, high_open)
    low = min(end[0] for end in ends)
    low_open = all(is_open for end, is_open in zip(ends, opens, strict=True) if end[0] == low)
    return Interval(max(low, 0), high, low_open, high_open)


def odd_power(interval: Interval, exponent: int) -> Interval:
    """``x**exponent`` for odd ``exponent > 0``."""
    return Interval(
        _powered(interval.low, exponent)[0],
        _powered(interval.high, exponent)[1],
        interval.low_open,
        interval.high_open,
    )


def monotone_image(
    function: Callable[[float], float], interval: Interval, direction: int, bounds: Interval
) -> Interval:
    """``function`` of an interval on which it is monotone, inside ``bounds``.

    Rounded outward by four units, since ``function`` is a floating point one.
    """
    if direction < 0:
        mirrored = Interval(-interval.high, -interval.low, interval.high_open, interval.low_open)
        return monotone_image(lambda x: function(-x), mirrored, 1, bounds)
    low, low_exact = _image(function, interval.low, -INF)
    high, high_exact = _image(function, interval.high, INF)
    image = Interval(low, high, interval.low_open and low_exact, interval.high_open and high_exact)
    return image.intersection(bounds)


def _image(function: Callable[[float], float], x: float, toward: float) -> tuple[float, bool]:
    """The value at an end and whether it is exact; no value means no bound."""
    if math.isinf(x):
        return toward, False
    value = float(function(x))
    if math.isnan(value) or math.isinf(value):
        return toward, False
    if value == 0 and x in (0, 1):
        return 0.0, True
    for _ in range(4):
        value = math.nextafter(value, toward)
    return value, False


def _corner(a: float, a_open: bool, b: float, b_open: bool) -> tuple[float, float, bool]:
    """``a * b`` rounded down and up, and whether it is not attained."""
    if a == 0 or b == 0:
        attained = (a == 0 and not a_open) or (b == 0 and not b_open)
        return 0.0, 0.0, not attained
    is_open = a_open or b_open
    return _exact_or(_multiply, a, b, -INF), _exact_or(_multiply, a, b, INF), is_open


def _powered(x: float, exponent: int) -> tuple[float, float]:
    if math.isinf(x):
        return x**exponent, x**exponent
    exact = Fraction(x) ** exponent
    return _rounded(exact, -INF), _rounded(exact, INF)


def _add(a: Fraction, b: Fraction) -> Fraction:
    return a + b


def _multiply(a: Fraction, b: Fraction) -> Fraction:
    return a * b


def _exact_or(
    operation: Callable[[Fraction, Fraction], Fraction], a: float, b: float, toward: float
) -> float:
    if math.isinf(a) or math.isinf(b):
        value = a + b if operation is _add else a * b
        return toward if math.isnan(value) else value
    return _rounded(operation(Fraction(a), Fraction(b)), toward)


def _rounded(exact: Fraction, toward: float) -> float:
    """The nearest float on the side of ``toward``."""
    try:
        value = float(exact)
    except OverflowError:
        huge = INF if exact > 0 else -INF
        return huge if huge == toward else math.copysign(1.7e308, exact)
    if (toward > 0 and Fraction(value) < exact) or (toward < 0 and Fraction(value) > exact):
        return math.nextafter(value, toward)
    return value
