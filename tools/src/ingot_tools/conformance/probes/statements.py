"""Every statement of the kernel IR by itself: what an op reaches only in some schedule, its renderer must have right anyway.

Each row of `KERNELS` is a small kernel over int32: its statements, and the same in Python for one work-item. They are rendered,
built and launched as those of ops are, by a device whose kernels are generated; others have nothing to show here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ingot_devices import dtypes as dt
from ingot_devices.codegen import arguments
from ingot_devices.codegen.schedule import ScheduleCodegen
from ingot_devices.ir.expr import Expr, binary, const
from ingot_devices.ir.program import Array, Assign, Buffer, For, If, Let, Program, Put, Scalar, Statement

from ..bench import Bench, NotPresent, Probe

ITEMS, GROUP, SENTINEL = 61, 32, -77  # work-items that take part, a workgroup's size at most, what is there before
GID = Expr.of("special", (), dt.index, ("gid", 0))
X = Expr.of("get", (GID,), dt.int32, "x")
I32 = dt.int32
REST = 3
"""A scalar argument of every kernel."""


def number(value: int) -> Expr:
    """An index."""
    return const(value, dt.index)


def var(name: str, dtype: dt.DType = I32) -> Expr:
    """A variable of the kernel, by its name."""
    return Expr.of("var", (), dtype, name)


def less(a: Expr, b: Expr) -> Expr:
    """``a < b``, which every dialect has a row for; the other comparisons need not be there."""
    return binary("lt", a, b)


def total(value: Expr) -> Assign:
    """Add to the mutable variable ``t``."""
    return Assign("t", var("t") + value)


def loop(name: str, start: Expr, stop: Expr, step: Expr, *body: Statement) -> For:
    """A loop over an index."""
    return For(name, start, stop, step, body)


@dataclass(frozen=True)
class Kernel:
    """``body`` gives ``t`` its value from ``x[gid]`` (Python: ``says(gid, x)``)."""

    name: str
    body: tuple[Statement, ...]
    says: Callable[[int, int], int]


def _nested(gid: int, x: int) -> int:
    if x < 0:
        return -x if x < -20 else x * 2
    return 1000 if gid < 9 else x + 5


def _bubbles(gid: int, x: int) -> int:
    held = [x] * 4
    held[gid % 4] = gid
    held[1] += held[gid % 3]
    return sum((k + 1) * h for k, h in enumerate(held))


J, K = var("j", dt.index), var("k", dt.index)
HELD = Expr.of("get", (K,), I32, "held")
KERNELS = (
    Kernel(
        "else_where_the_condition_fails",
        (If(less(X, const(0, I32)), (Assign("t", X + 1),), (Assign("t", X - 1),)),),
        lambda gid, x: x + 1 if x < 0 else x - 1,
    ),
    Kernel(
        "a_condition_in_each_branch",
        (
            If(less(X, const(0, I32)), (If(less(X, const(-20, I32)), (Assign("t", -X),), (Assign("t", X * 2),)),),
               (If(less(GID, number(9)), (Assign("t", const(1000, I32)),), (Assign("t", X + 5),)),)),
        ),
        _nested,
    ),
    Kernel(
        "loops_of_other_lengths",  # none at all for some work-items
        (loop("j", GID % number(5), GID % number(11), number(3), total(J.cast(I32) + 1)),),
        lambda gid, x: sum(j + 1 for j in range(gid % 5, gid % 11, 3)),
    ),
    Kernel(
        "a_loop_in_a_loop_and_a_condition_in_both",
        (
            loop("j", number(0), GID % number(4), number(1),
                 loop("k", J, number(5), number(2), If(less(K, J + number(2)), (total(X),), (total(const(1, I32)),)))),
        ),
        lambda gid, x: sum(x if k < j + 2 else 1 for j in range(gid % 4) for k in range(j, 5, 2)),
    ),
    Kernel(
        "elements_of_one_s_own",
        (
            Array("held", I32, 4, X),
            Put("held", GID % number(4), GID.cast(I32)),
            Put("held", number(1), Expr.of("get", (number(1),), I32, "held") + Expr.of("get", (GID % number(3),), I32, "held")),
            loop("k", number(0), number(4), number(1), total(HELD * (K.cast(I32) + 1))),
        ),
        _bubbles,
    ),
    Kernel(
        "a_name_within_a_block",
        (
            If(less(X, const(4, I32)), (Let("u", X * 3, mutable=True), Assign("u", var("u") - 2), total(var("u"))),
               (total(var("n")),)),
        ),
        lambda gid, x: 3 * x - 2 if x < 4 else REST,
    ),
)  # fmt: skip


def program(kernel: Kernel, size: int) -> Program:
    """The kernel for workgroups of ``size``: only the first `ITEMS` write, each at the place opposite to its own."""
    inside = (
        Let("t", const(0, I32), mutable=True), *kernel.body,
        Put("y", number(ITEMS - 1) - GID, var("t")),
    )  # fmt: skip
    return Program(
        f"probe_{kernel.name}", (Buffer("x", I32, "r", 0), Buffer("y", I32, "w", 1)), (Scalar("n", I32),), (),
        (If(less(GID, number(ITEMS)), inside),), (size, 1, 1), 32,
    )  # fmt: skip


def statements_mean_what_they_say(bench: Bench) -> None:
    """Branches, loops, private elements and names within blocks, in kernels of their own."""
    device, codegen = bench.device, bench.device.codegen
    if not isinstance(codegen, ScheduleCodegen):
        raise NotPresent(f"{bench.name} has kernels, but none made from programs of the IR")
    size = min(GROUP, device.limits.max_workgroup)
    given = np.random.default_rng(0).integers(-50, 50, 64, np.int32)
    x, y = (bench.allocate(max(256, bench.grain)) for _ in range(2))
    for kernel in KERNELS:
        bench.put(x, given.tobytes())
        bench.put(y, np.full(64, SENTINEL, np.int32).tobytes())
        made = program(kernel, size)
        entry, _ = codegen.entry(device, made)
        scalars = arguments.block(made.scalars, made.index_bits)
        launch = device.launcher(entry, (-(-ITEMS // size), 1, 1), made.workgroup, ("r", "w"), scalars)
        launch(x, y, REST)
        device.synchronize()
        found = np.frombuffer(bench.get(y, 256), np.int32)
        wanted = [kernel.says(gid, int(given[gid])) for gid in reversed(range(ITEMS))] + [SENTINEL] * (64 - ITEMS)
        np.testing.assert_array_equal(found, np.array(wanted, np.int32), err_msg=kernel.name)
    bench.release(x, y)


PROBES: tuple[Probe, ...] = (statements_mean_what_they_say,)
