"""Activations: rows of the pointwise group (`pointwise`), each one launch, and so is each gradient.

One formula under several names is one row whose numbers differ: `elu` is selu and celu, too, `leaky_relu` with a tensor for
its slope is prelu and rrelu, `softplus` with a beta of -1 is logsigmoid. What has a kink or a jump sends back there what
PyTorch does. No exponent is positive where it could overflow, so that the tails are right, and the slopes there.
"""

from __future__ import annotations

import math

from ..ir import scalar as s
from ..ir.expr import Expr, where
from .op import Types
from .pointwise import FLOAT, NUMERIC, kept, pointwise

REAL = Types(kinds="f", take=1)  # by the input, whatever its numbers are


def decay(x: Expr) -> Expr:
    """exp(-|x|), with a slope at 0, too: that of |x| is 0 there, and higher orders are derived from this."""
    return s.exp(where(x >= 0, -x, x))


def _sigmoid(x: Expr) -> Expr:
    small = decay(x)
    return where(x >= 0, 1 / (small + 1), small / (small + 1))


def _softplus(x: Expr, beta: Expr, threshold: Expr) -> Expr:
    z = x * beta
    return where(z > threshold, x, s.log1p(s.exp(s.minimum(z, threshold))) / beta)


def _gelu(x: Expr) -> Expr:
    return x * 0.5 * (s.erf(x * math.sqrt(0.5)) + 1)


def _gelu_slope(x: Expr) -> Expr:
    return (s.erf(x * math.sqrt(0.5)) + 1) * 0.5 + x * s.exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))


def _gelu_tanh(x: Expr) -> Expr:
    return x * 0.5 * (s.tanh((x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)) + 1)


def _gelu_tanh_slope(x: Expr) -> Expr:
    t = s.tanh((x + x * x * x * 0.044715) * math.sqrt(2 / math.pi))
    inner = (x * x * (3 * 0.044715) + 1) * math.sqrt(2 / math.pi)
    return (t + 1) * 0.5 + x * 0.5 * (-(t * t) + 1) * inner


def _mish_gate(x: Expr) -> tuple[Expr, Expr, Expr]:
    """u = exp(-|x|), and tanh(log(1 + exp(x))) as a quotient of sums in it that cancel nothing: its two sides."""
    u = decay(x)
    above = where(x >= 0, u * 2 + 1, u * (u + 2))
    return u, above, above + where(x >= 0, u * u * 2, 2)


def _mish(x: Expr) -> Expr:
    _, above, below = _mish_gate(x)
    return x * (above / below)


def _mish_slope(x: Expr) -> Expr:
    u, above, below = _mish_gate(x)
    return above / below + x * (where(x >= 0, u * u, u) * (u + 1) * 4 / (below * below))


def _scaled(x: Expr, factor: Expr | None) -> Expr:
    return x if factor is None else x * factor


def _below(x: Expr, pace: Expr | None) -> Expr:
    """x·pace where x is negative, else 0; flat at 0, which only the second order sees."""
    return _scaled(s.minimum(0, x), pace)


def _elu(x: Expr, alpha: Expr, scale: Expr | None, pace: Expr | None) -> Expr:
    return where(x <= 0, alpha * s.expm1(_below(x, pace)), _scaled(x, scale))


def _elu_back(g: Expr, x: Expr, alpha: Expr, scale: Expr | None, pace: Expr | None) -> Expr:
    return where(x <= 0, g * _scaled(alpha, pace) * s.exp(_below(x, pace)), _scaled(g, scale))


def _clipped(x: Expr) -> Expr:
    """x + 3 within [0, 6]."""
    return s.minimum(s.maximum(x + 3, 0), 6)


def _shrunk(x: Expr, lambd: Expr) -> Expr:
    return where(x > lambd, x - lambd, where(x < -lambd, x + lambd, x * 0))  # NaN stays


# fmt: off
# ---- smooth
pointwise("sigmoid", "x", _sigmoid, FLOAT, x=lambda g, out: g * (1 - out) * out)
pointwise("softplus", "x beta threshold", _softplus, REAL,
          x=lambda g, x, beta, threshold: where(x * beta > threshold, g, g * _sigmoid(x * beta)))
pointwise("gelu", "x", _gelu, REAL, x=lambda g, x: g * _gelu_slope(x))
pointwise("gelu_tanh", "x", _gelu_tanh, REAL, x=lambda g, x: g * _gelu_tanh_slope(x))
pointwise("silu", "x", lambda x: x * _sigmoid(x), REAL, x=lambda g, x: g * _sigmoid(x) * (x * (1 - _sigmoid(x)) + 1))
pointwise("mish", "x", _mish, REAL, x=lambda g, x: g * _mish_slope(x))
pointwise("glu", "x gate", lambda x, gate: x * _sigmoid(gate), REAL,
          x=lambda g, gate: g * _sigmoid(gate), gate=lambda g, x, gate: g * x * _sigmoid(gate) * (1 - _sigmoid(gate)))
pointwise("elu", "x alpha scale pace", _elu, REAL, x=_elu_back)
pointwise("softsign", "x", lambda x: x / (s.absolute(x) + 1), FLOAT, x=lambda g, x: g / ((s.absolute(x) + 1) * (s.absolute(x) + 1)))
# ---- with kinks
pointwise("relu", "x", lambda x: s.maximum(x, 0), NUMERIC, x=lambda g, out: kept(g, out > 0))
pointwise("leaky_relu", "x slope", lambda x, slope: where(x > 0, x, x * slope), REAL,
          x=lambda g, x, slope: where(x > 0, g, g * slope), slope=lambda g, x: where(x > 0, 0, g * x))
pointwise("hardtanh", "x low high", lambda x, low, high: s.minimum(s.maximum(x, low), high), NUMERIC,
          x=lambda g, x, low, high: where((x <= low) | (x >= high), 0, g))
pointwise("hardsigmoid", "x", lambda x: _clipped(x) / 6, REAL, x=lambda g, x: kept(g / 6, (x > -3) & (x < 3)))
pointwise("hardswish", "x", lambda x: x * _clipped(x) / 6, REAL,
          x=lambda g, x: where(x <= -3, 0, where(x < 3, g * (x / 3 + 0.5), g)))
pointwise("hardshrink", "x lambd", lambda x, lambd: where(s.absolute(x) <= lambd, 0, x), REAL,
          x=lambda g, x, lambd: where(s.absolute(x) <= lambd, 0, g))
pointwise("softshrink", "x lambd", _shrunk, REAL, x=lambda g, x, lambd: where(s.absolute(x) <= lambd, 0, g))
# fmt: on
