"""What listens while a function runs for recording: every plan that ran, on which memory, with which numbers.

Dispatch tells it (`note`) only while the thread's context says ``recording``; nothing on the eager path asks for it. A block
has a number as its identity. One from before is kept alive until the recording is turned into a program; one that a plan
made dies when nobody else holds it, as it does eagerly, and its number is not given again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import ref

from ingot_devices.codegen.replay import Input
from ingot_devices.context import state
from ingot_devices.opset.op import Op
from ingot_devices.plan import Plan, Ref

from ..base import TensorBase
from .world import World

SEEDS = ("seed_lo", "seed_hi", "offset_lo", "offset_hi")


@dataclass(frozen=True)
class Place:
    """Where a tensor lay when it was used: layout and element offset in the block with that ``block`` number."""

    block: int
    layout: Any
    offset: int

    def ref(self, buffer: int, origin: int) -> Ref:
        """The same in a program's buffer that begins at element ``origin`` of the block."""
        return Ref(buffer, self.layout, self.offset - origin)


@dataclass(frozen=True)
class Applied:
    """One plan that ran: its operands (`Place`, `Input`, numbers, None) and what it wrote or made."""

    op: str
    plan: Plan
    operands: tuple[Any, ...]
    results: tuple[Place, ...]


@dataclass
class Event:
    """What ingot did on the host, in order, to be done again at each replay.

    ``kind``: "draw" (a generator moved on by ``blocks``), "numbers" (an optimizer's, from group and state), "count" (an
    optimizer's: what the state counts goes on), "act" (a scheduler's step: ``action``).
    """

    kind: str
    subject: Any
    group: Any = None
    state: Any = None
    blocks: int = 0
    action: Any = None
    pattern: tuple[bool, ...] = ()  # of numbers: which are None
    twin: Any = None  # of numbers: the state of an earlier event that gave the same ones, as long as both count alike


