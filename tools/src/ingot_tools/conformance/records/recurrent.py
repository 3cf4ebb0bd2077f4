"""Steps of recurrent layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .record import Domain, Record, S, Sample, V, function

SMALL = Domain(-1.5, 1.5)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def plain(activation: Callable[[Any], Any]) -> Callable[..., Any]:
    def cell(x: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = 0.0, b_hh: Any = 0.0) -> Any:
        return activation(x @ w_ih.T + b_ih + hx @ w_hh.T + b_hh)

    return cell


def lstm(x: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = 0.0, b_hh: Any = 0.0) -> Any:
    i, f, g, o = np.split(x @ w_ih.T + b_ih + hx[0] @ w_hh.T + b_hh, 4, -1)
    cell = sigmoid(f) * hx[1] + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(cell), cell


def gru(x: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = 0.0, b_hh: Any = 0.0) -> Any:
    (xr, xz, xn), (hr, hz, hn) = np.split(x @ w_ih.T + b_ih, 3, -1), np.split(hx @ w_hh.T + b_hh, 3, -1)
    z, n = sigmoid(xz + hz), np.tanh(xn + sigmoid(xr + hr) * hn)
    return (1 - z) * n + z * hx


def cell(n: int, inner: int, size: int, gates: int, pair: bool = False, bias: bool = True, big: bool = False) -> Sample:
    """A batch of ``n`` for a cell of ``gates`` gates."""
    state = (V(n, size), V(n, size)) if pair else V(n, size)
    biases = [V(gates * size), V(gates * size)] if bias else []
    return S(V(n, inner), state, V(gates * size, inner), V(gates * size, size), *biases, big=big)


def R(name: str, reference: Callable[..., Any], gates: int, pair: bool = False, **options: Any) -> Record:
    samples = (
        cell(2, 3, 2, gates, pair), cell(1, 2, 1, gates, pair), cell(3, 1, 2, gates, pair, bias=False),
        cell(0, 2, 3, gates, pair), cell(33, 20, 65, gates, pair, big=True),
    )  # fmt: skip
    return Record(name, function(name), reference, samples, domain=SMALL, ulp=16, half_ulp=6, scale=4.0,
                  no_zero_dim="a batch of vectors", group="composite", **options)  # fmt: skip


RECORDS = (
    R("rnn_tanh_cell", plain(np.tanh), 1),
    R("rnn_relu_cell", plain(lambda x: np.maximum(x, 0)), 1),
    R("lstm_cell", lstm, 4, pair=True),
    R("gru_cell", gru, 3),
)
