"""A program run work-item by work-item: the mode that finds the missing barrier.

`schedule_codegen` is the code generator of every device with the identity for a renderer, so that
`SimDevice.build` gets the `Program`. A launch runs its workgroups one after the other and the
work-items of each up to their next barrier, both in seeded order. `LaunchError` names the kernel for
an access out of bounds, a race, workgroup memory read before it is written, and a barrier that some
work-items of a group reach and others do not. A program of a type that the limits refuse, or declare as
emulated, is not built: `KernelBuildError`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ingot_devices.codegen import arguments
from ingot_devices.codegen.schedule import Identity, ScheduleCodegen
from ingot_devices.errors import KernelBuildError, LaunchError
from ingot_devices.ir.expr import REQUIRED
from ingot_devices.ir.program import Program
from ingot_devices.limits import Limits

from .definition import typed
from .shared import Race, Shared, Unwritten
from .statements import Outside, Source, types_of

if TYPE_CHECKING:
    from .device import Dims, SimDevice

Item = Callable[..., Any]
_ANY = Limits()


class Required(Identity):
    """The program itself, of required rows only."""

    rows: frozenset[str] | None = REQUIRED


def schedule_codegen() -> ScheduleCodegen:
    """The code generator of the mode ``schedule``."""
    return ScheduleCodegen(Required())


def _refuse_types(program: Program, limits: Limits) -> None:
    """No value and no memory of a program has a type that the device lacks."""
    for d in types_of(program):
        kind = limits.dtype_class(d).kind
        if kind in ("emulated", "refused"):
            raise KernelBuildError(f"{program.name} computes in {d.name}, which this device declares as {kind}")


class ProgramKernel:
    """A program, built: its work-item as a Python function."""

    def __init__(self, program: Program, limits: Limits = _ANY) -> None:
        self.name = program.name
        _refuse_types(program, limits)
        self.program = program
        self.local_bytes = sum(m.size * m.dtype.itemsize for m in program.locals)
        written = Source(program)
        self.source = written.text
        self._shared, self._specials = written.shared, written.specials
        self._waits = written.barriers > 0
        self._block = arguments.block(program.scalars, program.index_bits)
        exec(compile(self.source, f"<sim {self.name}>", "exec"), written.names)
        self._item: Item = written.names["item"]

    def run(self, device: SimDevice, grid: Dims, block: Dims, buffers: list[memoryview], scalars: bytes) -> None:
        """All work-items of the grid, workgroups in a seeded order."""
        if block != self.program.workgroup:
            raise LaunchError(f"{self.name} is built for {self.program.workgroup}, not for {block}")
        try:
            numbers = self._block.unpack(scalars)
            memories = self._memories(buffers)
            groups = _points(grid)
            device.queue.random.shuffle(groups)
            scratch = memoryview(bytearray(4)).cast("f")
            for group in groups:
                self._group(device, (scratch, memories, numbers), group, grid)
        except (Outside, Race, Unwritten) as error:
            raise LaunchError(f"sim: {self.name}: {error}") from None

    def _memories(self, buffers: list[memoryview]) -> list[Any]:
        """What stands for each buffer: its elements, watched where the launch writes to them."""
        watched: dict[tuple[int, str], Shared] = {}
        made: list[Any] = []
        for b in self.program.buffers:
            data = typed(buffers[b.binding], b.dtype)
            if b.name not in self._shared:
                made.append(data)
                continue
            key = (b.binding, b.dtype.name)
            if key not in watched:
                watched[key] = Shared(b.name, data, benign=b.name == "status")
            made.append(watched[key])
        return made

    def _group(self, device: SimDevice, given: tuple[Any, ...], group: Dims, grid: Dims) -> None:
        scratch, memories, numbers = given
        size = self.program.workgroup
        local = [Shared(m.name, [None] * m.size) for m in self.program.locals]
        start = (group[0] * grid[1] + group[1]) * grid[2] + group[2]
        items = list(enumerate(_points(size)))
        device.queue.random.shuffle(items)
        calls: list[tuple[int, tuple[Any, ...]]] = []
        for k, lid in items:
            me = start * len(items) + k
            calls.append((k, (scratch, me, *memories, *local, *numbers, *self._numbers(group, lid, grid))))
        if self._waits:
            self._in_step({k: self._item(*a) for k, a in calls}, local)
        else:
            for _, a in calls:
                self._item(*a)

    def _numbers(self, group: Dims, lid: Dims, grid: Dims) -> Iterator[int]:
        """The specials that the program reads, for one work-item."""
        size = self.program.workgroup
        for kind, n in self._specials:
            match kind:
                case "gid":
                    yield group[n] * size[n] + lid[n]
                case "lid":
                    yield lid[n]
                case "group":
                    yield group[n]
                case "groups":
                    yield grid[n]
                case _:
                    yield size[n]

    def _in_step(self, items: dict[int, Iterator[int]], local: list[Shared]) -> None:
        """Each work-item to its next barrier, until all have ended."""
        while items:
            arrived = {k: next(item, None) for k, item in items.items()}
            places = set(arrived.values())
            if places == {None}:
                return
            if len(places) > 1:
                ended = sum(p is None for p in arrived.values())
                raise LaunchError(
                    f"sim: {self.name}: a barrier is not reached by all work-items of a group: "
                    f"{len(arrived) - ended} wait at barrier(s) {sorted(p for p in places if p)}, "
                    f"{ended} have ended"
                )
            for memory in local:
                memory.barrier()


def _points(extents: Dims) -> list[Dims]:
    """Every position within ``extents``, row-major."""
    a, b, c = (range(n) for n in extents)
    return list(itertools.product(a, b, c))
