"""Programs on sim, work-item by work-item: right ones in any order, and the mistakes that it names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ingot_devices import dtypes as dt
from ingot_devices.device import Arguments, Binding
from ingot_devices.errors import KernelBuildError, LaunchError
from ingot_devices.ir.expr import Expr, const, unary
from ingot_devices.ir.program import (
    Array,
    Assign,
    Barrier,
    Buffer,
    For,
    If,
    Let,
    Local,
    Program,
    Put,
    Scalar,
    Statement,
)  # fmt: skip
from ingot_sim.config import LIMITS, SimConfig
from ingot_sim.device import SimDevice

SIZE, GROUPS = 8, 3


def index(value: int) -> Expr:
    return const(value, dt.index)


def var(name: str, d: dt.DType = dt.index) -> Expr:
    return Expr.of("var", (), d, name)


def special(kind: str, n: int = 0) -> Expr:
    return Expr.of("special", (), dt.index, (kind, n))


def get(memory: str, at: Expr, d: dt.DType = dt.float32) -> Expr:
    return Expr.of("get", (at,), d, memory)


GID, LID, GROUP = special("gid"), special("lid"), special("group")
IN, OUT = Buffer("x", dt.float32, "r", 0), Buffer("y", dt.float32, "w", 1)


def program(*body: Statement, local: int = 0, size: tuple[int, int, int] = (SIZE, 1, 1)) -> Program:
    locals_ = (Local("shared", dt.float32, local),) if local else ()
    return Program("planted", (IN, OUT), (), locals_, body, size)


def tree(barrier: bool = True, last: bool = True, reader: int = 0) -> Program:
    """The sum of each group's elements, half by half in workgroup memory."""
    wait: tuple[Statement, ...] = (Barrier(),) if barrier else ()
    half = var("half")
    add = Put("shared", LID, get("shared", LID) + get("shared", LID + half))
    steps = tuple(s for n in (4, 2, 1) for s in (If(n > LID, (Let("half", index(n)), add)), *wait))
    first: tuple[Statement, ...] = (Put("shared", LID, get("x", GID)), *wait)
    store = If(LID.eq(reader), (Put("y", GROUP, get("shared", index(0))),))
    return program(*first, *(steps if last else steps[:-1]), store, local=SIZE)


