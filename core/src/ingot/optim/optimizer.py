"""Optimizer: parameter groups, per-parameter state, saving and loading; the rules are in the other
files.

The flow: `backward` fills ``.grad``, `step` of a subclass updates the parameters (nearly always by `fused`: one op for
each, of which `steps` joins several into a launch), `zero_grad` drops the gradients. State is keyed by the
parameter object; saved, by its number in the order of the groups.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any, ClassVar

import ingot
from ingot.tensor import Tensor

NOT_NEGATIVE = ("lr", "weight_decay", "eps", "momentum", "lr_decay", "initial_accumulator_value", "momentum_decay")
"""Options that mean the same in every rule."""
Closure = Callable[[], Any]
Params = Iterable[Tensor] | Iterable[dict[str, Any]]


class Optimizer:
    """Base class: holds the groups of ``params`` (tensors, or dicts with "params" and options) and
    `state`.

    ``defaults`` are the options of a group that does not set them. A subclass writes `step`.
    """

    # Keys of `state` that are tensors shaped as their parameter: checked when a state is loaded.
    moments: ClassVar[tuple[str, ...]] = ()
    # Keys of `state` that are numbers which each step moves on, with those before the first; loaded, also from tensors.
    counters: ClassVar[Mapping[str, float]] = {"step": 0}
    # Whether `step` was called, for the schedulers' warning; None in a subclass that doesn't tell.
    _opt_called: bool | None = None

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                f"but got {type(params).__name__}; write [tensor]"
            )
        self.defaults = defaults
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        given: list[Any] = list(params)
        if not given:
            raise ValueError("optimizer got an empty parameter list")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group: a dict with "params" and any option that is to differ from the defaults."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group).__name__}")
        group = {**self.defaults, **param_group}
        group["params"] = _listed(group.get("params"))
        taken = set(map(id, chain.from_iterable(g["params"] for g in self.param_groups)))
        if not taken.isdisjoint(map(id, group["params"])):
            raise ValueError("some parameters appear in more than one parameter group")
        if len(set(map(id, group["params"]))) != len(group["params"]):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; each is updated "
                "once for every time it is listed",
                stacklevel=3,
            )
        self._check(group)
        # "params" first, as PyTorch has it
        self.param_groups.append({"params": group.pop("params"), **group})

    def _check(self, group: Mapping[str, Any]) -> None:
        """Refuse options that make no sense, with ValueError. Subclasses extend it."""
        for name in NOT_NEGATIVE:
            value = group.get(name, 0.0)
            if not isinstance(value, (int, float)):
                raise TypeError(f"{name} must be a number, but got {type(value).__name__}")
            if not value >= 0.0:
                words = {"lr": "learning rate", "eps": "epsilon value"}.get(name, f"{name} value")
                raise ValueError(f"Invalid {words}: {value}; it must be at least 0")
        for number, beta in enumerate(group.get("betas", ())):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {number}: {beta}")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop every gradient (or, ``set_to_none=False``, fill it with zeros)."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none:
                    parameter.grad = None
                elif parameter.grad is not None:
                    parameter.grad = parameter.grad.detach().zero_()

    def step(self, closure: Closure | None = None) -> Any:
        """Update every parameter that has a gradient; ``closure`` computes the loss anew and is
        returned.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no step(); an optimizer writes its own"
        )

    def _loss_of(self, closure: Closure | None) -> Any:
        self._opt_called = True
        if closure is None:
            return None
        with ingot.enable_grad():
            return closure()

    # ---- saving and loading ----------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """{"state": {number: state}, "param_groups": [options, with numbers for params]}, as
        PyTorch's.

        The tensors are the optimizer's own: save them before the next step.
        """
        numbers: dict[int, int] = {}
        for parameter in chain.from_iterable(g["params"] for g in self.param_groups):
            numbers.setdefault(id(parameter), len(numbers))
        groups = [
            {
                **{name: value for name, value in group.items() if name != "params"},
                "params": [numbers[id(p)] for p in group["params"]],
            }
            for group in self.param_groups
        ]
        state = {
            numbers[id(key)] if isinstance(key, Tensor) else key: dict(value)
            for key, value in self.state.items()
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over options and state from `state_dict`; tensors are copied, to the parameters'
        devices.

        ValueError when the groups or shapes do not fit; then nothing was changed.
        """
        groups = state_dict["param_groups"]
        if len(groups) != len(self.param_groups):
            raise ValueError(
                "loaded state dict has a different number of parameter groups: "
                f"{len(groups)} instead of {len(self.param_groups)}"
            )
        for given, own in zip(groups, self.param_groups, strict=True):
            if len(given["params"]) != len(own["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of "
                    f"optimizer's group: {len(given['params'])} instead of {len(own['params'])}"
                )
        owners = dict(
            zip(
                chain.from_iterable(g["params"] for g in groups),
                chain.from_iterable(g["params"] for g in self.param_groups),
                strict=True,
            )
        )
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, values in state_dict["state"].items():
            owner = owners.get(key)
            state[key if owner is None else owner] = (
                values if owner is None else self._state_for(key, owner, values)
            )
        self.state = state
        self.param_groups = [
            {**own, **given, "params": own["params"]}
            for given, own in zip(groups, self.param_groups, strict=True)
        ]

    def _state_for(self, number: Any, owner: Tensor, values: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of one parameter's state, on its device and in its dtype; a tensor that only counts becomes a number."""
        result: dict[str, Any] = {}
        for name, value in values.items():
            if name in self.counters and isinstance(value, (Tensor, int, float)):
                kind = type(self.counters[name])
                result[name] = kind(value.item() if isinstance(value, Tensor) else value)
            elif name in self.moments and isinstance(value, Tensor) and value.shape != owner.shape:
                raise ValueError(
                    f"loaded state dict does not fit: {name} of parameter {number} has shape "
                    f"{value.shape}, the parameter {owner.shape}"
                )
            elif value is not None or name not in self.moments:  # a moment that is None has not begun
                result[name] = _copied(value, owner)
        return result

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])


def _copied(value: Any, owner: Tensor) -> Any:
    """A copy of a value of the state, with the tensors in it where ``owner`` is, and in its dtype."""
    if isinstance(value, Tensor):
        dtype = owner.dtype if owner.is_floating_point() else value.dtype
        return value.detach().to(device=owner.device, dtype=dtype, copy=True)
    return [_copied(v, owner) for v in value] if isinstance(value, (list, tuple)) else value


def _listed(params: Any) -> list[Tensor]:
    """``params`` of a group as a list of leaf tensors; TypeError or ValueError otherwise."""
    if isinstance(params, set):
        raise TypeError(
            "optimizer parameters need to be organized in ordered collections, but the ordering of "
            "tensors in sets will change between runs. Please use a list instead."
        )
    if params is None:
        raise ValueError('a parameter group needs the key "params"')
    found = [params] if isinstance(params, Tensor) else list(params)
    for parameter in found:
        if not isinstance(parameter, Tensor):
            raise TypeError(
                f"optimizer can only optimize Tensors, but one of the params is {type(parameter)}"
            )
        if not parameter.is_leaf:
            raise ValueError("can't optimize a non-leaf Tensor")
    return found
