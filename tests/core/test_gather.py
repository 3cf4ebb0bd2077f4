"""Independent kernels of a kind as one launch: which ones are gathered, what they may pass, and that each keeps its numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ingot_devices import dtypes as dt
from ingot_devices.codegen.replay import Input
from ingot_devices.discovery import open_device
from ingot_devices.layout import Layout
from ingot_devices.limits import WEBGPU, Limits
from ingot_devices.memory import Pool
from ingot_devices.program import memory, stages
from ingot_devices.program.gather import MOST, gather
from ingot_devices.program.lower import Program
from ingot_devices.program.numbers import in_memory
from ingot_devices.transfer import read, write
from ingot_devices.view import View
from test_program import Drawing, ops


def scheduled(limits: Limits | None = None) -> Any:
    """A device of the pretend kind that runs programs, work-item by work-item."""
    pretend: Any = open_device("sim")
    device = type(pretend)(replace(pretend.config, limits=limits or pretend.limits, mode="schedule"))
    device.pool = Pool(device)
    return device


@pytest.fixture
def drawing() -> Drawing:
    return Drawing(open_device("sim"))


def steps(drawing: Drawing, *sizes: int) -> list[Any]:
    """An optimizer's step for a parameter of each size: the parameters."""
    made = []
    for k, n in enumerate(sizes):
        parameter, gradient, mean, square = (drawing.input(n) for _ in range(4))
        drawing.op("adamw_step", parameter, gradient, mean, square, *(Input(6 * k + j) for j in range(6)))
        made.append(parameter)
    drawing.graph.inputs = 6 * len(sizes)
    return made


def test_independent_kernels_of_a_kind_are_one(drawing: Drawing) -> None:
    steps(drawing, 3, 300, 1, 70)
    assert ops(gather(drawing.graph)) == ["4 × adamw_step"]


def test_a_group_has_an_end(drawing: Drawing) -> None:
    steps(drawing, *range(1, 2 * MOST + 4))
    assert ops(gather(drawing.graph)) == [f"{MOST} × adamw_step"] * 2 + ["3 × adamw_step"]


def test_a_group_takes_what_a_launch_can_bind() -> None:
    drawing = Drawing(scheduled(WEBGPU))  # eight buffers; an sgd step has two, and its numbers may be read from a third
    for _ in range(6):
        drawing.op("sgd_step", drawing.input(5), drawing.input(5), Input(0))
    drawing.graph.inputs = 1
    assert ops(gather(drawing.graph)) == ["3 × sgd_step", "3 × sgd_step"]


def test_what_one_makes_and_another_reads_stays_apart(drawing: Drawing) -> None:
    a = drawing.op("exp", drawing.input(4))
    b = drawing.op("sum", a, axes=(-1,), keepdim=True)
    c = drawing.op("exp", b)
    d = drawing.op("exp", drawing.input(9))
    drawing.keep(a, c, d)
    assert ops(gather(drawing.graph)) == ["2 × exp", "sum", "exp"]  # the second cannot pass what makes its operand


def test_nobody_passes_a_kernel_that_reads_what_he_writes(drawing: Drawing) -> None:
    _, second = steps(drawing, 4, 4)
    graph = drawing.graph
    drawing.keep(drawing.op("exp", second))
    adamw, other, reader = graph.nodes
    assert ops(gather(graph.copy([adamw, reader, other]))) == ["adamw_step", "exp", "adamw_step"]
    assert ops(gather(graph.copy([adamw, other, reader]))) == ["2 × adamw_step", "exp"]


def test_temporaries_of_one_group_never_share_memory(drawing: Drawing) -> None:
    """Its members run at the same time: what one reads for the last time is not free for another's result."""
    x, y = drawing.input(8), drawing.input(8)
    a, b = drawing.op("tanh", x), drawing.op("tanh", y)
    c, d = drawing.op("sin", a), drawing.op("sin", b)
    drawing.keep(drawing.op("add", c, d))
    made = gather(drawing.graph)
    assert ops(made) == ["2 × tanh", "2 × sin", "add"]
    places = memory.plan(made).place_of
    assert len({places[r.slot] for r in (a, b, c, d)}) == 4


SIZES = (3, 300, 1, 70, 5, 1030, 16, 2, 9, 40)


@pytest.mark.parametrize("in_buffer", [False, True], ids=["numbers as arguments", "numbers in memory"])
def test_each_member_gets_its_own_numbers(in_buffer: bool) -> None:
    """A step of ten parameters in two launches, each with other rates, against NumPy."""
    device = scheduled()
    drawing = Drawing(device)
    parameters = steps(drawing, *SIZES)
    graph = stages.STAGES["gather"](drawing.graph)
    views: dict[int, View] = {}
    rng = np.random.default_rng(0)
    values = {b.number: np.abs(rng.standard_normal(b.layout.shape)).astype(np.float32) for b in graph.buffers.values()}
    for b in graph.buffers.values():
        views[b.number] = on(device, b.layout, values[b.number])
    numbers = [v for k in range(len(SIZES)) for v in (0.1 + k / 10, 0.1, 0.99, 0.01, 1e-3 * (k + 1), 0.9 - k / 100)]
    if in_buffer:
        graph, held = in_memory(graph)
        held.write(numbers)
        views |= held.views
    before = device.launches
    built = Program(graph, views)
    built.run((), numbers)
    assert device.launches - before == 2
    for k, parameter in enumerate(parameters):
        size, rest1, beta2, rest2, eps, decay = (np.float64(np.float32(v)) for v in numbers[6 * k : 6 * k + 6])
        p, g, m, s = (values[parameter.slot + j].astype(np.float64) for j in range(4))
        m, s = m + rest1 * (g - m), s * beta2 + g * g * rest2
        wanted = p * decay - m / (np.sqrt(s) + eps) * size
        np.testing.assert_allclose(read(views[parameter.slot]), wanted, rtol=2e-6, atol=1e-6)
        np.testing.assert_allclose(read(views[parameter.slot + 3]), s, rtol=2e-6)


def on(device: Any, layout: Layout, values: Any) -> View:
    block, native = device.pool.fresh(layout)
    view: View = View.make(block, layout, 0, native)
    write(view, values)
    return view


def test_numbers_in_memory_are_what_launches_would_pass() -> None:
    """Out of range for float32 is infinite there, too, and integers wrap."""
    device = scheduled()
    drawing = Drawing(device)
    x = drawing.input(4)
    drawing.keep(drawing.op("mul", x, Input(0)))
    drawing.graph.inputs = 1
    graph, held = in_memory(drawing.graph)
    for given, stored in ((2.5, 2.5), (1e300, np.inf), (-1e300, -np.inf), (3, 3.0)):
        held.write([given])
        (view,) = held.views.values()
        np.testing.assert_array_equal(read(view), np.array([stored], np.float32))
    assert view._layout.dtype is dt.float32 and not any(n.definition and n.definition.params for n in graph.nodes)
