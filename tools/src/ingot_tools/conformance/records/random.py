"""Ops that draw: what holds of every draw. Their bits are in `philox`; distributions have probes of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import philox
from .record import DEVICE, DTYPE, Domain, Record, S, V, function, functional

HERE: dict[str, Any] = {"device": DEVICE, "dtype": DTYPE}
NOTHING = "takes no tensor"


def D(name: str, verify: Callable[..., None], **options: Any) -> Record:
    """A row: judged by ``verify(result, *operands, **kwargs)``, drawn without a gradient."""
    options.setdefault("call", function(name))
    options.setdefault("grad", False)
    options.setdefault("no_empty", NOTHING)
    options.setdefault("no_zero_dim", NOTHING)
    call = options.pop("call")
    options.setdefault("bits", getattr(philox, name))
    return Record(name, call, None, verify=verify, nonfinite="draws", group="random", **options)


def within(low: float, high: float) -> Callable[..., None]:
    def verify(result: Any, *_: Any, **__: Any) -> None:
        assert ((result >= low) & (result < high)).all()
        assert result.size < 8 or len(np.unique(result)) > 1

    return verify


def finite(result: Any, *_: Any, **__: Any) -> None:
    assert np.isfinite(result).all()
    assert result.size < 8 or len(np.unique(result)) > 2


def is_permutation(result: Any, *_: Any, **__: Any) -> None:
    np.testing.assert_array_equal(np.sort(result), np.arange(result.size))


def follows_probabilities(result: Any, p: Any, **_: Any) -> None:
    """Probabilities 0 and 1 are certain."""
    assert np.isin(result, (0, 1)).all()
    np.testing.assert_array_equal(result[p == 0], 0)
    np.testing.assert_array_equal(result[p == 1], 1)


def only_positive_weights(result: Any, weights: Any, **_: Any) -> None:
    """Nothing of weight 0 is drawn; without replacement nothing twice."""
    for drawn, row in zip(np.atleast_2d(result), np.atleast_2d(weights), strict=True):
        assert (row[drawn] > 0).all()
        assert len(set(drawn.tolist())) == len(drawn)


def kept_or_dropped(result: Any, x: Any, p: float = 0.5, training: bool = True) -> None:
    """Every element is 0 or x / (1 - p)."""
    x = np.asarray(x, np.float64)
    kept = np.zeros_like(x) if p == 1 else x / (1 - p if training else 1)
    assert (np.isclose(result, kept, rtol=1e-2) | ((result == 0) & training & (p > 0))).all()


CHANCE = Domain(0.0, 1.0)
CERTAIN = [0, 1, 0.4, 0.7, 0.2, 0.9, 0, 1, 0.5, 0.3, 0.8, 0.1]  # some are, in each place of a block of the stream, and some not
SHAPES = (S(3, 4, **HERE), S((), **HERE), S(0, 3, **HERE), S(257, 33, big=True, **HERE))

# fmt: off
RECORDS = (
    D("rand", within(0.0, 1.0 + 1e-3), samples=SHAPES),
    D("randn", finite, samples=SHAPES),
    D("randint", within(2, 9), dtypes=("int64", "int32", "uint8", "float32"), samples=(
        S(2, 9, (3, 4), **HERE), S(2, 9, (), **HERE), S(2, 9, (0,), **HERE))),
    D("randperm", is_permutation, dtypes=("int64", "int32"), samples=(
        S(7, **HERE), S(1, **HERE), S(0, **HERE), S(1000, big=True, **HERE))),
    D("bernoulli", follows_probabilities, method="", no_empty="", no_zero_dim="", samples=(
        S(V(9, 8, domain=CHANCE)), S(V(values=1.0)), S(V(values=0.4)), S(V(12, values=CERTAIN)), S(V(0, 2)))),
    D("normal", finite,
      samples=(
        S(1.0, 2.0, (3, 4), **HERE), S(0.0, 1.0, (), **HERE), S(0.0, 1.0, (0,), **HERE))),
    D("uniform", within(-2.0, 3.0 + 0.01), call=lambda t, x, a, b: x.clone().uniform_(a, b),
      no_empty="", no_zero_dim="", samples=(
        S(V(3, 4), -2.0, 3.0), S(V(), -2.0, 3.0), S(V(0, 2), -2.0, 3.0), S(V(80, 40), 1.0, 2.0))),
    D("multinomial", only_positive_weights, result="int64", dtypes=("float32", "float64"),
      domain=Domain(0.1, 1.0), no_empty="a distribution has elements",
      no_zero_dim="a distribution has an axis", samples=(
        S(V(5), 3), S(V(4), 3), S(V(2, 4), 2), S(V(4, values=[0, 1, 0, 2]), 2))),
    D("dropout", kept_or_dropped, call=functional("dropout"), no_empty="", no_zero_dim="", samples=(
        S(V(3, 4), p=0.5), S(V(3, 4), p=0.25), S(V(3, 4), p=0.0), S(V(3, 4), p=1.0),
        S(V(3, 4), p=0.5, training=False), S(V(), p=0.5), S(V(0, 2), p=0.5))),
)
# fmt: on
