"""A whole program as one call: an ordered list of launches over slots, compiled once and replayed many times.

Last step of the compiled flow (… → plan → schedule → render → build → **replay**). A compiler above hands over what is to
be launched and where every operand lies; `replay` gives it to the device's code generator if that has a method
``program`` (the CPU makes one native function of it), and else calls each kernel in turn, which works on any device.

    launches over slots + pinned views ──`replay`──▶ Replay.run(slots, numbers)   again and again

A *slot* is memory that operands lie in: a `View`, of which a `Ref` names a part by layout and offset. Slots that are the
same at each run (an arena, a parameter) are *pinned*: their addresses may be baked in. Learning rates, step counts
and other numbers that change are `Input`s; numbers that never do stand in the launch as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..ir.definition import Definition
from ..layout import Layout
from ..plan import Ref
from ..view import View


@dataclass(frozen=True)
class Input:
    """Number ``number`` of the program's numbers, given at each run."""

    number: int


@dataclass(frozen=True)
class Launch:
    """One kernel of a program.

    ``operands[n]`` is what stands at operand number n: a `Ref`, an `Input`, a Python number, or None for one left out. A
    `Ref` says which slot, which ``layout`` (required: it decides the kernel) and the ``offset`` of its first element,
    counted in elements of ``layout`` from the first element of the slot's view. The kernel is ``definition``, or
    ``call`` where somebody wrote it by hand: then it takes native views and numbers, as `Compiled.call` does.
    ``aliased`` as in `Codegen.compile`: inputs that share memory, element for element, with an output. ``members`` are
    launches that run side by side in this one, with their operand numbers → those of this one (`Codegen.together`).
    """

    operands: tuple[Ref | Input | float | int | bool | None, ...]
    definition: Definition | None = None
    call: Callable[..., Any] | None = None
    aliased: frozenset[int] = frozenset()
    members: tuple[tuple[Launch, Mapping[int, int]], ...] = ()

    @property
    def layouts(self) -> dict[int, Layout]:
        """The layout of each tensor operand, by number."""
        return {n: o.layout for n, o in enumerate(self.operands) if isinstance(o, Ref) and o.layout is not None}


class Replay(Protocol):
    """A program ready to run. ``calls`` counts what one run launches; ``source`` is for people; ``silent``: nothing in it runs
    on NumPy, whose floating-point remarks would have to be switched off."""

    source: str
    calls: int
    silent: bool

    def run(self, slots: Sequence[View | None], numbers: Sequence[float | int | bool] = ()) -> None:
        """Queue the whole program, in order. ``slots[k]`` is slot k's view (None where it is pinned).

        A kernel that refuses an index raises as it does eagerly. On success every output has been queued.
        """
        ...


def replay(launches: Sequence[Launch], device: Any, pinned: Mapping[int, View] | None = None) -> Replay:
    """The program of ``launches`` on ``device``; ``pinned`` are the slots whose views are the same at each run.

    Raises `Unsupported` when a definition has no kernel here, with the reason.
    """
    program = getattr(device.codegen, "program", None)
    if program is not None:
        made: Replay | None = program(tuple(launches), device, dict(pinned or {}))
        if made is not None:
            return made
    return Sequential(launches, device, pinned or {})


class Sequential:
    """The default: each kernel is called in turn. It holds no memory but what is pinned."""

    silent = False

    def __init__(self, launches: Sequence[Launch], device: Any, pinned: Mapping[int, View]) -> None:
        self.calls = 0
        self.pinned = dict(pinned)
        sources = []
        self.steps: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        for launch in launches:
            call = launch.call
            if call is None:
                assert launch.definition is not None
                made = device.codegen.compile(launch.definition, launch.layouts, device, launch.aliased)
                call, source, count = made.call, made.source, made.launches
            else:
                source, count = getattr(call, "__name__", "callable"), 1
            sources.append(source)
            self.calls += count
            self.steps.append((call, tuple(self._operand(o) for o in launch.operands)))
        self.source = "\n".join(sources)

    def _operand(self, operand: Any) -> Any:
        if isinstance(operand, Ref):
            return _Part(operand, self.pinned.get(operand.slot))
        return operand

    def run(self, slots: Sequence[View | None], numbers: Sequence[float | int | bool] = ()) -> None:
        """See `Replay`."""
        for call, operands in self.steps:
            call(*[
                o.native(slots) if type(o) is _Part else numbers[o.number] if type(o) is Input else o for o in operands
            ])  # fmt: skip


class _Part:
    """One `Ref` of a program: the native view of it, made once where its slot is pinned."""

    def __init__(self, ref: Ref, pinned: View | None) -> None:
        self.ref = ref
        self.fixed = None if pinned is None else part(pinned, ref).native()

    def native(self, slots: Sequence[View | None]) -> Any:
        if self.fixed is not None:
            return self.fixed
        view = slots[self.ref.slot]
        if view is None:
            raise ValueError(f"slot {self.ref.slot} is neither pinned nor given")
        return part(view, self.ref).native()


def part(view: View, ref: Ref) -> View:
    """What ``ref`` names of a slot's ``view``."""
    if ref.layout is None or (ref.layout is view._layout and not ref.offset):
        return view
    start = view._offset * view._layout.dtype.itemsize
    size = ref.layout.dtype.itemsize
    if start % size:
        raise ValueError(f"a slot that begins at byte {start} of its block cannot hold {ref.layout!r}: "
                         f"its elements have {size} bytes")  # fmt: skip
    made: View = View.make(view._block, ref.layout, start // size + ref.offset)
    return made
