"""The pointwise group, continued: inverse hyperbolic functions, logarithms of sums, signs, extremes that pass NaN over.

Each is one expression, so one launch, made of the operators that every dialect has (`pointwise` says how a row and its
gradient are read).
"""

from __future__ import annotations

import math

from .. import dtypes as dt
from ..ir import scalar as s
from ..ir.expr import Expr, const, unary
from ..ir.floats import clamp, magnitude, negative, polynomial, with_sign
from ..ir.scalar import like, where
from .op import Types
from .pointwise import FLOAT, TRUTH, pointwise

FLOATS = Types(kinds="f")
_LARGE = {dt.float32: 1e9, dt.float64: 1e18}  # x² + 1 is x² from here on, and has not overflowed before
_LN2 = math.log(2)


def _asinh(x: Expr) -> Expr:
    """log(|x| + √(x² + 1)) by log1p, with the sign of x; log(2|x|) where the square would overflow."""
    a = s.absolute(x)
    near = s.minimum(a, _LARGE[x.dtype])
    square = near * near
    found = s.log1p(near + square / (s.sqrt(square + 1) + 1))
    found = where(a > _LARGE[x.dtype], s.log(a) + _LN2, found)
    return where(x.eq(0), x, where(x < 0, -found, found))


def _acosh(x: Expr) -> Expr:
    """log(x + √(x² − 1)) by log1p of what x is above 1."""
    above = s.minimum(x, _LARGE[x.dtype]) - 1
    found = s.log1p(above + s.sqrt(above * (above + 2)))
    return where(x < 1, math.nan, where(x > _LARGE[x.dtype], s.log(x) + _LN2, found))


def _atanh(x: Expr) -> Expr:
    """log((1 + x) / (1 − x)) / 2 by log1p, with the sign of x."""
    a = s.absolute(x)
    found = s.log1p((a + a) / (1 - a)) * 0.5
    return where(x.eq(0), x, where(x < 0, -found, found))


def _sinc(x: Expr) -> Expr:
    angle = x * math.pi
    return where(x.eq(0), 1, s.sin(angle) / where(x.eq(0), 1, angle))


def _sinc_slope(x: Expr) -> Expr:
    """(cos(πx) − sinc(x)) / x, which is 0 at 0."""
    safe = where(x.eq(0), 1, x)
    angle = safe * math.pi
    return where(x.eq(0), 0, (s.cos(angle) - s.sin(angle) / angle) / safe)


def _logit(x: Expr, eps: Expr | None) -> Expr:
    z = x if eps is None else s.minimum(s.maximum(x, eps), 1 - eps)
    return s.log(z / (1 - z))


def _logit_slope(g: Expr, x: Expr, eps: Expr | None) -> Expr:
    """g / (x·(1 − x)): outside of [eps, 1 − eps] it is 0, without eps NaN outside of [0, 1]."""
    outside = (x < 0) | (x > 1) if eps is None else (x < eps) | (x > 1 - eps)
    return where(outside, math.nan if eps is None else 0, g / (x * (1 - x)))


def _huber(x: Expr, y: Expr, end: Expr) -> Expr:
    """A parabola of the distance as far as ``end``, and its tangent from there on (Huber, 1964)."""
    far = s.absolute(x - y)
    near = s.minimum(far, end)
    return near * (far - near * 0.5)


def _bent(x: Expr, y: Expr, end: Expr) -> Expr:
    return s.maximum(s.minimum(x - y, end), -end)


def _logaddexp(x: Expr, y: Expr) -> Expr:
    """log(eˣ + eʸ) by the greater; where both are one infinity, that."""
    apart = -s.absolute(x - y)
    return where(s.isinf(x) & x.eq(y), x, s.maximum(x, y) + s.log1p(s.exp(apart)))


def _logaddexp2(x: Expr, y: Expr) -> Expr:
    apart = -s.absolute(x - y)
    return where(s.isinf(x) & x.eq(y), x, s.maximum(x, y) + s.log1p(s.exp2(apart)) * (1 / _LN2))


def _xlogy(x: Expr, y: Expr) -> Expr:
    return where(s.isnan(y), math.nan, where(x.eq(0), 0, x * s.log(y)))


def _copysign(x: Expr, y: Expr) -> Expr:
    return with_sign(magnitude(x), y)


def _signbit(x: Expr) -> Expr:
    if x.dtype.kind == "f":
        return negative(x)
    return x < 0 if x.dtype.kind == "i" else const(False, dt.bool_)


def _fmax(x: Expr, y: Expr) -> Expr:
    return where(_first(x, y, x >= y), x, y)


def _fmin(x: Expr, y: Expr) -> Expr:
    return where(_first(x, y, x <= y), x, y)


def _first(x: Expr, y: Expr, wins: Expr) -> Expr:
    """Whether x is the result: where it wins, or y is NaN."""
    return wins | s.isnan(y) if x.dtype.kind == "f" else wins


def _given(g: Expr, here: Expr) -> Expr:
    return where(here, g, like(g, 0))


def _not(x: Expr) -> Expr:
    return unary("not", x)


