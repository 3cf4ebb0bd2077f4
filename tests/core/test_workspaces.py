"""Kernels that want memory while they run: from the pool eagerly, from what is planned in a program."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ingot_devices import dtypes as dt
from ingot_devices.codegen import InWorkspace
from ingot_devices.discovery import open_device
from ingot_devices.layout import Layout
from ingot_devices.plan import Ref
from ingot_devices.program import stages
from ingot_devices.program.graph import Graph, Node
from ingot_devices.transfer import read, write
from ingot_devices.view import View

N, WANTED = 64, 1 << 20


class Asked:
    """A kernel that adds one, through memory that it is given."""

    def __init__(self) -> None:
        self.device = open_device("cpu")
        self.seen: list[Any] = []
        self.layout = Layout.dense((N,), dt.float32, self.device)
        self.call = InWorkspace(self.run, WANTED, self.device)

    def run(self, x: Any, out: Any, space: Any) -> None:
        assert space.dtype == np.uint8 and space.size == WANTED
        held = space[: x.nbytes].view(np.float32)
        held[...] = x
        out[...] = held + 1
        self.seen.append(space)

    def view(self) -> View:
        block, native = self.device.pool.fresh(self.layout)
        made: View = View.make(block, self.layout)
        made._native = native
        return made

    def node(self, x: Ref, out: Ref) -> Node:
        return Node("plus one", (x, out), (0,), (1,), call=self.call, route="registered")


@pytest.fixture
def asked() -> Asked:
    return Asked()


def grown(asked: Asked, call: Any) -> int:
    """By how many bytes the pool's use grew while ``call`` ran, at most."""
    asked.seen.clear()
    pool = asked.device.pool
    before = pool.stats().used
    pool.reset_peak()
    call()
    return pool.stats().peak - before


def test_eagerly_the_pool_gives_it(asked: Asked) -> None:
    x, out = asked.view(), asked.view()
    write(x, np.arange(N, dtype=np.float32))
    assert WANTED <= grown(asked, lambda: asked.call(x.native(), out.native())) < 2 * WANTED
    np.testing.assert_array_equal(read(out), np.arange(N) + 1)


def test_a_program_has_it_among_its_temporaries(asked: Asked) -> None:
    graph = Graph(asked.device)
    x = Ref(graph.buffer("input", asked.layout).number, asked.layout)
    places = [Ref(graph.buffer(kind, asked.layout).number, asked.layout) for kind in ("temp", "temp", "output")]
    graph.nodes = [asked.node(a, b) for a, b in zip([x, *places], places, strict=False)]
    built = stages.build(graph, {})
    assert WANTED <= built.program.plan.nbytes <= WANTED + 4 * N * 4, "three launches, one workspace"
    assert sum(n.nbytes for n in built.program.graph.nodes) == 6 * N * 4, "it is not counted as memory moved"
    given, out = asked.view(), asked.view()
    write(given, np.arange(N, dtype=np.float32))
    slots: list[Any] = [None] * len(built.program.graph.buffers)
    slots[x.slot], slots[places[-1].slot] = given, out
    assert grown(asked, lambda: built.run(slots, [])) == 0
    np.testing.assert_array_equal(read(out), np.arange(N) + 3)
    (block,) = {slot.block for slot in built.program.arena.slots}
    assert len(asked.seen) == 3 and all(np.shares_memory(block.handle, space) for space in asked.seen)
