"""Symbolic differentiation of scalar expressions: where the higher orders of pointwise gradients come from.

`opset.pointwise` writes first-order rules by hand, because a good formula needs thought at the edges; their own
derivatives are taken here, one row per operator. A subtree that does not depend on the variable has no derivative
(None, never a literal 0), so 0·∞ cannot appear out of nowhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from . import scalar as s
from .expr import Expr, const, unary, walk, where

Row = Callable[..., tuple["Expr | None", ...]]

# fmt: off
ROWS: dict[str, Row] = {
    # operator: (its operands, its value) → the partial derivatives
    "add": lambda a, b, v: (const(1, v.dtype), const(1, v.dtype)),
    "sub": lambda a, b, v: (const(1, v.dtype), const(-1, v.dtype)),
    "mul": lambda a, b, v: (b, a),
    "div": lambda a, b, v: (1 / b, -(v / b)),
    "neg": lambda a, v: (const(-1, v.dtype),),
    "abs": lambda a, v: (s.sign(a),),
    "maximum": lambda a, b, v: (_select(a >= b, v), _select(b > a, v)),
    "minimum": lambda a, b, v: (_select(a <= b, v), _select(b < a, v)),
    "pow": lambda a, b, v: (where(b.eq(0), 0, b * s.power(a, b - 1)), where(a.eq(0), 0, v * s.log(a))),
    "atan2": lambda a, b, v: (b / (a * a + b * b), -(a / (a * a + b * b))),
    "hypot": lambda a, b, v: (a / v, b / v),
    "fmod": lambda a, b, v: (const(1, v.dtype), -s.trunc(a / b)),
    "sqrt": lambda a, v: (0.5 / v,),
    "rsqrt": lambda a, v: (v * v * v * -0.5,),
    "exp": lambda a, v: (v,),
    "exp2": lambda a, v: (v * math.log(2),),
    "expm1": lambda a, v: (v + 1,),
    "log": lambda a, v: (1 / a,),
    "log2": lambda a, v: (1 / (a * math.log(2)),),
    "log10": lambda a, v: (1 / (a * math.log(10)),),
    "log1p": lambda a, v: (1 / (a + 1),),
    "sin": lambda a, v: (s.cos(a),),
    "cos": lambda a, v: (-s.sin(a),),
    "tan": lambda a, v: (v * v + 1,),
    "asin": lambda a, v: (s.rsqrt(1 - a * a),),
    "acos": lambda a, v: (-s.rsqrt(1 - a * a),),
    "atan": lambda a, v: (1 / (a * a + 1),),
    "sinh": lambda a, v: (s.cosh(a),),
    "cosh": lambda a, v: (s.sinh(a),),
    "tanh": lambda a, v: (1 - v * v,),
    "erf": lambda a, v: (s.exp(-(a * a)) * (2 / math.sqrt(math.pi)),),
    "erfc": lambda a, v: (s.exp(-(a * a)) * (-2 / math.sqrt(math.pi)),),
    "sign": lambda a, v: (None,),
    "floor": lambda a, v: (None,),
    "ceil": lambda a, v: (None,),
    "round": lambda a, v: (None,),
    "trunc": lambda a, v: (None,),
}
# fmt: on


def _select(condition: Expr, v: Expr) -> Expr:
    return where(condition, const(1, v.dtype), const(0, v.dtype))


def derivative(root: Expr, variable: Expr) -> Expr | None:
    """d root / d variable (a leaf), or None where root does not depend on it."""
    slopes: dict[Expr, Expr | None] = {variable: const(1, variable.dtype)}
    for node in walk(root):
        if node not in slopes:
            slopes[node] = _slope(node, slopes)
    return slopes[root]


def _slope(node: Expr, slopes: dict[Expr, Expr | None]) -> Expr | None:
    inner = [slopes[a] for a in node.args]
    if all(i is None for i in inner) or node.dtype.kind != "f":
        return None
    if node.op == "cast":
        return None if inner[0] is None else inner[0].cast(node.dtype)
    if node.op == "where":
        a, b = inner[1], inner[2]
        zero = const(0, node.dtype)
        return (
            None if a is None and b is None else where(node.args[0], zero if a is None else a, zero if b is None else b)
        )
    total: Expr | None = None
    for slope, partial in zip(inner, ROWS[node.op](*node.args, node), strict=True):
        if slope is not None and partial is not None:
            term = _times(slope, partial)
            total = term if total is None else total + term
    return total


def _times(a: Expr, b: Expr) -> Expr:
    """a·b, without the multiplications by ±1 that would only slow a kernel down."""
    for one, other in ((a, b), (b, a)):
        if one.op == "const" and one.value == 1:
            return other
        if one.op == "const" and one.value == -1:
            return unary("neg", other)
    return a * b


def depends(root: Expr, variable: Expr) -> bool:
    """True when ``variable`` is a leaf of ``root``."""
    return any(n is variable for n in walk(root))
