"""Saving and loading a Module: `state_dict` out, `load_state_dict` in.

Loading has two passes: the first matches names and shapes over the whole tree and collects every
mistake, the second copies. So a file that does not fit leaves the module as it was.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import ingot
from ingot.nn.modules._tree import ModuleTree
from ingot.nn.parameter import Parameter
from ingot.tensor import Tensor

_EXTRA = "_extra_state"


class IncompatibleKeys(NamedTuple):
    """What did not match: names the module has and the state lacks, and the other way round."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"_IncompatibleKeys(missing_keys={self.missing_keys}, "
            f"unexpected_keys={self.unexpected_keys})"
        )


class ModuleState(ModuleTree):
    """`state_dict` and `load_state_dict`."""

    def get_extra_state(self) -> Any:
        """Override together with `set_extra_state` to save plain data beside the tensors."""
        raise RuntimeError(f"{type(self).__name__} declares no extra state; override this method")

    def set_extra_state(self, state: Any) -> None:
        """Takes what `get_extra_state` gave."""
        raise RuntimeError(f"{type(self).__name__} declares no extra state; override this method")

    def _has_extra_state(self) -> bool:
        return type(self).get_extra_state is not ModuleState.get_extra_state

    def _persistent(self) -> Iterator[tuple[str, Tensor]]:
        """This module's own parameters, then the buffers that are saved."""
        for name, parameter in self._parameters.items():
            if parameter is not None:
                yield name, parameter
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                yield name, buffer

    def state_dict(
        self,
        *,
        destination: OrderedDict[str, Any] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> OrderedDict[str, Any]:
        """Dotted name → tensor, for every parameter and persistent buffer.

        The tensors share storage with the module and are detached, unless ``keep_vars``.
        """
        state = OrderedDict() if destination is None else destination
        for name, value in self._persistent():
            state[prefix + name] = value if keep_vars else value.detach()
        if self._has_extra_state():
            state[prefix + _EXTRA] = self.get_extra_state()
        for name, child in self._modules.items():
            if child is not None:
                child.state_dict(destination=state, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        return state

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy the values of ``state_dict`` into this module's parameters and buffers.

        ``strict`` (the default) refuses missing and unexpected names; a shape that differs is
        always refused. One RuntimeError lists every mistake, and then nothing was changed.
        ``assign`` makes the given tensors themselves the parameters, with their dtype and device.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        found = _Match(state_dict)
        found.visit(self)
        found.refuse_mistakes(type(self).__name__, strict)
        with ingot.no_grad():
            for module, name, value in found.loads:
                module._load(name, value, assign)
        for module, state in found.extras:
            module.set_extra_state(state)
        return IncompatibleKeys(found.missing, found.unexpected())

    def _load(self, name: str, value: Tensor, assign: bool) -> None:
        held: dict[str, Any] = self._parameters if name in self._parameters else self._buffers
        if not assign:
            held[name].copy_(value)
        elif isinstance(held[name], Parameter):
            held[name] = Parameter(value, held[name].requires_grad)
        else:
            held[name] = value


class _Match:
    """The first pass of loading: who gets what, and everything that does not fit."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        self.state = state
        self.loads: list[tuple[ModuleState, str, Tensor]] = []
        self.extras: list[tuple[ModuleState, Any]] = []
        self.missing: list[str] = []
        self.mistakes: list[str] = []
        self.known: set[str] = set()

    def visit(self, module: ModuleState, prefix: str = "") -> None:
        for name, target in module._persistent():
            if self._has(prefix + name) and self._fits(prefix + name, target):
                self.loads.append((module, name, self.state[prefix + name]))
        if module._has_extra_state() and self._has(prefix + _EXTRA):
            self.extras.append((module, self.state[prefix + _EXTRA]))
        for name, child in module._modules.items():
            if child is not None:
                self.visit(child, f"{prefix}{name}.")

    def _has(self, key: str) -> bool:
        self.known.add(key)
        if key not in self.state:
            self.missing.append(key)
        return key in self.state

    def _fits(self, key: str, target: Tensor) -> bool:
        given = self.state[key]
        if not isinstance(given, Tensor):
            self.mistakes.append(
                f'While copying the parameter named "{key}", expected an ingot.Tensor from '
                f"checkpoint but received {type(given)}"
            )
            return False
        if given.shape != target.shape:
            self.mistakes.append(
                f"size mismatch for {key}: copying a param with shape {given.shape} from "
                f"checkpoint, the shape in current model is {target.shape}."
            )
            return False
        return True

    def unexpected(self) -> list[str]:
        return [key for key in self.state if key not in self.known]

    def refuse_mistakes(self, name: str, strict: bool) -> None:
        mistakes = list(self.mistakes)
        if strict and (unexpected := self.unexpected()):
            mistakes.insert(0, f"Unexpected key(s) in state_dict: {_quoted(unexpected)}. ")
        if strict and self.missing:
            mistakes.insert(0, f"Missing key(s) in state_dict: {_quoted(self.missing)}. ")
        if mistakes:
            lines = "\n\t".join(mistakes)
            raise RuntimeError(f"Error(s) in loading state_dict for {name}:\n\t{lines}")


def _quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