@dataclass
class Recorder:
    """See the module's docstring. ``stopped`` is the reason why this run is no recording, with its line."""

    where: Callable[[], str]
    held: list[Any] = field(default_factory=list)  # by number: a block, or a weak reference to one that a plan made
    versions: list[int] = field(default_factory=list)
    made: set[int] = field(default_factory=set)  # numbers of blocks that a plan allocated
    applied: list[Applied] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    inputs: int = 0
    stopped: str = ""
    outer: bool = False  # an operand had a history from before
    first_seq: int = 0
    dropped: dict[int, int] = field(default_factory=dict)  # id of a tensor → plans that had run when its gradient died
    _numbers: dict[int, int] = field(default_factory=dict)
    _pending: Event | None = None
    _drawn: list[tuple[tuple[int, ...], int]] = field(default_factory=list)
    _counts: Counter[int] = field(default_factory=Counter)  # id of a state → how often it counted
    _alike: dict[Any, tuple[Any, int]] = field(default_factory=dict)  # group, counters, times counted → state, first input

    # ---- what dispatch tells -----------------------------------------------------------------------------------------
    def note(self, op: Op, plan: Plan, operands: Sequence[Any], outs: Sequence[Any]) -> None:
        """A plan ran."""
        if self.stopped:
            return
        if op.dynamic:
            self.stop(f"{op.name}, whose result's size depends on values")
            return
        values = [self.place(o) if isinstance(o, TensorBase) else o for o in operands]
        for o in operands:
            if isinstance(o, TensorBase) and o._edge is not None and 0 < o._edge[0].seq < self.first_seq:
                self.outer = True
        self._known_numbers(op, values)
        for o, slot in zip(outs, plan.results, strict=True):
            self.number(o._block, slot.slot >= plan.inputs)
        results = tuple(self.place(o) for o in outs)
        self.made.update(r.block for r, ref in zip(results, plan.results, strict=True) if ref.slot >= plan.inputs)
        self.applied.append(Applied(op.name, plan, tuple(values), results))

    def place(self, tensor: Any) -> Place:
        """Where a tensor lies now."""
        return Place(self.number(tensor._block), tensor._layout, tensor._offset)

    def number(self, block: Any, made: bool = False) -> int:
        """The number of a block; a new one if it was not used yet. ``made``: a plan has just made it."""
        key = id(block)
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self.held)
            numbers = self._numbers
            self.held.append(ref(block, lambda _: numbers.pop(key, None)) if made else block)
            self.versions.append(block.version)
        return found

    def block(self, number: int) -> Any:
        """The block with a number; None if it is gone."""
        held = self.held[number]
        return held() if type(held) is ref else held

    def knows(self, block: Any) -> bool:
        """True for a block that was used."""
        return id(block) in self._numbers

    def stop(self, reason: str) -> None:
        """This run cannot be recorded; it goes on eagerly."""
        if not self.stopped:
            self.stopped = f"{reason} ({self.where()})"

    def watch_gradients(self, world: World, before: Sequence[Mapping[Any, Any]]) -> None:
        """Note after how many plans each gradient that was there ``before`` dies."""

        def note(holder: int) -> Callable[[], None]:
            return lambda: self.dropped.update({holder: len(self.applied)})

        for item, values in zip(world.items, before, strict=True):
            if item.kind == "tensor" and values["grad"] is not None:
                values["grad"].watch(note(id(item.holder)))

    def refused_before(self, holder: Any) -> bool:
        """True where a plan that may refuse its operands ran while ``holder`` still had the gradient from before."""
        ran = self.applied[: self.dropped.get(id(holder), len(self.applied))]
        return any(s.definition is None or s.definition.checks for a in ran for s in a.plan.steps)

    # ---- numbers that change -----------------------------------------------------------------------------------------
    def took(self, generator: Any, blocks: int, taken: tuple[int, ...]) -> None:
        """A generator moved on."""
        self.events.append(Event("draw", generator, blocks=blocks))
        self._drawn.append((taken, self.inputs))
        self.inputs += len(taken)

    def source(self, optimizer: Any, group: Any, held: Any) -> None:
        """The next op's numbers are ``optimizer._numbers(group, held)``."""
        self._pending = Event("numbers", optimizer, group, held)

    def counted(self, optimizer: Any, group: Any, held: Any) -> None:
        """``optimizer._advance(group, held)`` was called."""
        self.events.append(Event("count", optimizer, group, held))
        self._counts[id(held)] += 1

    def act(self, scheduler: Any, action: Callable[[], None]) -> None:
        """Run ``action``, which changes host state of a scheduler and its optimizer; it is run again at each replay."""
        before = state.context
        state.context = before.change(recording=False)
        try:
            action()
        finally:
            state.context = before
        self.events.append(Event("act", scheduler, action=action))

    def _known_numbers(self, op: Op, values: list[Any]) -> None:
        """Replace numbers that change by `Input`s."""
        places = [n for n, v in enumerate(values) if isinstance(v, (int, float)) and type(v) is not bool]
        pending, self._pending = self._pending, None
        if pending is not None and op.group == "optimizer":
            self._optimizer_numbers(op, pending, values)
        elif op.group == "optimizer":
            self.stop(f"{op.name}: its numbers are not known to come from an optimizer's options")
        elif places and op.names[: len(values)] and any(n in SEEDS for n in op.names):
            self._seeds(op, values)

    def _optimizer_numbers(self, op: Op, event: Event, values: list[Any]) -> None:
        first = next(n for n, v in enumerate(values) if not isinstance(v, Place))
        numbers = event.subject._numbers(event.group, event.state)
        if any(isinstance(v, Place) for v in values[first:]) or repr(tuple(values[first:])) != repr(numbers):
            self.stop(f"{op.name}: its numbers are not those of the optimizer's options")
            return
        event.pattern = tuple(n is None for n in numbers)
        event.twin, number = self._twin(event)
        self.events.append(event)
        for n, value in enumerate(numbers, first):
            if value is not None:
                values[n] = Input(number)
                number += 1
        self.inputs = max(self.inputs, number)

    def _twin(self, event: Event) -> tuple[Any, int]:
        """The state of an earlier parameter of the group that counts as this one's does, and its first number; None and the
        next number where there is none. Most parameters of a model share their numbers."""
        counters = tuple([event.state[name] for name in event.subject.counters])
        key = (id(event.subject), id(event.group), counters, self._counts[id(event.state)])
        if key in self._alike:
            return self._alike[key]
        self._alike[key] = (event.state, self.inputs)
        return None, self.inputs

    def _seeds(self, op: Op, values: list[Any]) -> None:
        start = op.names.index(SEEDS[0])
        taken = tuple(values[start : start + 4])
        found = [first for drawn, first in self._drawn if drawn == taken]
        if len(found) != 1:
            self.stop(f"{op.name}: its seeds do not come from one draw of a generator")
            return
        values[start : start + 4] = [Input(found[0] + n) for n in range(4)]


class listening:
    """``recorder`` is told of what runs in the block. ``moved``: the block left another mode than it found."""

    moved = False

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def __enter__(self) -> listening:
        self.before, self.outer = state.context, state.recorder
        state.recorder, state.context = self.recorder, self.before.change(recording=True)
        self.inside = state.context
        return self

    def __exit__(self, *exc: object) -> None:
        left = state.context
        state.context, state.recorder = self.before, self.outer
        self.moved = left is not self.inside
        if self.moved:
            state.context = left.change(recording=False)  # a mode that was set to stay
