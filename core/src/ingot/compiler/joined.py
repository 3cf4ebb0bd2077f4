"""What stands behind the tensors that a compiled call returns: nothing, a spent graph, or a backward program of its own.

A module compiled alone returns results with a history. Their backward pass was recorded with the forward pass, as a second
program over what the first left behind; at a replay one `CompiledNode` joins the two to the caller's tape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ingot_devices.program.slab import cutters

from ..autograd import engine
from ..autograd.node import Node, OpNode, next_seq
from ..base import TensorBase
from .capture import Capture, Programs, Source
from .recorder import Place
from .spent import CompiledNode, SpentNode
from .world import Unguardable

if TYPE_CHECKING:
    from .replaying import Replayer

Begun = Callable[[], None] | None
Launcher = Callable[[list[Any], Sequence[Any], Begun], None]


def tensors_in(result: Any) -> list[Any]:
    """The tensors in nested tuples, lists and dicts, in order."""
    if isinstance(result, TensorBase):
        return [result]
    if isinstance(result, (tuple, list)):
        return [t for v in result for t in tensors_in(v)]
    return [t for v in result.values() for t in tensors_in(v)] if isinstance(result, dict) else []


def histories(result: Any, first_seq: int) -> list[Any]:
    """The tensors in ``result`` that recorded ops made and that want gradients."""
    found: list[Any] = []
    for value in tensors_in(result):
        if value._edge is not None and value._edge[0].seq > first_seq and not any(value is f for f in found):
            found.append(value)
    return found


def graph_of(tensors: Sequence[Any]) -> list[Node]:
    """Every node behind ``tensors``."""
    seen: dict[int, Node] = {}
    waiting = [t._edge[0] for t in tensors]
    while waiting:
        node = waiting.pop()
        if id(node) not in seen:
            seen[id(node)] = node
            waiting.extend(e[0] for e in node.edges if e is not None)
    return list(seen.values())


def is_spent(nodes: Sequence[Node]) -> bool:
    """True when a backward pass has freed what some node saved."""
    return any(isinstance(n, OpNode) and getattr(n, "saved", ()) is None for n in nodes)


class Spent:
    """Results whose backward pass ran inside, or that have no history at all."""

    def programs(self) -> dict[str, Any]:
        """Other programs than the one that replays run."""
        return {}

    def before(self, replayer: Replayer) -> None:
        """Nothing has to be made."""

    def forget(self) -> None:
        """Nothing is held."""

    def behind(self, replayer: Replayer, tensor: Any, text: str) -> str:
        """``text`` with a node behind it where the recorded tensor had one."""
        if tensor._edge is not None and tensor._edge[0].seq > replayer.recorder.first_seq:
            replayer.text.scope["SpentNode"] = SpentNode
            replayer.text.add(f"{text}._edge = (SpentNode({tensor._edge[0].name!r}), 0)")
        return text


class Joined:
    """``roots`` are the results with a history, ``seeds`` the gradients they were given, ``targets`` what gradients
    (``found``) were recorded for."""

    def __init__(
        self, capture: Capture, forward: Programs, backward: Programs, roots: Sequence[Any], targets: Sequence[Any],
        found: Sequence[Any], seeds: Sequence[Source], function: Callable[..., Any],
    ) -> None:  # fmt: skip
        self.capture, self.forward, self.backward = capture, forward, backward
        self.roots, self.targets, self.found, self.seeds = roots, targets, found, seeds
        self.function = function

    def programs(self) -> dict[str, Any]:
        """The backward program."""
        return {"its backward pass": self.backward.built}

    def before(self, replayer: Replayer) -> None:
        """The node, made at each call over what the forward program left."""
        text, saved, slots = replayer.text, [], []
        members = set().union(*self.backward.graph.slabs.values())
        for number, source in self.backward.inputs.items():
            if source in self.seeds or number in members:
                continue
            if source.text.startswith("grad:"):
                raise Unguardable("its backward pass reads a gradient that was there before")
            held = self._held(replayer, source)
            saved.append(f"({held}, {held}._block.version), ")
            slots.append(number if source.text else None)
        edges = "".join(f"{self._edge(replayer, t)}, " for t in self.targets)
        wanted = "".join(f"{replayer.moving.get(id(t)) or text.name(t)}, " for t in self.targets)
        again = text.name(self.again)
        text.scope.update(CompiledNode=CompiledNode, partial=partial)
        backward = text.name(self._runner(slots))
        layouts = text.name(tuple(r._layout for r in self.roots))
        label = self.roots[0]._edge[0].name
        text.add(f"node = CompiledNode({label!r}, ({edges}), {len(self.roots)}, ({''.join(saved)}), "
                 f"partial({backward}, numbers), {layouts}, partial({again}, args, kwargs, ({wanted}), numbers), "
                 f"{text.name(self._fresh())})")  # fmt: skip

    def forget(self) -> None:
        """Let go of what the recorded call saved and of its gradients, once the replayer is written."""
        self.roots, self.targets, self.found, self.seeds = (), (), (), ()
        for source in self.backward.inputs.values():
            if source.text:
                source.tensor = source.block = None

    def again(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], targets: Sequence[Any], numbers: Sequence[Any], grads: list[Any]
    ) -> Sequence[Any]:  # fmt: skip
        """The gradients of the targets, recorded for another order: from an eager call with the same random numbers."""
        recorder = self.capture.recorder
        if self.capture.effects or any(e.kind != "draw" for e in recorder.events):
            raise RuntimeError("a compiled function that changes what is around it cannot be differentiated twice: call it "
                               "without compile() for create_graph=True")
        kept: list[tuple[Any, int, int]] = []
        at = 0
        for event in recorder.events:
            generator, (low, high, first, rest) = event.subject, numbers[at : at + 4]
            if all(generator is not g for g, _, _ in kept):
                kept.append((generator, generator._seed, generator._offset))
                generator._seed, generator._offset = low | high << 32, first | rest << 32
            at += 4
        before = next_seq()
        try:
            roots = histories(self.function(*args, **kwargs), before)
        finally:
            for generator, seed, offset in kept:
                generator._seed, generator._offset = seed, offset
        return engine.gradients(roots, grads, targets, True, True)

    def _held(self, replayer: Replayer, source: Source) -> str:
        if source.text.startswith("slab:"):
            return replayer.outputs[int(source.text[5:])]
        if source.text.startswith("made:"):
            return replayer.outputs[self.forward.buffer_of[int(source.text[5:])]]
        return replayer._tensor_of(source) if source.text else replayer.text.name(source.tensor)

    def _edge(self, replayer: Replayer, target: Any) -> str:
        if id(target) in replayer.moving:
            return f"{replayer.moving[id(target)]}._edge"
        return replayer.text.name(target._edge)

    def behind(self, replayer: Replayer, tensor: Any, text: str) -> str:
        """``text`` as an output of the node."""
        for number, root in enumerate(self.roots):
            if root is tensor:
                replayer.text.add(f"{text}._edge = (node, {number})")
        return text

    def _runner(self, slots: Sequence[int | None]) -> Callable[..., list[Any]]:
        """``run(numbers, seeds, views, begun)``: the gradients of the targets. ``begun``: called when there is memory for
        them, before saved values are written over; None where those are to be kept.

        The program for that, which writes to no saved value, is built when it is first asked for: ``retain_graph`` is rare.
        """
        made, capture = self.backward, self.capture
        count, spends = len(made.graph.buffers), any(b.spent for b in made.graph.buffers.values())
        seeds = [next((n for n, s in made.inputs.items() if s is seed), None) for seed in self.seeds]
        results = [self._place(g, slots) for g in self.found]
        launch, keeping = _launcher(made), list[Launcher]()

        def run(numbers: Sequence[Any], given: Sequence[Any], views: Sequence[Any], begun: Begun) -> list[Any]:
            held: list[Any] = [None] * count
            for number, seed in zip(seeds, given, strict=True):
                if number is not None:
                    held[number] = seed
            for number, view in zip(slots, views, strict=True):
                if number is not None:
                    held[number] = view
            if begun is None and spends and not keeping:
                keeping.append(_launcher(capture.keeping(made)))
            (keeping[0] if begun is None and spends else launch)(held, numbers, begun)
            return [None if r is None else _result(r, held, given) for r in results]

        return run

    def _fresh(self) -> tuple[bool, ...]:
        """By target: its gradient is the whole of an output, and no other target's."""
        buffers, found = self.backward.graph.buffers, []
        for grad in self.found:
            found.append(-1)
            if grad is not None:
                place = self.capture.recorder.place(grad)
                output = buffers.get(self.backward.buffer_of.get(place.block, -1))
                if output is not None and output.kind == "output" and place.layout.is_dense and not place.offset:
                    found[-1] = output.number if place.layout.span == output.layout.span else -1
        return tuple(n >= 0 and found.count(n) == 1 for n in found)

    def _place(self, grad: Any, slots: Sequence[int | None]) -> Any:
        """(kind, number, layout, offset) of a gradient: in an output, in an input, or a seed itself."""
        if grad is None:
            return None
        place: Place = self.capture.recorder.place(grad)
        buffer = self.backward.buffer_of.get(place.block)
        if buffer is not None:
            return "buffer", buffer, place.layout, place.offset
        for n, seed in enumerate(self.seeds):
            if seed.block is grad._block:
                return "seed", n, place.layout, place.offset
        for number, source in self.backward.inputs.items():
            if source.block is grad._block and number in slots:
                return "buffer", number, place.layout, place.offset - source.offset
        raise Unguardable("a gradient is a tensor that was there before")


