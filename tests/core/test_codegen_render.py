"""Golden text of rendered kernels, exact literals, and rounding to the types that are only stored.

`INGOT_GOLDEN=write` writes the golden files anew; read the difference before committing it.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from ingot_devices import dtypes as dt
from ingot_devices.codegen.c_family import CRenderer
from ingot_devices.codegen.legalize import decode, encode, fitted, round_bfloat16, round_float16
from ingot_devices.ir.evaluate import evaluate
from ingot_devices.ir.expr import Expr, const
from ingot_devices.ir.program import Buffer, Program, Put
from ingot_devices.limits import DTypeClass, Limits
from ingot_devices.opset.op import NUMBER, Spec
from ingot_opencl.dialect import DIALECT
from null_device import CPU, GPU, NullDevice, compiled, shaped

GOLDEN = Path(__file__).parent / "golden"
EPS = Spec((), dt.float32, NUMBER)
CASES: dict[str, tuple[Limits, str, list[Any], dict[str, Any]]] = {
    "add_dense": (CPU, "add", [shaped(3, 4), shaped(3, 4)], {}),
    "add_broadcast_bfloat16": (CPU, "add", [shaped(3, 4, dtype=dt.bfloat16), shaped(4, dtype=dt.bfloat16)], {}),
    "mul_number_lanes": (GPU, "mul", [shaped(3, 4), EPS], {}),
    "relu_float16": (CPU, "relu", [shaped(9, dtype=dt.float16)], {}),
    "floor_divide_int32": (CPU, "floor_divide", [shaped(9, dtype=dt.int32), shaped(9, dtype=dt.int32)], {}),
    "softmax_rows": (CPU, "softmax", [shaped(8, 100)], {"axis": -1}),
    "softmax_workgroup": (GPU, "softmax", [shaped(8, 100)], {"axis": -1}),
    "argmax": (CPU, "argmax", [shaped(8, 100)], {"axis": -1}),
    "sum_two_phases": (CPU, "sum", [shaped(1 << 20)], {}),
    "layer_norm": (CPU, "layer_norm", [shaped(8, 100), shaped(100), None, EPS], {"count": 1}),
    "linear": (CPU, "linear", [shaped(64, 20), shaped(32, 20), shaped(32)], {}),
    "linear_tiles": (GPU, "linear", [shaped(64, 20), shaped(32, 20), shaped(32)], {}),
    "convolution": (CPU, "convolution", [shaped(2, 8, 12, 12), shaped(16, 8, 3, 3), None], {"padding": 1}),
    "convolution_pointwise": (CPU, "convolution", [shaped(2, 64, 12, 12), shaped(16, 64, 1, 1), None], {}),
    "max_pool": (GPU, "max_pool_with_indices", [shaped(2, 8, 12, 12)], {"kernel": (3, 3), "stride": (2, 2), "padding": (1, 1)}),
    "column_sum": (CPU, "sum", [shaped(100, 80)], {"axes": (-2,)}),
    "cumsum": (CPU, "cumsum", [shaped(8, 100)], {"axis": -1}),
    "pad": (CPU, "pad", [shaped(8, 100), EPS], {"pads": ((1, 2),)}),
    "scatter_add": (CPU, "scatter_add", [shaped(5, 4), shaped(3, 4, dtype=dt.int64), shaped(3, 4)], {"axis": -2}),
}


@pytest.mark.parametrize("name", CASES)
def test_golden_text(name: str) -> None:
    limits, op, specs, attrs = CASES[name]
    text = "\n".join(k.source for k in compiled(NullDevice(limits), op, specs, **attrs))
    path = GOLDEN / f"{name}.cl"
    if os.environ.get("INGOT_GOLDEN") == "write":
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), f"{name} is rendered differently; INGOT_GOLDEN=write keeps the new text"


def literal(value: Any, dtype: Any) -> str:
    put = Put("x", const(0, dt.index), const(value, dtype))
    program = Program("k", (Buffer("x", dtype, "w", 0),), (), (), (put,), (1, 1, 1))
    line = next(s for s in CRenderer(DIALECT)(program).splitlines() if "x[0]" in s)
    return line.split("= ")[1].rstrip(";")


@pytest.mark.parametrize(
    ("value", "dtype", "text"),
    [
        (0.5, dt.float32, "0.5f"), (0.1, dt.float32, "0x1.99999ap-4f"), (0.1, dt.float64, "0x1.999999999999ap-4"),
        (math.inf, dt.float32, "INFINITY"), (-math.inf, dt.float32, "-INFINITY"), (math.nan, dt.float32, "NAN"),
        (-0.0, dt.float32, "-0.0f"), (1e300, dt.float32, "INFINITY"), (-(1 << 31), dt.int32, "-2147483647 - 1"),
        (-(1 << 63), dt.int64, "-9223372036854775807l - 1"), ((1 << 64) - 1, dt.uint64, "18446744073709551615ul"),
        (True, dt.bool_, "(true) ? 1 : 0"), (3, dt.uint8, "3u"),
    ],
)  # fmt: skip
def test_literals_are_exact(value: Any, dtype: Any, text: str) -> None:
    assert literal(value, dtype) == text


@pytest.mark.parametrize(("rounded", "target"), [(round_float16, np.float16), (round_bfloat16, ml_dtypes.bfloat16)])
def test_rounding_to_a_stored_type(rounded: Any, target: Any) -> None:
    rng = np.random.default_rng(0)
    bits = np.concatenate([rng.integers(0, 1 << 32, 200_000), np.arange(0, 1 << 32, 65537)]).astype(np.uint32)
    exact = np.arange(1 << 16, dtype=np.uint16).view(target).astype(np.float32)
    leaf = Expr.of("var", (), dt.float32, "x")
    with np.errstate(all="ignore"):
        ties = np.arange(1 << 16, dtype=np.uint16)
        ties = (ties.view(target).astype(np.float32) + (ties + np.uint16(1)).view(target).astype(np.float32)) / 2
        x = np.concatenate([bits.view(np.float32), exact, ties])
        found = evaluate(rounded(leaf), {leaf: x})
        expected = x.astype(target).astype(np.float32)
    same = (found.view(np.uint32) == expected.view(np.uint32)) | (np.isnan(found) & np.isnan(expected))
    assert same.all(), x[~same][:5]


@pytest.mark.parametrize("d", [dt.float16, dt.bfloat16], ids=str)
def test_halves_that_are_stored_as_their_bits(d: Any) -> None:
    kept = DTypeClass("stored", dt.uint32, dt.float32)
    bits = np.arange(1 << 16, dtype=np.uint16)
    with np.errstate(all="ignore"):
        exact = bits.view(d.numpy).astype(np.float32)
        ties = (exact + (bits + np.uint16(1)).view(d.numpy).astype(np.float32)) / 2
        x = np.concatenate([np.random.default_rng(0).integers(0, 1 << 32, 200_000).astype(np.uint32).view(np.float32), exact,
                            ties, np.nextafter(ties, np.float32(0)), np.nextafter(ties, np.float32(np.inf))])  # fmt: skip
        raw, value = Expr.of("var", (), dt.uint32, "b"), Expr.of("var", (), dt.float32, "x")
        meant = evaluate(decode(raw, d, kept), {raw: bits.astype(np.uint32)})
        kept_bits = evaluate(encode(value, d, kept), {value: x})
        expected = x.astype(d.numpy)
    np.testing.assert_array_equal(meant, exact)
    nan = np.isnan(expected.astype(np.float32))
    np.testing.assert_array_equal(kept_bits[~nan], expected.view(np.uint16)[~nan].astype(np.uint32))
    assert np.isnan(kept_bits[nan].astype(np.uint16).view(d.numpy).astype(np.float32)).all()


@pytest.mark.parametrize("d", [dt.int8, dt.uint8, dt.int16, dt.uint16], ids=str)
def test_small_integers_in_a_word_wrap(d: Any) -> None:
    wide = dt.uint32 if d.kind == "u" else dt.int32
    x = np.random.default_rng(0).integers(0, 1 << 32, 1000).astype(np.uint32).view(wide.numpy)
    leaf = Expr.of("var", (), wide, "x")
    found = evaluate(fitted(leaf, d, DTypeClass("stored", wide, wide)), {leaf: x})
    np.testing.assert_array_equal(found, x.astype(d.numpy).astype(wide.numpy))
