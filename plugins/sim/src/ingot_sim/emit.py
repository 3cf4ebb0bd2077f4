"""Scalar expressions as Python source: one operator at a time, rounded as its dtype says.

Shared by both modes: `definition` and `program` put these lines into loops of their own. Values are
Python numbers. A float32 result is rounded by a trip through four bytes of memory, ``F[0] = a + b``
and ``t = F[0]``: rounding a float64 result of + − × ÷ √ to float32 is exactly float32 arithmetic.
"""

from __future__ import annotations

import math
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.codegen import Unsupported
from ingot_devices.codegen.arguments import whole
from ingot_devices.dtypes import DType
from ingot_devices.ir.expr import Expr

from . import scalars

_FORMAT = {
    dt.bool_: "?", dt.uint8: "B", dt.int8: "b", dt.uint16: "H", dt.int16: "h", dt.uint32: "I",
    dt.int32: "i", dt.uint64: "Q", dt.int64: "q", dt.float16: "e", dt.bfloat16: "bf", dt.float32: "f",
    dt.float64: "d", dt.index: "q",
}  # fmt: skip
_COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_ARITHMETIC = {"add": "+", "sub": "-", "mul": "*"}
_LOGIC = {"and": "&", "or": "|", "xor": "^"}
_EXACT = frozenset(["floor", "ceil", "trunc", "round", "sign"])  # results lie on the grid already
_HELPERS = (
    "f32", "f16", "bf16", "f16_bits", "bf16_bits", "f16_of", "bf16_of", "whole_f32", "truncate",
    "by_zero", "ifmod", "ipow",
)  # fmt: skip
_WIDE = 32  # integers up to this many bits are exact in float64


def namespace() -> dict[str, Any]:
    """The globals of a generated function."""
    names: dict[str, Any] = {f"h_{k}": f for k, f in scalars.FUNCTIONS.items()}
    for name in _HELPERS:
        names[name] = getattr(scalars, name)
    return {**names, "NAN": math.nan, "INF": math.inf}


def width(d: DType) -> int:
    """Bits of an integer type."""
    return 8 * int(d.itemsize)


def bounds(d: DType) -> tuple[int, int]:
    """The least and the greatest integer of ``d``."""
    bits = width(d)
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if d.kind in "in" else (0, (1 << bits) - 1)


def wrap(text: str, d: DType) -> str:
    """``text`` modulo the width of an integer type; index arithmetic does not overflow."""
    if d is dt.index:
        return text
    if d.kind == "b":
        return f"(({text}) != 0)"
    low, _ = bounds(d)
    mask = (1 << width(d)) - 1
    return f"((({text}) + {-low} & {mask}) - {-low})" if low else f"(({text}) & {mask})"


def literal(value: Any, d: DType) -> str:
    """A constant of ``d`` as source."""
    if d.kind != "f":
        return f"({value!r})"
    value = on_grid(float(value), d)
    if value != value:
        return "NAN"
    if math.isinf(value):
        return "INF" if value > 0 else "(-INF)"
    return f"({value!r})"


def on_grid(value: float, d: DType) -> float:
    """``value`` rounded to the float type ``d``."""
    return {dt.float32: scalars.f32, dt.float16: scalars.f16, dt.bfloat16: scalars.bf16}.get(d, float)(value)


def number(value: Any, d: DType) -> Any:
    """A Python number as a value of ``d``: rounded, wrapped or truncated; OverflowError beyond 64 bits."""
    if d.kind == "f":
        return on_grid(float(value), d)
    if d.kind == "b":
        return bool(value)
    low, high = bounds(d)
    return (whole(value) - low) % (high - low + 1) + low


def rounded(text: str, d: DType) -> str:
    """``text`` (a float64) on the grid of the float type ``d``, as one expression."""
    name = {dt.float32: "f32", dt.float16: "f16", dt.bfloat16: "bf16"}.get(d)
    return f"{name}({text})" if name else text


def row(node: Expr, args: list[str], names: dict[str, Any]) -> tuple[str, bool]:
    """``node`` over the source of its operands, and whether the result still has to be rounded.

    ``names`` (the function's globals) gets what the text refers to. Unsupported names a strange row.
    """
    d, op = node.dtype, node.op
    of = node.args[0].dtype if node.args else d
    if op == "where":
        return f"({args[1]} if {args[0]} else {args[2]})", False
    if op in _COMPARE:
        return f"({args[0]} {_COMPARE[op]} {args[1]})", False
    if op == "cast":
        return _cast(args[0], of, d)
    if op == "bitcast":
        return _bitcast(args[0], of, d, names), False
    if op == "isnan":
        return f"({args[0]} != {args[0]})", False
    if op == "isinf":
        return f"({args[0]} == INF or {args[0]} == -INF)", False
    made = _float(op, args, d) if d.kind == "f" else _integer(op, args, d)
    if made is None:
        raise Unsupported(f"sim knows no {op} of {of.name}")
    return made


