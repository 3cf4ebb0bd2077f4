"""exp, log, sin, cos and their like, by fused multiply-add: what a processor has no instruction for.

Between `legalize` and `nest`. No branches and no tables, so they run in all lanes; float32 and float64. The polynomials
interpolate at Chebyshev nodes (computed with 60 digits, the error in their comments). Everything else, from pow to
acosh, is the contract's expansion into these (`ingot_devices.ir.expand`).

Bounds in units in the last place (tests measure them): exp and log 1; sin and cos up to `FAR` 1.6; expm1 2; tanh 2.5;
erf of float32 5. Beyond `FAR`, sin and cos are the C library's. NaN, infinities, denormals and signs of zeros are right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from ingot_devices import dtypes as dt
from ingot_devices.codegen.bind import Rewrite
from ingot_devices.ir import scalar as s
from ingot_devices.ir.expand import lower
from ingot_devices.ir.expr import Expr, const, where
from ingot_devices.ir.floats import bits, form, magnitude, power_of_two, split, with_sign
from ingot_devices.ir.polynomials import coefficients

from .rows import ROWS

_INVERSE_LN2 = 1.4426950408889634
_LN2 = {
    dt.float32: (0.6931471824645996, -1.9046542121259336e-09),
    dt.float64: (0.6931471805599453, 2.3190468138462996e-17),
}
_LN2_SHORT = {dt.float32: (0.693145751953125, 1.4286068203094172e-06), dt.float64: (0.6931471803691238, 1.9082149292705877e-10)}
"""log 2 as a number of few digits, whose multiples by an exponent are exact, and the rest."""
_SHIFT = {dt.float32: 1.5 * 2.0**23, dt.float64: 1.5 * 2.0**52}
"""Added to a number, it leaves the nearest integer in the last bits."""
_ENDS = {dt.float32: (-104.0, 89.0), dt.float64: (-746.0, 710.0)}
"""Below, exp is 0; above, infinite."""
_EXP: dict[dt.DType, Sequence[float]] = {
    # (eʳ - 1 - r) / r², |r| ≤ log(2)/2: 6.4e-8, 2.5e-18
    dt.float32: (0.5, 0.16666576266288757, 0.041666556149721146, 0.008363203145563602, 0.0013926213141530752),
    dt.float64: (0.5, 0.1666666666666667, 0.04166666666666667, 0.008333333333326112, 0.001388888888888373,
                 0.0001984126987490126, 2.4801587325605324e-05, 2.7557255297969643e-06, 2.755727357010214e-07,
                 2.5105259538448494e-08, 2.0914717341716378e-09),
}  # fmt: skip
_LOG = (0.3333333134651184, -0.2499999701976776, 0.20000715553760529, -0.1666780263185501, 0.14249058067798615,
        -0.12425687164068222, 0.11685419827699661, -0.11479733884334564, 0.06971611827611923)  # fmt: skip
"""(log(1 + f) - f + f²/2) / f³, √½ - 1 ≤ f ≤ √2 - 1: 3e-8, for float32."""
_SIN: dict[dt.DType, Sequence[float]] = {
    # (sin(r)/r - 1) / z, z = r² ≤ (π/4)²: 2.5e-8, 9.3e-18
    dt.float32: (-0.166666641831398, 0.008332746103405952, -0.00019587387214414775),
    dt.float64: (-0.16666666666666666, 0.008333333333333331, -0.00019841269841265017, 2.755731921930192e-06,
                 -2.5052106219521895e-08, 1.6058529572267877e-10, -7.586576588171073e-13),
}  # fmt: skip
_COS: dict[dt.DType, Sequence[float]] = {
    # (cos(r) - 1 + z/2) / z²: 2.5e-9, 2.3e-18
    dt.float32: (0.0416666641831398, -0.0013888300163671374, 2.4547436623834074e-05),
    dt.float64: (0.041666666666666664, -0.0013888888888888887, 2.4801587301584618e-05, -2.7557319221382114e-07,
                 2.087675578389404e-09, -1.1470459749675607e-11, 4.745804889760674e-14),
}  # fmt: skip
_HALF_PI = {
    dt.float32: (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15),
    dt.float64: (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
}
FAR = {dt.float32: 30000.0, dt.float64: 1e8}
"""Beyond this size the three parts of π/2 are not enough."""
_ERF = (
    0.3603421151638031, -0.1799156218767166, 0.13395436108112335, -0.10910239815711975, 0.09057942777872086,
    -0.0740654245018959, 0.058499328792095184, -0.043568212538957596, 0.029817009344697, -0.020115451887249947,
    0.014348366297781467, -0.007742981892079115, 0.0019216776126995683, -0.0014068007003515959, 0.002138541778549552,
    -0.000861429434735328,
)  # fmt: skip
"""erf(x)/x in t = 2x²/E² - 1, |x| ≤ E = `_ERF_END`; least greatest relative error, 2.6e-8."""
_ERF_END = 3.9243  # from here on erf is 1 in float32
_TINY = {dt.float32: 2.0**-30, dt.float64: 2.0**-60}  # here x is its own tanh and expm1


def fma(a: Expr, b: Expr | float, c: Expr | float) -> Expr:
    """a·b + c, rounded once."""
    return Expr.of("fma", (a, _as(b, a), _as(c, a)), a.dtype)


def _as(value: Expr | float, like: Expr) -> Expr:
    return value if isinstance(value, Expr) else const(value, like.dtype)


def horner(x: Expr, terms: Sequence[float]) -> Expr:
    """A polynomial, lowest power first."""
    return reduce(lambda value, c: fma(value, x, c), reversed(terms[:-1]), const(terms[-1], x.dtype))


def _within(x: Expr, low: float, high: float) -> Expr:
    """``x`` within [low, high]; NaN stays."""
    below = where(x > high, high, x)
    return where(below < low, low, below)


def _nearest(x: Expr, factor: float) -> tuple[Expr, Expr]:
    """(n, as an int32): the integer nearest to x·factor, which is below 2²² in size."""
    shift = const(_SHIFT[x.dtype], x.dtype)
    shifted = fma(x, factor, shift)
    return shifted - shift, (bits(shifted) - bits(shift)).cast(dt.int32)


def _reduced(x: Expr) -> tuple[Expr, Expr, Expr]:
    """(eʳ - 1, n, n as an int32) with x = n·log(2) + r, |r| ≤ log(2)/2."""
    n, whole = _nearest(x, _INVERSE_LN2)
    high, low = _LN2[x.dtype]
    r = fma(n, -low, fma(n, -high, x))
    return fma(r * r, horner(r, _EXP[x.dtype]), r), n, whole


def exp(x: Expr) -> Expr:
    """eˣ = 2ⁿ·eʳ; a denormal result is rounded once more.

    What is 0 is not computed: a processor takes twenty times as long over a result that is denormal or less, and masked
    scores are -∞ (half of them under a causal mask).
    """
    low, high = _ENDS[x.dtype]
    p, count, n = _reduced(where(x > high, high, x))
    return Expr.of("scaled", (p + 1, count, n, x < low), x.dtype)


def expm1(x: Expr) -> Expr:
    """eˣ - 1 = 2ⁿ·(eʳ - 1) + (2ⁿ - 1), at half the size, so that 2ⁿ never overflows."""
    f = form(x)
    bounded = _within(x, -18.0 if f.dtype is dt.float32 else -38.0, _ENDS[x.dtype][1])
    p, _, n = _reduced(bounded)
    half = power_of_two(n - 1, f)
    made = fma(p, half, half - 0.5)
    return where(magnitude(x) < _TINY[x.dtype], x, made + made)


def tanh(x: Expr) -> Expr:
    """t/(t + 2) with t = e^2|x| - 1; 1 from 10 (float64: 20) on."""
    end = 20.0 if x.dtype is dt.float32 else 40.0
    twice = magnitude(x) * 2
    t = expm1(where(twice > end, end, twice))
    return with_sign(t / (t + 2), x)


def log(x: Expr) -> Expr:
    """n·log(2) + log(1 + f), from the mantissa around 1."""
    m, n = split(x)
    f = m - 1
    square, count = f * f, n.cast(x.dtype)
    high, low = _LN2_SHORT[x.dtype]
    if x.dtype is dt.float32:
        rest = fma(count, low, f * square * horner(f, _LOG))
        made = fma(count, high, fma(square, -0.5, rest) + f)
    else:  # log(1 + f) = 2 atanh(t), arranged as in FreeBSD's e_log.c
        t = f / (f + 2)
        z = t * t
        series = z * (fma(z, horner(z, coefficients("atanh", x.dtype)), 1 / 3) * 2)
        made = count * high - ((square * 0.5 - fma(t, square * 0.5 + series, count * low)) - f)
    special = where(x.eq(0), float("-inf"), where(x < 0, float("nan"), x))
    return where((x > 0) & (x < float("inf")), made, special)


def _circular(x: Expr, turn: int) -> Expr:
    """sin(x + turn·π/2) by the quarter that x is in."""
    n, quarter = _nearest(where(magnitude(x) > FAR[x.dtype], const(0, x.dtype), x), 0.6366197723675814)
    first, second, third = _HALF_PI[x.dtype]
    r = fma(n, -third, fma(n, -second, fma(n, -first, where(magnitude(x) > FAR[x.dtype], const(0, x.dtype), x))))
    z = r * r
    sine = fma(z * r, horner(z, _SIN[x.dtype]), r)
    cosine = fma(z * z, horner(z, _COS[x.dtype]), fma(z, -0.5, 1.0))
    place = quarter + turn
    size = where((place & 1).eq(0), sine, cosine)
    near = where((place & 2).eq(0), size, -size)
    if not turn:
        near = where(magnitude(x) < _TINY[x.dtype], x, near)
    far = Expr.of("far_cos" if turn else "far_sin", (x,), x.dtype)
    return where(magnitude(x) <= FAR[x.dtype], near, far)


def erf(x: Expr) -> Expr:
    """x times a polynomial in x², without a division: that would cost as much as all the rest. float32 only."""
    near = _within(x, -_ERF_END, _ERF_END)
    t = fma(near * near, 2 / _ERF_END**2, -1.0)
    made = _within(near * horner(t, _ERF), -1.0, 1.0)
    return where(magnitude(x) >= _ERF_END, where(x < 0, _as(-1.0, x), _as(1.0, x)), made)


TABLE: dict[str, Callable[[Expr], Expr]] = {
    "exp": exp, "expm1": expm1, "tanh": tanh, "log": log, "sin": lambda x: _circular(x, 0), "cos": lambda x: _circular(x, 1),
    "rsqrt": lambda x: 1 / s.sqrt(x), "erf": erf,
}  # fmt: skip
"""Operator → what it is made of. erf of float64 is the contract's."""


KNOWN = frozenset(ROWS) | frozenset(TABLE)
"""Every operator that native code has, by instructions or by the table."""


class Elementary(Rewrite):
    """Replaces the operators of `TABLE`."""

    def rule(self, node: Expr, args: tuple[Expr, ...]) -> Expr:
        if node.op == "erf" and node.dtype is dt.float64:
            return self(lower(Expr.of("erf", args, node.dtype), KNOWN - {"erf"}))
        if node.op in TABLE and args[0].dtype.kind == "f":
            return TABLE[node.op](args[0])
        return node if args == node.args else Expr.of(node.op, args, node.dtype, node.value)
