"""Expansions: every scalar operator in terms of the rows that each dialect must have.

Last step before a schedule is rendered (`codegen.legalize`): `lower` rewrites an expression until
only operators of the dialect are left. So a dialect of `REQUIRED` rows runs the whole opset, and a
new operator never breaks an older plugin. A dialect that has a row of its own keeps it.

The bounds below are in units in the last place, with required rows that are correctly rounded
(tests measure them so); a dialect whose exp or log is off by n adds about n where they are used.
Integers, NaN, infinities and the sign of zeros come out as C's library has them.

    exact   abs sign floor ceil trunc round fmod isnan isinf ne le gt ge maximum minimum,
            integer pow
    1       exp2, fma (which is wrong by more than 0.5 only where three terms make a tie)
    1.5     expm1 acos hypot rsqrt pow
    2       log1p log2 log10 atan tan sinh cosh
    2.5     asin atan2 tanh, erf of float32
    4       erf of float64, erfc of float32
    8       erfc of float64

Halves are expanded in float32. Of two equal zeros, maximum and minimum take the second.
"""

from __future__ import annotations

from collections.abc import Callable

from .. import dtypes as dt
from . import expand_arithmetic as arithmetic
from . import expand_error as error
from . import expand_exponential as exponential
from . import expand_power as power
from . import expand_trigonometric as trigonometric
from .expr import Expr, where
from .floats import is_nan, magnitude

Row = Callable[..., Expr]


def _magnitude(x: Expr) -> Expr:
    if x.dtype.kind == "f":
        return magnitude(x)
    return where(x < 0, -x, x) if x.dtype.kind in "in" else x


def _maximum(a: Expr, b: Expr) -> Expr:
    if a.dtype.kind == "b":
        return a | b
    return where((b < a) | is_nan(a), a, b) if a.dtype.kind == "f" else where(a < b, b, a)


def _minimum(a: Expr, b: Expr) -> Expr:
    if a.dtype.kind == "b":
        return a & b
    return where((a < b) | is_nan(a), a, b) if a.dtype.kind == "f" else where(b < a, b, a)


def _at_most(a: Expr, b: Expr) -> Expr:
    return (a < b) | a.eq(b) if a.dtype.kind == "f" else ~(b < a)


def _infinite(x: Expr) -> Expr:
    return _magnitude(x).eq(float("inf"))


ROWS: dict[str, Row] = {
    "abs": _magnitude,
    "acos": trigonometric.acos,
    "asin": trigonometric.asin,
    "atan": trigonometric.atan,
    "atan2": trigonometric.atan2,
    "ceil": arithmetic.ceil,
    "cosh": exponential.cosh,
    "erf": error.erf,
    "erfc": error.erfc,
    "exp2": exponential.exp2,
    "expm1": exponential.expm1,
    "fma": arithmetic.fma,
    "fmod": arithmetic.fmod,
    "ge": lambda a, b: _at_most(b, a),
    "gt": lambda a, b: b < a,
    "hypot": arithmetic.hypot,
    "isinf": _infinite,
    "isnan": is_nan,
    "le": _at_most,
    "log10": exponential.log10,
    "log1p": exponential.log1p,
    "log2": exponential.log2,
    "maximum": _maximum,
    "minimum": _minimum,
    "ne": lambda a, b: ~a.eq(b),
    "pow": power.power,
    "round": arithmetic.round_even,
    "rsqrt": arithmetic.rsqrt,
    "sign": arithmetic.sign,
    "sinh": exponential.sinh,
    "tan": trigonometric.tan,
    "tanh": exponential.tanh,
    "trunc": arithmetic.trunc,
}
"""Operator → its expansion; operands are float32, float64, integers, bool or indices."""


def expand(node: Expr) -> Expr:
    """One step: ``node`` by its expansion, which may use operators that have one too."""
    kinds = [a.dtype for a in node.args]
    if any(d in (dt.float16, dt.bfloat16) for d in kinds):
        wide = tuple(a.cast(dt.float32) for a in node.args)
        made = ROWS[node.op](*wide)
        return made.cast(node.dtype) if node.dtype.kind == "f" else made
    return ROWS[node.op](*node.args)


def lower(root: Expr, rows: frozenset[str]) -> Expr:
    """``root`` with every operator that has an expansion and is not in ``rows`` expanded.

    Leaves and operators that are in no table (a code generator's own) stay as they are.
    """
    memo: dict[Expr, Expr] = {}
    return _lower(root, rows, memo)


def _lower(root: Expr, rows: frozenset[str], memo: dict[Expr, Expr]) -> Expr:
    stack: list[tuple[Expr, bool]] = [(root, False)]
    while stack:
        node, ready = stack.pop()
        if node in memo:
            continue
        if not ready:
            stack.append((node, True))
            stack.extend((a, False) for a in node.args)
            continue
        args = tuple(memo[a] for a in node.args)
        made = node if args == node.args else Expr.of(node.op, args, node.dtype, node.value)
        if made.op in ROWS and made.op not in rows:
            made = _lower(expand(made), rows, memo)
        memo[node] = made
    return memo[root]
