"""Activations: pointwise ops, most of them in ``nn.functional`` alone. Kinks are avoided; `tests/parity` looks at them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from .record import ALL, FLOAT, SIGNED, Domain, Record, S, V, functional
from .unary import KINK, NUMBER, SAMPLES, U

RIGHT = (float("nan"), 0.0, 1.0, -1.0, 2.5)
"""Without infinities, where a tail is 0 times infinity, or nearly."""
SIX = Domain(-5.0, 9.0, avoid=(-3.0, 0.0, 3.0, 6.0), ints=(-3, 9))
BANDS = Domain(avoid=(-1.0, -0.5, 0.5, 1.0, 1.5))


def F(name: str, reference: Callable[..., Any], **options: Any) -> Record:
    """A row of ``nn.functional``: floats only, no methods."""
    options.setdefault("method", "")
    return U(name, reference, call=functional(name), **options)


def samples(*kwargs: dict[str, Any], but: tuple[str, ...] = ()) -> tuple[Any, ...]:
    """The samples of every unary op, and one with each of ``kwargs``."""
    return SAMPLES + tuple(S(V(3, 4), but=but, **k) for k in kwargs)


def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    return np.where(x * beta > threshold, x, np.logaddexp(0.0, x * beta) / beta)


def gelu(x: Any, approximate: str = "none") -> Any:
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return x * special.ndtr(x)


def elu(x: Any, alpha: float = 1.0) -> Any:
    return np.where(x > 0, x, alpha * np.expm1(x))


def celu(x: Any, alpha: float = 1.0) -> Any:
    return np.maximum(x, 0) + np.minimum(alpha * np.expm1(x / alpha), 0)


def selu(x: Any) -> Any:
    return 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717)


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    return np.where(x > 0, x, negative_slope * x)


def prelu(x: Any, weight: Any) -> Any:
    """Channels lie on axis 1."""
    if weight.size > 1:
        weight = weight.reshape([-1 if k == 1 else 1 for k in range(x.ndim)])
    return leaky_relu(x, weight.reshape(()) if weight.size == 1 else weight)


def rrelu(x: Any, lower: float = 1 / 8, upper: float = 1 / 3) -> Any:
    return leaky_relu(x, (lower + upper) / 2)


def glu(x: Any, dim: int = -1) -> Any:
    a, b = np.split(x, 2, axis=dim)
    return a * special.expit(b)


def hardtanh(x: Any, min_val: float = -1, max_val: float = 1) -> Any:
    return np.minimum(np.maximum(x, min_val), max_val)


def hardsigmoid(x: Any) -> Any:
    return hardtanh(x / 6 + 0.5, 0.0, 1.0)


def hardshrink(x: Any, lambd: float = 0.5) -> Any:
    return np.where((x >= -lambd) & (x <= lambd), 0, x)


def softshrink(x: Any, lambd: float = 0.5) -> Any:
    return x - hardtanh(x, -lambd, lambd) if np.isfinite(x).all() else np.sign(x) * np.maximum(np.abs(x) - lambd, 0)


def threshold(x: Any, at: float, value: float) -> Any:
    return np.where(x <= at, value, x)


# fmt: off
RECORDS = (
    # ---- smooth ----------------------------------------------------------------------------------
    U("sigmoid", special.expit, dtypes=ALL, result="float", ulp=6),
    F("logsigmoid", lambda x: -np.logaddexp(0.0, -x), ulp=6),
    F("softplus", softplus, ulp=8, scale=0.1, domain=Domain(avoid=(0.5,)),
      samples=samples({"beta": 2.0}, {"beta": 10.0, "threshold": 5.0})),
    F("gelu", gelu, samples=samples({"approximate": "tanh"}), ulp=8, scale=1.0, half_ulp=3,
      special=RIGHT),
    F("silu", lambda x: x * special.expit(x), ulp=6),
    F("mish", lambda x: x * np.tanh(np.logaddexp(0.0, x)), ulp=8),
    F("elu", elu, samples=samples({"alpha": 0.5}), ulp=5, domain=KINK),
    F("selu", selu, ulp=5, domain=KINK),
    F("celu", celu, samples=samples({"alpha": 0.5}, {"alpha": 2}), ulp=5, domain=KINK),
    F("softsign", lambda x: x / (1 + np.abs(x)), ulp=3, domain=KINK),
    F("tanhshrink", lambda x: x - np.tanh(x), ulp=5, scale=1.0),
    F("glu", glu, ulp=6, group="gate", nonfinite="planted", no_zero_dim="an axis is halved", samples=(
        S(V(3, 4)), S(V(4, 3), dim=0), S(V(2, 6, 3), 1), S(V(0, 4)), S(V(3, 0)), S(V(129, 66), big=True))),
    # ---- with kinks ------------------------------------------------------------------------------
    U("relu", lambda x: np.where(x > 0, x, np.where(np.isnan(x), x, 0)), dtypes=NUMBER, ulp=0,
      domain=KINK),
    F("relu6", lambda x: hardtanh(x, 0, 6), dtypes=SIGNED + FLOAT, ulp=0, domain=SIX),
    F("hardtanh", hardtanh, dtypes=SIGNED + FLOAT, ulp=0, domain=BANDS, samples=samples(
        {"min_val": -0.5, "max_val": 1.5}, but=SIGNED)),
    F("hardsigmoid", hardsigmoid, ulp=3, scale=0.5, domain=SIX),
    F("hardswish", lambda x: x * hardtanh(x + 3, 0, 6) / 6, ulp=3, scale=0.5, domain=SIX),
    F("leaky_relu", leaky_relu, samples=samples({"negative_slope": 0.2}), ulp=1, domain=KINK),
    F("rrelu", rrelu, samples=samples({"lower": 0.1, "upper": 0.5}), ulp=1, domain=KINK),
    U("prelu", prelu, ulp=1, domain=KINK, group="gate", nonfinite="planted", inplace="", samples=(
        S(V(3, 4), V(4)), S(V(2, 3, 2), V(3)), S(V(3, 4), V(1)), S(V(3), V()), S(V(), V(1)), S(V(0, 3), V(3)),
        S(V(129, 67), V(67), big=True))),
    U("hardshrink", hardshrink, ulp=0, domain=BANDS, inplace="", samples=samples({"lambd": 1.0})),
    F("softshrink", softshrink, ulp=1, scale=0.5, domain=BANDS, samples=samples({"lambd": 1.0})),
    F("threshold", threshold, dtypes=SIGNED + FLOAT, ulp=0, domain=BANDS, samples=(
        *(S(*s.args, 1, 20, big=s.big) for s in SAMPLES), S(V(3, 4), -0.5, 0.25, but=SIGNED))),
)
# fmt: on
