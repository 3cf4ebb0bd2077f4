"""Expansions of the trigonometric functions and their inverses.

π and its parts are sums of a float and a rest, so that a difference with them keeps its digits.
"""

from __future__ import annotations

import math

from .. import dtypes as dt
from ..dtypes import DType
from . import scalar as s
from .expr import Expr, const, where
from .floats import is_nan, magnitude, negative, polynomial, with_sign
from .polynomials import coefficients

_HALF_PI = {
    dt.float32: (1.5707963705062866, -4.371138828673793e-08),
    dt.float64: (1.5707963267948966, 6.123233995736766e-17),
}


_HALF = 0.5  # beyond it, asin and acos go by the square root of 1 - |x|


def _half_pi(d: DType) -> tuple[float, float]:
    return _HALF_PI[d]


def tan(x: Expr) -> Expr:
    """sin/cos."""
    return s.sin(x) / s.cos(x)


def _asin_tail(z: Expr) -> Expr:
    """asin(x)/x - 1 for z = x² up to 1/4."""
    return z * polynomial(z, coefficients("asin", z.dtype))


def asin(x: Expr) -> Expr:
    """A polynomial up to 1/2, beyond it π/2 - 2·asin(√((1 - x)/2))."""
    high, low = _half_pi(x.dtype)
    a = magnitude(x)
    beyond = a > _HALF
    z = where(beyond, (1 - a) * 0.5, a * a)
    root = where(beyond, s.sqrt(z), a)
    small = root + root * _asin_tail(z)
    return with_sign(where(beyond, high - (small * 2 - low), small), x)


def acos(x: Expr) -> Expr:
    """π/2 - asin(x) up to 1/2; beyond it from √((1 - |x|)/2)."""
    high, low = _half_pi(x.dtype)
    a = magnitude(x)
    beyond = a > _HALF
    z = where(beyond, (1 - a) * 0.5, a * a)
    root = s.sqrt(z)
    tail = _asin_tail(z)
    middle = high - (x - (low - x * tail))
    right = (root + root * tail) * 2
    left = high * 2 - (root + (root * tail - low)) * 2
    return where(beyond, where(x > 0, right, left), middle)


def atan(x: Expr) -> Expr:
    """A polynomial up to tan(π/8), reached from farther out by atan(1) and atan(∞)."""
    high, low = _half_pi(x.dtype)
    a = magnitude(x)
    far, middle = a > math.sqrt(2) + 1, a > math.sqrt(2) - 1
    t = where(far, -1 / a, where(middle, (a - 1) / (a + 1), a))
    z = t * t
    tail = t * (z * polynomial(z, coefficients("atan", x.dtype)))
    start = where(far, high, where(middle, high / 2, const(0, x.dtype)))
    rest = where(far, low, where(middle, low / 2, const(0, x.dtype)))
    return with_sign(where(middle, start + (t + (tail + rest)), t + tail), x)


def atan2(y: Expr, x: Expr) -> Expr:
    """The angle of (x, y): atan of the smaller over the larger, carried to its octant."""
    high, low = _half_pi(x.dtype)
    a, b = magnitude(y), magnitude(x)
    steep = b < a
    small, large = where(steep, b, a), where(steep, a, b)
    ratio = where(small.eq(large), where(large.eq(0), 0, const(1, x.dtype)), small / large)
    angle = s.atan(ratio)
    angle = where(steep, high - (angle - low), angle)
    angle = where(negative(x), high * 2 - (angle - low * 2), angle)
    return where(is_nan(x) | is_nan(y), x + y, with_sign(angle, y))
