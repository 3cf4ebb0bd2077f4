"""Expansions with exact or nearly exact results: roundings, remainder, fma, hypot."""

from __future__ import annotations

from .. import dtypes as dt
from . import scalar as s
from .expr import Expr, const, where
from .floats import Format, bits, finite, form, magnitude, product, scale, sum_of, with_sign

_CHUNKS = {dt.uint32: (8, 8, 8, 8), dt.uint64: (11, 11, 11, 11, 11, 9)}


def sign(x: Expr) -> Expr:
    """-1, 0 or 1; NaN for NaN."""
    if x.dtype.kind in "ub":
        return where(x.eq(0), x, const(1, x.dtype))
    rest = where(x.eq(0), 0, x) if x.dtype.kind == "f" else const(0, x.dtype)
    return where(x > 0, 1, where(x < 0, -1, rest))


def ceil(x: Expr) -> Expr:
    """Up to the next whole number."""
    return -s.floor(-x) if x.dtype.kind == "f" else x


def trunc(x: Expr) -> Expr:
    """Towards zero."""
    return where(x < 0, -s.floor(-x), s.floor(x)) if x.dtype.kind == "f" else x


def round_even(x: Expr) -> Expr:
    """To the nearest whole number, ties to even: adding 2ᵐ pushes the fraction out."""
    if x.dtype.kind != "f":
        return x
    big = 2.0 ** form(x).mantissa
    size = magnitude(x)
    return where(size < big, with_sign((size + big) - big, x), x)


def rsqrt(x: Expr) -> Expr:
    """1/√x."""
    return 1 / s.sqrt(x)


def fma(a: Expr, b: Expr, c: Expr) -> Expr:
    """a·b + c rounded once, but for ties that three terms decide."""
    plain = a * b + c
    if a.dtype.kind != "f":
        return plain
    high, low = product(a, b)
    total, rest = sum_of(high, c)
    fused = total + (rest + low)
    return where(finite(fused), fused, plain)


def hypot(x: Expr, y: Expr) -> Expr:
    """√(x² + y²), scaled by a power of two so that no square overflows or vanishes."""
    f = form(x)
    wide = f.dtype is dt.float64
    a, b = magnitude(x), magnitude(y)
    most = where(a < b, b, a)
    down, up = (2.0**-600, 2.0**700) if wide else (2.0**-70, 2.0**100)
    high, low = (2.0**500, 2.0**-450) if wide else (2.0**60, 2.0**-50)
    one = const(1, f.dtype)
    factor = where(most > high, down, where(most < low, up, one))
    p, q = a * factor, b * factor
    found = s.sqrt(p * p + q * q) / factor
    infinite = a.eq(float("inf")) | b.eq(float("inf"))
    return where(infinite, float("inf"), found)


# ---- remainder -----------------------------------------------------------------------------------
def fmod(x: Expr, y: Expr) -> Expr:
    """x - y·trunc(x/y), exact for every quotient: 2ᵏ·m mod n in integers.

    k is the distance of the exponents. The power of two is found by squaring, so that float32
    takes 21 integer remainders and float64 43.
    """
    if x.dtype.kind != "f":
        return _integer_remainder(x, y)
    f = form(x)
    a, b = magnitude(x), magnitude(y)
    usable = finite(x) & (b > 0)  # else NaN; an infinite y leaves x
    (m, p), (n, q) = _parts(a), _parts(where(usable & finite(b), b, const(1, f.dtype)))
    distance = where(p < q, 0, p - q).cast(f.bits)
    rest = _times(_power(distance, n, f), m, n, f)
    made = with_sign(scale(rest.cast(f.dtype), q - f.mantissa), x)
    return where(usable, where(a < b, x, made), where(y.eq(y) & x.eq(x), float("nan"), x + y))


def _integer_remainder(x: Expr, y: Expr) -> Expr:
    """C's: with the sign of x."""
    divisor = where(y.eq(0), 1, y)
    if x.dtype.kind == "u":
        return where(y.eq(0), 0, x % divisor)
    floored = x % divisor
    fixed = where(~floored.eq(0) & (~(x < 0).eq(divisor < 0)), floored - divisor, floored)
    return where(y.eq(0), 0, fixed)


def _parts(a: Expr) -> tuple[Expr, Expr]:
    """(m, e): a = m·2^(e - mantissa) m an integer of all digits, e an int32; finite a > 0."""
    f = form(a)
    shift = f.mantissa + 1
    small = a < f.least
    b = bits(where(small, a * 2.0**shift, a))
    m = (b & ((1 << f.mantissa) - 1)) | (1 << f.mantissa)
    e = (b >> f.mantissa).cast(dt.int32) - f.bias
    return where(a.eq(0), 0, m), where(small, e - shift, e)


def _power(k: Expr, n: Expr, f: Format) -> Expr:
    """2ᵏ mod n for n of all digits and k within the exponents' range, from its leading bits."""
    later = 4 if f.bits is dt.uint32 else 6  # bits of k that are left to squarings
    value = (const(1, f.bits) << (k >> later)) % n
    for bit in reversed(range(later)):
        value = _times(value, value, n, f)
        twice = value + value
        twice = where(twice < n, twice, twice - n)
        value = where((k >> bit & 1).eq(0), value, twice)
    return value


def _times(a: Expr, b: Expr, n: Expr, f: Format) -> Expr:
    """a·b mod n: the product's upper word is below n; the lower follows in pieces that fit."""
    rest, low, left = s.mulhi(a, b), a * b, 8 * f.bits.itemsize
    for chunk in _CHUNKS[f.bits]:
        left -= chunk
        rest = ((rest << chunk) | (low >> left & ((1 << chunk) - 1))) % n
    return rest
