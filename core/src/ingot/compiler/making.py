"""From a recorded call to its replayer: one program, or a forward and a backward one.

    Capture ─ results without a history, or with one that is spent ─▶ one program ─▶ behind a guard, a `Replayer`
            └ results that want gradients ─ record their backward pass, too ─▶ two programs, `Joined`
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ingot_devices.context import scope
from ingot_devices.program.slab import slab

from ..autograd import engine
from ..autograd.eager import builder
from ..autograd.node import LeafNode
from .capture import Capture, Programs, Source
from .guard import Guard
from .joined import Joined, Spent, graph_of, histories, is_spent, tensors_in
from .recorder import listening
from .replaying import Replayer
from .watch import Watch
from .world import Unguardable


def replayer_of(capture: Capture, result: Any, context: Any, now: Watch, function: Callable[..., Any]) -> Replayer:
    """The replayer of a call of ``function`` that returned ``result`` in ``context``; ``now`` saw it run."""
    recorder = capture.recorder
    roots = histories(result, recorder.first_seq)
    nodes = graph_of(roots)
    history: Any = Spent()
    forward_only = list(recorder.applied)
    escaping = [*tensors_in(result)] + [e.value for e in capture.effects if e.value is not None]
    blocks = [recorder.number(t._block) for t in escaping if recorder.knows(t._block)]
    if roots and not is_spent(nodes):
        made, history = _joined(capture, roots, nodes, forward_only, blocks, now, function)
    else:
        if recorder.outer:
            raise Unguardable("its backward pass goes on into the history of a tensor from outside")
        made = capture.program(forward_only, blocks, {})
        returned = {recorder.number(t._block) for t in tensors_in(result) if recorder.knows(t._block)}
        _together(made, [b for b in blocks if b not in returned])
    capture.build(made)
    moving = {id(s.tensor) for s in capture.moving()} | capture.replaced.keys()
    guard = Guard(capture.world, capture.before, capture.claims | _set_places(capture), moving)
    replayer = Replayer(capture, made, result, guard, context, history)
    capture.forget()
    history.forget()
    return replayer


def _joined(
    capture: Capture, roots: list[Any], nodes: list[Any], forward: list[Any], blocks: list[int], now: Watch,
    function: Callable[..., Any],
) -> tuple[Any, Joined]:  # fmt: skip
    """Record the backward pass, too; both programs."""
    recorder = capture.recorder
    arguments = [t for _, t in capture.arguments.tensors.values() if t._edge is not None]
    leaves = [n.tensor() for n in nodes if isinstance(n, LeafNode)]
    targets = [t for t in leaves if t is not None and not any(t is a for a in arguments)] + arguments
    outside = [n for n in nodes if 0 < n.seq < recorder.first_seq and not any(a._edge[0] is n for a in arguments)]
    if any(n.hooks for n in nodes):
        raise Unguardable("a tensor in it has a gradient hook")
    if outside and not all(any(a._edge[0].seq >= n.seq for a in arguments) for n in outside):
        raise Unguardable("it reads a tensor that has a history of its own")
    with scope(grad=False):
        seeds = [builder.ones(r._layout) for r in roots]
    given = {recorder.number(s._block): Source("seed", "a gradient", s, s._block, 0, s._layout) for s in seeds}
    with now, listening(recorder):
        found = engine.gradients(roots, seeds, targets, True, False)
    if recorder.stopped or now.foreign:
        raise Unguardable(recorder.stopped or now.foreign)
    later = recorder.applied[len(forward):]
    first = capture.program(forward, blocks, {})
    sources = dict(given)
    for number, buffer in first.buffer_of.items():
        kept = first.graph.buffers[buffer]
        block = recorder.block(number) or object()  # one that is gone is like no other
        sources[number] = Source(f"made:{number}", "a saved value", None, block, 0, kept.layout)
    ends = [recorder.number(g._block) for g in found if g is not None and recorder.knows(g._block)]
    second = capture.program(later, ends, sources)
    _spend(first, second)
    _together(second, ends)
    first.paired = second.paired = True
    capture.build(second)
    return first, Joined(capture, first, second, roots, targets, found, list(given.values()), function)


def _spend(first: Programs, second: Programs) -> None:
    """What goes from the forward to the backward program and to nobody else is spent there, and lies in one piece of memory:
    temporaries of the first lie where nothing is saved yet, those of the second where nothing is needed any more."""
    spent: dict[int, int] = {}  # buffer of the first → of the second
    for number, source in second.inputs.items():
        saved = first.graph.buffers[first.buffer_of[int(source.text[5:])]] if source.text.startswith("made:") else None
        if saved is not None and saved.kind == "temp":
            saved.kind, second.graph.buffers[number].spent = "output", True
            spent[saved.number] = number
    readers = second.graph.readers()
    in_order = sorted(spent, key=lambda n: max(readers[spent[n]], default=-1))  # side by side, what ends one after the other
    for whole in slab(first.graph, in_order, "output"):
        same = second.graph.buffer("input", whole.layout, whole.label)
        same.spent = True
        second.graph.slabs[same.number] = {spent[n]: at for n, at in first.graph.slabs[whole.number].items()}
        second.inputs[same.number] = Source(f"slab:{whole.number}", whole.label, None, None, 0, whole.layout)


def _together(made: Programs, blocks: Iterable[int]) -> None:
    """Gradients, and what else a program leaves in places of the caller's, as one piece of memory, in order of their births."""
    numbers = dict.fromkeys(made.buffer_of.get(b, -1) for b in blocks)
    written = made.graph.writers()
    found = [n for n in numbers if n in written and made.graph.buffers[n].kind == "output" and written[n]]
    slab(made.graph, sorted(found, key=lambda n: written[n][0]), "output", handed=True)


def _set_places(capture: Capture) -> set[tuple[int, Any]]:
    """Places that each replay fills with a new tensor: their identity is no guard."""
    return {(id(e.item.holder), e.key) for e in capture.effects if e.item.kind != "tensor"}
