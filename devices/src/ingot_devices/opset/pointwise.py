"""The pointwise group: each op is one scalar expression, and so is each gradient rule.

A gradient rule names what it reads among ``g`` (the gradient of the result), the operands, ``out`` (the result) and the
attributes; only what it names is saved. It becomes a pointwise op of its own, one launch, whose own gradient is
derived symbolically (`ir.derive`): every order follows. An operand without a rule has no gradient. The activations
have a module of their own (`activation`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from .. import dtypes as dt
from ..ir import scalar as s
from ..ir.derive import derivative
from ..ir.expr import Expr, const, unary
from ..ir.scalar import like, where
from .op import Named, Op, Types, add_op, parameters

SAME, FLOAT, BOOL = Types(), Types("float"), Types(out="bool")
NUMERIC, INTEGRAL, TRUTH = Types(kinds="uif"), Types(kinds="bui"), Types("asis", out="bool")
GRADIENT = Types("gradient")


def pointwise(
    name: str,
    operands: str,
    expression: Callable[..., Any],
    types: Types = SAME,
    attributes: Mapping[str, Any] | None = None,
    **gradient: Callable[..., Any],
) -> Op:
    """Add a row; ``gradient`` maps an operand to its rule."""
    op = _make(name, tuple(operands.split()), expression, types, attributes or {}, gradient)
    return add_op(op)


def _make(
    name: str, operands: tuple[str, ...], expression: Callable[..., Any], types: Types,
    attributes: Mapping[str, Any], gradient: Mapping[str, Callable[..., Any]],
) -> Op:  # fmt: skip
    rules = {k: _Rule(name, k, rule, attributes).as_rule() for k, rule in gradient.items()}
    return Op(name, "pointwise", operands, types, attributes, expression=expression, gradient=rules or None)


class _Rule:
    """A gradient rule written as an expression, as a builder rule that launches one pointwise op.

    The op is named ``sigmoid.dx``; its operands are what the rule reads, with ``g`` called ``g1`` (``g2`` one order up),
    so that the rules of the next order can name both that and their own ``g``.
    """

    def __init__(self, op: str, operand: str, rule: Callable[..., Any], attributes: Mapping[str, Any]) -> None:
        self.name, self.rule = f"{op}.d{operand}", rule
        asked = parameters(rule)
        self.reads = [p for p in asked if p not in attributes]
        self.attributes = {p: attributes[p] for p in asked if p in attributes}
        self._op: Op | None = None

    def op(self) -> Op:
        """The pointwise op of this rule; its gradients are derived when first asked for."""
        if self._op is None:
            depth = self.name.count(".d")
            operands = tuple(f"g{depth}" if r == "g" else r for r in self.reads)
            derived = _Derived(self.name, operands, self.rule, self.attributes)
            self._op = Op(self.name, "pointwise", operands, GRADIENT, self.attributes, outputs=("grad",),
                          differentiable=("grad",), expression=self.rule, gradient=derived)
        return self._op

    def as_rule(self) -> Callable[..., Any]:
        if self.reads == ["g"] and not self.attributes:
            probe = Expr.of("param", (), dt.float32, 0)
            if self.rule(probe) is probe:
                return lambda b, g: g
        n = len(self.reads)
        names = ["b", *self.reads, *self.attributes]
        rule = Named(lambda b, *values: b.call(self.op(), values[:n], values[n:]), names, self.op)
        if n <= 2 and not self.attributes:
            rule.op = self.op
        return rule


class _Derived(Mapping[str, Callable[..., Any]]):
    """The gradients of a derived op: operand → rule, by symbolic differentiation of its expression."""

    def __init__(
        self, name: str, operands: tuple[str, ...], expression: Callable[..., Any], attributes: Mapping[str, Any]
    ) -> None:
        self._name, self._operands, self._expression, self._attributes = name, operands, expression, attributes

    @cached_property
    def _rules(self) -> dict[str, Callable[..., Any]]:
        probes = [Expr.of("param", (), dt.float32, n) for n in range(len(self._operands))]
        slope_of = self._expression(*probes, **self._attributes)
        return {
            name: _Rule(self._name, name, self._slope(n), self._attributes).as_rule()
            for n, name in enumerate(self._operands)
            if derivative(slope_of, probes[n]) is not None
        }

    def _slope(self, position: int) -> Callable[..., Any]:
        def rule(g: Expr, *values: Any) -> Expr:
            n = len(self._operands)
            expr = self._expression(*values[:n], **dict(zip(self._attributes, values[n:], strict=True)))
            slope = derivative(expr, values[position])
            return like(g, 0) if slope is None else g * slope

        return Named(rule, ["g", *self._operands, *self._attributes])

    def __getitem__(self, operand: str) -> Callable[..., Any]:
        return self._rules[operand]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)


def _bits(op: str) -> Callable[[Expr, Expr], Expr]:
    return lambda x, y: getattr(x, f"__{op}__")(y)


def _guarded(op: Callable[[Expr, Expr], Expr]) -> Callable[[Expr, Expr], Expr]:
    """Integer division that gives 0 where the divisor is 0, instead of a trap."""
    return lambda x, y: where(y.eq(0), 0, op(x, where(y.eq(0), 1, y)))


def _floor_divide(x: Expr, y: Expr) -> Expr:
    if x.dtype.kind != "f":
        return _guarded(lambda a, b: a // b)(x, y)
    rest = s.fmod(x, y)
    exact = (x - rest) / y
    exact = where(rest.ne(0) & (y < 0).ne(rest < 0), exact - 1, exact)
    down = s.floor(exact)
    down = where(exact - down > 0.5, down + 1, down)
    return where(y.eq(0), x / y, where(exact.eq(0), exact * 0, down))


def _remainder(x: Expr, y: Expr) -> Expr:
    if x.dtype.kind != "f":
        return _guarded(lambda a, b: a % b)(x, y)
    rest = s.fmod(x, y)
    return where(rest.ne(0) & (y < 0).ne(rest < 0), rest + y, rest)


def _truncated(x: Expr, y: Expr) -> Expr:
    """C's remainder, for integers by the floored one."""
    if x.dtype.kind == "f":
        return s.fmod(x, y)
    rest = _remainder(x, y)
    return where(rest.ne(0) & (x < 0).ne(y < 0), rest - y, rest) if x.dtype.kind == "i" else rest


