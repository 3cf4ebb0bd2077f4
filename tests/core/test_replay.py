"""A program of launches over slots: the default, which calls each kernel in turn, on a device that is NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ingot_devices import dtypes as dt
from ingot_devices import open_device
from ingot_devices.codegen.replay import Input, Launch, Sequential, part, replay
from ingot_devices.ir.definition import Define, Definition, Operand
from ingot_devices.ir.expr import Expr
from ingot_devices.layout import Layout
from ingot_devices.plan import Ref
from ingot_devices.view import View


def axpy(n: int) -> Definition:
    """out = a·x + y."""
    x, y = (Operand(k, "xy"[k], dt.float32, (n,)) for k in range(2))
    d = Define("axpy", [x, y, Operand(3, "out", dt.float32, (n,), output=True, input=False)], [(2, dt.float64)])
    (i,) = d.axes((n,))

    d.store(0, [i], Expr.of("param", (), dt.float64, 2).cast(dt.float32) * x[i] + y[i])
    return d.finish()


def view(device: Any, values: Any) -> View:
    """A view of its own for an array."""
    array = np.ascontiguousarray(values)
    layout = Layout.dense(array.shape, dt.from_numpy(array.dtype), device)
    block, native = device.pool.fresh(layout)
    native[...] = array
    made: View = View.make(block, layout, 0, native)
    return made


@pytest.mark.parametrize("make", [replay, Sequential])
def test_a_program_runs_its_launches_in_order_over_slots(make: Any) -> None:
    device = open_device("cpu")
    x, y, arena = np.arange(8, dtype=np.float32), np.full(8, 2, np.float32), np.zeros(64, np.uint8)
    row = Layout.dense((8,), dt.float32, device)
    first = Launch((Ref(0, row), Ref(1, row), Input(0), Ref(2, row, 8)), axpy(8))
    second = Launch((Ref(2, row, 8), Ref(1, row), 10.0, Ref(3, row)), axpy(8))
    program = make((first, second), device, {2: view(device, arena)})
    for scale in (3.0, -1.0):
        out = view(device, np.zeros(8, np.float32))
        program.run([view(device, x), view(device, y), None, out], [scale])
        np.testing.assert_array_equal(out.native(), 10 * (np.float32(scale) * x + y) + y)
    assert program.calls == 2


def test_a_slot_that_is_missing_is_named() -> None:
    device = open_device("cpu")
    row = Layout.dense((8,), dt.float32, device)
    program = Sequential([Launch((Ref(0, row), Ref(0, row), 1.0, Ref(1, row)), axpy(8))], device, {})
    with pytest.raises(ValueError, match="slot 1 is neither pinned nor given"):
        program.run([view(device, np.zeros(8, np.float32)), None])


def test_a_part_counts_from_the_first_element_of_its_slot() -> None:
    device = open_device("cpu")
    whole = view(device, np.arange(16, dtype=np.float32))
    tail = View.make(whole._block, Layout.dense((8,), dt.float32, device), 8)
    cut = part(tail, Ref(0, Layout.of((3,), (2,), dt.float32, device), 1))
    np.testing.assert_array_equal(cut.native(), [9, 11, 13])
    odd = View.make(whole._block, Layout.dense((5,), dt.uint8, device), 3)
    with pytest.raises(ValueError, match="begins at byte 3 of its block cannot hold"):
        part(odd, Ref(0, Layout.dense((1,), dt.float32, device)))
