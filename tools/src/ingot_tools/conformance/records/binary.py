"""Pointwise ops of two and three operands: arithmetic, comparison, logic, bits, selection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .record import ALL, BOOL, FLOAT, INT, UNSIGNED, Domain, Record, S, V, function, ix

NUMBER = INT + FLOAT
PAIRS = (
    S(V(3, 4), V(3, 4)),
    S(V(2, 3, 4), V(3, 1)),
    S(V(3, 1), V(1, 4)),
    S(V(3, 4), V()),
    S(V(), V()),
    S(V(0, 3), V(1, 3)),
    S(V(67, 129), V(129), big=True),
)
WITH_NUMBER = (*PAIRS, S(V(3, 4), 2, but=BOOL))
STEPS = Domain(-2.0, 2.0, ints=(-2, 3), step=0.5)
DIVIDEND = Domain(-1.7, 1.7, step=0.5, offset=0.15)
DIVISOR = Domain(0.70, 0.71, ints=(1, 6))
RESTS = (
    *WITH_NUMBER,
    S(V(3, 4, grad=False), V(4, values=[2, -2, 3, -3], grad=False), but=UNSIGNED),
)
"""The quotient of the two domains is nowhere an integer, where the rest jumps; signs are a sample
of their own."""
NONZERO = (Domain(), Domain(0.5, 3.0, ints=(1, 6)))
APART = (Domain(step=0.5), Domain(step=0.5, offset=0.25))
SHIFTS = (Domain(ints=(-4, 9)), Domain(ints=(0, 4)))
POWERS = (Domain(0.3, 2.5, ints=(-3, 4)), Domain(-2.0, 2.0, ints=(0, 4)))
MASK = ix(
    [[True, False, True, True], [False, False, True, False], [True, True, False, True]],
    (3, 4),
    "bool",
)


def B(name: str, reference: Callable[..., Any], **options: Any) -> Record:
    """A row: function, method and in-place method of one name, with promotion."""
    options.setdefault("samples", WITH_NUMBER)
    options.setdefault("nonfinite", "product")
    options.setdefault("method", name)
    options.setdefault("inplace", name + "_")
    options.setdefault("promotes", True)
    options.setdefault("call", function(name))
    call = options.pop("call")
    return Record(name, call, reference, group="binary", **options)


def compare(name: str, reference: Callable[..., Any]) -> Record:
    """A comparison: any dtype, bool result, no gradient."""
    return B(name, reference, dtypes=ALL, result="bool", grad=False, domain=STEPS)


def logical(name: str, reference: Callable[..., Any]) -> Record:
    """Truth of any dtype, bool result, no gradient."""
    return B(name, reference, dtypes=ALL, result="bool", grad=False, domain=STEPS, samples=PAIRS)


def bits(name: str, reference: Callable[..., Any], **options: Any) -> Record:
    """Integers only."""
    options.setdefault("dtypes", INT + BOOL)
    return B(name, reference, grad=False, nonfinite="integers only", **options)


def integer_aware(on_float: Callable[..., Any], on_integer: Callable[..., Any]) -> Callable[..., Any]:
    """One reference for floats, another for integers (Python numbers follow the first operand)."""

    def reference(x: Any, y: Any, **kwargs: Any) -> Any:
        return (on_float if np.result_type(x, y).kind == "f" else on_integer)(x, y, **kwargs)

    return reference


def add(x: Any, y: Any, alpha: float = 1) -> Any:
    return np.logical_or(x, y) if np.result_type(x, y) == np.bool_ else x + alpha * y


def div(x: Any, y: Any, rounding_mode: str | None = None) -> Any:
    if rounding_mode is None:
        return x / y
    if rounding_mode == "floor":
        return np.floor_divide(x, y)
    quotient = np.trunc(np.true_divide(x, y))
    return quotient if np.result_type(x, y).kind == "f" else quotient.astype(np.int64)


def remainder(x: Any, y: Any) -> Any:
    """The sign of the divisor, also where numpy and C differ for infinite divisors."""
    rest = np.fmod(x, y)
    return np.where((rest != 0) & ((rest < 0) != (np.asarray(y) < 0)), rest + y, rest)


def clamp(x: Any, min: Any = None, max: Any = None) -> Any:
    low = x if min is None else np.maximum(x, min)
    return low if max is None else np.minimum(low, max)


def where(condition: Any, x: Any, y: Any) -> Any:
    return np.where(condition, x, y)


def lerp(x: Any, y: Any, weight: Any) -> Any:
    """PyTorch's two forms, which differ where a value is infinite."""
    return np.where(np.abs(weight) < 0.5, x + weight * (y - x), y - (y - x) * (1 - weight))


