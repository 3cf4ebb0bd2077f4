"""Floats taken apart: fields, exact sums and products. What expansions are built from.

A pair (high, low) stands for the unrounded sum of two floats, "double-float": twice the digits. The
identities hold with round-to-nearest and without contraction, which every dialect must switch off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from .. import dtypes as dt
from ..dtypes import DType
from .expr import Expr, const, where

Pair = tuple[Expr, Expr]


@dataclass(frozen=True)
class Format:
    """A float type in numbers. ``mantissa``: stored bits; ``least``: the smallest normal number."""

    dtype: DType
    bits: DType  # the unsigned integer of its width
    mantissa: int
    bias: int
    root_half: int  # the bits of √½, rounded down to few digits

    @property
    def width(self) -> int:
        return 8 * int(self.bits.itemsize)

    @property
    def sign(self) -> int:
        return 1 << self.width - 1

    @property
    def least(self) -> float:
        return 2.0 ** (1 - self.bias)

    @property
    def half_mask(self) -> int:
        """The bits that keep the upper half of the digits."""
        return (1 << self.width) - (1 << (self.mantissa + 2) // 2)


SINGLE = Format(dt.float32, dt.uint32, 23, 127, 0x3F3504F3)
DOUBLE = Format(dt.float64, dt.uint64, 52, 1023, 0x3FE6A09E00000000)


def form(x: Expr) -> Format:
    """The format of a float32 or float64 expression."""
    return DOUBLE if x.dtype is dt.float64 else SINGLE


def bits(x: Expr) -> Expr:
    """The bits of ``x`` as an unsigned integer."""
    return x.bitcast(form(x).bits)


def magnitude(x: Expr) -> Expr:
    """|x|, NaN included, by its sign bit."""
    f = form(x)
    return (bits(x) & (f.sign - 1)).bitcast(f.dtype)


def with_sign(size: Expr, of: Expr) -> Expr:
    """``size`` (whose sign is plus) with the sign of ``of``; that of a zero counts."""
    f = form(of)
    return (bits(size) | (bits(of) & f.sign)).bitcast(f.dtype)


def negative(x: Expr) -> Expr:
    """True where the sign bit is set, -0 included."""
    return bits(x) >= form(x).sign


def is_nan(x: Expr) -> Expr:
    """True for NaN."""
    return ~x.eq(x)


def finite(x: Expr) -> Expr:
    """True unless infinite or NaN."""
    return magnitude(x) < float("inf")


def clamp(x: Expr, low: float, high: float) -> Expr:
    """``x`` within [low, high]; NaN stays."""
    return where(x < low, low, where(high < x, high, x))


def power_of_two(n: Expr, f: Format) -> Expr:
    """2ⁿ for an int32 ``n`` within the exponents of normal numbers."""
    return ((n + f.bias).cast(f.bits) << f.mantissa).bitcast(f.dtype)


def scale(x: Expr, n: Expr) -> Expr:
    """x·2ⁿ for an int32 ``n``, rounded at most once more where the result is denormal."""
    f = form(x)
    half = (n + 4096 >> 1) - 2048  # floored, also by a shift that knows no sign
    return x * power_of_two(half, f) * power_of_two(n - half, f)


def split(x: Expr) -> tuple[Expr, Expr]:
    """(m, e) with x = m·2ᵉ and √½ ≤ m < √2, x > 0; e is an int32. Denormals are scaled first."""
    f = form(x)
    small = x < f.least
    lifted = where(small, x * 2.0 ** (f.mantissa + 2), x)
    t = bits(lifted) + ((f.bias << f.mantissa) - f.root_half)
    m = ((t & ((1 << f.mantissa) - 1)) + f.root_half).bitcast(f.dtype)
    e = (t >> f.mantissa).cast(dt.int32) - f.bias
    return m, where(small, e - (f.mantissa + 2), e)


def polynomial(x: Expr, coefficients: Sequence[float]) -> Expr:
    """Horner's rule, lowest power first."""
    first = const(coefficients[-1], x.dtype)
    return reduce(lambda value, c: value * x + c, reversed(coefficients[:-1]), first)


# ---- exact sums and products ---------------------------------------------------------------------
def sum_of(a: Expr, b: Expr) -> Pair:
    """a + b exactly (Knuth)."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def ordered_sum(a: Expr, b: Expr) -> Pair:
    """a + b exactly where |a| ≥ |b| (Dekker)."""
    s = a + b
    return s, b - (s - a)


def halves(x: Expr) -> Pair:
    """x as two floats of half the digits each, cut by a mask: no overflow."""
    f = form(x)
    high = (bits(x) & f.half_mask).bitcast(f.dtype)
    return high, x - high


def product(a: Expr, b: Expr) -> Pair:
    """a·b exactly (Dekker; float64 to 2⁻¹⁰⁵), unless it overflows or the rest is denormal."""
    p = a * b
    (ah, al), (bh, bl) = halves(a), halves(b)
    return p, ((ah * bh - p) + ah * bl + al * bh) + al * bl


def exp_pair(high: Expr, low: Expr, exponential: Expr) -> Expr:
    """exp(high + low), where ``exponential`` is exp(high) and low is tiny."""
    return where(exponential < float("inf"), exponential + exponential * low, exponential)
