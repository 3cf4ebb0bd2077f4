"""What each scalar operator computes, on NumPy scalars and arrays: the specification, executable.

``scalar_rows[op](*operands)`` takes operands of one dtype (``where`` a bool first) and returns the
result in its exact dtype; ``cast`` and ``bitcast`` take the NumPy dtype as a second operand.
`evaluate` walks an expression with them. Transcendental functions of float32 and the halves are
float64's rounded once. Integers wrap; out of range, a float becomes the nearest integer, NaN 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .expr import Expr, walk

Array = Any
Row = Callable[..., Any]


def _wide(function: Row) -> Row:
    """``function`` computed in float64 and rounded to the operands' type."""

    def row(*args: Array) -> Array:
        kind = np.asarray(args[0]).dtype
        return np.asarray(function(*(np.asarray(a).astype(np.float64) for a in args))).astype(kind)

    return row


def _each(function: Callable[[float], float]) -> Row:
    """A function of Python floats over arrays."""
    called = np.frompyfunc(function, 1, 1)
    return _wide(lambda x: np.asarray(called(x)).astype(np.float64))


def _bits(x: Array) -> int:
    return 8 * np.asarray(x).dtype.itemsize


def _left(x: Array, n: Array) -> Array:
    inside = (n >= 0) & (n < _bits(x))
    return np.where(inside, np.left_shift(x, np.where(inside, n, 0).astype(np.asarray(x).dtype)), 0)


def _right(x: Array, n: Array) -> Array:
    inside = (n >= 0) & (n < _bits(x))
    return np.where(inside, np.right_shift(x, np.where(inside, n, 0).astype(np.asarray(x).dtype)), 0)


def _same(row: Row) -> Row:
    """The result in the dtype of the first operand."""
    return lambda *args: np.asarray(row(*args)).astype(np.asarray(args[0]).dtype)


def _divided(function: Row) -> Row:
    """Integer division and remainder, 0 for a divisor of 0."""

    def row(a: Array, b: Array) -> Array:
        zero = np.asarray(b) == 0
        return np.where(zero, 0, function(a, np.where(zero, 1, b).astype(np.asarray(b).dtype)))

    return _same(row)


def _high(a: Array, b: Array) -> Array:
    """The upper half of a product of integers."""
    bits = _bits(a)
    return np.frompyfunc(lambda x, y: int(x) * int(y) >> bits, 2, 1)(a, b)


def _power(a: Array, b: Array) -> Array:
    if np.asarray(a).dtype.kind == "f":
        return _wide(np.power)(a, b)
    modulus = 1 << _bits(a)
    signed = np.asarray(a).dtype.kind == "i"

    def power(x: int, n: int) -> int:
        x, n = int(x), int(n)
        if n < 0:
            return {1: 1, -1: -1 if n & 1 else 1}.get(x, 0)
        value = pow(x, n, modulus)
        return value - modulus if signed and value >= modulus >> 1 else value

    return np.frompyfunc(power, 2, 1)(a, b)


def _fma(a: Array, b: Array, c: Array) -> Array:
    if np.asarray(a).dtype.kind != "f":
        return a * b + c
    return _wide(lambda x, y, z: x * y + z)(a, b, c)


def _remainder(a: Array, b: Array) -> Array:
    return np.fmod(a, b) if np.asarray(a).dtype.kind == "f" else _divided(np.fmod)(a, b)


def _invert(x: Array) -> Array:
    return np.invert(x)


def _whole(function: Row) -> Row:
    """A rounding function; integers are whole."""
    return lambda x: function(x) if np.asarray(x).dtype.kind == "f" else x


def cast(x: Array, to: np.dtype[Any]) -> Array:
    """``x`` in the NumPy dtype ``to``."""
    value, to = np.asarray(x), np.dtype(to)
    if to.kind not in "iu" or value.dtype.kind in "biu":
        return value.astype(to)
    info = np.iinfo(to)
    wide = np.trunc(np.nan_to_num(value.astype(np.float64), nan=0.0, posinf=math.inf, neginf=-math.inf))
    inside = np.clip(wide, float(info.min), np.nextafter(float(info.max) + 1, 0))
    return np.where(wide > info.max, info.max, inside.astype(to)).astype(to)


def bitcast(x: Array, to: np.dtype[Any]) -> Array:
    """The bits of ``x`` as the NumPy dtype ``to`` of the same width."""
    return np.asarray(x).view(to)


scalar_rows: dict[str, Row] = {
    "abs": np.absolute, "acos": _wide(np.arccos), "add": np.add, "and": np.bitwise_and,
    "asin": _wide(np.arcsin), "atan": _wide(np.arctan), "atan2": _wide(np.arctan2),
    "bitcast": bitcast, "cast": cast, "ceil": _whole(np.ceil), "cos": _wide(np.cos),
    "cosh": _wide(np.cosh), "div": np.divide, "eq": np.equal, "erf": _each(math.erf),
    "erfc": _each(math.erfc), "exp": _wide(np.exp), "exp2": _wide(np.exp2),
    "expm1": _wide(np.expm1), "floor": _whole(np.floor), "fma": _fma, "fmod": _same(_remainder),
    "ge": np.greater_equal, "gt": np.greater, "hypot": _wide(np.hypot),
    "idiv": _divided(np.floor_divide), "isinf": np.isinf, "isnan": np.isnan, "le": np.less_equal,
    "log": _wide(np.log), "log10": _wide(np.log10), "log1p": _wide(np.log1p),
    "log2": _wide(np.log2), "lt": np.less, "maximum": np.maximum, "minimum": np.minimum,
    "mod": _divided(np.remainder), "mul": np.multiply, "mulhi": _same(_high), "ne": np.not_equal,
    "neg": np.negative, "not": _invert, "or": np.bitwise_or, "pow": _same(_power),
    "round": _whole(np.rint), "rsqrt": _wide(lambda x: 1 / np.sqrt(x)), "shl": _same(_left),
    "shr": _same(_right), "sign": np.sign, "sin": _wide(np.sin), "sinh": _wide(np.sinh),
    "sqrt": np.sqrt, "sub": np.subtract, "tan": _wide(np.tan), "tanh": _wide(np.tanh),
    "trunc": _whole(np.trunc), "where": np.where, "xor": np.bitwise_xor,
}  # fmt: skip
"""Operator → what it computes. Floating-point flags are the caller's to silence."""


def evaluate(root: Expr, leaves: Mapping[Expr, Array]) -> Array:
    """The value of ``root`` where its leaves have the given values (arrays that broadcast).

    Raises KeyError for a leaf without one. Constants are literals of their dtype.
    """
    values: dict[Expr, Array] = dict(leaves)
    with np.errstate(all="ignore"):
        for node in walk(root):
            if node not in values:
                values[node] = _node(node, values)
    return values[root]


def _node(node: Expr, values: Mapping[Expr, Array]) -> Array:
    kind = node.dtype.numpy
    if node.op == "const":
        return np.asarray(node.value).astype(kind)
    args = [values[a] for a in node.args]
    if node.op in ("cast", "bitcast"):
        return scalar_rows[node.op](args[0], kind)
    made = scalar_rows[node.op](*args)
    return made if np.asarray(made).dtype == kind else np.asarray(made).astype(kind)
