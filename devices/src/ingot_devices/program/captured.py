"""A program replayed as one graph of its device: one call of the driver where there were as many as there are kernels.

    run(slots, numbers) ─ numbers to memory ─ small inputs to fixed memory ─▶ graph of these addresses ─ small results out

A graph has addresses baked in. Those of parameters and temporaries never change. An argument or a result of moderate size
(`COPIED`) is copied between its own memory and memory that the program keeps, so what a caller holds is never written to by
a later call. All else (gradients, saved values, large arguments) keeps its address, and a graph is captured for each set of
them: in a loop the pool hands out the same few in turn, and what is written into places of the caller's, or saved, lies in one
allocation (`slab`), so that it is one address. The first run with a set of addresses launches kernel by kernel, the second
captures. Where the device refuses, launches go on one by one, and ``reason`` says why.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from .. import status
from ..device import Device
from ..memory import Block
from ..view import View
from .graph import Graph
from .lower import Program
from .numbers import Numbers

COPIED = 64 << 20
"""Bytes of an argument or a result up to which it is copied: tens of microseconds on a device worth a graph."""
KEPT = 8
"""Graphs of one program; the one that was not replayed for the longest time goes first."""


def refusal(graph: Graph) -> str:
    """Why a program cannot be one graph of its device; empty where it can, for all that is known beforehand."""
    if type(graph.device).begin_capture is Device.begin_capture:
        return f"{graph.device.name} has no graphs"
    hosted = next((n.op for n in graph.nodes if n.views), "")
    return f"{hosted} runs on the host" if hosted else ""


class Captured:
    """``program`` as graphs. ``loose``: buffers whose memory is another at each call, arguments and results.

    It stands in for the program: ``run``.
    """

    def __init__(self, program: Program, numbers: Numbers, loose: Iterable[int]) -> None:
        self.program, self.numbers = program, numbers
        self.device = program.graph.device
        self.reason = ""
        self.replays = 0
        self.graphs: OrderedDict[Any, _Graph | None] = OrderedDict()
        buffers = program.graph.buffers
        fixed = [n for n in loose if self._copies(n)]
        held = {n: self.device.pool.fresh(buffers[n].layout) for n in fixed}
        views = {n: View.make(block, buffers[n].layout, 0, native) for n, (block, native) in held.items()}
        self._in = [(n, v) for n, v in views.items() if buffers[n].kind == "input"]
        self._out = [(n, v) for n, v in views.items() if buffers[n].kind == "output"]
        program.arena.turn.blocks.update(block for block, _ in held.values())
        written = set().union(*(n.written_buffers() for n in program.graph.nodes))
        self._back = [(n, v) for n, v in self._in if n in written]  # an argument that the program writes to
        self._keyed = [b.number for b in buffers.values()
                       if b.kind != "temp" and b.number not in program.pinned and b.number not in views]  # fmt: skip
        self._checked = any(n.definition is not None and n.definition.checks for n in program.graph.nodes)

    def _copies(self, number: int) -> bool:
        buffer = self.program.graph.buffers[number]
        unit = self.device.limits.copy_granularity
        return buffer.layout.is_dense and 0 < buffer.nbytes <= COPIED and buffer.nbytes % unit == 0

    @property
    def launches(self) -> int:
        """Kernels of one run."""
        return self.program.launches

    def run(self, slots: Sequence[Any], numbers: Sequence[Any] = ()) -> None:
        """Queue the whole program, in order. See `Program.run`."""
        turn = self.program.arena.turn
        with turn.lock:
            turn.follow()
            self._run(slots, numbers)

    def _run(self, slots: Sequence[Any], numbers: Sequence[Any]) -> None:
        self.numbers.write(numbers)
        if self.reason:
            self.program.run(slots)
            return
        key = self._key(slots)
        if key not in self.graphs:
            self._remember(key)
            self.program.run(slots)
            return
        self.graphs.move_to_end(key)
        given = list(slots)
        for n, view in (*self._in, *self._out):
            given[n] = view
        graph = self.graphs[key] or self._capture(key, given)
        if graph is None:
            self.program.run(slots)
            return
        for n, view in self._in:
            self._copy(view, slots[n])
        graph.replay()
        self.replays += 1
        self.program.runs += 1
        for n, view in (*self._back, *self._out):
            self._copy(slots[n], view)

    def _key(self, slots: Sequence[Any]) -> tuple[Any, ...]:
        """All addresses that the graph would have baked in and that can be others."""
        places = [(slots[n]._block.handle, slots[n]._offset) for n in self._keyed]
        return (*places, status.word(self.device)) if self._checked else tuple(places)

    def _remember(self, key: Any) -> None:
        self.graphs[key] = None
        if len(self.graphs) > KEPT:
            self.graphs.popitem(last=False)

    def _copy(self, dst: View, src: View) -> None:
        item = self.device.limits.storage_itemsize(src._layout.dtype)
        self.device.copy(dst._block.handle, dst._offset * item, src._block.handle, src._offset * item,
                         src._layout.span * item)  # fmt: skip

    def _capture(self, key: Any, slots: Sequence[Any]) -> _Graph | None:
        """The graph for ``key``, captured now; None, and the reason noted, where that fails. Nothing has run then."""
        device, first = self.device, status.following(self.device)
        try:
            if not device.begin_capture():
                self.reason = f"{device.name} begins no capture"
                return None
            try:
                self.program.launch(slots)
                held = device.pool.idle(device.current_stream())
            except BaseException:
                with suppress(Exception):
                    device.end_capture()
                raise
            made = _Graph(device, device.end_capture(), held, status.since(device, first))
        except Exception as error:
            self.reason = f"{device.name} refused the capture: {str(error).strip().splitlines()[0]:.200}"
            self.graphs.clear()
            return None
        self.graphs[key] = made
        return made


class _Graph:
    """A device's graph, the workspaces that its launches use, and what the tickets in it mean (`status`)."""

    def __init__(self, device: Any, graph: Any, held: list[Block], tickets: Any) -> None:
        self.device, self.graph, self.held, self.tickets = device, graph, held, tickets
        self.stream: Any = self  # none yet

    def replay(self) -> None:
        """Queue it on the current stream."""
        stream = self.device.current_stream()
        if stream is not self.stream:
            self.stream = stream
            for block in self.held:
                self.device.pool.note_use(block, stream)
        if self.tickets:
            status.again(self.device, self.tickets)
        self.graph.replay()
