"""From a recording to a program: which memory comes from where, what goes out, and what changes in Python.

    Recorder + World before and after ──`Capture`──▶ graph, inputs, outputs, effects ──▶ `replaying.Replayer`

An *input* is memory that was there before: of an argument (another tensor at each call), of a gradient (found at its
parameter), or of a tensor of the world (the same at each replay, so its address is baked in). All else was made by the
recorded plans. What of it outlives the call is an *output*: it is returned, or stands in a place of the world afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from ingot_devices.codegen.replay import Input
from ingot_devices.plan import Ref
from ingot_devices.program import lift, stages
from ingot_devices.program.graph import Graph
from ingot_devices.view import View

from .. import dispatch
from ..base import TensorBase
from ..generator import default_generator
from .arguments import Arguments
from .recorder import Applied, Place, Recorder
from .world import ABSENT, SIZE, Gradient, Item, Unguardable, World, place_name, same


class Changes(Unguardable):
    """The call changed a place in a way that a replay could not repeat. It may be state that comes into being once."""


@dataclass(eq=False)
class Source:
    """Memory that was there before. ``text`` finds its tensor at each call; "" for one that stays the same tensor."""

    text: str
    name: str
    tensor: Any  # the one of the recording
    block: Any
    offset: int
    layout: Any

    def covers(self, place: Place) -> bool:
        """True when the place lies within this tensor's own reach; one without elements, whatever its offset, does."""
        if not place.layout.size:
            return True
        end = place.offset + place.layout.span
        return self.offset <= place.offset and end <= self.offset + max(self.layout.span, 0)


@dataclass
class Effect:
    """A place of the world that holds something else after the call."""

    item: Item
    key: Any
    value: Any  # a tensor of the recording, or None


@dataclass
class Programs:
    """Buffers of the graph by what fills them, and its program."""

    graph: Graph
    inputs: dict[int, Source] = field(default_factory=dict)  # buffer → where its memory comes from
    buffer_of: dict[int, int] = field(default_factory=dict)  # the recorder's block number → buffer
    sources: dict[tuple[int, int], int] = field(default_factory=dict)  # (block number, source) → buffer
    built: Any = None
    paired: bool = False  # with a program that runs in between: neither has memory for its temporaries while the other runs

    def loose(self, results: Set[int]) -> set[int]:
        """Buffers that are other memory at each call: arguments, seeds, and ``results`` (block numbers)."""
        found = {self.buffer_of[n] for n in results & self.buffer_of.keys()}
        for number, source in self.inputs.items():
            kind, _, block = source.text.partition(":")
            if kind not in ("", "grad", "place", "made", "slab") or (kind == "made" and int(block) in results):
                found.add(number)
        return {n for n in found if self.graph.buffers[n].kind != "temp"}

    def pinned(self) -> dict[int, View]:
        """Inputs that are the same memory at each replay."""
        return {n: View.make(s.block, s.layout, s.offset) for n, s in self.inputs.items() if not s.text}


