"""The launches of a definition, planned once for all sizes that make the same decisions: what `schedule` asks before it plans.

    definition + layouts ─ `Shape` ─▶ a `Planned` whose conditions hold? ─ no ─▶ planned and written with traced `sizes`
                                      └─ its numbers for these sizes ─▶ `schedule.Kernel`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..ir.definition import Definition
from ..layout import Layout
from . import monoids
from .bind import bind
from .collapse import collapse
from .schedules import Launch, Plan
from .sizes import Formula, Shape, Traced

if TYPE_CHECKING:
    from ..device import Device
    from .schedule import Kernel, ScheduleCodegen

MOST, REMEMBERED = 64, 4096
"""Plans of one structure at most that are kept, and of how many structures."""


@dataclass(frozen=True)
class Planned:
    """The usual launches of a definition for all sizes that meet the conditions of ``formula``, which gives their numbers.

    ``plan`` has the numbers of the sizes that were traced, and programs without statements: ``sources`` have those.
    """

    formula: Formula
    plan: Plan
    sources: list[str]
    used: list[int]
    outputs: list[int]
    bits: int

    def kernel(self, given: Given, numbers: Sequence[int]) -> Kernel:
        """The kernel for ``numbers``."""
        from .schedule import Kernel

        made = object.__new__(Kernel)
        made.begin(*given)
        found, workspaces, made.span = self.formula.made(numbers)
        made.used, made.outputs, made.bits = self.used, self.outputs, self.bits
        launches = tuple(_with(x, *each) for x, each in zip(self.plan.launches, found, strict=True))
        made.usual, made.written = Plan(launches, workspaces), self.sources
        return made


Given = tuple["ScheduleCodegen", Definition, Mapping[int, Any], "Device", frozenset[int]]
"""What a kernel is made for: its generator, definition, layouts, device, and the operands that share memory with a result."""


def _with(launch: Launch, values: Sequence[Any], grid: Sequence[int], reach: int) -> Launch:
    """A launch with other numbers."""
    x, y, z = grid
    slots = tuple(replace(s, value=v) for s, v in zip(launch.slots, values, strict=True))
    return replace(launch, slots=slots, grid=(x, y, z), reach=reach)


def _numbers(launch: Launch) -> list[Any]:
    """What `_with` takes."""
    return [[s.value for s in launch.slots], list(launch.grid), launch.reach]


def known(
    codegen: ScheduleCodegen,
    definition: Definition,
    layouts: Mapping[int, Layout],
    device: Device,
    aliased: frozenset[int],
) -> Kernel | None:
    """The kernel of a definition by what was planned before, or now is; None where there is nothing to write, or where it has
    to be planned for its own sizes."""
    shape = Shape.of(definition, layouts, aliased)
    planned = codegen.cache(device).planned
    if len(planned) > REMEMBERED:
        planned.clear()
    kept = planned.setdefault(f"{definition.name}\n{shape.structure}", [])
    found = next((p for p in kept if p.formula.holds(shape.numbers)), None)
    if found is None and len(kept) < MOST:
        trace, symbolic, lies = shape.symbolic()
        try:
            found = _planned(trace, (codegen, symbolic, lies, device, aliased))
        except (TypeError, AttributeError, SyntaxError, RecursionError, MemoryError) as e:
            codegen.untraced[definition.name] = f"{type(e).__name__}: {e}"
        if found is not None:
            kept.append(found)
    return None if found is None else found.kernel((codegen, definition, layouts, device, aliased), shape.numbers)


def _planned(trace: Traced, given: Given) -> Planned | None:
    """Plan for traced sizes."""
    from .schedule import Kernel

    codegen, definition, lies, _, _ = given
    loops = monoids.rewrite(bind(definition, lies))
    if not loops.writes:
        return None
    kernel = Kernel(*given, collapse(loops))
    plan, launches, sources = kernel.plan(kernel.bits), [], []
    for launch in (kernel.shared(x, kernel.pattern) for x in plan.launches):
        sources.append(codegen.renderer(launch.program))  # which pins what it writes down
        x, y, z = launch.program.workgroup
        program = replace(launch.program, body=(), workgroup=(int(x), int(y), int(z)))
        launches.append(replace(launch, program=program))
    formula = trace.formula([[_numbers(x) for x in launches], dict(plan.workspaces), kernel.span])
    return Planned(formula, Plan(tuple(launches), plan.workspaces), sources, kernel.used, kernel.outputs, kernel.bits)
