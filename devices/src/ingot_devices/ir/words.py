"""64-bit integers as pairs of 32-bit words: the arithmetic of a device that has no wider type.

What `codegen.emulate` rewrites the expressions of an *emulated* dtype with. A `Pair` is (low word, high word), both
uint32, in two's complement; host bytes are the same pair in little-endian order. Every function takes ``keep``, which
gives an expression a name so that its text is not repeated, and returns kept words. Results wrap, as everybody's do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .. import dtypes as dt
from . import scalar as s
from .expr import Expr, const, where
from .floats import magnitude, negative

Keep = Callable[[Expr], Expr]
_MASK = (1 << 32) - 1


class Pair(NamedTuple):
    """A 64-bit integer: its low and its high word."""

    low: Expr
    high: Expr


def word(value: int) -> Expr:
    """A literal word."""
    return const(value, dt.uint32)


def literal(value: int) -> Pair:
    """A literal of 64 bits."""
    return Pair(word(value & _MASK), word(value >> 32 & _MASK))


def select(condition: Expr, a: Pair, b: Pair, keep: Keep) -> Pair:
    """``a`` where ``condition`` holds, else ``b``."""
    return Pair(keep(where(condition, a.low, b.low)), keep(where(condition, a.high, b.high)))


def _bit(condition: Expr) -> Expr:
    return where(condition, word(1), word(0))


# ---- arithmetic ----------------------------------------------------------------------------------------------------
def add(a: Pair, b: Pair, keep: Keep) -> Pair:
    """a + b: the low words carry where their sum is below one of them."""
    low = keep(a.low + b.low)
    return Pair(low, keep(a.high + b.high + _bit(low < a.low)))


def subtract(a: Pair, b: Pair, keep: Keep) -> Pair:
    """a - b."""
    return Pair(keep(a.low - b.low), keep(a.high - b.high - _bit(a.low < b.low)))


def negate(a: Pair, keep: Keep) -> Pair:
    """-a."""
    return subtract(literal(0), a, keep)


def multiply(a: Pair, b: Pair, keep: Keep) -> Pair:
    """The low 64 bits of a · b, the same for both signs."""
    high = s.mulhi(a.low, b.low) + a.low * b.high + a.high * b.low
    return Pair(keep(a.low * b.low), keep(high))


def multiply_high(a: Pair, b: Pair, signed: bool, keep: Keep) -> Pair:
    """The high 64 bits of a · b, by words (Knuth, The Art of Computer Programming 2, 4.3.1)."""

    def full(x: Expr, y: Expr) -> Pair:
        return Pair(keep(x * y), keep(s.mulhi(x, y)))

    zero = word(0)
    left, right = full(a.high, b.low), full(a.low, b.high)
    middle = add(add(Pair(left.low, zero), Pair(right.low, zero), keep),
                 Pair(keep(s.mulhi(a.low, b.low)), zero), keep)  # fmt: skip
    high = add(full(a.high, b.high), Pair(left.high, zero), keep)
    high = add(add(high, Pair(right.high, zero), keep), Pair(middle.high, zero), keep)
    if signed:  # a negative number is 2⁶⁴ too large
        for x, y in ((a, b), (b, a)):
            high = subtract(high, select(keep(_top(x)), y, literal(0), keep), keep)
    return high


def magnitude_of(a: Pair, keep: Keep) -> Pair:
    """|a| of a signed pair, as an unsigned one."""
    return select(keep(_top(a)), negate(a, keep), a, keep)


def bitwise(op: str, a: Pair, b: Pair, keep: Keep) -> Pair:
    """``and``, ``or`` or ``xor``."""
    low, high = (Expr.of(op, words, dt.uint32) for words in zip(a, b, strict=True))
    return Pair(keep(low), keep(high))


# ---- comparisons ---------------------------------------------------------------------------------------------------
def _top(a: Pair) -> Expr:
    """True where the sign bit is set."""
    return a.high >= word(1 << 31)


def equal(a: Pair, b: Pair, keep: Keep) -> Expr:
    """a == b."""
    return keep(a.low.eq(b.low) & a.high.eq(b.high))


def less(a: Pair, b: Pair, signed: bool, keep: Keep) -> Expr:
    """a < b."""
    x, y = (p.high.bitcast(dt.int32) if signed else p.high for p in (a, b))
    return keep((x < y) | (a.high.eq(b.high) & (a.low < b.low)))


# ---- shifts --------------------------------------------------------------------------------------------------------
def shift(op: str, a: Pair, by: Pair, signed: bool, keep: Keep) -> Pair:
    """``shl`` or ``shr`` by any amount: 64 and more, and what is negative, leave the sign bits (0 where there are none).

    Shifts of a word by 32 and more give 0, so each word is the sum of what stays in it and what the other hands over.
    """
    fill = keep(where(_top(a), word(_MASK), word(0))) if signed and op == "shr" else word(0)
    n = keep(where(by.high.eq(0) & (by.low < 64), by.low, word(64)))
    far = keep(n >= 32)
    rest = keep(where(far, n - 32, n))  # below 32, or 32 where all is shifted out
    back = keep(32 - rest)
    if op == "shl":
        low, high = _shl(a.low, rest), _shl(a.high, rest) | _shr(a.low, back)
        near, beyond = Pair(low, high), Pair(word(0), low)
    else:
        high = _shr(a.high, rest) | _shl(fill, back)
        near, beyond = Pair(_shr(a.low, rest) | _shl(a.high, back), high), Pair(high, fill)
    return select(far, Pair(*map(keep, beyond)), Pair(*map(keep, near)), keep)


def _shl(a: Expr, n: Expr) -> Expr:
    return Expr.of("shl", (a, n), dt.uint32)


def _shr(a: Expr, n: Expr) -> Expr:
    return Expr.of("shr", (a, n), dt.uint32)


# ---- conversions ---------------------------------------------------------------------------------------------------
def from_word(value: Expr, keep: Keep) -> Pair:
    """A bool or an integer of at most 32 bits (indices included), extended by its sign."""
    if value.dtype is dt.bool_:
        return Pair(keep(_bit(value)), word(0))
    if value.dtype.kind == "u":
        return Pair(keep(value.cast(dt.uint32)), word(0))
    single = keep(value.cast(dt.int32))
    return Pair(keep(single.bitcast(dt.uint32)), keep(where(single < 0, word(_MASK), word(0))))


def from_float(value: Expr, signed: bool, keep: Keep) -> Pair:
    """A float32 cut towards zero. What does not fit, and NaN, gives 2⁶³, as x86-64 does."""
    size = keep(magnitude(value))
    fits = keep(size < (2.0**63 if signed else 2.0**64))
    inside = keep(where(fits, size, const(0, dt.float32)))
    upper = keep(s.floor(inside * 2.0**-32))
    exact = Pair(keep((inside - upper * 2.0**32).cast(dt.uint32)), keep(upper.cast(dt.uint32)))
    turned = select(keep(negative(value)), negate(exact, keep), exact, keep)
    return select(fits, turned, literal(1 << 63), keep)


def to_float(a: Pair, signed: bool, keep: Keep) -> Expr:
    """The nearest float32, ties to even.

    Shifted until its first bit is set, the number's high word decides, with a last bit that says whether the low word
    holds anything: that is more digits than float32 has, so rounding it rounds the whole number once.
    """
    size = magnitude_of(a, keep) if signed else a
    low, high, places = size.low, size.high, word(0)
    for step in (32, 16, 8, 4, 2, 1):
        short = keep(high < word(1 << (32 - step)))  # for 32: high < 1
        moved = low if step == 32 else keep((high << step) | (low >> (32 - step)))
        left = word(0) if step == 32 else keep(low << step)
        high, low = keep(where(short, moved, high)), keep(where(short, left, low))
        places = keep(where(short, places + step, places))
    digits = keep((high | _bit(~low.eq(0))).cast(dt.float32))
    scale = keep(((127 + 32) - places << 23).bitcast(dt.float32))
    made = keep(digits * scale)
    return keep(where(_top(a), -made, made)) if signed else made
