"""The renderer of WGSL, without a device: how a kernel is laid out, and what the language may not be trusted with."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from ingot_devices import dtypes as dt
from ingot_devices.codegen import Unsupported, arguments
from ingot_devices.ir import scalar as s
from ingot_devices.ir.expr import Expr, const, where
from ingot_devices.ir.program import Assign, Barrier, Buffer, For, If, Let, Local, Program, Put, Scalar, Statement
from ingot_webgpu.functions import FUNCTIONS, closure
from ingot_webgpu.wgsl import RENDERER

ZERO, ONE = const(0, dt.index), const(1, dt.index)
X = Buffer("x0", dt.float32, "r", 0)
Y = Buffer("x1", dt.float32, "w", 1)


def var(name: str, dtype: Any = dt.float32) -> Expr:
    return Expr.of("var", (), dtype, name)


def load(name: str = "x0", dtype: Any = dt.float32) -> Expr:
    return Expr.of("get", (ZERO,), dtype, name)


def program(*body: Statement, buffers: tuple[Buffer, ...] = (X, Y), scalars: tuple[Scalar, ...] = (), **more: Any) -> Program:
    return Program("k", buffers, scalars, more.get("local", ()), body, more.get("workgroup", (8, 1, 1)), more.get("bits", 32))


def rendered(value: Expr) -> str:
    """``value`` as it is stored to x1."""
    out = Buffer("x1", value.dtype, "w", 1)
    text = RENDERER(program(Put("x1", ZERO, value), buffers=(Buffer("x0", dt.float32, "r", 0), out)))
    return next(line for line in text.splitlines() if "x1[0i] =" in line).split("= ", 1)[1].rstrip(";")


def test_a_kernel_is_laid_out_as_the_device_reads_it() -> None:
    scalars = (Scalar("n", dt.index), Scalar("by", dt.float32), Scalar("on", dt.bool_))
    text = RENDERER(program(Put("x1", ZERO, load()), scalars=scalars, local=(Local("tile", dt.float32, 64),)))
    assert text.splitlines() == [
        "@group(0) @binding(0) var<storage, read> x0: array<f32>;",
        "@group(0) @binding(1) var<storage, read_write> x1: array<f32>;",
        "@group(0) @binding(2) var<uniform> args: array<vec4<u32>, 1>;",
        "var<private> ig_zero: u32;",
        "var<workgroup> tile: array<f32, 64>;",
        "@compute @workgroup_size(8, 1, 1)",
        "fn k() {",
        "  ig_zero = args[0].w;",
        "  let n: i32 = bitcast<i32>(args[0].x);",
        "  let by: f32 = bitcast<f32>(args[0].y);",
        "  let on: bool = (((args[0].z >> 0u) & 0xFFu) != 0u);",
        "  x1[0i] = x0[0i];",
        "}",
    ]
    packed = arguments.block(scalars, 32).pack(7, 2.5, True)
    assert struct.unpack("<ifI", packed) == (7, 2.5, 1)


@pytest.mark.parametrize("count", range(9))
def test_behind_the_scalars_is_a_word_of_their_own(count: int) -> None:
    """The word that is 0 at run time is none of the scalars'."""
    scalars = tuple(Scalar(f"n{k}", dt.index) for k in range(count))
    text = RENDERER(program(Put("x1", ZERO, load()), scalars=scalars))
    zero = next(line for line in text.splitlines() if "ig_zero =" in line)
    vector = int(zero.split("[")[1].split("]")[0])
    assert 16 * vector + 12 >= arguments.block(scalars, 32).size


def test_one_binding_is_one_variable() -> None:
    shared = (Buffer("x0", dt.float32, "r", 0), Buffer("x1", dt.int32, "w", 0))
    text = RENDERER(program(Put("x1", ZERO, load().bitcast(dt.int32)), buffers=shared))
    assert "@group(0) @binding(0) var<storage, read_write> x0: array<u32>;" in text
    assert "  x0[0i] = bitcast<u32>(bitcast<i32>(bitcast<f32>(x0[0i])));" in text
    halves = (Buffer("x0", dt.float16, "r", 0), Buffer("x1", dt.float32, "w", 0))
    with pytest.raises(Unsupported, match="16 and of 32 bits share a buffer"):
        RENDERER(program(Put("x1", ZERO, load("x0", dt.float16).cast(dt.float32)), buffers=halves))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5f"), (0.1, "0.10000000149011612f"), (-0.0, "(-0.0f)"), (1e-5, "9.999999747378752e-06f"),
        (math.inf, "ig_bits(2139095040u)"), (-math.inf, "ig_bits(4286578688u)"), (1e300, "ig_bits(2139095040u)"),
        (math.nan, "ig_bits(2143289344u)"), (1e-45, "ig_bits(1u)"),
    ],
)  # fmt: skip
def test_float_literals_are_exact(value: float, text: str) -> None:
    assert rendered(const(value, dt.float32)) == text