class Capture:
    """One recorded call. Raises `Unguardable` with the reason why it cannot be replayed.

    ``results`` are the tensors that it returned; ``graphs``: replay as one graph of the device, where it has them;
    ``exact``: with the eager call's bits, also where a kernel could do more at once; ``arena``: memory that its programs may
    share with others of the function.
    """

    def __init__(
        self, recorder: Recorder, world: World, before: list[dict[Any, Any]], after: list[dict[Any, Any]],
        arguments: Arguments, origins: Mapping[int, tuple[Any, int, Any]], results: Sequence[Any], graphs: bool,
        exact: bool = True, arena: Any = None,
    ) -> None:  # fmt: skip
        self.recorder, self.world, self.before, self.after = recorder, world, before, after
        self.arguments, self.origins = arguments, origins
        self.results = {recorder.number(t._block) for t in results if recorder.knows(t._block)}
        self.graphs, self.exact, self.arena = graphs, exact, arena
        self._check_events()
        self.claims = _claims(recorder, world)
        self.effects = self._effects()
        self.replaced = self._replaced()
        self.sources = self._sources()
        self.device = self._device()

    def forget(self) -> None:
        """Let go of memory of the recorded call that a replay does not need: gradients before and after, arguments."""
        self.before, self.after, self.origins = [], [], {}
        self.recorder.applied, self.recorder.held = [], []
        for source in self.sources:
            if source.text:
                source.block = None
        for effect in self.effects:
            if effect.item.kind == "tensor":
                effect.value = None

    def _check_events(self) -> None:
        """What a replay does on the host, it does to objects that were there before the call."""
        for event in self.recorder.events:
            held = event.subject
            if event.kind in ("numbers", "count") and id(event.group) not in self.world.known:
                held = event.group
            if held is not default_generator and id(held) not in self.world.known:
                what = {"draw": "a generator", "act": "a schedule"}.get(event.kind, "an optimizer")
                raise Unguardable(f"it uses {what} that it makes itself, or that cannot be reached from outside")

    # ---- where memory comes from ---------------------------------------------------------------------------------------
    def _sources(self) -> list[Source]:
        found: list[Source] = []
        for text, t in self.arguments.tensors.values():
            if id(t) in self.world.tensors:
                continue
            block, offset, grad = self.origins[id(t)]
            found.append(Source(text, text, t, block, offset, t._layout))
            if grad is not None:
                found.append(Source(f"grad:{id(t)}", f"{text}.grad", t, grad._block, grad._offset, grad._layout))
        for item, values in zip(self.world.items, self.before, strict=True):
            if item.kind != "tensor":
                continue
            text = "place:" if id(item.holder) in self.replaced else ""
            found.append(Source(text, item.name, item.holder, values["memory"], values["offset"], values["layout"]))
            grad = values["grad"]
            block = None if grad is None else grad.block()  # gone where nothing that was recorded read it
            if block is not None and id(grad.tensor()) not in self.world.tensors:
                found.append(Source(f"grad:{id(item.holder)}", f"{item.name}.grad", item.holder, block, grad._offset,
                                    grad._layout))  # fmt: skip
        return found

    def moving(self) -> list[Source]:
        """Arguments, which are other tensors at each call."""
        return [s for s in self.sources if s.text and not s.text.startswith(("grad:", "place:"))]

    def _device(self) -> Any:
        devices = {id(a.plan.device): a.plan.device for a in self.recorder.applied}
        if len(devices) > 1:
            names = ", ".join(sorted(d.name for d in devices.values()))
            raise Unguardable(f"it computes on several devices ({names})")
        if not devices:
            raise Unguardable("it computes nothing")
        return next(iter(devices.values()))

    # ---- what changes in Python ----------------------------------------------------------------------------------------
    def _effects(self) -> list[Effect]:
        found = []
        for item, old, new in zip(self.world.items, self.before, self.after, strict=True):
            for key in {**old, **new}:
                was, now = old.get(key, ABSENT), new.get(key, ABSENT)
                if same(was, now) or (id(item.holder), key) in self.claims:
                    continue
                found.append(self._effect(item, key, was, now))
        for text, t in self.arguments.tensors.values():
            block, offset, grad = self.origins[id(t)]
            if t._block is not block or t._offset != offset:
                raise Unguardable(f"it swaps the memory of {text}")
            if id(t) not in self.world.tensors and t.grad is not grad:
                found.append(self._effect(Item(t, "tensor", text), "grad", grad, t.grad))
        return found

    def _effect(self, item: Item, key: Any, was: Any, now: Any) -> Effect:
        place = place_name(item, key)
        if (item.kind, key) == ("tensor", "grad"):
            now = now.tensor() if type(now) is Gradient else now
            if now is not None and now._edge is not None:
                raise Unguardable(f"{place} is left with a history of its own")
            return Effect(item, key, now)
        if item.kind in ("dict", "instance", "list") and isinstance(now, TensorBase) and isinstance(was, TensorBase):
            if now._edge is None and was._edge is None:
                return Effect(item, key, now)
            raise Unguardable(f"it leaves a tensor with a history in {place}")
        raise Changes(f"it changes {place}, which a replay would not")

    def _replaced(self) -> dict[int, Effect]:
        """Tensors of the world whose place holds another one after each call: it is looked up there."""
        found: dict[int, Effect] = {}
        for effect, old in ((e, self._before(e)) for e in self.effects if e.item.kind != "tensor"):
            places = sum(v is old for values in self.before for v in values.values())
            if places > 1:
                place = place_name(effect.item, effect.key)
                raise Unguardable(f"it replaces the tensor in {place}, which stands elsewhere, too")
            found[id(old)] = effect
        return found

    def _before(self, effect: Effect) -> Any:
        return next(v[effect.key] for i, v in zip(self.world.items, self.before, strict=True) if i is effect.item)

    # ---- the program ---------------------------------------------------------------------------------------------------
    def program(self, applied: Sequence[Applied], escaping: Sequence[Any], given: Mapping[int, Source]) -> Programs:
        """The graph of ``applied``, in which the blocks of ``escaping`` tensors outlive the run; ``given``: block number →
        memory that another program made."""
        made = Programs(Graph(self.device, inputs=self.recorder.inputs, exact=self.exact))
        for one in applied:
            operands = [self._operand(made, o, given) for o in one.operands]
            results = lift.apply(made.graph, one.plan, operands)
            for place, ref in zip(one.results, results, strict=True):
                if made.graph.buffers[ref.slot].kind != "input":  # an operand that it mutates is memory from before
                    made.buffer_of.setdefault(place.block, ref.slot)
        for block in escaping:
            number = made.buffer_of.get(block)
            if number is not None and made.graph.buffers[number].kind == "temp":
                made.graph.buffers[number].kind = "output"
        self._check_writes(made)
        return made

    def _operand(self, made: Programs, operand: Any, given: Mapping[int, Source]) -> Any:
        if not isinstance(operand, Place):
            return operand
        if operand.block in made.buffer_of:
            return operand.ref(made.buffer_of[operand.block], 0)
        source = given.get(operand.block)
        if source is None:
            source = self._source_of(operand)
        key = (operand.block, id(source))
        if key not in made.sources:
            buffer = made.graph.buffer("input", source.layout, source.name)
            made.sources[key] = buffer.number
            made.inputs[buffer.number] = source
        return operand.ref(made.sources[key], source.offset)

    def _source_of(self, place: Place) -> Source:
        block = self.recorder.block(place.block)
        found = [s for s in self.sources if s.block is block and s.covers(place)]
        exact = [s for s in found if s.offset == place.offset and s.layout is place.layout] or found
        if not exact:
            raise Unguardable(f"it reads a tensor ({place.layout!r}) that can be reached neither from its arguments nor "
                              "from the function, its closure or its globals")
        if len([s for s in self.sources if s.block is block and s.text]) > 1:
            raise Unguardable(f"{exact[0].name} shares its memory with another argument")
        return exact[0]

    def _check_writes(self, made: Programs) -> None:
        """Memory from before that is written to is one buffer: what else lies there would not be seen to change."""
        written = set().union(*(n.written_buffers() for n in made.graph.nodes)) if made.graph.nodes else set()
        for number in written & made.inputs.keys():
            block = made.inputs[number].block
            others = [s for n, s in made.inputs.items() if n != number and s.block is block]
            if others:
                raise Unguardable(f"it writes to {made.inputs[number].name}, whose memory {others[0].name} shares")

    def keeping(self, made: Programs) -> Programs:
        """The same program, built so that no input is spent."""
        graph = made.graph.copy(made.graph.nodes)
        graph.buffers = {n: replace(b, spent=False) for n, b in graph.buffers.items()}
        again = replace(made, graph=graph, built=None)
        self.build(again)
        return again

    def build(self, made: Programs) -> None:
        """Take the graph through the stages."""
        arena = self.arena if self.arena is not None and self.arena.device is self.device else None
        loose = made.loose(self.results) if self.graphs else None
        made.built = stages.build(made.graph, made.pinned(), loose, arena, lasting=not made.paired)
        self.arena = made.built.program.arena
        dispatch.programs.add(made.built.program)