def ran(p: Program, seed: int = 0, x: Any = None, count: int = SIZE * GROUPS, scalars: bytes = b"") -> Any:
    """``y`` after a launch on GROUPS workgroups."""
    device = SimDevice(SimConfig(seed=seed))
    device.name = "sim:0"
    x = np.arange(count, dtype=np.float32) if x is None else x
    y = np.zeros(count, np.float32)
    handles = [device.allocate(-(-a.nbytes // 64) * 64) for a in (x, y)]
    for h, a in zip(handles, (x, y), strict=True):
        device.copy_in(h, 0, a.view(np.uint8).data)
    entry = device.build(p, p.name)
    bindings = tuple(Binding(h, how) for h, how in zip(handles, "rw", strict=True))
    device.launch(entry, (GROUPS, 1, 1), p.workgroup, Arguments(bindings, scalars))
    device.copy_out(handles[1], 0, y.view(np.uint8).data)
    return y


def fails(p: Program, seed: int = 0) -> str:
    with pytest.raises(LaunchError) as error:
        ran(p, seed)
    return str(error.value)


def test_a_tree_with_barriers_is_right_in_every_order() -> None:
    expected = np.arange(SIZE * GROUPS).reshape(GROUPS, SIZE).sum(1)
    for seed in range(10):
        np.testing.assert_array_equal(ran(tree(), seed)[:GROUPS], expected)


def test_a_missing_barrier_is_found() -> None:
    for seed in range(5):
        said = fails(tree(barrier=False), seed)
        assert said.startswith("sim: planted: ")
        assert "shared[" in said
        assert "read before it is written" in said or "work-item" in said


def test_the_last_barrier_is_for_others_than_the_writer() -> None:
    ran(tree(last=False))
    for seed in range(5):
        said = fails(tree(last=False, reader=1), seed)
        assert "shared[0], which" in said
    ran(tree(reader=1))


def test_two_work_items_may_not_write_one_element() -> None:
    said = fails(program(Put("y", GID // 2, get("x", GID))))
    assert "writes y[" in said


def test_a_barrier_that_some_do_not_reach_is_found() -> None:
    said = fails(program(If(LID < 3, (Barrier(),)), Put("y", GID, get("x", GID))))
    assert "3 wait at barrier(s) [1], 5 have ended" in said


def test_two_barriers_do_not_meet() -> None:
    said = fails(program(If(LID < 4, (Barrier(),), (Barrier(),))))
    assert "wait at barrier(s) [1, 2], 0 have ended" in said


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (Put("y", GID, get("x", GID + 9)), "x[32], and x has 32 elements"),
        (Put("y", GID - 1, get("x", GID)), "y[-1], and y has 32 elements"),
        (Put("shared", GID, get("x", GID)), "shared[8], and shared has 8 elements"),
    ],
)
def test_an_access_out_of_bounds_names_kernel_buffer_offset_and_size(statement: Statement, words: str) -> None:
    said = {fails(program(statement, local=SIZE), seed) for seed in range(30)}
    assert f"sim: planted: {words}" in said


def test_workgroup_memory_begins_as_nothing_in_every_group() -> None:
    body = (If(GROUP.eq(0), (Put("shared", LID, get("x", GID)),)), Put("y", GID, get("shared", LID)))
    assert "is read before it is written" in fails(program(*body, local=SIZE))


def test_a_buffer_declared_as_read_is_not_written() -> None:
    with pytest.raises(KernelBuildError, match="writes to x, which it declares as read"):
        ran(program(Put("x", GID, get("y", GID))))


def test_a_name_hides_no_other() -> None:
    twice = program(Let("a", index(1)), For("a", index(0), index(2), index(1), ()))
    with pytest.raises(KernelBuildError, match="declares a where that name is taken"):
        ran(twice)
    apart = program(*(For("a", index(0), index(2), index(1), ()) for _ in "12"))
    ran(apart)


def test_a_workgroup_has_the_size_it_was_built_for() -> None:
    device = SimDevice(SimConfig())
    p = replace(program(), buffers=())
    device.launch(device.build(p, p.name), (1, 1, 1), (4, 1, 1), Arguments((), b""))
    with pytest.raises(LaunchError, match=r"built for \(8, 1, 1\), not for \(4, 1, 1\)"):
        device.synchronize()


def test_statements_do_what_they_say() -> None:
    value = var("value", dt.float32)
    body = (
        Let("value", const(0.0, dt.float32), mutable=True),
        Array("kept", dt.float32, 4, const(1.0, dt.float32)),
        For("k", index(0), index(8), index(2), (
            Put("kept", var("k") // 2, get("x", var("k"))),
            Assign("value", value + get("kept", var("k") // 2)),
        )),
        If(GID < 4, (Put("y", GID, value),), (Put("y", GID, get("kept", index(3)) * get("x", GID)),)),
    )  # fmt: skip
    x = np.arange(24, dtype=np.float32)
    expected = np.where(np.arange(24) < 4, x[:8:2].sum(), x[6] * x)
    np.testing.assert_array_equal(ran(program(*body)), expected)


def test_scalars_come_packed_and_indices_have_their_width() -> None:
    p = replace(program(Put("y", GID, var("a", dt.float32) * get("x", GID))), scalars=(Scalar("a", dt.float32),))
    np.testing.assert_array_equal(ran(p, scalars=np.float32(2.5).tobytes()), np.arange(24) * 2.5)
    big = Expr.of("cast", (const((1 << 32) + 1, dt.int64) + GID.cast(dt.int64),), dt.index)
    narrow = replace(program(Put("y", big - 1, get("x", GID))), index_bits=32)
    np.testing.assert_array_equal(ran(narrow), np.arange(24))


def test_only_required_rows_run() -> None:
    x = np.linspace(-3, 3, 24, dtype=np.float32)
    p = program(Put("y", GID, unary("tanh", get("x", GID))))
    device = SimDevice(SimConfig())
    assert "tanh" not in device.build(p, p.name).source  # type: ignore[attr-defined]
    np.testing.assert_allclose(ran(p, x=x), np.tanh(x), rtol=4e-7)


def test_work_items_know_their_place_in_every_dimension() -> None:
    flat = (special("gid", 1) * special("size", 0) + special("lid", 0)) + special("group", 0) * 8
    p = program(Put("y", flat, flat.cast(dt.float32)), size=(4, 2, 1))
    np.testing.assert_array_equal(ran(p), np.arange(24))


@pytest.mark.parametrize(("d", "kind"), [(dt.int64, "emulated"), (dt.float64, "refused")], ids=str)
def test_a_type_that_the_device_lacks_is_not_built(d: Any, kind: str) -> None:
    program = Program("k", (Buffer("x", d, "w", 0),), (), (), (Put("x", const(0, dt.index), const(1, d)),), (1, 1, 1))
    device = SimDevice(SimConfig(limits=LIMITS["webgpu"], mode="schedule"))
    with pytest.raises(KernelBuildError, match=f"k computes in {d.name}, which this device declares as {kind}"):
        device.build(program, "k")