def test_integer_literals() -> None:
    assert rendered(const(-(1 << 31), dt.int32)) == "(-2147483647i - 1i)"
    assert rendered(const(-5, dt.int32)) == "(-5i)"
    assert rendered(const((1 << 32) - 1, dt.uint32)) == "4294967295u"


def test_sums_and_products_are_hidden_from_the_optimiser() -> None:
    x = load()
    assert rendered(x * x + 1.5) == "ig_exact(ig_exact(x0[0i] * x0[0i]) + 1.5f)"
    assert rendered(x - x) == "ig_exact(x0[0i] - ig_exact(x0[0i]))"
    assert rendered(x * 0.0) == "ig_exact(x0[0i] * ig_exact(0.0f))"


def test_an_accumulation_is_not() -> None:
    total = Let("a", const(0.0, dt.float32), mutable=True)
    step = Assign("a", var("a") + load() * load())
    text = RENDERER(program(total, For("i", ZERO, const(9, dt.index), ONE, (step,)), Put("x1", ZERO, var("a"))))
    assert "    a = a + x0[0i] * x0[0i];" in text
    assert "  for (var i: i32 = 0i; i < 9i; i = i + 1i) {" in text


def test_nan_is_told_by_its_bits() -> None:
    x, y = load(), load() * 2.0
    assert rendered(x.eq(x)) == "(!ig_isnan(x0[0i]))"
    assert rendered(x.ne(x)) == "ig_isnan(x0[0i])"
    assert rendered(x.ne(y)) == "ig_not(x0[0i] == ig_exact(x0[0i] * 2.0f))"
    assert rendered(~(x < y)).startswith("ig_not((x0[0i] < ")
    assert rendered(s.maximum(x, y)).startswith("ig_maximum(")
    assert rendered(x.cast(dt.bool_)) == "((bitcast<u32>(x0[0i]) & 0x7FFFFFFFu) != 0u)"


def test_integers_wrap_floor_and_never_trap() -> None:
    a, b = var("a", dt.int32), var("b", dt.int32)
    u, v = var("u", dt.uint32), var("v", dt.uint32)
    assert rendered(a // b) == "ig_idiv_i(a, b)"
    assert rendered(u % v) == "ig_mod_u(u, v)"
    assert rendered(u % 5) == "(u % 5u)"
    assert rendered(u << 3) == "(u << 3u)"
    assert rendered(u << 40) == "u32()"
    assert rendered(a >> 40) == "(a >> 31u)"
    assert rendered(u << v) == "ig_shl_u(u, v)"
    assert rendered(-u) == "(0u - u)"
    assert rendered(s.mulhi(u, v)) == "ig_mulhi_u(u, v)"
    assert rendered(where(a < b, a, b)) == "select(b, a, (a < b))"


def test_bools_have_an_order() -> None:
    a, b = var("a", dt.bool_), var("b", dt.bool_)
    assert rendered((a < b).cast(dt.uint32)) == "u32((!a & b))"
    assert rendered((a >= b).cast(dt.uint32)) == "u32((a | !b))"
    assert rendered((a ^ b).cast(dt.uint32)) == "u32((a != b))"


def test_literals_that_would_overflow_are_computed_at_run_time() -> None:
    top = const((1 << 31) - 1, dt.int32)
    assert rendered(top + top) == "(i32(2147483647i + bitcast<i32>(ig_zero)) + 2147483647i)"


def test_a_failed_check_stores_atomically() -> None:
    status = Buffer("status", dt.int32, "w", 1)
    text = RENDERER(program(If(load() < 0.0, (Put("status", ZERO, const(3, dt.int32)),)), buffers=(X, status)))
    assert "var<storage, read_write> status: array<atomic<i32>>;" in text
    assert "    atomicStore(&status[0i], 3i);" in text


def test_barriers_and_specials() -> None:
    at = Expr.of("special", (), dt.index, ("lid", 0))
    text = RENDERER(program(Put("tile", at, load()), Barrier(), local=(Local("tile", dt.float32, 8),)))
    assert "fn k(@builtin(local_invocation_id) ig_lid: vec3<u32>) {" in text
    assert "  tile[i32(ig_lid.x)] = x0[0i];\n  workgroupBarrier();" in text


@pytest.mark.parametrize("d", [dt.int64, dt.float64, dt.int8], ids=str)
def test_a_type_that_wgsl_has_not(d: Any) -> None:
    with pytest.raises(Unsupported, match=f"WGSL has no {d.name}"):
        rendered(const(1, d))


def test_64_bit_indices_are_refused() -> None:
    with pytest.raises(Unsupported, match="k needs 64-bit indices, which WGSL has not"):
        RENDERER(program(Put("x1", ZERO, load()), bits=64))


def test_functions_bring_what_they_call() -> None:
    assert closure({"ig_maximum"}) == [FUNCTIONS["ig_isnan"], FUNCTIONS["ig_maximum"]]
    assert FUNCTIONS["ig_two_over_pi"] in closure({"ig_sin"})
    assert closure(set()) == []
