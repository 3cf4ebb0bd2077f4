"""The pretend board with workgroups that share memory, for the fault of a missing barrier.

Made from the scaffold's native backend. Right, all work-items of a launch go in step, and a barrier is there by itself;
without barriers the first half of each group runs to its end before the second half begins.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from ingot_devices.codegen.schedule import ScheduleCodegen
from ingot_devices.ir.program import Array, Barrier, Put

SIZE = 16


def renderer() -> Any:
    """The language, with workgroup memory: an array with a row for each element and a column for each group."""
    from ingot_acme.dialect import Renderer, kind

    class Grouped(Renderer):  # type: ignore[misc]
        def __call__(self, program: Any) -> str:
            self.shared = {memory.name for memory in program.locals}
            size = program.workgroup[0]
            lines = [f"n_all = lane.total; my_group = lane // {size}; my_lid = lane % {size}; lane = lane.view(np.ndarray)"]
            lines += [f"{m.name} = shared({m.name!r}, {m.size}, n_all // {size}, {kind(m.dtype)})" for m in program.locals]
            self.size = size
            head, _, rest = str(super().__call__(program)).partition("\n")
            return "\n    ".join([head.replace("lane)", "lane, shared)"), *lines]) + "\n" + rest

        def statement(self, s: Any, mask: str) -> list[str]:
            if isinstance(s, Barrier):
                return ["pass"]
            if isinstance(s, Array):
                self.private.add(s.name)
                whole = f"{s.name} = np.zeros(({s.size}, n_all), {kind(s.dtype)})"
                return [whole, f"{s.name}[:, lane] = {self.expr(s.fill, mask)}"]
            if isinstance(s, Put) and s.memory in self.shared:
                offset, value = self.expr(s.offset, mask), self.expr(s.value, mask)
                return [f"put({s.memory}, {offset}, my_group, {value}, {mask})"]
            return list(super().statement(s, mask))

        def expr(self, e: Any, mask: str) -> str:
            if e.op == "special":
                own = {"gid": "lane", "groups": f"(n_all // {self.size})", "size": str(self.size)}
                return own.get(e.value[0], f"my_{e.value[0]}")
            if e.op == "get" and e.value in self.shared:
                return f"{e.value}[np.where({mask}, {self.expr(e.args[0], mask)}, 0), my_group]"
            return str(super().expr(e, mask))

    return Grouped()


class Lanes(np.ndarray[Any, Any]):
    """Numbers of work-items, with how many there are in the launch."""

    total: int


def put(memory: Any, offset: Any, group: Any, value: Any, mask: Any) -> None:
    """Store to workgroup memory."""
    mask, offset, group, value = np.broadcast_arrays(mask, offset, group, value)
    memory[offset[mask], group[mask]] = value[mask]


def grouped(base: type[Any], barriers: bool) -> type[Any]:
    """``base``, a board with a vector unit, with groups of `SIZE`; without ``barriers``: wrong."""

    def opened(self: Any, index: int) -> None:
        base.__init__(self, index)
        self.limits = replace(
            self.limits, max_workgroup=SIZE, max_workgroup_dims=(SIZE, 1, 1), workgroup_memory=1 << 14, lanes=4
        )

    def launch(self: Any, entry: Any, grid: Any, block: Any, arguments: Any, stream: Any = None) -> None:
        total, memories = grid[0] * block[0], dict[str, Any]()

        def shared(name: str, size: int, groups: int, dtype: Any) -> Any:
            return memories.setdefault(name, np.full((size, groups), 77, dtype))

        every = np.arange(total)
        first = every % block[0] < max(block[0] // 2, 1)
        for part in (every,) if barriers else (every[first], every[~first]):
            lanes = part.view(Lanes)
            lanes.total = total
            with np.errstate(all="ignore"):
                if len(part):
                    entry([self.board.memory[b.handle] for b in arguments.bindings], arguments.scalars, lanes, shared)

    return type(base.__name__, (base,), {"__init__": opened, "launch": launch, "codegen": ScheduleCodegen(renderer())})
