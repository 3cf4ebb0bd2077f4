"""What each scalar operator means, on Python numbers: helpers that generated functions call.

`emit` writes arithmetic inline and calls these for the rest. A float of any width is a Python float
that lies on its type's grid; results here are unrounded float64, and `emit` rounds them. So float32
transcendentals are float64's rounded once: the most accurate choice, and the one the specification
makes. Integers and bools are Python's; `emit` wraps them to their width.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from ctypes import c_float
from fractions import Fraction
from typing import Any

NAN, INF = math.nan, math.inf


def f32(x: float) -> float:
    """Rounded to float32."""
    return c_float(x).value


def f16(x: float) -> float:
    """Rounded to float16, ties to even."""
    try:
        return float(struct.unpack("<e", struct.pack("<e", x))[0])
    except OverflowError:
        return math.copysign(INF, x)


def bf16(x: float) -> float:
    """Rounded to float32, then to bfloat16, ties to even."""
    x = c_float(x).value
    if x != x or x in (INF, -INF):
        return x
    (bits,) = struct.unpack("<I", struct.pack("<f", x))
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    return float(struct.unpack("<f", struct.pack("<I", bits))[0])


def f16_bits(x: float) -> int:
    """The bits of a float16."""
    return int(struct.unpack("<H", struct.pack("<e", x))[0])


def bf16_bits(x: float) -> int:
    """The bits of a bfloat16."""
    return int(struct.unpack("<I", struct.pack("<f", x))[0]) >> 16


def f16_of(bits: int) -> float:
    """The float16 with these bits."""
    return float(struct.unpack("<e", struct.pack("<H", bits))[0])


def bf16_of(bits: int) -> float:
    """The bfloat16 with these bits."""
    return float(struct.unpack("<f", struct.pack("<I", bits << 16))[0])


def bits(source: str, target: str) -> Callable[[Any], Any]:
    """The bitcast between two `struct` formats of one width; ``bf`` stands for bfloat16."""

    def cast(x: Any) -> Any:
        raw = struct.pack("<H", bf16_bits(x)) if source == "bf" else struct.pack("<" + source, x)
        if target == "bf":
            return struct.unpack("<f", b"\0\0" + raw)[0]
        return struct.unpack("<" + target, raw)[0]

    return cast


def whole_f32(x: int) -> float:
    """A large integer rounded once to float32."""
    if abs(x) < 1 << 53:
        return f32(float(x))
    excess = abs(x).bit_length() - 26  # keep 26 bits and a sticky one: then float64 is exact
    kept = abs(x) >> excess
    sticky = 1 if kept << excess != abs(x) else 0
    return math.copysign(f32(math.ldexp(2 * kept + sticky, excess - 1)), x)


def truncate(x: float, low: int, high: int) -> int:
    """Towards zero into [low, high]; NaN gives 0. (Out of range is the target's choice: sim saturates.)"""
    if x != x:
        return 0
    if x <= low:
        return low
    return high if x >= high else int(x)


# ---- division and roots --------------------------------------------------------------------------
def by_zero(a: float, b: float) -> float:
    """a / ±0."""
    if a != a or a == 0:
        return NAN
    return math.copysign(INF, a) * math.copysign(1.0, b)


def sqrt(x: float) -> float:
    return math.sqrt(x) if x >= 0 else NAN


def rsqrt(x: float) -> float:
    if x > 0:
        return 1 / math.sqrt(x)
    return math.copysign(INF, x) if x == 0 else NAN


def fmod(a: float, b: float) -> float:
    if a != a or b != b or a in (INF, -INF) or b == 0:
        return NAN
    return math.fmod(a, b)


def fma(a: float, b: float, c: float) -> float:
    """a·b + c rounded once to float64."""
    product = a * b
    if not (math.isfinite(product) and math.isfinite(c)) or product == 0:
        return product + c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    return float(exact) if exact else product + c


def ipow(a: int, b: int) -> int:
    """Integer power; a negative exponent gives the power's whole part. `emit` wraps it."""
    if b >= 0:
        return pow(a, b) if abs(a) < 2 or b < 64 else _wrapped_power(a, b)
    return {1: 1, -1: -1 if b & 1 else 1}.get(a, 0)


def _wrapped_power(a: int, b: int) -> int:
    return pow(a, b, 1 << 64)


def ifmod(a: int, b: int) -> int:
    """C's remainder, with the sign of ``a``; 0 for a zero divisor."""
    return (abs(a) % abs(b)) * (-1 if a < 0 else 1) if b else 0


def power(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except OverflowError:
        return -INF if a < 0 and b % 2 == 1 else INF
    except ValueError:
        if a == 0:
            return -INF if math.copysign(1.0, a) < 0 and b % 2 == 1 else INF
        return NAN


# ---- exponentials --------------------------------------------------------------------------------
def exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return INF


def exp2(x: float) -> float:
    try:
        return math.exp2(x)
    except OverflowError:
        return INF


def expm1(x: float) -> float:
    try:
        return math.expm1(x)
    except OverflowError:
        return INF


def _log(function: Callable[[float], float], pole: float = 0.0) -> Callable[[float], float]:
    """``function`` with -inf at ``pole`` and NaN below."""

    def log(x: float) -> float:
        if x > pole:
            return function(x)
        return -INF if x == pole else NAN

    return log


log, log2, log10 = _log(math.log), _log(math.log2), _log(math.log10)
log1p = _log(math.log1p, -1.0)


# ---- trigonometric, hyperbolic, errors -----------------------------------------------------------
def _finite(function: Callable[[float], float]) -> Callable[[float], float]:
    """``function``, NaN at infinity."""

    def call(x: float) -> float:
        return function(x) if -INF < x < INF else NAN

    return call


def _unit(function: Callable[[float], float]) -> Callable[[float], float]:
    """``function``, NaN outside [-1, 1]."""

    def call(x: float) -> float:
        return function(x) if -1.0 <= x <= 1.0 else NAN

    return call


def sinh(x: float) -> float:
    try:
        return math.sinh(x)
    except OverflowError:
        return math.copysign(INF, x)


def cosh(x: float) -> float:
    try:
        return math.cosh(x)
    except OverflowError:
        return INF


# ---- rounding ------------------------------------------------------------------------------------
def _rounding(function: Callable[[float], int]) -> Callable[[float], float]:
    """``function``; infinities and NaN stay, and so does the sign of a zero."""

    def call(x: float) -> float:
        return math.copysign(function(x), x) if -INF < x < INF else x

    return call


def sign(x: float) -> float:
    return 1.0 if x > 0 else -1.0 if x < 0 else x if x != x else 0.0


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "acos": _unit(math.acos), "asin": _unit(math.asin), "atan": math.atan, "atan2": math.atan2,
    "ceil": _rounding(math.ceil), "cos": _finite(math.cos), "cosh": cosh, "erf": math.erf,
    "erfc": math.erfc, "exp": exp, "exp2": exp2, "expm1": expm1, "floor": _rounding(math.floor),
    "fma": fma, "fmod": fmod, "hypot": math.hypot, "log": log, "log10": log10, "log1p": log1p,
    "log2": log2, "pow": power, "round": _rounding(round), "rsqrt": rsqrt, "sign": sign,
    "sin": _finite(math.sin), "sinh": sinh, "sqrt": sqrt, "tan": _finite(math.tan),
    "tanh": math.tanh, "trunc": _rounding(math.trunc),
}  # fmt: skip
"""Operators on floats that are a call; the others `emit` writes inline."""
