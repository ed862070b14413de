"""Intervals of real numbers, and arithmetic of them.

Bounds are closed. An open bound at 0 is the smallest number above it, and arithmetic keeps it: a
product of two numbers above 0 is above 0 here, however small.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass

INF = math.inf
TINY = math.ulp(0.0)


@dataclass(frozen=True, slots=True)
class Interval:
    """All numbers from `low` to `high`."""

    low: float
    high: float

    def __post_init__(self) -> None:
        assert self.low <= self.high

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    @property
    def unbounded(self) -> bool:
        return self.low == -INF or self.high == INF

    def __add__(self, other: Interval) -> Interval:
        return Interval(_sum(self.low, other.low, -INF), _sum(self.high, other.high, INF))

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)

    def __sub__(self, other: Interval) -> Interval:
        return self + -other

    def __mul__(self, other: Interval) -> Interval:
        ends = [_product(a, b) for a in (self.low, self.high) for b in (other.low, other.high)]
        return Interval(min(ends), max(ends))

    def __truediv__(self, other: Interval) -> Interval:
        if 0 in other:
            return _over_zero(self, other)
        return self * Interval(_inverse(other.high), _inverse(other.low))

    def joined(self, other: Interval) -> Interval:
        """The smallest interval that holds both."""
        return Interval(min(self.low, other.low), max(self.high, other.high))

    def within(self, other: Interval) -> Interval:
        """What both hold; where they hold nothing together, `other`."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Interval(low, high) if low <= high else other

    def rising(self, function: object) -> Interval:
        """The image under a function that never falls."""
        assert callable(function)
        return Interval(function(self.low), function(self.high))

    def __str__(self) -> str:
        left = "(-∞" if self.low == -INF else "(0" if self.low == TINY else f"[{self.low:g}"
        right = "∞)" if self.high == INF else "0)" if self.high == -TINY else f"{self.high:g}]"
        return f"{left}, {right}"


ANY = Interval(-INF, INF)
POSITIVE = Interval(TINY, INF)
FROM_ZERO = Interval(0.0, INF)
TO_ZERO = Interval(-INF, 0.0)
UNIT = Interval(0.0, 1.0)
SIGNED = Interval(-1.0, 1.0)


def point(value: float) -> Interval:
    """A single number."""
    return ANY if math.isnan(value) else Interval(value, value)


def hull(intervals: Iterable[Interval]) -> Interval:
    """The smallest interval that holds all; of none, everything."""
    result: Interval | None = None
    for interval in intervals:
        result = interval if result is None else result.joined(interval)
    return result or ANY


def square(x: Interval) -> Interval:
    """x², which the product of two unrelated numbers does not know to be at least 0."""
    ends = (_product(x.low, x.low), _product(x.high, x.high))
    return Interval(0.0 if 0 in x else min(ends), max(ends))


def magnitude(x: Interval) -> Interval:
    """|x|."""
    ends = (abs(x.low), abs(x.high))
    return Interval(0.0 if 0 in x else min(ends), max(ends))


def power(x: Interval, exponent: float) -> Interval:
    """x to a fixed exponent."""
    if exponent == 0:
        return point(1.0)
    if exponent < 0:
        return Interval(1.0, 1.0) / power(x, -exponent)
    if exponent == int(exponent) if math.isfinite(exponent) else False:
        ends = (_raised(x.low, exponent), _raised(x.high, exponent))
        if exponent % 2:
            return Interval(*ends)
        return Interval(0.0 if 0 in x else min(ends), max(ends))
    return Interval(_raised(max(x.low, 0.0), exponent), _raised(max(x.high, 0.0), exponent))


def exponential(x: Interval) -> Interval:
    """e to the x: above 0 but for an exponent without a bound, where it underflows."""
    return Interval(0.0 if x.low == -INF else _exp(x.low), _exp(x.high))


def rounded(x: Interval, format: str) -> Interval:
    """The bounds as a precision holds them (`struct`'s `f` or `e`): 1 + 1e-8 is 1 in float32."""
    return Interval(_rounded(x.low, format), _rounded(x.high, format))


def _rounded(value: float, format: str) -> float:
    try:
        (held,) = struct.unpack(format, struct.pack(format, value))
    except OverflowError:
        return math.copysign(INF, value)
    # What is above 0 stays so: how small it is, is judged where it is written.
    return value if held == 0 else float(held)


def logarithm(x: Interval) -> Interval:
    """The logarithm where there is one."""
    return Interval(_log(x.low), _log(x.high))


def _exp(value: float) -> float:
    try:
        return max(math.exp(value), TINY)
    except OverflowError:
        return INF


def _log(value: float) -> float:
    if value <= TINY:
        return -INF
    return math.log(value) if value < INF else INF


def _sum(left: float, right: float, undecided: float) -> float:
    total = left + right
    return undecided if math.isnan(total) else total


def _product(left: float, right: float) -> float:
    if left == 0 or right == 0:
        return 0.0
    product = left * right
    if product == 0:
        return math.copysign(TINY, left) * math.copysign(1.0, right)
    return product


def _inverse(value: float) -> float:
    if abs(value) == INF:
        return math.copysign(TINY, value)
    return 1 / value if abs(value) > 1e-300 else math.copysign(INF, value)


def _raised(value: float, exponent: float) -> float:
    try:
        raised = value**exponent
    except OverflowError:
        return INF if value > 0 or exponent % 2 == 0 else -INF
    return math.copysign(TINY, value) if raised == 0 and value != 0 else raised


def _over_zero(x: Interval, divisor: Interval) -> Interval:
    """A quotient whose divisor reaches 0: only its sign is known, if that."""
    if divisor.low >= 0 and x.low >= 0:
        return FROM_ZERO
    if divisor.low >= 0 and x.high <= 0:
        return TO_ZERO
    return ANY
