"""One step of a recurrent layer: two matrix products, and one launch for what its gates do.

`nn.RNNCell` and its kin are these with parameters; `steps` is the same for a layer, which has done the product with the whole
input beforehand. Elman (1990); LSTM: Hochreiter and Schmidhuber (1997), with the forget gate of Gers et al. (2000); GRU: Cho
et al. (2014), its reset gate behind the product, as Li et al.'s and cuDNN's.
"""

from __future__ import annotations

from typing import Any

from .common import run


def rnn_step(activation: str, x: Any, hidden: Any, weight: Any) -> Any:
    """The next state: ``activation`` ("tanh" or "relu") of x + hidden·weightᵀ."""
    return run(activation, run("linear", hidden, weight, x))


def lstm_step(x: Any, hidden: Any, cell: Any, weight: Any) -> tuple[Any, Any]:
    """The next hidden state and cell; ``x`` (N, 4·size) is the input's share of the gates, with all biases."""
    made: tuple[Any, Any] = run("lstm_gates", run("linear", hidden, weight, x), cell)
    return made


def gru_step(x: Any, hidden: Any, weight: Any, bias: Any) -> Any:
    """The next state; ``x`` (N, 3·size) is the input's share of the gates, with its own bias."""
    return run("gru_gates", x, run("linear", hidden, weight, bias), hidden)


def summed(b_ih: Any, b_hh: Any) -> Any:
    """Two biases that are added in the end, as one; None where there are none."""
    return b_ih if b_hh is None else b_hh if b_ih is None else b_ih + b_hh


def _rnn_cell(activation: str) -> Any:
    def cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
        return rnn_step(activation, run("linear", input, w_ih, summed(b_ih, b_hh)), hx, w_hh)

    cell.__name__ = cell.__qualname__ = f"rnn_{activation}_cell"
    cell.__doc__ = f"{activation}(input·w_ihᵀ + b_ih + hx·w_hhᵀ + b_hh): (N, in), (N, size) → (N, size)."
    return cell


def lstm_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> tuple[Any, Any]:
    """A step of an LSTM: (N, in) and the pair ``hx`` of (N, size) → the next hidden state and cell. Rows of the weights are
    those of the gates i, f, g, o."""
    gates = run("linear", input, w_ih, summed(b_ih, b_hh))
    hidden, cell = hx
    return lstm_step(gates, hidden, cell, w_hh)


def gru_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """A step of a GRU: (N, in) and (N, size) → the next state (N, size). Rows of the weights are those of the gates r, z, n."""
    return gru_step(run("linear", input, w_ih, b_ih), hx, w_hh, b_hh)


FUNCTIONS = {f.__name__: f for f in (_rnn_cell("tanh"), _rnn_cell("relu"), lstm_cell, gru_cell)}
ALONE = frozenset(FUNCTIONS)
METHODS: dict[str, Any] = {}
