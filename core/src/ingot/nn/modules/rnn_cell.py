"""RNNCell, LSTMCell and GRUCell: one step of a recurrent layer, with its parameters; `rnn` has whole sequences."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import ingot
from ingot.nn import init
from ingot.nn.modules.module import Module
from ingot.nn.parameter import Parameter
from ingot.tensor import Tensor


class _Cell(Module):
    """``weight_ih`` (gates · hidden_size, input_size), ``weight_hh``, and ``bias_ih``, ``bias_hh`` or None; all start uniform
    within ±1/sqrt(hidden_size). Inputs are (N, input_size) or (input_size,), states (N, hidden_size) or (hidden_size,).
    """

    chunks: ClassVar[int]  # of the weights' rows
    pair: ClassVar[bool] = False  # a state is two tensors

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows, made = self.chunks * hidden_size, {"device": device, "dtype": dtype}
        self.weight_ih = Parameter(ingot.empty((rows, input_size), **made))
        self.weight_hh = Parameter(ingot.empty((rows, hidden_size), **made))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(ingot.empty(rows, **made)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0.0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _step(self, function: Any, input: Tensor, hx: Any) -> Any:
        """``function`` of a batch; a single input is a batch of one."""
        states = () if hx is None else hx if isinstance(hx, (tuple, list)) else (hx,)
        name, alone = self._get_name(), input.dim() == 1
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        for s in states:
            if s.dim() not in (1, 2):
                raise ValueError(f"{name}: Expected hidden to be 1D or 2D, got {s.dim()}D instead")
        x = input.unsqueeze(0) if alone else input
        if x.shape[1] != self.input_size:
            raise RuntimeError(f"input has inconsistent input_size: got {x.shape[1]} expected {self.input_size}")
        zeros = ingot.zeros(len(x), self.hidden_size, dtype=x.dtype, device=x.device) if hx is None else None
        states = [s.unsqueeze(0) if alone else s for s in states] or [zeros, zeros]
        for s in states:
            if tuple(s.shape) != (len(x), self.hidden_size):
                raise RuntimeError(f"hidden of size {list(s.shape)} does not fit an input of {len(x)} and hidden_size="
                                   f"{self.hidden_size}")
        held = tuple(states[:2]) if self.pair else states[0]
        made = function(x, held, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        if not alone:
            return made
        return tuple(s.squeeze(0) for s in made) if isinstance(made, tuple) else made.squeeze(0)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_Cell):
    """The next hidden state: tanh(W x + b + U h + b'), or relu (Elman, 1990)."""

    chunks = 1

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        functions = {"tanh": ingot.rnn_tanh_cell, "relu": ingot.rnn_relu_cell}
        if self.nonlinearity not in functions:
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity!r}; it is 'tanh' or 'relu'")
        made: Tensor = self._step(functions[self.nonlinearity], input, hx)
        return made

    def extra_repr(self) -> str:
        said = "" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}"
        return super().extra_repr() + said


class LSTMCell(_Cell):
    """The next hidden state and cell of an LSTM (Hochreiter and Schmidhuber, 1997), from such a pair."""

    chunks, pair = 4, True

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        made: tuple[Tensor, Tensor] = self._step(ingot.lstm_cell, input, hx)
        return made


class GRUCell(_Cell):
    """The next hidden state of a GRU (Cho et al., 2014)."""

    chunks = 3

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        made: Tensor = self._step(ingot.gru_cell, input, hx)
        return made