def _float(op: str, a: list[str], d: DType) -> tuple[str, bool] | None:
    rounding = d is not dt.float64
    if op in _ARITHMETIC:
        return f"({a[0]} {_ARITHMETIC[op]} {a[1]})", rounding
    if op == "div":
        return f"({a[0]} / {a[1]} if {a[1]} else by_zero({a[0]}, {a[1]}))", rounding
    if op == "neg":
        return f"(-{a[0]})", False
    if op == "abs":
        return f"abs({a[0]})", False
    if op in ("maximum", "minimum"):
        sign = ">" if op == "maximum" else "<"
        return f"({a[0]} if {a[0]} {sign} {a[1]} or {a[0]} != {a[0]} else {a[1]})", False
    if op in scalars.FUNCTIONS:
        return f"h_{op}({', '.join(a)})", rounding and op not in _EXACT
    return None


def _integer(op: str, a: list[str], d: DType) -> tuple[str, bool] | None:
    text = _integer_text(op, a, d)
    return None if text is None else (text, False)


def _integer_text(op: str, a: list[str], d: DType) -> str | None:
    if op in _ARITHMETIC:
        return wrap(f"{a[0]} {_ARITHMETIC[op]} {a[1]}", d)
    if op in _LOGIC:
        return f"({a[0]} {_LOGIC[op]} {a[1]})"
    if op in ("idiv", "mod"):
        sign = "//" if op == "idiv" else "%"
        return wrap(f"{a[0]} {sign} {a[1]} if {a[1]} else 0", d)
    if op in ("maximum", "minimum"):
        return f"({a[0]} if {a[0]} {'>' if op == 'maximum' else '<'} {a[1]} else {a[1]})"
    if op in ("shl", "shr"):
        moved = wrap(f"{a[0]} << {a[1]}", d) if op == "shl" else f"({a[0]} >> {a[1]})"
        return f"({moved} if 0 <= {a[1]} < {width(d)} else 0)"
    rest = {
        "neg": lambda: wrap(f"-{a[0]}", d),
        "abs": lambda: wrap(f"abs({a[0]})", d),
        "not": lambda: f"(not {a[0]})" if d.kind == "b" else wrap(f"~{a[0]}", d),
        "fma": lambda: wrap(f"{a[0]} * {a[1]} + {a[2]}", d),
        "sign": lambda: f"(({a[0]} > 0) - ({a[0]} < 0))",
        "mulhi": lambda: f"({a[0]} * {a[1]} >> {width(d)})",
        "pow": lambda: wrap(f"ipow({a[0]}, {a[1]})", d),
        "fmod": lambda: wrap(f"ifmod({a[0]}, {a[1]})", d),
        **dict.fromkeys(("floor", "ceil", "trunc", "round"), lambda: a[0]),
    }.get(op)
    return None if rest is None else rest()


def _cast(x: str, of: DType, to: DType) -> tuple[str, bool]:
    if to.kind == "b":
        return (x if of.kind == "b" else f"({x} != 0)"), False
    if to.kind == "f":
        if of.kind == "f":
            exact = to is dt.float64 or of is to or (to is dt.float32 and of.itemsize == 2)
            return x, not exact
        if to is dt.float32 and width(of) > _WIDE:
            return f"whole_f32({x})", False
        return f"float({x})", to is not dt.float64
    if of.kind == "f":
        low, high = bounds(to)
        return f"truncate({x}, {low}, {high})", False
    if of.kind == "b":
        return f"(+{x})", False
    return wrap(x, to), False


def _bitcast(x: str, of: DType, to: DType, names: dict[str, Any]) -> str:
    if of.itemsize != to.itemsize:
        raise Unsupported(f"bitcast of {of.name} to {to.name}: the widths differ")
    if of.kind in "uin" and to.kind in "uin":
        return wrap(x, to)
    name = f"bits_{of.name}_{to.name}"
    names[name] = scalars.bits(_FORMAT[of], _FORMAT[to])
    return f"{name}({x})"
