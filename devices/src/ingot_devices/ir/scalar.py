"""The functions that rows of the opset use beside arithmetic: ``exp(x)``, ``where(c, a, b)``, ``maximum(a, b)``.

Each builds one node of `expr`. Named as the mathematics is, so that a row reads as its formula.
"""

from __future__ import annotations

from ..dtypes import DType
from .expr import Expr, Number, binary, const, unary, where

__all__ = [
    "absolute", "acos", "asin", "atan", "atan2", "ceil", "const", "cos", "cosh", "erf", "erfc", "exp", "exp2", "expm1",
    "floor", "fmod", "hypot", "isinf", "isnan", "like", "log", "log1p", "log2", "log10", "maximum", "minimum", "mulhi",
    "power", "rint", "rsqrt", "sign", "sin", "sinh", "sqrt", "tan", "tanh", "trunc", "where",
]  # fmt: skip


def like(x: Expr, value: Number, dtype: DType | None = None) -> Expr:
    """The literal ``value`` in the dtype of ``x`` (or in ``dtype``)."""
    return const(value, dtype or x.dtype)


# fmt: off
def absolute(x: Expr) -> Expr: return unary("abs", x)
def sign(x: Expr) -> Expr: return unary("sign", x)
def floor(x: Expr) -> Expr: return unary("floor", x)
def ceil(x: Expr) -> Expr: return unary("ceil", x)
def rint(x: Expr) -> Expr: return unary("round", x)  # to nearest, ties to even
def trunc(x: Expr) -> Expr: return unary("trunc", x)
def sqrt(x: Expr) -> Expr: return unary("sqrt", x)
def rsqrt(x: Expr) -> Expr: return unary("rsqrt", x)
def exp(x: Expr) -> Expr: return unary("exp", x)
def exp2(x: Expr) -> Expr: return unary("exp2", x)
def expm1(x: Expr) -> Expr: return unary("expm1", x)
def log(x: Expr) -> Expr: return unary("log", x)
def log2(x: Expr) -> Expr: return unary("log2", x)
def log10(x: Expr) -> Expr: return unary("log10", x)
def log1p(x: Expr) -> Expr: return unary("log1p", x)
def sin(x: Expr) -> Expr: return unary("sin", x)
def cos(x: Expr) -> Expr: return unary("cos", x)
def tan(x: Expr) -> Expr: return unary("tan", x)
def asin(x: Expr) -> Expr: return unary("asin", x)
def acos(x: Expr) -> Expr: return unary("acos", x)
def atan(x: Expr) -> Expr: return unary("atan", x)
def sinh(x: Expr) -> Expr: return unary("sinh", x)
def cosh(x: Expr) -> Expr: return unary("cosh", x)
def tanh(x: Expr) -> Expr: return unary("tanh", x)
def erf(x: Expr) -> Expr: return unary("erf", x)
def erfc(x: Expr) -> Expr: return unary("erfc", x)
def isnan(x: Expr) -> Expr: return unary("isnan", x)
def isinf(x: Expr) -> Expr: return unary("isinf", x)
def maximum(a: Expr | Number, b: Expr | Number) -> Expr: return binary("maximum", a, b)
def minimum(a: Expr | Number, b: Expr | Number) -> Expr: return binary("minimum", a, b)
def power(a: Expr | Number, b: Expr | Number) -> Expr: return binary("pow", a, b)
def atan2(a: Expr | Number, b: Expr | Number) -> Expr: return binary("atan2", a, b)
def hypot(a: Expr | Number, b: Expr | Number) -> Expr: return binary("hypot", a, b)
def fmod(a: Expr | Number, b: Expr | Number) -> Expr: return binary("fmod", a, b)
def mulhi(a: Expr | Number, b: Expr | Number) -> Expr: return binary("mulhi", a, b)
# fmt: on
