"""Programs on the CPU: one native call, the bits of the eager kernels, and what Python must still call."""

from __future__ import annotations

from typing import Any

import elsewhere
import native_cases
import numpy as np
import pytest
from ingot_cpu.native.codegen import CpuCodegen
from ingot_cpu.native.program import Program, Segment
from ingot_devices import dtypes as dt
from ingot_devices import open_device
from ingot_devices.codegen.replay import Input, Launch, Sequential, replay
from ingot_devices.errors import DeviceIndexError
from ingot_devices.ir.definition import Definition
from ingot_devices.layout import Layout
from ingot_devices.plan import Ref
from ingot_devices.view import View
from native_cases import Array

pytestmark = elsewhere.native()


def view(values: Array) -> View:
    """A view of its own for an array."""
    device = open_device("cpu")
    layout = Layout.dense(values.shape, dt.from_numpy(values.dtype), device)
    block, native = device.pool.fresh(layout)
    native[...] = values
    made: View = View.make(block, layout, 0, native)
    return made


def definition(name: str, *values: Any, **attrs: Any) -> Definition:
    (made,), _, _ = native_cases.prepared(name, values, attrs)
    return made


def launch(name: str, values: tuple[Any, ...], operands: tuple[Any, ...], **attrs: Any) -> Launch:
    return Launch(operands, definition(name, *values, **attrs))


def step(rng: Any) -> tuple[list[Launch], dict[int, View], list[Array]]:
    """A layer, its activation, the gradient by the weight, and a step of the optimizer: slots 0 x, 1 target, 2 arena,
    3 … 6 weight and moments, pinned; 7 the sum of the output."""
    x, w = rng.standard_normal((64, 20)).astype(np.float32), rng.standard_normal((30, 20)).astype(np.float32)
    b = rng.standard_normal(30).astype(np.float32)
    device = open_device("cpu")

    def dense(*shape: int) -> Layout:
        return Layout.dense(shape, dt.float32, device)

    h, g = dense(64, 30), dense(30, 20)
    turned = Layout.of((30, 64), (1, 30), dt.float32, device)
    hidden = np.zeros((64, 30), np.float32)
    adam = (w, w, w, w, 1e-3, 0.1, 0.999, 0.001, 1e-8, 0.99)
    at_h, at_a, at_g = Ref(2, h), Ref(2, h, 64 * 30), Ref(2, g, 2 * 64 * 30)
    launches = [
        launch("linear", (x, w, b), (Ref(0, dense(64, 20)), Ref(3, dense(30, 20)), Ref(1, dense(30)), at_h)),
        launch("tanh", (hidden,), (at_h, at_a)),
        launch("matmul", (hidden.T, x), (Ref(2, turned, 64 * 30), Ref(0, dense(64, 20)), at_g)),
        launch("adamw_step", adam, (Ref(3, g), at_g, Ref(4, g), Ref(5, g), Input(0), Input(1), 0.999, 0.001, 1e-8, 0.99)),
        launch("sum", (hidden,), (at_a, Ref(6, dense())), axes=None),
    ]
    held = {2: np.zeros(4 * (2 * 64 * 30 + 600), np.uint8), 3: w, 4: w * 0, 5: w * 0}
    return launches, {k: view(v) for k, v in held.items()}, [x, b]


def test_a_training_step_is_one_call_and_the_bits_of_its_kernels_in_turn() -> None:
    found = []
    for make in (replay, Sequential):
        launches, pinned, (x, b) = step(np.random.default_rng(0))
        program: Any = make(launches, open_device("cpu"), pinned)
        out = view(np.zeros((), np.float32))
        for k in range(3):
            program.run([view(x + k), view(b), None, None, None, None, out], [1e-3 / (k + 1), 0.1])
        found.append([pinned[k].native().copy() for k in (3, 4, 5)] + [out.native().copy()])
        if make is replay:
            assert isinstance(program, Program)
            assert [type(p) for p in program.parts] == [Segment]
            assert program.calls == 5
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(found[0][0], np.random.default_rng(0).standard_normal((30, 20)))


def test_what_python_calls_stands_between_segments() -> None:
    x = np.arange(8, dtype=np.float32)
    row = Layout.dense((8,), dt.float32, open_device("cpu"))

    def turn(a: Array, out: Array) -> None:
        out[...] = a[::-1]

    launches = [
        launch("exp", (x,), (Ref(0, row), Ref(1, row))),
        Launch((Ref(1, row), Ref(2, row)), call=turn),
        launch("mul", (x, 2.0), (Ref(2, row), 2.0, Ref(3, row))),
    ]
    program: Any = replay(launches, open_device("cpu"))
    assert [type(p) for p in program.parts] == [Segment, Sequential, Segment]
    out = view(np.zeros(8, np.float32))
    program.run([view(x), view(x), view(x), out])
    np.testing.assert_array_equal(out.native(), native_cases.run(CpuCodegen().native, "exp", x)[0][::-1] * 2)


def test_a_program_names_the_kernel_that_refused_an_index() -> None:
    x, at = np.ones((4, 3), np.float32), np.array([1, 7])
    device = open_device("cpu")
    kinds = (((4, 3), dt.float32), ((2,), dt.int64), ((2, 3), dt.float32))
    shapes = [Layout.dense(shape, dtype, device) for shape, dtype in kinds]
    launches = [
        launch("exp", (x,), (Ref(0, shapes[0]), Ref(0, shapes[0]))),
        launch("index_select", (x, at), (Ref(0, shapes[0]), Ref(1, shapes[1]), Ref(2, shapes[2])), axis=-2),
    ]
    program = replay(launches, device)
    out = view(np.zeros((2, 3), np.float32))
    with pytest.raises(DeviceIndexError, match="index_select: index out of range"):
        program.run([view(x), view(at), out])
    program.run([view(x), view(at % 4), out])


def test_slots_and_numbers_that_are_missing_or_wrong() -> None:
    x = np.ones(8, np.float32)
    row = Layout.dense((8,), dt.float32, open_device("cpu"))
    program = replay([launch("pow", (x, 2.0), (Ref(0, row), Input(0), Ref(1, row)))], open_device("cpu"))
    with pytest.raises(ValueError, match="slot 1 is neither pinned nor given"):
        program.run([view(x), None], [2.0])
    with pytest.raises(TypeError, match="must be real number"):
        program.run([view(x), view(x)], ["two"])  # type: ignore[list-item]  # what is wrong is the point
