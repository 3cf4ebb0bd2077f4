"""The expansion of ``pow``, for floats and for integers."""

from __future__ import annotations

from .. import dtypes as dt
from . import scalar as s
from .expr import Expr, const, where
from .floats import (
    Pair,
    exp_pair,
    finite,
    magnitude,
    negative,
    ordered_sum,
    polynomial,
    product,
    split,
    sum_of,
)  # fmt: skip
from .polynomials import coefficients

_LN2 = {
    # a part of few digits, whose multiples by an exponent are exact, and the rest
    dt.float32: (0.693145751953125, 1.428606765330187e-06),
    dt.float64: (0.6931471805598903, 5.497923018708371e-14),
}
_THIRD = {
    dt.float32: (0.3333333432674408, -9.934107758624577e-09),
    dt.float64: (0.3333333333333333, 1.850371707708594e-17),
}
_RANGE = {dt.float32: 150.0, dt.float64: 1000.0}  # beyond, eˣ is 0 or infinite
_LITERAL = 4  # whole literal exponents up to here are products


def power(x: Expr, y: Expr) -> Expr:
    """xʸ. Floats: exp(y·log|x|) with the product in twice the digits, and C's special cases."""
    if x.dtype.kind != "f":
        return _integer_power(x, y)
    if y.op == "const" and y.value in range(1, _LITERAL + 1):
        return _product(x, int(y.value))
    size = magnitude(x)
    value = _positive_power(size, y)
    whole = s.floor(y).eq(y)
    odd = (y - s.floor(y * 0.5) * 2).eq(1)
    value = where(size.eq(1) & y.eq(y), 1, value)
    value = where(negative(x) & odd, -value, value)
    value = where((x < 0) & (size < float("inf")) & ~whole & finite(y), float("nan"), value)
    return where(y.eq(0) | x.eq(1), 1, value)


def _product(x: Expr, n: int) -> Expr:
    half = x if n == 1 else _product(x, n // 2)
    if n == 1:
        return x
    return half * half * x if n % 2 else half * half


def _positive_power(x: Expr, y: Expr) -> Expr:
    """xʸ for x ≥ 0. The plain product of y and log x decides where eˣ has left its range."""
    plain = y * s.log(x)
    high, low = _log(x)
    (p, rest) = product(y, high)
    p, rest = ordered_sum(p, rest + y * low)
    halved = p > 1  # e^p may overflow where the result, with the rest, does not
    p, lost = sum_of(p, where(halved, -_LN2[x.dtype][0], const(0, x.dtype)))
    rest = rest + lost - where(halved, _LN2[x.dtype][1], const(0, x.dtype))
    fine = exp_pair(p, rest, s.exp(p)) * where(halved, 2, const(1, x.dtype))
    return where(magnitude(plain) < _RANGE[x.dtype], fine, s.exp(plain))


def _log(x: Expr) -> Pair:
    """log x in twice the digits: 2·atanh((m - 1)/(m + 1)) and the exponent times log 2."""
    d = x.dtype
    m, e = split(x)
    f = m - 1
    g, g_rest = sum_of(m, const(1, d))
    t = f / g
    back, back_rest = product(t, g)
    t_rest = (((f - back) - back_rest) - t * g_rest) / g
    high, low = _twice_atanh(t, t_rest)
    ln2, ln2_rest = _LN2[d]
    count = e.cast(d)
    total, rest = sum_of(count * ln2, high)
    return ordered_sum(total, rest + (count * ln2_rest + low))


def _twice_atanh(t: Expr, rest: Expr) -> Pair:
    """2·(t + t³/3 + t⁵·P): the cubic term in twice the digits, what follows is small enough."""
    third, third_rest = _THIRD[t.dtype]
    z, z_rest = product(t, t)
    z_rest = z_rest + t * rest * 2
    a, a_rest = sum_of(const(third, t.dtype), z * polynomial(z, coefficients("atanh", t.dtype)))
    a_rest = a_rest + third_rest
    b, b_rest = product(z, a)
    b_rest = b_rest + z * a_rest + z_rest * a
    c, c_rest = product(t, b)
    c_rest = c_rest + t * b_rest + rest * b
    high, low = ordered_sum(t, c)
    return high * 2, (low + (rest + c_rest)) * 2


def _integer_power(x: Expr, n: Expr) -> Expr:
    """Square and multiply, a step for each bit; a negative exponent leaves 0 and ±1."""
    width = 8 * x.dtype.itemsize
    value, square = const(1, x.dtype), x
    for bit in range(width - (x.dtype.kind == "i")):
        value = where((n >> bit & 1).eq(0), value, value * square)
        square = square * square
    if x.dtype.kind == "u":
        return value
    unit = where((n & 1).eq(0), 1, x)
    inverse = where(x.eq(1), 1, where(x.eq(-1), unit, 0))
    return where(n < 0, inverse, value)
