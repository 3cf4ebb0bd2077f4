"""Recurrent layers over a whole sequence: what `nn.RNN`, `nn.LSTM` and `nn.GRU` run.

The products with the input are one launch for each layer and direction; a step through time is a product with the state and
one launch for the gates (`ops.recurrent`). A sequence is (time, N, …), or packed: the rows of each time in turn, ``sizes``
of them, never more than before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import ingot
from ingot.ops import recurrent as steps
from ingot.tensor import Tensor

State = tuple[Tensor, ...]
Step = Callable[[Tensor, State], State]
"""From the input's share of the gates and a state, (hidden,) or (hidden, cell), to the next state."""


class Weights(NamedTuple):
    """Of one layer and direction; there is a ``project`` where an LSTM's hidden state is a projection."""

    input: Tensor
    hidden: Tensor
    input_bias: Tensor | None = None
    hidden_bias: Tensor | None = None
    project: Tensor | None = None


def _lstm(w: Weights) -> Step:
    def step(x: Tensor, state: State) -> State:
        hidden, cell = steps.lstm_step(x, state[0], state[1], w.hidden)
        return (hidden if w.project is None else ingot.linear(hidden, w.project)), cell

    return step


GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}
"""The gates of a layer, by its mode."""
_STEPS: dict[str, Callable[[Weights], Step]] = {
    "RNN_TANH": lambda w: lambda x, state: (steps.rnn_step("tanh", x, state[0], w.hidden),),
    "RNN_RELU": lambda w: lambda x, state: (steps.rnn_step("relu", x, state[0], w.hidden),),
    "LSTM": _lstm,
    "GRU": lambda w: lambda x, state: (steps.gru_step(x, state[0], w.hidden, w.hidden_bias),),
}


def layers(
    mode: str, x: Tensor, initial: State, weights: Sequence[Sequence[Weights]], dropout: float = 0.0,
    sizes: Sequence[int] | None = None,
) -> tuple[Tensor, State]:  # fmt: skip
    """The last layer's outputs, and the last state of each layer and direction, (layers · directions, N, size).

    ``weights``: a row for each layer, with a direction or two. ``dropout`` is between layers. ``sizes``: ``x`` is packed.
    """
    finals: list[State] = []
    for layer, row in enumerate(weights):
        if layer and dropout:
            x = ingot.dropout(x, dropout, True)
        made = []
        for backward, each in enumerate(row):
            outputs, final = _direction(mode, x, tuple(s[len(finals)] for s in initial), each, sizes, bool(backward))
            made.append(outputs)
            finals.append(final)
        x = made[0] if len(made) == 1 else ingot.cat(made, -1)
    return x, tuple(ingot.stack(each) for each in zip(*finals, strict=True))


def _direction(
    mode: str, x: Tensor, initial: State, w: Weights, sizes: Sequence[int] | None, backward: bool
) -> tuple[Tensor, State]:
    """One layer in one direction: its outputs, laid out as ``x``, and its last state."""
    bias = w.input_bias if mode == "GRU" else steps.summed(w.input_bias, w.hidden_bias)
    shares = ingot.linear(x, w.input, bias)
    parts = shares.unbind(0) if sizes is None else shares.split(list(sizes))
    outputs, final = _scan(_STEPS[mode](w), parts, initial, backward)
    return (ingot.stack(outputs) if sizes is None else ingot.cat(outputs)), final


def _scan(step: Step, parts: Sequence[Tensor], initial: State, backward: bool) -> tuple[list[Tensor], State]:
    """The hidden state after each part, in the order of the parts, and the last state of each row of the batch.

    Rows end when the parts have become fewer (forwards), or begin with their initial state when they become more (backwards).
    """
    outputs: list[Tensor] = []
    ended: list[State] = []
    state = tuple(s[: len(parts[-1])] for s in initial) if backward else initial
    for part in reversed(parts) if backward else parts:
        n, held = len(part), len(state[0])
        if n < held:
            ended.append(tuple(s[n:] for s in state))
            state = tuple(s[:n] for s in state)
        elif n > held:
            state = tuple(ingot.cat([s, first[held:n]]) for s, first in zip(state, initial, strict=True))
        state = step(part, state)
        outputs.append(state[0])
    if ended:
        state = tuple(ingot.cat(rows) for rows in zip(state, *reversed(ended), strict=True))
    return (outputs[::-1] if backward else outputs), state
