"""``INGOT_COMPILE=verify``: each replay beside the eager call, from the same state, compared bit for bit.

The replay runs first; then all that it changed is put back, the function runs eagerly, and what both left behind is
compared: results, gradients, memory that was written to. The eager outcome is the one that stays. `CompileMismatch` names
the first difference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from ingot_devices import transfer

from ..base import TensorBase

if TYPE_CHECKING:
    from .replaying import Replayer

Array = Any


class CompileMismatch(AssertionError):
    """A replay gave other bits than the eager call: a fault of the compiler. The text says where."""


def call(replayer: Replayer, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The eager result, after the replay was compared with it; what the replay says (`MISS`) where it does not fit."""
    from .replaying import MISS

    state = _State(replayer, args, kwargs)
    result = replayer.call(args, kwargs)
    if result is MISS:
        return MISS
    replayed = state.left_behind(result)
    state.restore()
    result = function(*args, **kwargs)
    for (name, mine), (_, eager) in zip(replayed, state.left_behind(result), strict=True):
        if not _equal(mine, eager):
            raise CompileMismatch(f"{name} differs between the compiled and the eager call{_shown(mine, eager)}")
    return result


class _State:
    """What a call may change: memory, gradients, places, counters, generators, schedules."""

    def __init__(self, replayer: Replayer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        from .arguments import Arguments

        capture = replayer.capture
        self.tensors: dict[int, tuple[str, Any]] = {i: (item.name, item.holder) for i, item in capture.world.tensors.items()}
        self.tensors |= {id(t): (text, t) for text, t in Arguments(args, kwargs).tensors.values()}
        self.effects = [e for e in capture.effects if e.item.kind != "tensor"]
        self.places = [e.item.read()[e.key] for e in self.effects]
        grads = [(f"{n}.grad", t.grad) for n, t in self.tensors.values() if t.grad is not None]
        held = [*self.tensors.values(), *grads, *(("a place", p) for p in self.places)]
        self.memory = [(t, transfer.read(t), t._block.version) for _, t in held]
        self.grads = [(t, t.grad) for _, t in self.tensors.values()]
        self.dicts: list[tuple[dict[Any, Any], dict[Any, Any]]] = []
        self.lists: list[tuple[list[Any], list[Any]]] = []
        self.generators: list[tuple[Any, int, int]] = []
        for event in capture.recorder.events:
            if event.kind == "count":
                self._keep(event.state)
            elif event.kind == "draw":
                self.generators.append((event.subject, event.subject._seed, event.subject._offset))
            elif event.kind == "numbers":
                self._keep(event.group)
            else:
                for schedule in event.subject.parts():
                    self._keep(vars(schedule))

    def _keep(self, held: dict[Any, Any]) -> None:
        self.dicts.append((held, dict(held)))
        self.lists += [(v, list(v)) for v in held.values() if type(v) is list]

    def restore(self) -> None:
        """Put everything back."""
        for t, values, version in reversed(self.memory):
            transfer.write(t, values)
            t._block.version = version
        for t, grad in self.grads:
            t.grad = grad
        for effect, value in zip(self.effects, self.places, strict=True):
            held = vars(effect.item.holder) if effect.item.kind == "instance" else effect.item.holder
            held[effect.key] = value
        for held, before in self.dicts:
            held.clear()
            held.update(before)
        for values, before_values in self.lists:
            values[:] = before_values
        for generator, seed, offset in self.generators:
            generator._seed, generator._offset = seed, offset

    def left_behind(self, result: Any) -> list[tuple[str, Array]]:
        """Everything that a call left, by name, as host arrays."""
        found: list[tuple[str, Array]] = []
        _results("the result", result, found)
        for name, t in self.tensors.values():
            found.append((name, transfer.read(t)))
            found.append((f"{name}.grad", None if t.grad is None else transfer.read(t.grad)))
        found += [(f"{e.item.name}[{e.key!r}]", transfer.read(e.item.read()[e.key])) for e in self.effects]
        found += [("a generator's offset", g._offset) for g, _, _ in self.generators]
        found += [("a counter", tuple(v for v in held.values() if isinstance(v, (int, float)))) for held, _ in self.dicts]
        return found


def _results(name: str, value: Any, found: list[tuple[str, Array]]) -> None:
    if isinstance(value, TensorBase):
        found.append((name, transfer.read(value)))
        found.append((f"{name}.requires_grad", value._edge is not None))
    elif isinstance(value, (tuple, list)):
        for k, inner in enumerate(value):
            _results(f"{name}[{k}]", inner, found)
    elif isinstance(value, dict):
        for k, inner in value.items():
            _results(f"{name}[{k!r}]", inner, found)
    else:
        found.append((name, value))


def _equal(a: Any, b: Any) -> bool:
    if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
        return type(a) is type(b) and bool(repr(a) == repr(b))
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.tobytes() == b.tobytes():
        return True
    if a.dtype.kind not in "fV":
        return False
    wide = (a.astype(np.float64), b.astype(np.float64))
    nan = np.isnan(wide[0]) & np.isnan(wide[1])
    same = (wide[0] == wide[1]) & (np.signbit(wide[0]) == np.signbit(wide[1]))
    return bool((nan | same).all())


def _shown(a: Any, b: Any) -> str:
    if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.shape == b.shape):
        return f": {a!r} and {b!r}" if not isinstance(a, np.ndarray) else ""
    x, y = a.reshape(-1).astype(np.float64), b.reshape(-1).astype(np.float64)
    k = int(np.argmax(~((x == y) | (np.isnan(x) & np.isnan(y)))))
    return f": element {k} is {float(x[k])!r}, eager it is {float(y[k])!r}"
