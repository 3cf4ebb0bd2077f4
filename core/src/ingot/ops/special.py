"""Pointwise functions, continued: inverse hyperbolic, logarithms of sums, signs. Rows of `ingot_devices.opset.special`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ingot_devices import dtypes as dt

from ..base import TensorBase
from .common import into, over, run
from .pointwise import FUNCTIONS as POINTWISE
from .pointwise import _binary, _binary_, _unary, _unary_

UNARY = "asinh acosh atanh sinc erfinv signbit isposinf isneginf".split()
BINARY = "logaddexp logaddexp2 xlogy ldexp copysign fmax fmin".split()
ALIASES = {"arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh"}
FUNCTIONS: dict[str, Callable[..., Any]] = {n: _unary(n) for n in UNARY} | {n: _binary(n) for n in BINARY}
FUNCTIONS |= {alias: FUNCTIONS[name] for alias, name in ALIASES.items()}
CHECKED = dict(FUNCTIONS)
METHODS: dict[str, Callable[..., Any]] = {f"{n}_": _unary_(n) for n in "asinh acosh atanh sinc erfinv".split()}
METHODS |= {f"{n}_": _binary_(n) for n in "xlogy ldexp copysign".split()}


def deg2rad(input: Any, *, out: Any = None) -> Any:
    """Degrees as radians: input · π/180."""
    return into(out, POINTWISE["mul"](input, math.pi / 180))


def rad2deg(input: Any, *, out: Any = None) -> Any:
    """Radians as degrees: input · 180/π."""
    return into(out, POINTWISE["mul"](input, 180 / math.pi))


def logit(input: Any, eps: float | None = None, *, out: Any = None) -> Any:
    """log(x / (1 − x)); with ``eps``, of x clamped to [eps, 1 − eps]. NaN outside of [0, 1]."""
    return into(out, run("logit", input, eps))


def heaviside(input: Any, values: Any, *, out: Any = None) -> Any:
    """0 where negative (or NaN), 1 where positive, ``values`` at 0. No gradient."""
    return into(out, run("heaviside", input, _alike("heaviside", input, values)))


def _alike(name: str, input: Any, values: Any) -> Any:
    if values.dtype is not input.dtype:
        raise RuntimeError(f"{name}() takes tensors of one dtype, but got {input.dtype!r} and {values.dtype!r}; convert one")
    return values


def float_power(input: Any, exponent: Any, *, out: Any = None) -> Any:
    """input to the power of ``exponent``, in float64."""
    return into(out, POINTWISE["pow"](_double(input), _double(exponent)))


def _double(x: Any) -> Any:
    return x.to(dt.float64) if isinstance(x, TensorBase) else x


def positive(input: Any) -> Any:
    """The tensor itself; bool is refused."""
    if input.dtype is dt.bool_:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


FUNCTIONS |= {f.__name__: f for f in (deg2rad, rad2deg, logit, heaviside, float_power, positive)}
ALONE: frozenset[str] = frozenset()


# ---- in place --------------------------------------------------------------------------------------------------------
def deg2rad_(input: Any) -> Any:
    """`deg2rad` in place."""
    return over("mul", input, math.pi / 180)


def rad2deg_(input: Any) -> Any:
    """`rad2deg` in place."""
    return over("mul", input, 180 / math.pi)


def logit_(input: Any, eps: float | None = None) -> Any:
    """`logit` in place."""
    return over("logit", input, eps)


def heaviside_(input: Any, values: Any) -> Any:
    """`heaviside` in place."""
    return over("heaviside", input, _alike("heaviside", input, values))


def float_power_(input: Any, exponent: Any) -> Any:
    """`float_power` in place, of a float64 tensor."""
    if input.dtype is not dt.float64:
        raise RuntimeError(f"float_power_ computes in float64, which {input.dtype!r} does not hold; convert the tensor")
    return over("pow", input, _double(exponent))


METHODS |= {f"{alias}_": METHODS[f"{name}_"] for alias, name in ALIASES.items()}
METHODS |= {f.__name__: f for f in (deg2rad_, rad2deg_, logit_, heaviside_, float_power_)}