def _claims(recorder: Recorder, world: World) -> set[tuple[int, Any]]:
    """Places that a replay reads or changes itself: an optimizer's numbers and counters, a scheduler's state."""
    from ..optim.lr_scheduler import LRScheduler

    claims: set[tuple[int, Any]] = set()
    read = world.user_names & {"param_groups", "defaults"}
    acted = any(e.kind == "act" for e in recorder.events)
    for event in recorder.events:
        if event.kind == "count":
            claims |= {(id(event.state), name) for name in event.subject.counters}
        elif event.kind == "numbers" and not read:
            claims |= {(id(event.group), key) for key in event.subject.inputs}
        if acted and event.kind == "numbers":
            claims |= {(id(event.group), key) for key in event.subject.inputs}
    if acted:
        if read:
            raise Unguardable("it reads param_groups beside a scheduler's step")
        held: list[Any] = []
        for item in world.items:
            if isinstance(item.holder, LRScheduler):
                claims |= {(id(item.holder), key) for key in item.keys or ()} | {(id(item.holder), SIZE)}
                held += [v for v in vars(item.holder).values() if isinstance(v, list)]
        for values in held:
            claims |= {(id(values), n) for n in range(len(values))}
    return claims


__all__ = ["Capture", "Effect", "Input", "Programs", "Ref", "Source"]
