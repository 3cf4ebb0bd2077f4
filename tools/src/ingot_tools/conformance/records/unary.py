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
    functional,
)  # fmt: skip

SAMPLES = (S(V(3, 4)), S(V(2, 1, 5)), S(V()), S(V(0, 3)), S(V(129, 67), big=True))
NUMBER = INT + FLOAT
POSITIVE = Domain(0.3, 4.0, ints=(1, 6))
UNIT = Domain(-0.9, 0.9, ints=(0, 2))
RIGHT = (float("nan"), 0.0, 1.0, -1.0, 2.5)
"""Without infinities, where a tail is 0 times infinity, or nearly."""
KINK = Domain(avoid=(0.0,))


def U(name: str, reference: Callable[..., Any], **options: Any) -> Record:
    """A row: function, method and in-place method of one name."""
    options.setdefault("samples", SAMPLES)
    options.setdefault("nonfinite", "product")
    options.setdefault("method", name)
    options.setdefault("inplace", name + "_" if options["method"] else "")
    call = options.pop("call", function(name))
    return Record(name, call, reference, group="unary", **options)


def F(name: str, reference: Callable[..., Any], **options: Any) -> Record:
    """A row of ``nn.functional``: floats only, no methods."""
    options.setdefault("method", "")
    return U(name, reference, call=functional(name), **options)


def samples(*kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """The samples of every unary op, and one with each of ``kwargs``."""
    return SAMPLES + tuple(S(V(3, 4), **k) for k in kwargs)


def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    return np.where(x * beta > threshold, x, np.logaddexp(0.0, x * beta) / beta)


def gelu(x: Any, approximate: str = "none") -> Any:
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return x * special.ndtr(x)


def elu(x: Any, alpha: float = 1.0) -> Any:
    return np.where(x > 0, x, alpha * np.expm1(x))


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    return np.where(x > 0, x, negative_slope * x)


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
    # ---- activations -----------------------------------------------------------------------------
    U("sigmoid", special.expit, dtypes=ALL, result="float", ulp=6),
    U("relu", lambda x: np.where(x > 0, x, np.where(np.isnan(x), x, 0)), dtypes=NUMBER, ulp=0,
      domain=KINK),
    F("softplus", softplus, ulp=8, scale=0.1, domain=Domain(avoid=(0.5,)),
      samples=samples({"beta": 2.0}, {"beta": 10.0, "threshold": 5.0})),
    F("gelu", gelu, samples=samples({"approximate": "tanh"}), ulp=8, scale=1.0, half_ulp=3,
      special=RIGHT),
    F("silu", lambda x: x * special.expit(x), ulp=6),
    F("elu", elu, samples=samples({"alpha": 0.5}), ulp=5, domain=KINK),
    F("leaky_relu", leaky_relu, samples=samples({"negative_slope": 0.2}), ulp=1, domain=KINK),
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
