"""Expansions of erf and erfc: W. J. Cody's approximations in float64, smaller ones in float32."""

from __future__ import annotations

import math

from .. import dtypes as dt
from . import scalar as s
from .expr import Expr, where
from .floats import clamp, exp_pair, magnitude, negative, polynomial, product, with_sign
from .polynomials import CODY, coefficients

_SLOPE = 1.128379225730896  # 2/√π as a float32; the polynomial has the rest
_NEAR = {dt.float32: 1.0, dt.float64: 0.5}  # up to here erf is its own series
_FIRST, _LAST = 0.5, 4  # where erfc leaves the series, and Cody's second range ends
_END = {dt.float32: 10.5, dt.float64: 27.5}  # erfc is 0 from here on


def erf(x: Expr) -> Expr:
    """Near zero by itself, else 1 - erfc."""
    a = magnitude(x)
    return with_sign(where(a < _NEAR[x.dtype], _series(clamp(a, 0, 1)), 1 - _tail(a)), x)


def erfc(x: Expr) -> Expr:
    """1 - erf near zero, the scaled tail beyond, and 2 minus it for negatives."""
    a = magnitude(x)
    tail = _tail(a)
    return where(a < _FIRST, 1 - _series(clamp(x, -1, 1)), where(negative(x), 2 - tail, tail))


def _series(x: Expr) -> Expr:
    z = x * x
    if x.dtype is dt.float64:
        return x * _ratio("small", z)
    return x * _SLOPE + x * polynomial(z, coefficients("erf", x.dtype))


def _ratio(name: str, x: Expr) -> Expr:
    numerator, denominator = CODY[name]
    return polynomial(x, numerator) / polynomial(x, denominator)


def _tail(a: Expr) -> Expr:
    """erfc(a) for a ≥ 1/2: exp(-a²), its square in twice the digits, times a smooth function."""
    b = clamp(a, 0.25, _END[a.dtype])
    square, rest = product(b, b)
    decay = exp_pair(-square, -rest, s.exp(-square))
    return decay * _scaled(b)


def _scaled(b: Expr) -> Expr:
    """erfc(b)·exp(b²)."""
    if b.dtype is not dt.float64:
        return polynomial((b - 2) / (b + 2), coefficients("erfcx", b.dtype)) / (b * 2 + 1)
    inverse = 1 / (b * b)
    large = (1 / math.sqrt(math.pi) - inverse * _ratio("large", inverse)) / b
    return where(b < _LAST, _ratio("middle", b), large)