def _power(x: Expr, y: Expr) -> Expr:
    return s.power(x, y)


def _float(test: Callable[[Expr], Expr], otherwise: bool = False) -> Callable[[Expr], Expr]:
    """A test that only floats can pass (or fail)."""
    return lambda x: test(x) if x.dtype.kind == "f" else const(otherwise, dt.bool_)


def _whole(function: Callable[[Expr], Expr]) -> Callable[[Expr], Expr]:
    """A rounding function: integers are whole already."""
    return lambda x: function(x) if x.dtype.kind == "f" else x


def _truth(x: Expr) -> Expr:
    return x if x.dtype is dt.bool_ else x.ne(0)


def _erf_slope(x: Expr) -> Expr:
    return s.exp(-(x * x)) * (2 / math.sqrt(math.pi))


def _clamp(x: Expr, low: Expr | None, high: Expr | None) -> Expr:
    x = x if low is None else s.maximum(x, low)
    return x if high is None else s.minimum(x, high)


def _clamp_kept(g: Expr, x: Expr, low: Expr | None, high: Expr | None) -> Expr:
    inside = None if low is None else x >= low
    if high is not None:
        inside = x <= high if inside is None else inside & (x <= high)
    return g if inside is None else kept(g, inside)


def _share(g: Expr, x: Expr, y: Expr, wins: Expr) -> Expr:
    """The gradient of the operand that won; halves where both are equal, as PyTorch splits it."""
    return where(x.eq(y), g * 0.5, where(wins, g, like(g, 0)))


def kept(g: Expr, inside: Expr) -> Expr:
    """A gradient where it passes, else 0."""
    return where(inside, g, like(g, 0))


def _not(x: Expr) -> Expr:
    return unary("not", x)


# fmt: off
# ---- arithmetic
pointwise("add", "x y", lambda x, y: x | y if x.dtype.kind == "b" else x + y, x=lambda g: g, y=lambda g: g)
pointwise("add_scaled", "x y alpha", lambda x, y, alpha: x | (y & alpha) if x.dtype.kind == "b" else x + y * alpha, Types(take=2),
          x=lambda g: g, y=lambda g, alpha: g * alpha)
