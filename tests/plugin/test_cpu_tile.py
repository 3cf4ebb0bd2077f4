"""Small products of matrices that native code computes itself: values, layouts, bits, and what is left to BLAS."""

from __future__ import annotations

from typing import Any

import elsewhere
import ingot
import native_cases
import numpy as np
import pytest
from ingot_cpu.native import recipe, tile
from ingot_cpu.native.codegen import CpuCodegen
from ingot_devices import dtypes as dt
from ingot_devices.ir import scalar as s
from ingot_devices.ir.definition import Define, Operand
from native_cases import Array

CODEGEN = CpuCodegen()
pytestmark = elsewhere.native()


def native(name: str, *values: Any, **attrs: Any) -> list[Array]:
    return native_cases.run(CODEGEN.native, name, *values, **attrs)


def planned(name: str, *values: Any, **attrs: Any) -> tile.Plan | None:
    """How an op on ``values`` is computed by a tile; None where it is not."""
    (definition,), layouts, _ = native_cases.prepared(name, values, attrs)
    return tile.match(recipe.lower(definition, layouts), frozenset())


def normal(*shape: int, dtype: Any = np.float32) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


SHAPES = [(3, 32, 20), (5, 128, 21), (7, 130, 9), (9, 31, 1024), (33, 45, 8)]


