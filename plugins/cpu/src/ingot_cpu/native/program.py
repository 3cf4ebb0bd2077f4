"""A whole program as one native call: `ingot_devices.codegen.replay` on the CPU.

Consecutive launches with native kernels are one segment, which `runtime.c` runs through; what only Python can call (a
hand-written kernel, a product that BLAS does not take) stands between segments. A launch's operands are places in slots,
addresses of pinned memory, numbers of the run, or literals. Kernels are those of the eager ops, so results are the same bits.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ingot_devices.codegen import Compiled, Unsupported
from ingot_devices.codegen.replay import Input, Launch, Sequential, part
from ingot_devices.errors import refusal
from ingot_devices.plan import Ref
from ingot_devices.view import View

from .kernel import RELEASE, Native, build, runtime
from .recipe import BOOLEAN, FLOAT

NOTHING, PINNED, SLOT, NUMBER, LITERAL = range(5)
Run = Callable[..., None]
"""``run(slots, numbers=())``."""


class Program:
    """A `Replay`. ``run`` is that of its only part where it has one."""

    def __init__(self, launches: Sequence[Launch], device: Any, pinned: Mapping[int, View], compile_: Any) -> None:
        self.calls = 0
        self.held: list[Any] = []
        self.parts: list[Segment | Sequential] = []
        run: list[tuple[Launch, Native]] = []
        sources: list[str] = []
        for launch in launches:
            kernel = native_of(launch)
            if isinstance(kernel, Native):
                run.append((launch, kernel))
                sources.append(kernel.source)
                continue
            if kernel is None:  # nothing to write
                continue
            self._close(run, pinned)
            run = []
            step = Sequential([_compiled(launch, device, compile_)], device, pinned)
            self.parts.append(step)
            sources.append(step.source)
        self._close(run, pinned)
        self.run: Run = self.parts[0].run if len(self.parts) == 1 else self._each
        self.silent = all(isinstance(one, Segment) for one in self.parts)
        self.calls = len(launches)
        self.source = "\n".join(sources)

    def _close(self, run: list[tuple[Launch, Native]], pinned: Mapping[int, View]) -> None:
        if run:
            self.parts.append(Segment(run, pinned))

    def _each(self, slots: Sequence[View | None], numbers: Sequence[float | int | bool] = ()) -> None:
        for one in self.parts:
            one.run(slots, numbers)


def _compiled(launch: Launch, device: Any, compile_: Any) -> Launch:
    """The launch by a call that Python makes."""
    if launch.call is not None:
        return launch
    made: Compiled = compile_(launch.definition, launch.layouts, device, launch.aliased)
    return Launch(launch.operands, None, made.call, launch.aliased)


def native_of(launch: Launch) -> Native | bool | None:
    """The native kernel of a launch; None where there is nothing to do, False where Python must call it."""
    if launch.definition is None:
        return False
    try:
        return build(launch.definition, launch.layouts, launch.aliased)
    except Unsupported:
        return False


class Segment:
    """Launches that native code runs through, as one Python function: ``run``."""

    def __init__(self, launches: Sequence[tuple[Launch, Native]], pinned: Mapping[int, View]) -> None:
        self.held: list[Any] = [kernel.packed for _, kernel in launches]  # their addresses are in the words
        self.slots: dict[int, int] = {}
        self.numbers: dict[int, int] = {}
        self.codes = [(launch.definition.name, launch.definition.checks) for launch, _ in launches if launch.definition]
        words: list[int] = []
        for launch, kernel in launches:
            words.append(kernel.address)
            for n, kind in enumerate(kernel.recipe.kinds):
                operand = launch.operands[n] if n < len(launch.operands) else None
                words += self._operand(operand, kind, pinned)
        release = int(sum(kernel.cost for _, kernel in launches) > RELEASE)
        head = [len(self.slots), len(self.numbers), len(launches), release, 0]
        packed = struct.pack(f"={len(head) + len(words)}q", *head, *words)
        self.run = self._written(runtime().function("ingot_replay", packed))

    def _operand(self, operand: Any, kind: int, pinned: Mapping[int, View]) -> tuple[int, int, int]:
        """The three words of an operand."""
        if isinstance(operand, Input):
            return NUMBER, self.numbers.setdefault(operand.number, len(self.numbers)), 0
        if isinstance(operand, Ref):
            held = pinned.get(operand.slot)
            if held is not None:
                native = part(held, operand).native()
                self.held.append(native)
                return PINNED, 0, native.ctypes.data
            size = operand.layout.dtype.itemsize if operand.layout is not None else 1
            return SLOT, self.slots.setdefault(operand.slot, len(self.slots)), operand.offset * size
        if operand is None or kind == 0:
            return NOTHING, 0, 0
        if kind == FLOAT:
            return LITERAL, 0, struct.unpack("=q", struct.pack("=d", float(operand)))[0]
        if kind == BOOLEAN:
            return LITERAL, 0, int(bool(operand))
        return LITERAL, 0, (int(operand) + (1 << 63)) % (1 << 64) - (1 << 63)

    def _written(self, call: Any) -> Run:
        """``run(slots, numbers)``: one call of the native code, with its operands written out."""
        views = "".join(f"slots[{k}].native(), " for k in self.slots)
        every = list(self.numbers) == list(range(len(self.numbers)))
        numbers = f"*numbers[:{len(self.numbers)}]" if every else ", ".join(f"numbers[{k}]" for k in self.numbers)
        source = f"""def run(slots, numbers=()):
    try:
        failed = call({views}{numbers})
    except AttributeError:
        missing(slots)
        raise
    if failed is not None: refused(failed)
"""
        scope = {"call": call, "missing": self._missing, "refused": self._refused}
        exec(compile(source, "<ingot segment>", "exec"), scope)
        run: Run = scope["run"]
        return run

    def _missing(self, slots: Sequence[View | None]) -> None:
        for k in self.slots:
            if slots[k] is None:
                raise ValueError(f"slot {k} is neither pinned nor given")

    def _refused(self, failed: int) -> None:
        launch, check = divmod(failed, 65536)
        name, checks = self.codes[launch]
        code = checks[check - 1].code
        raise refusal(code, f"{name}: {code}")
