"""Functions that have the same bits on every device: float32 additions, multiplications and bit operations alone.

The random group draws normals with them. A device's own ``log`` and ``cos`` differ from another's by an ulp or more; these
are polynomials whose every step IEEE 754 rounds in one way (no contraction: see the numerics of the design). The
coefficients interpolate at Chebyshev nodes of the reduced range, found with forty digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .. import dtypes as dt
from .expr import Expr, const, where

_SIN = (6.2831853071524, -41.341702153394905, 81.60520471104574, -76.6978663502015, 41.47283323947186)
"""sin 2πr / r in r², for |r| ≤ 1/8."""
_COS = (-19.739208802164462, 64.93939397704874, -85.4567938411542, 60.24045096588705, -26.11921939432643)
"""(cos 2πr - 1) / r² in r²."""
_LOG = (
    0.33333331180030046, -0.24999996957950882, 0.200007157488921, -0.16667802319501254, 0.1424905764569748,
    -0.12425687331451106, 0.1168541992348674, -0.11479733846637635, 0.06971611471451178,
)  # fmt: skip
"""(log(1 + f) - f + f²/2) / f³ in f, for √½ ≤ 1 + f < √2."""
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440054690583e-4  # the first has few digits: its product with e is exact


def polynomial(x: Expr, coefficients: Sequence[float]) -> Expr:
    """Horner's scheme; ``coefficients`` from the constant term up."""
    made = const(coefficients[-1], x.dtype)
    for c in reversed(coefficients[:-1]):
        made = made * x + c
    return made


def log_unit(u: Expr) -> Expr:
    """log u for a normal float32 u in (0, 1], within 1 ulp; -0 at 1."""
    bits = u.bitcast(dt.uint32)
    mantissa = ((bits & 0x007FFFFF) | 0x3F800000).bitcast(dt.float32)
    big = mantissa > math.sqrt(2)
    exponent = (bits >> 23).cast(dt.int32) - 127
    e = where(big, exponent + 1, exponent).cast(dt.float32)
    f = where(big, mantissa * 0.5, mantissa) - 1
    square = f * f
    tail = f * square * polynomial(f, _LOG) + e * _LN2_LOW - square * 0.5
    return f + tail + e * _LN2_HIGH


def _turned(t: Expr) -> tuple[Expr, Expr, Expr]:
    """Quarter turns in ``t`` (0 … 3), and sine and cosine of what is left, at most an eighth of a turn."""
    quarters = (t * 4 + 0.5).cast(dt.int32)
    r = t - quarters.cast(dt.float32) * 0.25
    square = r * r
    return quarters & 3, r * polynomial(square, _SIN), square * polynomial(square, _COS) + 1


def cos_2pi(t: Expr) -> Expr:
    """cos 2πt for a float32 t in [0, 1), within 2⁻²³."""
    quarter, sine, cosine = _turned(t)
    size = where((quarter & 1).eq(0), cosine, sine)
    return where(quarter.eq(1) | quarter.eq(2), -size, size)


def sin_2pi(t: Expr) -> Expr:
    """sin 2πt for a float32 t in [0, 1), within 2⁻²³."""
    quarter, sine, cosine = _turned(t)
    size = where((quarter & 1).eq(0), sine, cosine)
    return where(quarter >= 2, -size, size)
