"""How long each kernel of a program takes, and how fast the device's memory is: on scratch memory, away from anybody's data."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from .. import dtypes as dt
from ..layout import Layout
from ..transfer import write
from ..view import View
from .graph import Graph

ROUNDS = 7
STREAM = 16 << 20
"""Elements of float32 that the bandwidth is measured with."""


def times(graph: Graph) -> list[float | None]:
    """Seconds of each node, as the median of some runs with the device drained after each; None for one on the host.

    All numbers are 1 and all memory 0, so a kernel whose time depends on values is measured at those.
    """
    from .lower import Program

    device = graph.device
    views = {b.number: _scratch(graph, b.number) for b in graph.buffers.values()}
    found: list[float | None] = []
    numbers = [1] * (graph.inputs + len(graph.derived))
    for node in graph.nodes:
        if node.views:
            found.append(None)
            continue
        alone = Graph(device, dict(graph.buffers), [node], len(numbers))
        for number in alone.buffers:
            alone.buffers[number] = _as_input(alone, number)
        run = Program(alone, views).run
        found.append(_median(lambda run=run: run((), numbers), device))  # type: ignore[misc]
    return found


def _as_input(graph: Graph, number: int) -> Any:
    from dataclasses import replace

    return replace(graph.buffers[number], kind="input")


def _scratch(graph: Graph, number: int) -> View:
    buffer = graph.buffers[number]
    reach = buffer.layout.span
    for node in graph.nodes:
        for ref in node.refs((*node.reads, *node.writes)):
            if ref.slot == number and ref.layout is not None:
                reach = max(reach, ref.offset + ref.layout.span)
    whole = Layout.dense((reach,), buffer.layout.dtype, graph.device)
    block, native = graph.device.pool.fresh(whole)
    made: View = View.make(block, whole, 0, native)
    write(made, np.zeros(whole.shape, whole.dtype.numpy))
    return View.make(block, buffer.layout, 0)  # type: ignore[no-any-return]


def _median(run: Callable[[], None], device: Any) -> float:
    run()
    device.synchronize()
    taken = []
    for _ in range(ROUNDS):
        start = perf_counter()
        run()
        device.synchronize()
        taken.append(perf_counter() - start)
    return median(taken)


def bandwidth(device: Any) -> float:
    """Bytes per second of a copy within the device, read and write counted."""
    layout = Layout.dense((STREAM,), dt.float32, device)
    (a, _), (b, _) = device.pool.fresh(layout), device.pool.fresh(layout)
    nbytes = STREAM * 4

    def run() -> None:
        device.copy(b.handle, 0, a.handle, 0, nbytes)

    return 2 * nbytes / _median(run, device)
