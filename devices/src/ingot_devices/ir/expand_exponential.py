"""Expansions of exponentials, logarithms and the hyperbolic functions."""

from __future__ import annotations

import math

from .. import dtypes as dt
from . import scalar as s
from .expr import Expr, where
from .floats import clamp, form, magnitude, polynomial, scale, split, with_sign
from .polynomials import coefficients

_LOG10_2 = {
    dt.float32: (0.301025390625, 4.605039066518657e-06),
    dt.float64: (0.30102999566395283, 2.8363394551044964e-14),
}
"""log10(2) as a number of few digits, whose multiples are exact, and the rest."""
_LN_INVERSE = {
    2: {
        dt.float32: (1.4426950216293335, 1.925963033500011e-08),
        dt.float64: (1.4426950408889634, 2.0355273740931033e-17),
    },
    10: {
        dt.float32: (0.4342944920063019, -1.0103049952192578e-08),
        dt.float64: (0.4342944819032518, 1.098319650216765e-17),
    },
}
"""1/log(base): a float and the rest."""
_OVERFLOW = {dt.float32: 88.0, dt.float64: 709.0}  # exp is finite up to here


def exp2(x: Expr) -> Expr:
    """2ˣ: the whole part goes into the exponent, the rest is less than one half."""
    f = form(x)
    bounded = clamp(x, -2.0 * f.bias, 2.0 * f.bias)
    whole = s.floor(bounded + 0.5)
    rest = bounded - whole
    return scale(s.exp(rest * math.log(2)), whole.cast(dt.int32))


def expm1(x: Expr) -> Expr:
    """eˣ - 1: a polynomial up to 1, the difference itself beyond."""
    near = clamp(x, -1, 1)
    square = near * near
    small = near + (square * 0.5 + square * near * polynomial(near, coefficients("expm1", x.dtype)))
    return where(magnitude(x) < 1, where(x.eq(0), x, small), s.exp(x) - 1)


def log1p(x: Expr) -> Expr:
    """log(1 + x), and what the sum 1 + x lost to rounding."""
    u = x + 1
    lost = x - (u - 1)
    mended = s.log(u) + lost / u
    plain = s.log(u)
    return where(u.eq(1), x, where((u > 0) & (u < float("inf")), mended, plain))


def log2(x: Expr) -> Expr:
    """The exponent, and the logarithm of a mantissa around 1."""
    m, e = split(x)
    high, low = _LN_INVERSE[2][x.dtype]
    log = s.log(m)
    return _for_positive(x, e.cast(x.dtype) + (log * high + log * low))


def log10(x: Expr) -> Expr:
    """As `log2`, the exponent times log10(2)."""
    m, e = split(x)
    high, low = _LN_INVERSE[10][x.dtype]
    whole, rest = _LOG10_2[x.dtype]
    log = s.log(m)
    count = e.cast(x.dtype)
    return _for_positive(x, count * whole + (log * high + (count * rest + log * low)))


def _for_positive(x: Expr, value: Expr) -> Expr:
    """``value``; zero, negatives, infinity and NaN as log has them."""
    return where((x > 0) & (x < float("inf")), value, s.log(x))


# ---- hyperbolic ----------------------------------------------------------------------------------
def sinh(x: Expr) -> Expr:
    """(t + t/(t + 1))/2 with t = e^|x| - 1; near overflow e^(|x|/2) twice."""
    a = magnitude(x)
    t = s.expm1(a)
    half = s.exp(a * 0.5)
    size = where(a < _OVERFLOW[x.dtype], (t + t / (t + 1)) * 0.5, half * 0.5 * half)
    return with_sign(size, x)


def cosh(x: Expr) -> Expr:
    """(e^|x| + e^-|x|)/2; near overflow e^(|x|/2) twice."""
    a = magnitude(x)
    e, half = s.exp(a), s.exp(a * 0.5)
    return where(a < _OVERFLOW[x.dtype], (e + 1 / e) * 0.5, half * 0.5 * half)


def tanh(x: Expr) -> Expr:
    """t/(t + 2) with t = e^2|x| - 1, and 1 - 2/(e^2|x| + 1) where that is the better."""
    twice = magnitude(x) * 2
    t = s.expm1(twice)
    far = 1 - 2 / (s.exp(twice) + 1)
    return with_sign(where(twice < 1, t / (t + 2), far), x)
