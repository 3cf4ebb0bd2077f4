"""The code generator of sim: by the device's mode, what a kernel means or how a device runs it.

``definition`` interprets the definition element by element. ``schedule`` goes the way of every other
device (bind, collapse, schedule) and stops before the renderer: the program itself is the source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ingot_devices.codegen import Unsupported

from .definition import compile_definition

if TYPE_CHECKING:
    from ingot_devices.codegen import Compiled
    from ingot_devices.ir.definition import Definition
    from ingot_devices.layout import Layout

    from .device import SimDevice


class SimCodegen:
    """A `Codegen` that asks its device which of the two modes it is in."""

    fuses = ("pointwise", "reduce", "contraction")

    def __init__(self) -> None:
        self._schedule: Any = None

    def compile(
        self,
        definition: Definition,
        layouts: Mapping[int, Layout],
        device: SimDevice,
        aliased: frozenset[int] = frozenset(),
    ) -> Compiled:
        """A launch of ``definition`` on operands in these layouts; `Unsupported` says why not."""
        if device.config.mode == "definition":
            return compile_definition(definition, layouts, device)
        made: Compiled = self._scheduled().compile(definition, layouts, device, aliased)
        return made

    def together(self, members: Sequence[tuple[Any, Mapping[int, int]]], device: SimDevice) -> Compiled:
        """Several kernels in one launch, which is a matter of the schedule; see `ScheduleCodegen.together`."""
        if device.config.mode == "definition":
            raise Unsupported("what a kernel means says nothing of launches")
        made: Compiled = self._scheduled().together(members, device)
        return made

    def _scheduled(self) -> Any:
        if self._schedule is None:
            from .program import schedule_codegen

            self._schedule = schedule_codegen()
        return self._schedule