# M. Giles, "Approximating the erfinv function", GPU Computing Gems (2011): erfinv(x)/x in w = −log(1 − x²), w < 5, and in √w
_GILES = (
    (1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087, -4.39150654e-06, -3.5233877e-06,
     3.43273939e-07, 2.81022636e-08),
    (2.83297682, 1.00167406, 0.00943887047, -0.0076224613, 0.00573950773, -0.00367342844, 0.00134934322, 0.000100950558,
     -0.000200214257),
)  # fmt: skip


def _erfinv(x: Expr) -> Expr:
    """Giles' approximation, and two of Halley's steps against erfc, which keeps its digits where erf is nearly 1."""
    a = s.absolute(x)
    inside = clamp(a, 0, 1 - (2.0**-53 if x.dtype is dt.float64 else 2.0**-24))
    w = -s.log((1 - inside) * (1 + inside))
    near, far = polynomial(s.minimum(w, 5.0) - 2.5, _GILES[0]), polynomial(s.sqrt(s.maximum(w, 5.0)) - 3, _GILES[1])
    y = where(w < 5, near, far) * inside
    if x.dtype is dt.float64:  # beyond where Giles' begins to fail: erfc(y) is nearly exp(−y²) / (y·√π)
        rest = -s.log(1 - inside)
        y = where(w < 15, y, s.sqrt(s.maximum(rest, 5.0) - s.log(s.maximum(rest, 5.0) * math.pi) * 0.5))
    for _ in range(2 if x.dtype is dt.float64 else 1):
        off = where(inside < 0.5, s.erf(y) - inside, (1 - inside) - s.erfc(y))
        step = off * s.exp(y * y) * (math.sqrt(math.pi) / 2)
        y = y - step / (1 + y * step)
    found = where(a < 1, y, where(a.eq(1), math.inf, like(a, math.nan)))
    return where(x < 0, -found, where(x.eq(0), x, found))


# fmt: off
# ---- inverse hyperbolic, sine over its argument, inverse of erf
pointwise("asinh", "x", _asinh, FLOAT, x=lambda g, x: g / s.hypot(x, like(x, 1)))
pointwise("acosh", "x", _acosh, FLOAT, x=lambda g, x: g * s.rsqrt((x - 1) * (x + 1)))
pointwise("atanh", "x", _atanh, FLOAT, x=lambda g, x: g / ((1 - x) * (1 + x)))
pointwise("sinc", "x", _sinc, FLOAT, x=lambda g, x: g * _sinc_slope(x))
pointwise("erfinv", "x", _erfinv, FLOAT, x=lambda g, out: g * s.exp(out * out) * (math.sqrt(math.pi) / 2))
# ---- logarithms
pointwise("logit", "x eps", _logit, Types("float", take=1), x=_logit_slope)
pointwise("huber", "x y end", _huber, FLOATS, x=lambda g, x, y, end: g * _bent(x, y, end), y=lambda g, x, y, end: -(g * _bent(x, y, end)))
pointwise("logaddexp", "x y", _logaddexp, FLOATS, x=lambda g, x, y: g / (s.exp(y - x) + 1), y=lambda g, x, y: g / (s.exp(x - y) + 1))
pointwise("logaddexp2", "x y", _logaddexp2, FLOATS, x=lambda g, x, y: g / (s.exp2(y - x) + 1), y=lambda g, x, y: g / (s.exp2(x - y) + 1))
pointwise("xlogy", "x y", _xlogy, FLOAT,
          x=lambda g, x, y: where(x.eq(0) & (y <= 0), like(g, 0), g * s.log(y)), y=lambda g, x, y: g * x / y)
pointwise("ldexp", "x y", lambda x, y: x * s.exp2(y), FLOAT,
          x=lambda g, y: g * s.exp2(y), y=lambda g, out: g * out * _LN2)
# ---- signs
pointwise("copysign", "x y", _copysign, FLOAT,
          x=lambda g, x, y: where(x.eq(0), like(g, 0), where((x < 0).ne(negative(y)), -g, g)), y=lambda g: g * 0)
pointwise("signbit", "x", _signbit, TRUTH)
pointwise("heaviside", "x y", lambda x, y: where(x.eq(0), y, where(x > 0, like(x, 1), like(x, 0))))
pointwise("isposinf", "x", lambda x: x.eq(math.inf) if x.dtype.kind == "f" else const(False, dt.bool_), TRUTH)
pointwise("isneginf", "x", lambda x: x.eq(-math.inf) if x.dtype.kind == "f" else const(False, dt.bool_), TRUTH)
# ---- extremes that pass NaN over; of equals the first is the result
pointwise("fmax", "x y", _fmax, x=lambda g, x, y: _given(g, _first(x, y, x >= y)), y=lambda g, x, y: _given(g, _not(_first(x, y, x >= y))))
pointwise("fmin", "x y", _fmin, x=lambda g, x, y: _given(g, _first(x, y, x <= y)), y=lambda g, x, y: _given(g, _not(_first(x, y, x <= y))))
# fmt: on
