"""More pointwise ops: inverse hyperbolic functions, logarithms of sums, signs, extremes that pass NaN over."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from .binary import APART, NONZERO, PAIRS, B
from .record import ALL, BOOL, Domain, Record, S, V
from .unary import NUMBER, SAMPLES, U

ABOVE_ONE = Domain(1.2, 4.0, ints=(2, 6))
INSIDE = Domain(0.25, 0.75, ints=(0, 2))
WITHIN = Domain(-0.7, 0.7, ints=(0, 2))
OVER = Domain(0.3, 3.0, ints=(1, 5))


def logit(x: Any, eps: float | None = None) -> Any:
    return special.logit(x if eps is None else np.clip(x, eps, 1 - eps))


def heaviside(x: Any, values: Any) -> Any:
    """0 for NaN, where NumPy has NaN."""
    return np.where(np.isnan(x), 0, np.heaviside(x, values)).astype(np.result_type(x, values))


def infinity(sign: float) -> Any:
    return lambda x: np.asarray(x, np.float64) == sign * np.inf


# fmt: off
RECORDS: tuple[Record, ...] = (
    # ---- inverse hyperbolic, sine over its argument, inverse of erf -------------------------------
    U("asinh", np.arcsinh, dtypes=ALL, result="float", ulp=6),
    U("acosh", np.arccosh, dtypes=ALL, result="float", ulp=6, domain=ABOVE_ONE),
    U("atanh", np.arctanh, dtypes=ALL, result="float", ulp=6, domain=WITHIN),
    U("sinc", np.sinc, dtypes=ALL, result="float", ulp=8, scale=1.0, domain=Domain(avoid=(0.0,))),
    U("erfinv", special.erfinv, dtypes=ALL, result="float", ulp=16, domain=WITHIN),
    # ---- logarithms ------------------------------------------------------------------------------
    U("logit", logit, dtypes=ALL, result="float", ulp=6, scale=1.0, domain=INSIDE, samples=(
        *SAMPLES, S(V(3, 4, domain=Domain(-0.4, 1.4, (0.2, 0.8))), eps=0.2, but=BOOL))),
    B("logaddexp", np.logaddexp, ulp=6, scale=1.0, samples=PAIRS, inplace="", promotes=False),
    B("logaddexp2", np.logaddexp2, ulp=6, scale=1.0, samples=PAIRS, inplace="", promotes=False),
    B("xlogy", special.xlogy, dtypes=ALL, result="float", ulp=6, scale=0.1, domain=NONZERO, samples=(
        *PAIRS, S(V(3, 4), 2))),
    B("ldexp", lambda x, y: x * np.exp2(y), result="float", ulp=6, samples=PAIRS, inplace="", promotes=False,
      domain=(Domain(), Domain(-3.0, 3.0))),
    # ---- signs -----------------------------------------------------------------------------------
    B("copysign", np.copysign, dtypes=ALL, result="float", ulp=0, domain=Domain(avoid=(0.0,)), samples=(
        *PAIRS, S(V(3, 4), -2))),
    U("signbit", lambda x: x < 0 if x.dtype != np.float64 else np.signbit(x), dtypes=ALL, result="bool", grad=False,
      inplace="", domain=Domain(avoid=(0.0,))),
    B("heaviside", heaviside, dtypes=NUMBER, ulp=0, grad=False, samples=PAIRS, promotes=False, domain=(Domain(step=1.0), OVER)),
    U("isposinf", infinity(1), dtypes=ALL, result="bool", grad=False, inplace=""),
    U("isneginf", infinity(-1), dtypes=ALL, result="bool", grad=False, inplace=""),
    # ---- extremes that pass NaN over --------------------------------------------------------------
    B("fmax", np.fmax, dtypes=ALL, ulp=0, domain=APART, samples=PAIRS, inplace=""),
    B("fmin", np.fmin, dtypes=ALL, ulp=0, domain=APART, samples=PAIRS, inplace=""),
)
# fmt: on
