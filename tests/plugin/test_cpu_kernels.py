"""The CPU's own kernels give what the definitions give: bit for bit, or in another order of the sums."""

from __future__ import annotations

import os
import sys
import sysconfig
from importlib.util import find_spec
from typing import Any

import ingot
import numpy as np
import pytest
from ingot_cpu import sorting
from ingot_cpu.native.codegen import CpuCodegen
from ingot_cpu.native.kernel import usable
from ingot_devices import dtypes as dt
from ingot_devices import open_device
from ingot_devices.codegen.host import HostCodegen
from ingot_devices.layout import Layout
from ingot_devices.opset import OPS
from ingot_devices.opset.op import Spec, number_spec
from ingot_devices.plan import Plan
from ingot_devices.resolve import resolve
from ingot_devices.transfer import read
from ingot_devices.view import View

STATES = [(0, 0, 0, 0), (5, 7, 0xFFFFFFFE, 3), (0xFFFFFFFF,) * 4]


def planned(name: str, keys: tuple[Any, ...], **attributes: Any) -> Plan:
    return resolve(OPS[name], keys, OPS[name].bind(attributes), open_device("cpu"))


def test_native_kernels_are_there_where_they_can_be() -> None:
    """The tests of native kernels are skipped without them: here is where their loss is noticed."""
    if not find_spec("llvmlite") or os.environ.get("INGOT_CPU_LLVM") == "0":
        assert not usable()
    elif sys.maxsize > 1 << 32 and not sysconfig.get_config_var("Py_GIL_DISABLED"):
        assert usable(), CpuCodegen().available()


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("shape", [(), (1,), (3, 7), (4099, 5), (0, 2)])
@pytest.mark.parametrize("name", ["random_bits", "uniform"])
def test_random_words(name: str, shape: Any, state: Any) -> None:
    op, more = OPS[name], () if name == "random_bits" else (None, None)
    plan = planned(name, (*(int,) * 4, *(None for _ in more)), shape=shape)
    assert plan.route == ("generated" if usable() else "registered")
    made = read(plan.run((*state, *more), View)[0])
    specs = [*(number_spec(int) for _ in state), *more]
    attrs = op.bind({"shape": shape})
    (definition,) = op.definitions(specs, attrs, op.infer(specs, attrs))
    out = np.empty(shape, made.dtype)
    number = len(specs)
    layout = Layout.dense(shape, dt.from_numpy(out.dtype), None)
    HostCodegen().compile(definition, {number: layout}, None).call(*state, *more, out)
    np.testing.assert_array_equal(made, out)


def test_what_uniform_leaves_to_the_definition() -> None:
    assert planned("uniform", (*(int,) * 4, float, float), shape=(3,)).route == "generated"
    assert planned("uniform", (*(int,) * 4, None, None), shape=(3,), dtype=dt.float64).route == "generated"


SORTED = ["bool", "uint8", "int8", "uint64", "int64", "int32", "float16", "bfloat16", "float32", "float64"]


FACTORS = {"numbers": 1, "keys": 1, "radix": 1, "keys of 32 bits": 1 << 20, "radix of 32 bits": 1 << 20, "wider": 1 << 40}
HOW = [(d, keys) for d in SORTED for keys, n in FACTORS.items() if n == 1 or "int64" in d or (n < 1 << 32 and d == "int32")]


def unsorted(dtype: str, factor: int) -> Any:
    """Ties, both zeros, infinities and NaN of both signs."""
    x = np.random.default_rng(3).integers(-3 if dtype[0] in "if" else 0, 4, (5, 6, 3)).astype(np.float64)
    if "float" in dtype:
        x[1, 2], x[0, 0, 0], x[3, 1, 1], x[4, 4], x[2, 3, 0] = np.nan, np.inf, -np.inf, -0.0, -np.nan
    made = ingot.tensor(x).to(getattr(ingot, dtype))
    return made * factor if factor > 1 else made



