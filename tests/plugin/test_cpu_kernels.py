"""The CPU's own kernels give what the definitions give, bit for bit."""

from __future__ import annotations

from typing import Any

import ingot
import numpy as np
import pytest
from ingot_cpu.native.kernel import usable
from ingot_devices import dtypes as dt
from ingot_devices import open_device
from ingot_devices.codegen.host import HostCodegen
from ingot_devices.layout import Layout
from ingot_devices.opset import OPS
from ingot_devices.opset.op import number_spec
from ingot_devices.plan import Plan
from ingot_devices.resolve import resolve
from ingot_devices.transfer import read
from ingot_devices.view import View

STATES = [(0, 0, 0, 0), (5, 7, 0xFFFFFFFE, 3), (0xFFFFFFFF,) * 4]


def planned(name: str, keys: tuple[Any, ...], **attributes: Any) -> Plan:
    return resolve(OPS[name], keys, OPS[name].bind(attributes), open_device("cpu"))


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


@pytest.mark.parametrize("dtype", ["bool", "uint64", "int32", "float16", "bfloat16", "float32"])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_sort(dtype: str, descending: bool, dim: int) -> None:
    """Against the ranks that the definition counts."""
    x = np.random.default_rng(3).integers(0, 4, (5, 6, 3)).astype(np.float32)
    if "float" in dtype:
        x[1, 2], x[0, 0, 0] = np.nan, np.inf
    t = ingot.tensor(x).to(getattr(ingot, dtype)).transpose(0, 1)
    device, layout, axis = open_device("cpu"), t._layout, dim % 3 - 3
    assert resolve(OPS["sort"], (layout,), OPS["sort"].bind({"axis": axis}), device).route == "registered"
    values, indices = ingot.sort(t, dim=dim, descending=descending)
    ranks = ingot.ops.common.run(
        "sort_ranks", t, axis=axis, descending=descending, block=t.shape[axis]
    )
    expected = ingot.ops.common.run("arrange", t, ranks, axis=axis)
    for one, other in zip((values, indices), expected, strict=True):
        np.testing.assert_array_equal(one.float().numpy(), other.float().numpy())


def test_zero_dim_and_empty() -> None:
    assert [v.item() for v in ingot.sort(ingot.tensor(3.0))] == [3.0, 0]
    assert ingot.sort(ingot.zeros(0, 3), dim=0)[1].shape == (0, 3)
