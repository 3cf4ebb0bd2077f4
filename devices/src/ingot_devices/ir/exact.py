"""Functions that give the same bits on every device: what the random normals are made of.

Only + - * / and integer operations, which IEEE 754 rounds in one way; no exp, log or sin of a
vendor, and no contraction. All take and give float32.
"""

from __future__ import annotations

from .. import dtypes as dt
from .expr import Expr, const, where
from .floats import polynomial, product, split

_LN2 = (0.6931381225585938, 9.058000614459161e-06)  # of few digits, and the rest
_LOG = (0.66666662693, 0.40000972152, 0.28498786688, 0.24279078841)
_SIN = (-0.6459640860557556, 0.07969260960817337, -0.00468147499486804, 0.0001586519501870498)
_COS = (-1.2337005138397217, 0.253669410943985, -0.02086152881383896, 0.0009067435166798532)
_HALF_PI = (1.5707963705062866, -4.371138828673793e-08)


def log_unit(u: Expr) -> Expr:
    """The natural logarithm of a float32 ``u`` in (0, 1], to 1 ulp: log(1) is 0.

    The reduction and the series 2·atanh(f/(2 + f)), arranged as FreeBSD's logf has it.
    """
    m, e = split(u)
    f = m - 1
    t = f / (f + 2)
    z = t * t
    series = z * polynomial(z, _LOG)
    half_square = f * f * 0.5
    count = e.cast(dt.float32)
    high, low = _LN2
    return count * high - ((half_square - (t * (half_square + series) + count * low)) - f)


def cos_2pi(u: Expr) -> Expr:
    """cos(2πu) of a float32 ``u`` in [0, 1), to 1 ulp."""
    quarter, r = _quarters(u)
    sine, cosine = _sine(r), _cosine(r)
    odd = (quarter & 1).eq(1)
    size = where(odd, sine, cosine)
    return where(quarter.eq(1) | quarter.eq(2), -size, size)


def sin_2pi(u: Expr) -> Expr:
    """sin(2πu) of a float32 ``u`` in [0, 1), to 1 ulp."""
    quarter, r = _quarters(u)
    sine, cosine = _sine(r), _cosine(r)
    odd = (quarter & 1).eq(1)
    size = where(odd, cosine, sine)
    return where((quarter & 2).eq(0), size, -size)


def _quarters(u: Expr) -> tuple[Expr, Expr]:
    """(n, r): 4u = n + r with -1/2 ≤ r < 1/2, both exact; n is 0 to 3."""
    turned = u * 4
    n = (turned + 0.5).cast(dt.int32)
    return n & 3, turned - n.cast(dt.float32)


def _sine(r: Expr) -> Expr:
    """sin(πr/2) for |r| ≤ 1/2."""
    z = r * r
    high, low = product(r, const(_HALF_PI[0], dt.float32))
    return high + (low + r * (z * polynomial(z, _SIN) + _HALF_PI[1]))


def _cosine(r: Expr) -> Expr:
    """cos(πr/2) for |r| ≤ 1/2."""
    z = r * r
    return z * polynomial(z, _COS) + 1
