"""The CPU's code generator: native kernels, and NumPy for what native code cannot, or for all without llvmlite.

Named by ``CpuDevice.codegen``. Which of the two computes a definition follows from the definition and the layouts alone, never
from timing or from what is cached, so a definition always gives the same bits. However small the work, a native kernel is the
faster: calling one costs 0.1 µs, a ufunc 0.3 or more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ingot_devices.codegen import Compiled, Unsupported
from ingot_devices.codegen.host import HostCodegen
from ingot_devices.codegen.replay import Launch, Replay
from ingot_devices.codegen.schedule import Statistics
from ingot_devices.context import state
from ingot_devices.errors import refusal
from ingot_devices.ir.definition import Definition
from ingot_devices.layout import Layout
from ingot_devices.view import View

from .jit import NoLLVM
from .kernel import build, order, runtime
from .program import Program


class CpuCodegen:
    """A `Codegen` over NumPy arrays."""

    def __init__(self) -> None:
        self.host = HostCodegen()
        self.statistics = Statistics()
        self._lock = threading.Lock()

    def available(self) -> str:
        """Empty where native kernels can be made, else the reason why not."""
        try:
            runtime()
        except NoLLVM as e:
            return str(e)
        return ""

    def compile(
        self, definition: Definition, layouts: Mapping[int, Layout], device: Any, aliased: frozenset[int] = frozenset()
    ) -> Compiled:  # fmt: skip
        """See `ingot_devices.codegen.Codegen`."""
        try:
            return self.strictly(definition, layouts, device, aliased)
        except Unsupported:
            return self.host.compile(definition, layouts, device, aliased)

    def strictly(
        self, definition: Definition, layouts: Mapping[int, Layout], device: Any, aliased: frozenset[int] = frozenset()
    ) -> Compiled:  # fmt: skip
        """`compile`, but `Unsupported` where NumPy would do what native code does not."""
        if self.available():
            return self.host.compile(definition, layouts, device, aliased)
        before = state.context
        if before.recording:  # how a kernel is made is no part of what a recorder listens to
            state.context = before.change(recording=False)
        try:
            device.codegen_stats = self.statistics
            return self.native(definition, layouts, aliased)
        finally:
            state.context = before

    def program(self, launches: Sequence[Launch], device: Any, pinned: Mapping[int, View]) -> Replay | None:
        """See `ingot_devices.codegen.replay`; None without LLVM."""
        return None if self.available() else Program(launches, device, pinned, self.compile)

    @property
    def fuses(self) -> tuple[str, ...]:
        """What may be joined without another bit (`ingot_devices.program.fuse`); NumPy's reductions may not."""
        return ("pointwise",) if self.available() else ("pointwise", "reduce", "contraction")

    def tree(self, definition: Definition, layouts: Mapping[int, Layout]) -> Any:
        """What decides the order in which a definition's sums round."""
        return order(definition, layouts)

    def native(
        self, definition: Definition, layouts: Mapping[int, Layout], aliased: frozenset[int] = frozenset()
    ) -> Compiled:
        """The native kernel, or `Unsupported`."""
        made = build(definition, layouts, aliased)
        if made is None:
            return Compiled(_nothing, f"; {definition.name}: no element to write", 0)
        with self._lock:
            self.statistics.compiled += 1
            self.statistics.built = runtime().jit.linked - 1  # less the runtime
            self.statistics.kernels[definition.name] = self.statistics.kernels.get(definition.name, 0) + 1
        call = runtime().function("ingot_call", made.packed)
        if definition.checks:
            call = checked(call, definition)
        return Compiled(call, made.source)


def _nothing(*operands: Any) -> None:
    """The launch of a definition without elements."""


def checked(call: Callable[..., Any], definition: Definition) -> Callable[..., None]:
    """``call`` with a failed check as an error, at once: there is no queue."""
    codes = tuple(c.code for c in definition.checks)

    def run(*operands: Any) -> None:
        failed = call(*operands)
        if failed is not None:
            code = codes[failed - 1]
            raise refusal(code, f"{definition.name}: {code}")

    return run