@pytest.mark.parametrize(("dtype", "keys"), HOW)
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_sort(monkeypatch: pytest.MonkeyPatch, dtype: str, descending: bool, dim: int, keys: str) -> None:
    """Against the ranks that the definition counts; the first k by themselves, of rows short and long."""
    monkeypatch.setattr(sorting, "SMALL", 1 << 30 if keys == "numbers" else 0)
    monkeypatch.setattr(sorting, "RADIX", 0 if "radix" in keys else 1 << 30)
    t = unsorted(dtype, FACTORS[keys]).transpose(0, 1)
    device, layout, axis = open_device("cpu"), t._layout, dim % 3 - 3
    for name in ("sort", "topk"):
        assert resolve(OPS[name], (layout,), OPS[name].bind({"axis": axis}), device).route == "registered"
    made = ingot.sort(t, dim=dim, descending=descending)
    ranks = ingot.ops.common.run("sort_ranks", t, axis=axis, descending=descending, block=t.shape[axis])
    expected = ingot.ops.common.run("arrange", t, ranks, axis=axis)
    for one, other in zip(made, expected, strict=True):
        np.testing.assert_array_equal(one.double().numpy(), other.double().numpy())
    for length in (1, 1 << 30):
        monkeypatch.setattr(sorting, "LONG", length)
        for k in (0, 1, t.shape[dim] // 2, t.shape[dim]):
            for one, other in zip(ingot.topk(t, k, dim=dim, largest=descending), expected, strict=True):
                np.testing.assert_array_equal(one.double().numpy(), other.double().narrow(dim, 0, k).numpy())


@pytest.mark.parametrize("n", [sorting.SMALL + 1, 70001])
def test_sort_many(n: int) -> None:
    """At the sizes from which keys are packed and rows are long, against NumPy."""
    x = np.random.default_rng(n).integers(0, n // 3, n).astype(np.float32)
    np.testing.assert_array_equal(ingot.argsort(ingot.tensor(x)).numpy(), np.argsort(x, kind="stable"))
    values, indices = ingot.topk(ingot.tensor(x), 100)
    np.testing.assert_array_equal(indices.numpy(), np.argsort(-x, kind="stable")[:100])
    np.testing.assert_array_equal(values.numpy(), x[indices.numpy()])


@pytest.mark.parametrize("bits", [1, 11, 16, 23, 32])
def test_rows_of_every_width(bits: int) -> None:
    """Rows in threads, whose numbers differ in all digits, in some, or in none."""
    rng = np.random.default_rng(bits)
    x = rng.integers(0, 1 << bits, (9, 2 * sorting.RADIX))
    x[3], x[4, 1:], x[5] = x[3] & ~0x7FF, x[4, 0], x[5] & 0x7FF
    for given, axis in ((x, 1), (x.T.copy(), 0)):
        made = ingot.argsort(ingot.tensor(given), dim=axis, stable=True).numpy()
        np.testing.assert_array_equal(made, np.argsort(given, axis, kind="stable"))


def test_zero_dim_and_empty() -> None:
    assert [v.item() for v in ingot.sort(ingot.tensor(3.0))] == [3.0, 0]
    assert ingot.sort(ingot.zeros(0, 3), dim=0)[1].shape == (0, 3)


# ---- windows ---------------------------------------------------------------------------------------------------------
def beside_the_definition(name: str, arrays: list[Any], **attributes: Any) -> tuple[list[Any], list[Any]]:
    """What the registered kernel gives, and what the definitions give by the host's code."""
    op = OPS[name]
    device = open_device("cpu")
    keys: tuple[Any, ...] = tuple(Layout.dense(a.shape, dt.from_numpy(a.dtype), device) for a in arrays)
    keys = (*keys, *(None,) * (len(op.operands) - len(keys)))
    attrs = op.bind(attributes)
    plan = resolve(op, keys, attrs, device)
    assert plan.route == "registered"
    given = [ingot.from_numpy(a) for a in arrays]
    made = [read(v) for v in plan.run((*given, *(None,) * (len(keys) - len(given))), View)]
    specs = [None if k is None else Spec.of(k.shape, k.dtype) for k in keys]
    outputs = op.infer(specs, attrs)
    wanted = [np.empty(s.shape, s.dtype.numpy) for s in outputs]
    layouts = {n: k for n, k in enumerate(keys) if k is not None}
    layouts |= {len(keys) + n: Layout.dense(s.shape, s.dtype, device) for n, s in enumerate(outputs)}
    for definition in op.definitions(specs, attrs, outputs):
        HostCodegen().compile(definition, layouts, None).call(*arrays, *(None,) * (len(keys) - len(arrays)), *wanted)
    return made, wanted


def drawn(*shape: int, dtype: Any = np.float32) -> Any:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(dtype)


SHAPES = [
    ((2, 4, 7, 6), (6, 2, 3, 2), {"stride": (2, 1), "padding": ((1, 0), (0, 2)), "dilation": (1, 2), "groups": 2}),
    ((2, 3, 5, 4), (4, 3, 1, 1), {"stride": (1, 1), "padding": 0, "dilation": 1, "groups": 1}),
    ((3, 4, 9), (4, 1, 3), {"stride": (2,), "padding": 1, "dilation": 2, "groups": 4}),
    ((3, 2, 30, 31), (4, 2, 3, 3), {"stride": 1, "padding": 1, "dilation": 1, "groups": 1}),
    ((5, 2, 20, 16), (4, 2, 3, 3), {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}),
    ((1, 2, 4, 3, 5), (3, 2, 2, 2, 2), {"stride": 1, "padding": 1, "dilation": 1, "groups": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("x", "weight", "how"), SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_convolutions(x: Any, weight: Any, how: Any, dtype: str) -> None:
    a, w = drawn(*x, dtype=dtype), drawn(*weight, dtype=dtype)
    made, wanted = beside_the_definition("convolution", [a, w, drawn(weight[0], dtype=dtype)], **how)
    close = {"float32": 2e-5, "float64": 1e-12, "float16": 2e-2}[dtype]
    np.testing.assert_allclose(made[0], wanted[0], rtol=close, atol=close)
    grad = drawn(*wanted[0].shape, dtype=dtype)
    for name, other, shape in (("convolution_input", w, x), ("convolution_weight", a, weight)):
        made, wanted = beside_the_definition(name, [grad, other], shape=shape, **how)
        np.testing.assert_allclose(made[0], wanted[0], rtol=close, atol=40 * close)


POOLS = [
    ((2, 3, 9, 8), {"kernel": (3, 2), "stride": (2, 3), "padding": (1, 1), "ceil_mode": True}),
    ((2, 7), {"kernel": 3, "stride": 1, "padding": 1, "ceil_mode": False}),
    ((1, 2, 5, 6, 4), {"kernel": (2, 2, 2), "stride": (2, 1, 2), "padding": 0, "ceil_mode": False}),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "how"), POOLS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "float16"])
def test_max_pool_to_the_bit(shape: Any, how: Any, dtype: str) -> None:
    x = np.round(drawn(*shape) * 3).astype(dtype)  # many are equal
    if x.dtype.kind == "f":
        x.flat[3::7] = np.nan
        x.flat[5::11] = -np.inf
    for dilation in (1, 2):
        if dilation == 1 or shape[-1] > 6:
            made, wanted = beside_the_definition("max_pool_with_indices", [x], dilation=dilation, **how)
            np.testing.assert_array_equal(made[0], wanted[0])
            np.testing.assert_array_equal(made[1], wanted[1])
            alone, _ = beside_the_definition("max_pool", [x], dilation=dilation, **how)
            np.testing.assert_array_equal(alone[0], wanted[0])
    if x.dtype.kind == "f":
        made, wanted = beside_the_definition("max_pool_with_indices", [drawn(*shape, dtype=dtype)], **how)
        grad = drawn(*made[0].shape, dtype=dtype)
        back, expected = beside_the_definition("max_pool_backward", [grad, made[1]], shape=shape, **how)
        np.testing.assert_allclose(back[0], expected[0], rtol=1e-2 if dtype == "float16" else 1e-6, atol=1e-6)


@pytest.mark.parametrize(("shape", "how"), POOLS)
@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("divisor", [None, 3])
def test_avg_pool(shape: Any, how: Any, counted: bool, divisor: int | None) -> None:
    more = {"count_include_pad": counted, "divisor": divisor, **how}
    made, wanted = beside_the_definition("avg_pool", [drawn(*shape)], **more)
    np.testing.assert_allclose(made[0], wanted[0], rtol=1e-5, atol=1e-6)
    made, wanted = beside_the_definition("avg_pool_backward", [drawn(*made[0].shape)], shape=shape, **more)
    np.testing.assert_allclose(made[0], wanted[0], rtol=1e-5, atol=1e-6)


def test_max_pool_of_bfloat16_is_left_to_the_definition() -> None:
    layout = Layout.dense((1, 4), dt.bfloat16, open_device("cpu"))
    assert planned("max_pool_with_indices", (layout,), kernel=(2,), stride=(2,)).route == "generated"