@pytest.mark.parametrize(("turned", "dtype"), [
    ("", np.float32), ("x", np.float32), ("y", np.float32), ("xy", np.float32), ("", np.float64), ("y", np.float64),
])  # fmt: skip
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_products_of_every_size_and_layout(shape: tuple[int, int, int], turned: str, dtype: Any) -> None:
    m, n, k = shape
    x = normal(k, m, dtype=dtype).T if "x" in turned else normal(m, k, dtype=dtype)
    y = normal(n, k, dtype=dtype).T if "y" in turned else normal(k, n, dtype=dtype)
    plan = planned("matmul", x, y)
    full = n % (64 // np.dtype(dtype).itemsize) == 0
    assert plan is not None or not full
    if plan is not None:
        assert plan.packed == (y.strides[1] != y.itemsize)
    (got,) = native("matmul", x, y)
    exact = x.astype(np.longdouble) @ y.astype(np.longdouble)
    size = np.abs(x).astype(np.longdouble) @ np.abs(y).astype(np.longdouble)
    assert (np.abs(got - exact) <= k * np.finfo(dtype).eps * size).all()


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int8, np.uint8], ids=lambda d: d.__name__)
@pytest.mark.parametrize("shape", [*SHAPES, (70, 300, 90), (3, 64, 3000)], ids=str)
def test_products_of_integers_have_no_bound_and_wrap(shape: tuple[int, int, int], dtype: Any) -> None:
    m, n, k = shape
    rng, reach = np.random.default_rng(m), np.iinfo(dtype)
    x, y = (rng.integers(reach.min, reach.max, s, dtype) for s in ((m, k), (k, n)))
    assert (planned("matmul", x, y) is not None) == (n >= tile.FILLED * (-(-n // 8) * 8))
    with np.errstate(over="ignore"):
        wanted = x @ y
    np.testing.assert_array_equal(native("matmul", x, y)[0], wanted)
    np.testing.assert_array_equal(native("matmul", np.stack([x, x[::-1]]), y)[0], np.stack([wanted, wanted[::-1]]))
    if 8 * n * k <= tile.PANEL:  # else NumPy's
        np.testing.assert_array_equal(native("matmul", x, np.asfortranarray(y))[0], wanted)


@pytest.mark.parametrize(("rows", "columns", "terms"), [(9, 64, 20), (20, 128, 80), (5, 48, 1000)])
def test_a_row_has_the_same_bits_in_every_product(rows: int, columns: int, terms: int) -> None:
    """A sum is taken in order, whatever stands beside it and however the factors lie."""
    x, y = normal(rows, terms), normal(terms, columns)
    assert planned("matmul", x, y) is not None
    (whole,) = native("matmul", x, y)
    for u, v in ((np.asfortranarray(x), y), (x, np.asfortranarray(y)), (np.asfortranarray(x), np.asfortranarray(y))):
        if planned("matmul", u, v) is None:
            assert v is not y and v.nbytes > tile.PANEL, "too large to be packed: a library has its own order"
        else:
            np.testing.assert_array_equal(native("matmul", u, v)[0], whole)
    for r in (0, rows // 2, rows - 2):
        np.testing.assert_array_equal(native("matmul", x[r : r + 2], y)[0], whole[r : r + 2])
    np.testing.assert_array_equal(native("matmul", x, y[:, :16].copy())[0], whole[:, :16])


def test_special_values_stay_in_their_rows_and_columns() -> None:
    x, y = normal(6, 20), normal(20, 48)
    x[1, 3], x[2, 4], y[5, 7], x[4] = np.nan, np.inf, -np.inf, 1e-42
    with np.errstate(all="ignore"):
        wanted = x.astype(np.float64) @ y.astype(np.float64)
    (got,) = native("matmul", x, y)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
    np.testing.assert_allclose(got, wanted.astype(np.float32), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(0, 20, 16), (5, 0, 16), (5, 20, 0), (5, 20, 1), (1, 20, 16)], ids=str)
def test_empty_and_single_axes(shape: tuple[int, int, int]) -> None:
    """(rows, terms, columns); a sum of no terms is 0."""
    m, k, n = shape
    x, y = normal(m, k), normal(k, n)
    for turned in (y, np.asfortranarray(y)):
        np.testing.assert_allclose(native("matmul", x, turned)[0], x.astype(np.float64) @ y, rtol=1e-5, atol=1e-5)
    three = native("matmul", normal(2, m, k), normal(2, k, n))[0]
    np.testing.assert_allclose(three, normal(2, m, k).astype(np.float64) @ normal(2, k, n), rtol=1e-5, atol=1e-5)


def test_a_batch_of_products() -> None:
    x, y = normal(7, 5, 30), normal(7, 30, 64)
    plan = planned("matmul", x, y)
    assert plan is not None and plan.batch >= 0
    np.testing.assert_allclose(native("matmul", x, y)[0], x.astype(np.float64) @ y, rtol=1e-4, atol=1e-4)


def test_what_follows_is_done_at_once() -> None:
    """A bias and a store of the product itself besides, in one kernel without BLAS."""
    x, w, b = normal(64, 20), normal(128, 20), normal(128)
    operands = [Operand(0, "x", dt.float32, x.shape), Operand(1, "w", dt.float32, w.shape),
                Operand(2, "b", dt.float32, b.shape),
                Operand(3, "out", dt.float32, (64, 128), output=True, input=False),
                Operand(4, "plain", dt.float32, (64, 128), output=True, input=False)]  # fmt: skip
    d = Define("fused", operands)
    i, j = d.axes((64, 128))
    (k,) = d.axes((20,))
    total = d.reduce("sum", operands[0][i, k] * operands[1][j, k], over=[k])
    d.store(0, [i, j], s.tanh(total + operands[2][j]), over=[i, j])
    d.store(1, [i, j], total, over=[i, j])
    out, plain = np.zeros((64, 128), np.float32), np.zeros((64, 128), np.float32)
    layouts = {n: native_cases.layout_of(a) for n, a in enumerate((x, w, b, out, plain))}
    made = CODEGEN.native(d.finish(), layouts)
    assert "BLAS" not in made.source and made.source.count("define void") == 1
    made.call(x, w, b, out, plain)
    np.testing.assert_array_equal(plain, native("matmul", x, w.T)[0])
    np.testing.assert_allclose(out, np.tanh(x.astype(np.float64) @ w.T + b), rtol=1e-5, atol=1e-5)


def test_an_exponential_of_three_vectors() -> None:
    """As many as are no power of two."""
    x, y = normal(9, 20), normal(20, 48)
    operands = [Operand(0, "x", dt.float32, x.shape), Operand(1, "y", dt.float32, y.shape),
                Operand(2, "out", dt.float32, (9, 48), output=True, input=False)]  # fmt: skip
    d = Define("fused", operands)
    i, j = d.axes((9, 48))
    (k,) = d.axes((20,))
    d.store(0, [i, j], s.exp(d.reduce("sum", operands[0][i, k] * operands[1][k, j], over=[k])), over=[i, j])
    out = np.zeros((9, 48), np.float32)
    CODEGEN.native(d.finish(), {n: native_cases.layout_of(a) for n, a in enumerate((x, y, out))}).call(x, y, out)
    np.testing.assert_allclose(out, np.exp(x.astype(np.float64) @ y), rtol=1e-4)


@pytest.mark.parametrize(("x", "y"), [
    (normal(64, 20), normal(20, 20)), (normal(64, 2000), normal(2000, 16)), (normal(128, 128), normal(128, 128)),
    (normal(2, 1000), normal(64, 1000).T),
], ids=["lanes idle", "long sums", "large", "a panel too large for the stack"])  # fmt: skip
def test_what_is_left_to_blas(x: Array, y: Array) -> None:
    assert planned("matmul", x, y) is None
    np.testing.assert_allclose(native("matmul", x, y)[0], x.astype(np.float64) @ y, rtol=1e-3, atol=1e-3)


def test_a_store_into_a_factor_is_left_to_blas() -> None:
    """The whole product is taken before the factor changes."""
    x, y = normal(64, 64), normal(64, 64)
    operands = [Operand(0, "x", dt.float32, x.shape, output=True), Operand(1, "y", dt.float32, y.shape),
                Operand(2, "out", dt.float32, x.shape, output=True, input=False)]  # fmt: skip
    d = Define("updated", operands)
    i, j = d.axes((64, 64))
    (k,) = d.axes((64,))
    total = d.reduce("sum", operands[0][i, k] * operands[1][k, j], over=[k])
    d.store(0, [i, j], operands[0][i, j] - total, over=[i, j])
    d.store(1, [i, j], total, over=[i, j])
    held, out = x.copy(), np.zeros_like(x)
    layouts = {n: native_cases.layout_of(a) for n, a in enumerate((x, y, out))}
    definition = d.finish()
    assert tile.match(recipe.lower(definition, layouts), frozenset()) is None
    CODEGEN.native(definition, layouts).call(held, y, out)
    wanted = x.astype(np.float64) @ y
    np.testing.assert_allclose(out, wanted, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(held, x - wanted, rtol=1e-4, atol=1e-4)


def test_layers_run_on_it() -> None:
    x, w, b = (ingot.tensor(v, device="cpu") for v in (normal(64, 20), normal(128, 20), normal(128)))
    got = ingot.nn.functional.linear(x, w, b).numpy()
    np.testing.assert_array_equal(got, native("linear", x.numpy(), w.numpy(), b.numpy())[0])