pointwise("sub", "x y", lambda x, y: x - y, NUMERIC, x=lambda g: g, y=lambda g: -g)
pointwise("mul", "x y", lambda x, y: x & y if x.dtype.kind == "b" else x * y, x=lambda g, y: g * y, y=lambda g, x: g * x)
pointwise("div", "x y", lambda x, y: x / y, FLOAT, x=lambda g, y: g / y, y=lambda g, x, y: -(g * (x / y) / y))
pointwise("floor_divide", "x y", _floor_divide, NUMERIC)
pointwise("remainder", "x y", _remainder, NUMERIC, x=lambda g: g, y=lambda g, x, y: -(g * _floor_divide(x, y)))
pointwise("fmod", "x y", _truncated, NUMERIC, x=lambda g: g, y=lambda g, x, y: -(g * s.trunc(x / y)))
pointwise("pow", "x y", _power, NUMERIC,
          x=lambda g, x, y: where(y.eq(0), like(g, 0), g * y * _power(x, y - 1)),
          y=lambda g, x, y, out: where(x.eq(0) & (y >= 0), like(g, 0), g * out * s.log(x)))
pointwise("neg", "x", lambda x: -x, NUMERIC, x=lambda g: -g)
pointwise("abs", "x", s.absolute, NUMERIC, x=lambda g, x: g * s.sign(x))
pointwise("sign", "x", lambda x: where(x > 0, like(x, 1), where(x < 0, like(x, -1), like(x, 0))), NUMERIC, x=lambda g: g * 0)
pointwise("square", "x", lambda x: x * x, NUMERIC, x=lambda g, x: g * x * 2)
pointwise("cube", "x", lambda x: x * x * x, NUMERIC, x=lambda g, x: g * x * x * 3)
pointwise("reciprocal", "x", lambda x: 1 / x, FLOAT, x=lambda g, out: -(g * out * out))
pointwise("maximum", "x y", s.maximum, x=lambda g, x, y: _share(g, x, y, x > y), y=lambda g, x, y: _share(g, x, y, y > x))
pointwise("minimum", "x y", s.minimum, x=lambda g, x, y: _share(g, x, y, x < y), y=lambda g, x, y: _share(g, x, y, y < x))
pointwise("lerp", "x y weight", lambda x, y, weight: where(s.absolute(weight) < 0.5, x + weight * (y - x), y - (y - x) * (1 - weight)),
          FLOAT, x=lambda g, weight: g * (1 - weight), y=lambda g, weight: g * weight, weight=lambda g, x, y: g * (y - x))
pointwise("addcmul", "x y z value", lambda x, y, z, value: x + value * y * z, NUMERIC,
          x=lambda g: g, y=lambda g, z, value: g * z * value, z=lambda g, y, value: g * y * value)
pointwise("addcdiv", "x y z value", lambda x, y, z, value: x + value * (y / z), FLOAT,
          x=lambda g: g, y=lambda g, z, value: g * value / z, z=lambda g, y, z, value: -(g * value * y / (z * z)))
