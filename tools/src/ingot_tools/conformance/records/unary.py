"""Pointwise ops of one operand. Bounds in ulp are those of the OpenCL full profile, or tighter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from .record import (
    ALL,
    BOOL,
    FLOAT,
    INT,
    Domain,
    Record,
    S,
    V,
    function,
)  # fmt: skip

SAMPLES = (S(V(3, 4)), S(V(2, 1, 5)), S(V()), S(V(0, 3)), S(V(129, 67), big=True))
NUMBER = INT + FLOAT
POSITIVE = Domain(0.3, 4.0, ints=(1, 6))
UNIT = Domain(-0.9, 0.9, ints=(0, 2))
KINK = Domain(avoid=(0.0,))


def U(name: str, reference: Callable[..., Any], **options: Any) -> Record:
    """A row: function, method and in-place method of one name."""
    options.setdefault("samples", SAMPLES)
    options.setdefault("nonfinite", "product")
    options.setdefault("group", "unary")
    options.setdefault("method", name)
    options.setdefault("inplace", name + "_" if options["method"] else "")
    call = options.pop("call", function(name))
    return Record(name, call, reference, **options)


def identity_on_integers(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, **kw: f(x, **kw) if x.dtype.kind == "f" else x


def reciprocal_of(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: 1.0 / f(x)


# fmt: off
RECORDS = (
    # ---- arithmetic ------------------------------------------------------------------------------
    U("neg", np.negative, dtypes=NUMBER, ulp=0),
    U("abs", np.abs, dtypes=NUMBER, ulp=0, domain=KINK),
    U("sign", lambda x: 1 * (x > 0) - 1 * (x < 0), dtypes=NUMBER, ulp=0, domain=KINK,
      samples=(S(V(3, 4, domain=Domain(step=1.0), grad=False)), *SAMPLES, S(V(values=0, grad=False)))),
    U("square", np.square, dtypes=NUMBER, ulp=1),
    U("sqrt", np.sqrt, dtypes=ALL, result="float", ulp=3, domain=POSITIVE),
    U("rsqrt", reciprocal_of(np.sqrt), dtypes=ALL, result="float", ulp=4, domain=POSITIVE),
    U("reciprocal", reciprocal_of(np.positive), dtypes=ALL, result="float", ulp=3, domain=POSITIVE),
    # ---- exponentials and logarithms -------------------------------------------------------------
    U("exp", np.exp, dtypes=ALL, result="float", ulp=4),
    U("exp2", np.exp2, dtypes=ALL, result="float", ulp=4),
    U("expm1", np.expm1, dtypes=ALL, result="float", ulp=4),
    U("log", np.log, dtypes=ALL, result="float", ulp=4, domain=POSITIVE),
    U("log2", np.log2, dtypes=ALL, result="float", ulp=4, domain=POSITIVE),
    U("log10", np.log10, dtypes=ALL, result="float", ulp=4, domain=POSITIVE),
    U("log1p", np.log1p, dtypes=ALL, result="float", ulp=4, domain=POSITIVE),
    # ---- trigonometry ----------------------------------------------------------------------------
    U("sin", np.sin, dtypes=ALL, result="float", ulp=4),
    U("cos", np.cos, dtypes=ALL, result="float", ulp=4),
    U("tan", np.tan, dtypes=ALL, result="float", ulp=6, domain=Domain(-1.3, 1.3)),
    U("asin", np.arcsin, dtypes=ALL, result="float", ulp=4, domain=UNIT),
    U("acos", np.arccos, dtypes=ALL, result="float", ulp=4, domain=UNIT),
    U("atan", np.arctan, dtypes=ALL, result="float", ulp=5),
    U("sinh", np.sinh, dtypes=ALL, result="float", ulp=4),
    U("cosh", np.cosh, dtypes=ALL, result="float", ulp=4),
    U("tanh", np.tanh, dtypes=ALL, result="float", ulp=5),
    U("erf", special.erf, dtypes=ALL, result="float", ulp=16, half_ulp=4),
    U("erfc", special.erfc, dtypes=ALL, result="float", ulp=16),
    # ---- rounding --------------------------------------------------------------------------------
    U("floor", identity_on_integers(np.floor), dtypes=NUMBER, ulp=0,
      domain=Domain(avoid=(-2, -1, 0, 1, 2))),
    U("ceil", identity_on_integers(np.ceil), dtypes=NUMBER, ulp=0,
      domain=Domain(avoid=(-2, -1, 0, 1, 2))),
    U("round", identity_on_integers(np.round), dtypes=NUMBER, ulp=0,
      domain=Domain(avoid=(-2.5, -1.5, -0.5, 0.5, 1.5, 2.5)), samples=(
        *SAMPLES, S(V(5, values=[0.5, 1.5, -2.5, 2.5, -0.5], grad=False)))),
    U("trunc", identity_on_integers(np.trunc), dtypes=NUMBER, ulp=0,
      domain=Domain(avoid=(-2, -1, 0, 1, 2))),
    U("frac", lambda x: x - np.trunc(x), ulp=1, domain=Domain(avoid=(-2, -1, 0, 1, 2))),
    # ---- predicates and bits ---------------------------------------------------------------------
    U("isnan", np.isnan, dtypes=ALL, result="bool", grad=False, inplace=""),
    U("isinf", np.isinf, dtypes=ALL, result="bool", grad=False, inplace=""),
    U("isfinite", np.isfinite, dtypes=ALL, result="bool", grad=False, inplace=""),
    U("logical_not", lambda x: x == 0, dtypes=ALL, result="bool", grad=False),
    U("bitwise_not", np.invert, dtypes=INT + BOOL, grad=False, nonfinite="integers only"),
)
# fmt: on
