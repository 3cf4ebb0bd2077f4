"""RNN, LSTM and GRU: layers over sequences, as tensors or packed; `nn._recurrent` has the steps.

Parameters are named as PyTorch's: ``weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0``, ``bias_hh_l0``, with ``weight_hr_l0``
for projections and ``…_reverse`` for the second direction. All start uniform within ±1/sqrt(hidden_size).
"""

from __future__ import annotations

import math
import numbers
from typing import Any, ClassVar

import ingot
from ingot.nn import init
from ingot.nn._recurrent import GATES, State, Weights, layers
from ingot.nn.modules.module import Module
from ingot.nn.parameter import Parameter
from ingot.nn.utils.rnn import PackedSequence
from ingot.ops.named import warn
from ingot.tensor import Tensor

_SIZES = ("input_size", "hidden_size", "num_layers")


class RNNBase(Module):
    """What all three hold and do.

    An input is (time, N, input_size), (N, time, input_size) if ``batch_first``, (time, input_size), or a `PackedSequence`; the
    output the same with D · hidden_size, where D is 2 if ``bidirectional``. States are (D · num_layers, N, hidden_size), zero
    unless given, the layers' in turn. ``dropout`` acts on what each layer but the last puts out, while training.
    """

    pair: ClassVar[bool] = False  # a state is two tensors

    def __init__(
        self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.mode, self.input_size, self.hidden_size, self.num_layers = mode, input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional, self.proj_size = bidirectional, proj_size
        self._check()
        self.dropout = float(dropout)
        directions = 2 if bidirectional else 1
        rows, put_out = GATES[mode] * hidden_size, proj_size or hidden_size
        self._names: list[list[list[str]]] = []
        for layer in range(num_layers):
            seen = input_size if layer == 0 else put_out * directions
            shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, seen), "weight_hh": (rows, put_out)}
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
            shapes |= {"weight_hr": (proj_size, hidden_size)} if proj_size else {}
            ends = ("", "_reverse")[:directions]
            self._names.append([[f"{name}_l{layer}{end}" for name in shapes] for end in ends])
            for names in self._names[-1]:
                for name, shape in zip(names, shapes.values(), strict=True):
                    self.register_parameter(name, Parameter(ingot.empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def _check(self) -> None:
        """TypeError or ValueError for an option that is none."""
        p = self.dropout
        if self.mode not in GATES:
            raise ValueError(f"Unrecognized RNN mode: {self.mode}; the modes are {', '.join(GATES)}")
        if not isinstance(p, numbers.Number) or isinstance(p, bool) or not 0 <= p <= 1:
            raise ValueError("dropout should be a number in range [0, 1] representing the probability of an element being "
                             f"zeroed, but got {p!r}")
        if p > 0 and self.num_layers == 1:
            warn("dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
                 f"greater than 1, but got dropout={p} and num_layers={self.num_layers}")
        for name, kind in (("bias", bool), ("batch_first", bool), *((name, int) for name in _SIZES)):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")
        for name in _SIZES:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be greater than zero, but got {getattr(self, name)}")
        if not 0 <= self.proj_size < self.hidden_size:
            raise ValueError("proj_size should be a positive integer or zero to disable projections, and smaller than "
                             f"hidden_size={self.hidden_size}, but got {self.proj_size}")

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction in turn."""
        return [[getattr(self, name) for name in names] for row in self._names for names in row]

    def flatten_parameters(self) -> None:
        """Nothing: every kernel takes the parameters as they lie. For programs that ask for it."""

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(self, input: Any, hx: Any = None) -> Any:
        if isinstance(input, PackedSequence):
            return self._packed(input, hx)
        if input.dim() not in (2, 3):
            raise ValueError(f"{self._get_name()}: Expected input to be 2D or 3D, got {input.dim()}D instead")
        alone = input.dim() == 2
        x = input.unsqueeze(1) if alone else input.transpose(0, 1) if self.batch_first else input
        if len(x) == 0:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        y, final = self._run(x, self._initial(hx, x, x.shape[1], alone), None)
        if alone:
            return y.squeeze(1), self._returned(tuple(s.squeeze(1) for s in final))
        return (y.transpose(0, 1) if self.batch_first else y), self._returned(final)

    def _packed(self, input: PackedSequence, hx: Any) -> Any:
        sizes = input.batch_sizes.tolist()
        state = self._initial(hx, input.data, sizes[0], False)
        if hx is not None and input.sorted_indices is not None:
            state = tuple(s.index_select(1, input.sorted_indices) for s in state)
        y, final = self._run(input.data, state, sizes)
        if input.unsorted_indices is not None:
            final = tuple(s.index_select(1, input.unsorted_indices) for s in final)
        return input._replace(data=y), self._returned(final)

    def _run(self, x: Tensor, state: State, sizes: list[int] | None) -> tuple[Tensor, State]:
        return layers(self.mode, x, state, self._weights(), self.dropout if self.training else 0.0, sizes)

    def _weights(self) -> list[list[Weights]]:
        def read(names: list[str]) -> Weights:
            first, second, *others = (getattr(self, name) for name in names)
            projected = [others.pop()] if self.proj_size else []
            return Weights(first, second, *(others or (None, None)), *projected)

        return [[read(names) for names in row] for row in self._names]

    def _initial(self, hx: Any, x: Tensor, batch: int, alone: bool) -> State:
        """The state to begin with, checked; and a check of the input."""
        dtype = self.weight_ih_l0.dtype
        if x.dtype != dtype:
            raise ValueError(f"RNN input dtype ({x.dtype}) does not match weight dtype ({dtype}). Convert input: "
                             f"input.to({dtype}), or convert model: model.to({x.dtype})")
        if x.shape[-1] != self.input_size:
            raise RuntimeError("input.size(-1) must be equal to input_size. Expected "
                               f"{self.input_size}, got {x.shape[-1]}")
        lead = (self.num_layers * (2 if self.bidirectional else 1), batch)
        shapes = [(*lead, self.proj_size or self.hidden_size), (*lead, self.hidden_size)][: 2 if self.pair else 1]
        if hx is None:
            return tuple(ingot.zeros(shape, dtype=x.dtype, device=x.device) for shape in shapes)
        state: State = tuple(hx) if self.pair else (hx,)
        said = ("hx and cx" if self.pair else "hx", "unbatched 2" if alone else "batched 3", "2" if alone else "3")
        if any(s.dim() != (2 if alone else 3) for s in state):
            raise RuntimeError(f"For {said[1]}-D input, {said[0]} should also be {said[2]}-D but got "
                               f"{', '.join(f'{s.dim()}-D' for s in state)}")
        state = tuple(s.unsqueeze(1) for s in state) if alone else state
        for n, (s, shape) in enumerate(zip(state, shapes, strict=True)):
            if tuple(s.shape) != shape:
                raise RuntimeError(f"Expected hidden{f'[{n}]' if self.pair else ''} size {shape}, got {list(s.shape)}")
        return state

    def _returned(self, state: State) -> Any:
        return state if self.pair else state[0]

    def extra_repr(self) -> str:
        usual = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0, "bidirectional": False}
        said = [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        return ", ".join([str(self.input_size), str(self.hidden_size), *said])


class RNN(RNNBase):
    """h' = tanh(W x + b + U h + b'), or relu, at each time (Elman, 1990); see `RNNBase`."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        modes = {"tanh": "RNN_TANH", "relu": "RNN_RELU"}
        if nonlinearity not in modes:
            raise ValueError(f"Unknown nonlinearity {nonlinearity!r}. Select from 'tanh' or 'relu'.")
        super().__init__(modes[nonlinearity], input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
                         0, device, dtype)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997), with a forget gate; see `RNNBase`.

    A state is the pair (hidden, cell). ``proj_size``: the hidden state, and so the output, is a learned projection to so many
    numbers (Sak et al., 2014).
    """

    pair = True

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__("LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size,
                         device, dtype)


class GRU(RNNBase):
    """Gated recurrent unit (Cho et al., 2014), with the reset gate behind the product; see `RNNBase`."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__("GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device,
                         dtype)