# ---- exponentials and roots
pointwise("exp", "x", s.exp, FLOAT, x=lambda g, out: g * out)
pointwise("exp2", "x", s.exp2, FLOAT, x=lambda g, out: g * out * math.log(2))
pointwise("expm1", "x", s.expm1, FLOAT, x=lambda g, out: g * (out + 1))
pointwise("log", "x", s.log, FLOAT, x=lambda g, x: g / x)
pointwise("log2", "x", s.log2, FLOAT, x=lambda g, x: g / (x * math.log(2)))
pointwise("log10", "x", s.log10, FLOAT, x=lambda g, x: g / (x * math.log(10)))
pointwise("log1p", "x", s.log1p, FLOAT, x=lambda g, x: g / (x + 1))
pointwise("sqrt", "x", s.sqrt, FLOAT, x=lambda g, out: g / (out * 2))
pointwise("rsqrt", "x", s.rsqrt, FLOAT, x=lambda g, out: g * out * out * out * -0.5)
pointwise("hypot", "x y", s.hypot, FLOAT, x=lambda g, x, out: g * (x / out), y=lambda g, y, out: g * (y / out))
# ---- trigonometric and hyperbolic
pointwise("sin", "x", s.sin, FLOAT, x=lambda g, x: g * s.cos(x))
pointwise("cos", "x", s.cos, FLOAT, x=lambda g, x: -(g * s.sin(x)))
pointwise("tan", "x", s.tan, FLOAT, x=lambda g, out: g * (out * out + 1))
pointwise("asin", "x", s.asin, FLOAT, x=lambda g, x: g * s.rsqrt(1 - x * x))
pointwise("acos", "x", s.acos, FLOAT, x=lambda g, x: -(g * s.rsqrt(1 - x * x)))
pointwise("atan", "x", s.atan, FLOAT, x=lambda g, x: g / (x * x + 1))
pointwise("atan2", "x y", s.atan2, FLOAT, x=lambda g, x, y: g * y / (x * x + y * y), y=lambda g, x, y: -(g * x / (x * x + y * y)))
pointwise("sinh", "x", s.sinh, FLOAT, x=lambda g, x: g * s.cosh(x))
pointwise("cosh", "x", s.cosh, FLOAT, x=lambda g, x: g * s.sinh(x))
pointwise("tanh", "x", s.tanh, FLOAT, x=lambda g, out: g * (1 - out * out))
pointwise("erf", "x", s.erf, FLOAT, x=lambda g, x: g * _erf_slope(x))
pointwise("erfc", "x", s.erfc, FLOAT, x=lambda g, x: -(g * _erf_slope(x)))
# ---- rounding and sorting out
pointwise("floor", "x", _whole(s.floor), NUMERIC, x=lambda g: g * 0)
pointwise("ceil", "x", _whole(s.ceil), NUMERIC, x=lambda g: g * 0)
pointwise("round", "x", _whole(s.rint), NUMERIC, x=lambda g: g * 0)
pointwise("trunc", "x", _whole(s.trunc), NUMERIC, x=lambda g: g * 0)
pointwise("frac", "x", lambda x: x - s.trunc(x), Types(kinds="f"), x=lambda g: g)
pointwise("clamp", "x low high", _clamp, x=_clamp_kept,
          low=lambda g, x, low, high: kept(g, x < low if high is None else (x < low) & (low < high)),
          high=lambda g, x, low, high: kept(g, x > high if low is None else (x > high) | (high < low)))
pointwise("nan_to_num", "x nan high low",
          lambda x, nan, high, low: where(s.isnan(x), nan, where(s.isinf(x), where(x > 0, high, low), x)) if x.dtype.kind == "f" else x,
          x=lambda g, x: where(s.isnan(x) | s.isinf(x), like(g, 0), g))
# ---- comparisons and tests
pointwise("eq", "x y", lambda x, y: x.eq(y), BOOL)
pointwise("ne", "x y", lambda x, y: x.ne(y), BOOL)
pointwise("lt", "x y", lambda x, y: x < y, BOOL)
pointwise("le", "x y", lambda x, y: x <= y, BOOL)
pointwise("gt", "x y", lambda x, y: x > y, BOOL)
pointwise("ge", "x y", lambda x, y: x >= y, BOOL)
pointwise("isnan", "x", _float(s.isnan), TRUTH)
pointwise("isinf", "x", _float(s.isinf), TRUTH)
pointwise("isfinite", "x", _float(lambda x: _not(s.isnan(x) | s.isinf(x)), True), TRUTH)
# ---- logic and bits
pointwise("logical_not", "x", lambda x: _not(_truth(x)), TRUTH)
pointwise("logical_and", "x y", lambda x, y: _truth(x) & _truth(y), TRUTH)
pointwise("logical_or", "x y", lambda x, y: _truth(x) | _truth(y), TRUTH)
pointwise("logical_xor", "x y", lambda x, y: _truth(x) ^ _truth(y), TRUTH)
pointwise("bitwise_not", "x", _not, INTEGRAL)
pointwise("bitwise_and", "x y", _bits("and"), INTEGRAL)
pointwise("bitwise_or", "x y", _bits("or"), INTEGRAL)
pointwise("bitwise_xor", "x y", _bits("xor"), INTEGRAL)
pointwise("bitwise_left_shift", "x y", _bits("lshift"), Types(kinds="ui"))
pointwise("bitwise_right_shift", "x y", _bits("rshift"), Types(kinds="ui"))
# ---- choice
pointwise("where", "condition x y", lambda condition, x, y: where(_truth(condition), x, y), Types(skip=1),
          x=lambda g, condition: kept(g, _truth(condition)), y=lambda g, condition: where(_truth(condition), like(g, 0), g))
# fmt: on
