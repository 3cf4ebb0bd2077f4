"""The functions and constants that an expression kernel may name, as tables.

Read by `parse` (which names there are) and `form` (what they mean). Every pointwise function is built from operators
that have a derivative (`ir.derive`), so a gradient follows.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .. import dtypes as dt
from ..ir import scalar as s
from ..ir.expr import Expr, where


def _sigmoid(x: Expr) -> Expr:
    """Without overflow: the exponent is never positive. (Not by |x|, whose slope at 0 is 0.)"""
    small = s.exp(where(x >= 0, -x, x))
    return where(x >= 0, 1 / (1 + small), small / (1 + small))


def _truth(x: Expr) -> Expr:
    return x if x.dtype is dt.bool_ else x.ne(0)


def _clamp(x: Expr, low: Expr, high: Expr) -> Expr:
    return s.minimum(s.maximum(x, low), high)


# fmt: off
POINTWISE: dict[str, tuple[int, bool, Callable[..., Expr]]] = {
    # name: (how many arguments, whether integers become floats, what it means)
    **{n: (1, True, getattr(s, n)) for n in
       "sqrt rsqrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh erf erfc".split()},
    **{n: (1, False, getattr(s, n)) for n in "floor ceil trunc sign isnan isinf".split()},
    "abs": (1, False, s.absolute), "round": (1, False, s.rint),
    "isfinite": (1, False, lambda x: ~(s.isnan(x) | s.isinf(x))),
    "square": (1, False, lambda x: x * x),
    "relu": (1, False, lambda x: s.maximum(x, 0)),
    "sigmoid": (1, True, _sigmoid), "silu": (1, True, lambda x: x * _sigmoid(x)),
    "gelu": (1, True, lambda x: 0.5 * x * (1 + s.erf(x * math.sqrt(0.5)))),
    "maximum": (2, False, s.maximum), "minimum": (2, False, s.minimum),
    "pow": (2, False, s.power), "atan2": (2, True, s.atan2), "hypot": (2, True, s.hypot),
    "fmod": (2, False, s.fmod),
    "clamp": (3, False, _clamp),
    "where": (3, False, lambda c, a, b: where(_truth(c), a, b)),
}
REDUCTIONS: dict[str, bool] = {
    # name: whether integers become floats
    "sum": False, "prod": False, "max": False, "min": False, "any": False, "all": False, "mean": True, "var": True,
}
# fmt: on
CASTS = {d.name if d is not dt.bool_ else "bool": d for d in dt.ALL}
CONSTANTS = {"pi": math.pi, "e": math.e, "inf": math.inf, "nan": math.nan, "True": True, "False": False}
