"""Optimizers whose step of one parameter is one op: the loop that they share, over groups and parameters, and what a rule says.

    groups ──▶ parameters with a gradient ──▶ their state, the op's numbers ──`steps`──▶ launches

A rule is a small class: its options, `Fused.op` or `Fused._rule` (which op, on which moments), `Fused._numbers` (the op's
numbers, from a group's options and what the state counts) and, where more than steps is counted, `Fused._advance`. Numbers are
computed once for all parameters of a group that count alike. `ingot.compile` calls `_numbers` and `_advance` at each replay,
and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from operator import itemgetter
from typing import Any, ClassVar, NamedTuple

from ingot_devices.context import state as context
from ingot_devices.opset.op import OPS

import ingot
from ingot.optim.optimizer import Closure, Optimizer, Params
from ingot.optim.steps import Steps
from ingot.tensor import Tensor


class Rule(NamedTuple):
    """How the parameters of one group are stepped.

    ``op`` takes the parameter, its gradient, the tensors of its state that ``moments`` names, and the numbers; ``attrs`` are
    its attributes, and ``first`` those of a parameter that has no state yet, where they are others.
    """

    op: str
    moments: tuple[str, ...]
    attrs: tuple[Any, ...]
    first: tuple[Any, ...] | None = None


class Fused(Optimizer):
    """An optimizer of one op for each parameter. Several parameters share a launch where the device can, to the same bits;
    ``foreach=False`` keeps them apart.
    """

    # Options that reach the step's op as numbers and decide nothing else: a compiled step reads them anew each time.
    inputs: ClassVar[tuple[str, ...]] = ()
    op: ClassVar[str]  # of every group, unless `_rule` says otherwise
    _joined: bool | None = True
    _opt_called = False

    def __init__(
        self, params: Params, defaults: dict[str, Any], foreach: bool | None = None, fused: bool | None = None
    ) -> None:
        super().__init__(params, defaults)
        if foreach and fused:
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
        self._joined = fused or foreach is not False

    # ---- what a rule says ------------------------------------------------------------------------
    def _rule(self, group: Mapping[str, Any]) -> Rule:
        """How a group is stepped, by options that are no ``inputs``, or by whether those are zero."""
        return Rule(self.op, self.moments, (group["maximize"],))

    def _numbers(self, group: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[Any, ...]:
        """The number operands of a parameter's next step: floats, from its options and what its state counts alone."""
        raise NotImplementedError(f"{type(self).__name__} does not say where its numbers come from")

    def _advance(self, group: Mapping[str, Any], state: dict[str, Any]) -> None:
        """What the state counts, after a step."""
        state["step"] += 1

    def _begin(self, parameter: Tensor, group: Mapping[str, Any], rule: Rule) -> dict[str, Any]:
        """The state of a parameter before its first step."""
        return {**self.counters, **{name: ingot.zeros_like(parameter) for name in rule.moments}}

    # ---- the loop --------------------------------------------------------------------------------
    def step(self, closure: Closure | None = None) -> Any:
        """Update every parameter that has a gradient; ``closure`` computes the loss anew, which is
        returned.
        """
        loss = self._loss_of(closure)
        with Steps(bool(self._joined)) as steps:
            for group in self.param_groups:
                self._step_group(group, steps)
        return loss

    def _step_group(self, group: dict[str, Any], steps: Steps) -> None:
        rule, recording = self._rule(group), context.context.recording
        op, moments, counts = OPS[rule.op], _values(rule.moments), bool(self.counters)
        key = itemgetter(*self.counters) if counts else _nothing
        keeps = counts or bool(rule.moments)
        stateless: dict[str, Any] = {}
        known: dict[Any, tuple[Any, ...]] = {}
        for parameter in group["params"]:
            gradient = parameter.grad
            if gradient is None:
                continue
            state, attrs = self.state[parameter] if keeps else stateless, rule.attrs
            if keeps and not state:
                state.update(self._begin(parameter, group, rule))
                attrs = rule.first or attrs
            counted = key(state)
            numbers = known.get(counted)
            if numbers is None:
                numbers = known[counted] = self._numbers(group, state)
            if recording:
                context.recorder.source(self, group, state)
            steps.add(op, (parameter, gradient, *moments(state)), numbers, attrs)
            if counts:
                self._advance(group, state)
                if recording:
                    context.recorder.counted(self, group, state)


def decoupled(name: str, group: Mapping[str, Any]) -> str:
    """The op ``name``_step, or the one whose decay is the parameter's own, if a group has it so."""
    return f"{name}w_step" if group["decoupled_weight_decay"] else f"{name}_step"


def decay_of(group: Mapping[str, Any]) -> float | None:
    """The number of a decay that is added to the gradient; None where there is none."""
    decay = group["weight_decay"]
    return float(decay) if decay else None


@cache
def _values(names: tuple[str, ...]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """What takes the values of ``names`` out of a state."""
    if len(names) > 1:
        return itemgetter(*names)
    return (lambda state: (state[names[0]],)) if names else _nothing


def _nothing(state: Mapping[str, Any]) -> tuple[Any, ...]:
    return ()