def _launcher(made: Programs) -> Launcher:
    """``launch(held, numbers, begun)`` puts memory for the outputs of a program into ``held``, says so, and runs it."""
    pool, replay, parts = made.graph.device.pool, made.built.run, cutters(made.graph)
    layouts = {b.number: b.layout for b in made.graph.buffers.values() if b.kind == "output"}
    fresh = [(n, layout, pool.maker(layout, n in made.graph.slabs)) for n, layout in layouts.items() if n not in parts]
    cuts = [(n, layouts[n], whole, cut) for n, (whole, cut) in parts.items() if n in layouts]

    def launch(held: list[Any], numbers: Sequence[Any], begun: Begun) -> None:
        for number, layout, make in fresh:
            block, native = make()
            held[number] = TensorBase.kind.make(block, layout, 0, native)
        if begun is not None:
            begun()
        replay(held, numbers)
        for number, layout, whole, cut in cuts:
            block, native = cut(held[whole]._block)
            held[number] = TensorBase.kind.make(block, layout, 0, native)

    return launch


def _result(place: tuple[str, int, Any, int], held: Sequence[Any], seeds: Sequence[Any]) -> Any:
    kind, number, layout, offset = place
    view = seeds[number] if kind == "seed" else held[number]
    if view._layout is layout and not offset:
        return view
    return TensorBase.kind.make(view._block, layout, view._offset + offset)
