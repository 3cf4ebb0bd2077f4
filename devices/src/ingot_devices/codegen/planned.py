"""The launches of a definition, planned once for all sizes that make the same decisions: what `schedule` asks before it plans.

    `Asked` ─ `Shape` ─▶ is there a `Planned` for these sizes? ─ no ─▶ planned, and its sources written, with traced sizes
                         └─ its numbers for them ─▶ `schedule.Kernel`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ..ir.definition import Definition
from ..ir.size import Formula
from . import monoids
from .bind import bind
from .collapse import collapse
from .schedules import Launch, Plan
from .sizes import STRUCTURES, Shape, Written

if TYPE_CHECKING:
    from ..device import Device
    from .schedule import Kernel, ScheduleCodegen


class Asked(NamedTuple):
    """What a kernel is wanted for: ``layouts`` are those of the tensor operands by number, ``aliased`` the inputs that share
    memory with a result."""

    codegen: ScheduleCodegen
    definition: Definition
    layouts: Mapping[int, Any]
    device: Device
    aliased: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Planned:
    """The usual launches of a definition for the sizes of a formula, which gives their numbers.

    ``plan`` has the numbers of the sizes that were traced, and programs without statements: ``sources`` have those.
    """

    plan: Plan
    sources: list[str]
    used: list[int]
    outputs: list[int]
    bits: int

    def kernel(self, asked: Asked, numbers: Any) -> Kernel:
        """The kernel that has these ``numbers`` (a formula's, for its sizes)."""
        from .schedule import Kernel

        made = Kernel(asked)
        found, workspaces, made.span = numbers
        made.used, made.outputs, made.bits = self.used, self.outputs, self.bits
        launches = tuple(_with(x, *each) for x, each in zip(self.plan.launches, found, strict=True))
        made.usual, made.written = Plan(launches, workspaces), self.sources
        return made


def _with(launch: Launch, values: Sequence[Any], grid: Sequence[int], reach: int) -> Launch:
    """A launch with other numbers."""
    x, y, z = grid
    slots = tuple(replace(s, value=v) for s, v in zip(launch.slots, values, strict=True))
    return replace(launch, slots=slots, grid=(x, y, z), reach=reach)


def _numbers(launch: Launch) -> list[Any]:
    """What `_with` takes."""
    return [[s.value for s in launch.slots], list(launch.grid), launch.reach]


def known(asked: Asked) -> Kernel | None:
    """The kernel by what was planned before, or now is; None where there is nothing to write, or where it has to be planned for
    its own sizes."""
    shape = Shape.of(asked.definition, asked.layouts, asked.aliased)
    planned = asked.codegen.cache(asked.device).planned
    if len(planned) > STRUCTURES:
        planned.clear()
    kept = planned.setdefault(f"{asked.definition.name}\n{shape.structure}", Written())
    found = kept.at(shape.numbers) or kept.add(lambda: _planned(asked, shape))
    if found is None:
        return None
    formula, made = found
    return made.kernel(asked, formula.made(shape.numbers))


def _planned(asked: Asked, shape: Shape) -> tuple[Formula, Planned] | None:
    """Plan for traced sizes."""
    from .schedule import Kernel

    trace, definition, lies = shape.symbolic()
    loops = monoids.rewrite(bind(definition, lies))
    if not loops.writes:
        return None
    kernel = Kernel.of(asked._replace(definition=definition, layouts=lies), collapse(loops))
    plan, launches, sources = kernel.plan(kernel.bits), [], []
    for launch in (kernel.shared(x, kernel.pattern) for x in plan.launches):
        sources.append(asked.codegen.renderer(launch.program))  # which pins what it writes down
        x, y, z = launch.program.workgroup
        program = replace(launch.program, body=(), workgroup=(int(x), int(y), int(z)))
        launches.append(replace(launch, program=program))
    formula = trace.formula([[_numbers(x) for x in launches], dict(plan.workspaces), kernel.span])
    return formula, Planned(Plan(tuple(launches), plan.workspaces), sources, kernel.used, kernel.outputs, kernel.bits)