def nan_to_num(x: Any, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    return np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


def addcdiv(x: Any, a: Any, b: Any, value: float = 1) -> Any:
    return x + value * (a / b)


def by_alpha(alpha: float) -> Any:
    return S(V(3, 4), V(4), alpha=alpha)


TRIPLES = (
    S(V(3, 4), V(3, 4), V(3, 4)),
    S(V(3, 4), V(4), V(3, 1)),
    S(V(), V(), V()),
    S(V(0, 3), V(3), V(1)),
)
AWAY = Domain(-3.0, 3.0, avoid=(1.0, 2.0), ints=(-4, 5))
CLAMPS = (
    S(V(3, 4), min=1, max=2), S(V(3, 4), min=1), S(V(2, 5), max=2), S(V(), min=1),
    S(V(0, 2), max=2), S(V(3, 4), V(4, domain=Domain(-1.0, 0.0)), V(3, 1, domain=Domain(0.5, 1.5))),
)  # fmt: skip
ROUNDED = tuple(S(V(3, 4), V(4), rounding_mode=mode, but=INT + BOOL) for mode in ("floor", "trunc"))

# fmt: off
RECORDS = (
    # ---- arithmetic ------------------------------------------------------------------------------
    B("add", add, dtypes=ALL, ulp=1, scale=1.0, samples=(*WITH_NUMBER, by_alpha(2))),
    B("sub", lambda x, y, alpha=1: x - alpha * y, dtypes=NUMBER, ulp=1, scale=1.0, samples=(
        *WITH_NUMBER, by_alpha(3))),
    B("mul", lambda x, y: x & y if np.result_type(x, y) == np.bool_ else x * y, dtypes=ALL, ulp=1),
    B("div", div, dtypes=ALL, result="float", ulp=3, domain=(DIVIDEND, DIVISOR), samples=(
        *WITH_NUMBER, *ROUNDED)),
    B("floor_divide", np.floor_divide, dtypes=NUMBER, ulp=0, domain=(DIVIDEND, DIVISOR),
      grad=False, samples=RESTS),
    B("remainder", remainder, dtypes=NUMBER, ulp=4, scale=1.0, domain=(DIVIDEND, DIVISOR),
      samples=RESTS),
    B("fmod", np.fmod, dtypes=NUMBER, ulp=4, scale=1.0, domain=(DIVIDEND, DIVISOR), samples=RESTS),
    B("pow", np.power, dtypes=NUMBER, ulp=16, domain=POWERS, samples=(
        *WITH_NUMBER, *(S(V(3, 4), n) for n in (2, 3, 4)), S(2, V(3, 4, domain=POWERS[1])))),
    B("atan2", np.arctan2, dtypes=ALL, result="float", ulp=6, domain=Domain(0.5, 3.0),
      samples=PAIRS),
    B("hypot", np.hypot, ulp=4, samples=PAIRS),
    B("maximum", np.maximum, dtypes=ALL, ulp=0, domain=APART, samples=PAIRS, inplace=""),
    B("minimum", np.minimum, dtypes=ALL, ulp=0, domain=APART, samples=PAIRS, inplace=""),
    # ---- comparison and logic --------------------------------------------------------------------
    compare("eq", np.equal), compare("ne", np.not_equal), compare("lt", np.less),
    compare("le", np.less_equal), compare("gt", np.greater), compare("ge", np.greater_equal),
    logical("logical_and", np.logical_and), logical("logical_or", np.logical_or),
    logical("logical_xor", np.logical_xor),
    # ---- bits ------------------------------------------------------------------------------------
    bits("bitwise_and", np.bitwise_and, samples=PAIRS), bits("bitwise_or", np.bitwise_or,
    samples=PAIRS),
    bits("bitwise_xor", np.bitwise_xor, samples=PAIRS),
    bits("bitwise_left_shift", np.left_shift, dtypes=INT, domain=SHIFTS),
    bits("bitwise_right_shift", np.right_shift, dtypes=INT, domain=SHIFTS),
    # ---- selection and mixtures ------------------------------------------------------------------
    B("where", where, dtypes=ALL, ulp=0, method="", inplace="", samples=(
        S(MASK, V(3, 4), V(3, 4)), S(MASK, V(4), V(3, 1)), S(ix(True, (), "bool"), V(), V()),
        S(ix(False, (), "bool"), V(), V()), S(ix([], (0, 1), "bool"), V(1, 2), V(2)),
        S(MASK, V(3, 4), 2, but=("bool",)), S(ix(False, (), "bool"), V(), 2, but=("bool",)))),
    B("clamp", clamp, dtypes=NUMBER, ulp=0, domain=AWAY, samples=CLAMPS, promotes=False),
    B("lerp", lerp, ulp=4, scale=1.0, promotes=False,
      domain=(Domain(), Domain(), Domain(-1, 2, (0.5,))), samples=(
        *TRIPLES, S(V(3, 4), V(3, 4), 0.3), S(V(3, 4), V(4), 0.75))),
    B("addcmul", lambda x, a, b, value=1: x + value * a * b, dtypes=NUMBER, ulp=2, scale=4.0,
      promotes=False, samples=(*TRIPLES, S(V(3, 4), V(4), V(3, 4), value=2))),
    B("addcdiv", addcdiv, ulp=4, scale=4.0, promotes=False, domain=(Domain(), *NONZERO), samples=(
        *TRIPLES, S(V(3, 4), V(4), V(3, 4), value=2))),
    B("nan_to_num", nan_to_num, ulp=0, promotes=False, samples=(
        S(V(3, 4), nan=1.5, posinf=7.0, neginf=-7.0), S(V(), posinf=2.0, neginf=0.5), S(V(0, 2)))),
)
# fmt: on
