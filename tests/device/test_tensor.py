"""Tensors as PyTorch programs know them: making, reading, printing, operators, promotion, views,
in-place ops."""

from __future__ import annotations

import copy
import operator
from typing import Any

import numpy as np
import pytest
from harness.behaviour import near, needs, refused, same

Maker = Any


@pytest.fixture
def make(t: Any, device: str) -> Maker:
    """``make(values, dtype=…)`` on the device under test."""
    return lambda values, **kwargs: t.tensor(values, device=device, **kwargs)


# ---- making and reading --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([1, 2], "int64"), ([1.0, 2], "float32"), ([True, False], "bool"), ([[1], [2]], "int64"),
     (3, "int64"),
     (2.5, "float32"), (True, "bool"), ([], "float32")],
)  # fmt: skip
def test_dtype_of_python_values(t: Any, make: Maker, values: Any, dtype: str) -> None:
    x = make(values)
    assert x.dtype is getattr(t, dtype)
    assert x.tolist() == values
    assert tuple(x.shape) == np.shape(values)


def test_numpy_arrays_keep_their_dtype(t: Any, make: Maker) -> None:
    for name in ("float32", "int32", "uint8", "int64", "bool"):
        array = np.arange(4).astype(name)
        x = make(array)
        assert x.dtype is getattr(t, name)
        same(x, array)
    x = make(np.zeros(2, np.float32))
    assert x.numel() == 2 and x.ndim == 1 and x.dim() == 1 and len(x) == 2


def test_tensor_copies_and_from_numpy_shares(t: Any) -> None:
    array = np.zeros(3, np.float32)
    copied, shared = t.tensor(array), t.from_numpy(array)
    array[0] = 7
    same(copied, [0, 0, 0])
    same(shared, [7, 0, 0])


def test_item_and_scalars(t: Any, make: Maker) -> None:
    assert make(2.5).item() == 2.5
    assert make([[3]]).item() == 3
    assert isinstance(make(3).item(), int) and isinstance(make(True).item(), bool)
    assert float(make([1.5])) == 1.5 and int(make(7)) == 7
    assert bool(make(0.0)) is False and bool(make([2])) is True
    assert [10, 20, 30][make(1)] == 20
    with refused(t, RuntimeError, "2"):
        make([1, 2]).item()
    with refused(t, RuntimeError, "ambiguous"):
        bool(make([True, False]))


def test_iteration_unpacks_rows(make: Maker) -> None:
    first, second = make([[1, 2], [3, 4]])
    same(first, [1, 2])
    same(second, [3, 4])
    with pytest.raises(TypeError):
        list(make(1.0))


def test_shape_is_a_tuple_with_names(t: Any, make: Maker) -> None:
    x = make([[1, 2, 3], [4, 5, 6]])
    assert x.shape == (2, 3) and x.size() == (2, 3) and x.size(-1) == 3
    assert isinstance(x.shape, tuple) and x[0].shape.numel() == 3
    assert x.stride() == (3, 1) and x.t().stride() == (1, 3) and x.stride(0) == 3
    assert x.T.shape == (3, 2) and x.is_contiguous() and not x.T.is_contiguous()
    assert x.element_size() == 8 and x.storage_offset() == 0 and x[1].storage_offset() == 3


def test_device_says_where(t: Any, device: str, make: Maker) -> None:
    x = make([1.0])
    assert x.device.type == device.split(":", maxsplit=1)[0]
    assert x.device == t.device(device) or x.device.type == "cpu"
    assert x.cpu().device.type == "cpu" and x.to("cpu").to(device).device == x.device
    assert x.to(device) is x and x.to(t.float32) is x
    assert x.to(t.float16).dtype is t.float16 and x.to(make([1])).dtype is t.int64


def test_numpy_needs_a_detached_tensor(t: Any, make: Maker) -> None:
    x = make([1.0], requires_grad=True)
    with refused(t, RuntimeError, "detach()"):
        x.cpu().numpy()
    same(x.detach(), [1.0])


def test_printing(t: Any) -> None:
    assert repr(t.tensor([1, 2])) == "tensor([1, 2])"
    assert repr(t.tensor([[1.0, 2.5]])) == "tensor([[1.0000, 2.5000]])"
    assert "dtype=" in repr(t.tensor([1], dtype=t.int32)) and "int32" in repr(
        t.tensor([1], dtype=t.int32)
    )
    assert "requires_grad=True" in repr(t.tensor([1.0], requires_grad=True))
    assert "grad_fn=" in repr(t.tensor([1.0], requires_grad=True) * 2)
    assert "..." in repr(t.zeros(5000)) and len(repr(t.zeros(5000))) < 200


def test_printing_names_the_device(device: str, make: Maker) -> None:
    if not device.startswith("cpu"):
        assert f"device='{device}'" in repr(make([1.0]))
    assert "nan" in repr(make([float("nan"), 1.0])) and "inf" in repr(make([float("inf")]))


def test_copies(t: Any, make: Maker) -> None:
    x = make([1.0, 2.0], requires_grad=True)
    y = copy.deepcopy(x)
    assert y.is_leaf and y.requires_grad and y is not x
    with t.no_grad():
        y.zero_()
    same(x, [1, 2])
    assert x.clone().grad_fn is not None


# ---- operators and promotion ---------------------------------------------------------------------


ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")


@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic_operators(make: Maker, name: str) -> None:
    f = getattr(operator, name)
    a, b = [7.0, -3.0, 2.0], [2.0, 2.0, 3.0]
    near(f(make(a), make(b)), f(np.array(a), np.array(b)))
    near(f(make(a), 2), f(np.array(a), 2))
    near(f(2, make(b)), f(2, np.array(b)))


@pytest.mark.parametrize("name", ["eq", "ne", "lt", "le", "gt", "ge"])
def test_comparison_operators(make: Maker, name: str) -> None:
    f = getattr(operator, name)
    same(f(make([1, 2, 3]), make([3, 2, 1])), f(np.array([1, 2, 3]), np.array([3, 2, 1])))
    same(f(make([1, 2, 3]), 2), f(np.array([1, 2, 3]), 2))


@pytest.mark.parametrize("name", ["and_", "or_", "xor"])
def test_bit_operators(make: Maker, name: str) -> None:
    f = getattr(operator, name)
    same(f(make([5, 6]), make([3, 3])), f(np.array([5, 6]), np.array([3, 3])))
    same(
        f(make([True, False]), make([True, True])),
        f(np.array([True, False]), np.array([True, True])),
    )
    same(~make([True, False]), [False, True])
    same(make([1, 2]) << 2, [4, 8])
    same(make([8, 4]) >> 1, [4, 2])


def test_unary_operators_and_matmul(make: Maker) -> None:
    x = make([[1.0, -2.0], [3.0, 4.0]])
    same(-x, [[-1, 2], [-3, -4]])
    same(+x, x.tolist())
    same(abs(x), [[1, 2], [3, 4]])
    same(x @ x, [[-5, -10], [15, 10]])


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [("int64", 2, "int64"), ("int64", 2.0, "float32"), ("bool", 2, "int64"),
     ("bool", 2.0, "float32"), ("bool", True, "bool"),
     ("float16", 2.0, "float16"), ("bfloat16", 2, "bfloat16"), ("uint8", 2, "uint8"),
     ("int8", 300.0, "float32"),
     ("float32", True, "float32")],
)  # fmt: skip
def test_python_numbers_do_not_widen(
    t: Any, make: Maker, left: str, right: Any, result: str
) -> None:
    x = make([1, 1], dtype=getattr(t, left))
    assert (x + right).dtype is getattr(t, result)
    assert (right + x).dtype is getattr(t, result)
    assert t.result_type(x, right) is getattr(t, result)


@pytest.mark.parametrize(
    ("left", "zero_dim", "result"),
    [("float32", "float64", "float32"), ("float16", "float32", "float16"),
     ("int32", "int64", "int32"),
     ("int64", "float32", "float32"), ("int32", "float64", "float64"), ("bool", "int32", "int32"),
     ("uint8", "int64", "uint8")],
)  # fmt: skip
def test_zero_dim_tensors_widen_only_by_category(
    t: Any, device: str, make: Maker, left: str, zero_dim: str, result: str
) -> None:
    needs(t, device, zero_dim)
    x, scalar = make([1, 1], dtype=getattr(t, left)), make(1, dtype=getattr(t, zero_dim))
    assert (x * scalar).dtype is getattr(t, result)
    assert (scalar * scalar.to(getattr(t, left))).dtype is t.promote_types(scalar.dtype, x.dtype)


def test_default_dtype_of_results(t: Any, make: Maker) -> None:
    assert (make([1, 2]) / make([2, 2])).dtype is t.float32
    assert make([1, 2]).sum().dtype is t.int64 and make([True]).sum().dtype is t.int64
    assert make([1.0]).argmax().dtype is t.int64 and (make([1]) > 0).dtype is t.bool
    assert t.arange(3, device=make(1).device).dtype is t.int64
    assert t.arange(0.0, 1.0, 0.25, device=make(1).device).dtype is t.float32
    assert t.get_default_dtype() is t.float32


# ---- views, versions and in-place ops ------------------------------------------------------------


def test_views_share_memory_and_version(make: Maker) -> None:
    x = make([[1.0, 2.0], [3.0, 4.0]])
    row = x[0]
    before = x._version
    row.mul_(10)
    same(x, [[10, 20], [3, 4]])
    assert x._version == row._version == before + 1
    assert x.detach()._version == x._version
    assert x.clone()._version == 0


def test_reshape_copies_only_when_it_must(make: Maker) -> None:
    x = make([[1.0, 2.0], [3.0, 4.0]])
    x.reshape(4)[0] = 9
    same(x, [[9, 2], [3, 4]])
    x.t().reshape(4)[0] = 5
    same(x, [[9, 2], [3, 4]])


def test_view_of_incompatible_strides(t: Any, make: Maker) -> None:
    with refused(t, RuntimeError, "reshape", "stride"):
        make([[1.0, 2.0], [3.0, 4.0]]).t().view(4)
    with refused(t, RuntimeError, "[3]", "4"):
        make([1.0, 2.0, 3.0, 4.0]).view(3)


def test_augmented_assignment_is_in_place(make: Maker) -> None:
    x = make([1.0, 2.0])
    alias = x
    x += 1
    x *= make([2.0, 3.0])
    x -= 1
    x /= 2
    assert x is alias
    near(alias, [1.5, 4.0])


def test_inplace_keeps_the_dtype_or_refuses(t: Any, make: Maker) -> None:
    x = make([1, 2])
    x += 1
    same(x, [2, 3])
    with refused(t, RuntimeError, "int64", "float32"):
        x += 1.5
    with refused(t, RuntimeError, "[2]", "[3, 2]"):
        x += make([[1, 1]] * 3)


def test_fills(make: Maker) -> None:
    x = make([[1.0, 2.0], [3.0, 4.0]])
    same(x.clone().zero_(), np.zeros((2, 2)))
    same(x.clone().fill_(7), np.full((2, 2), 7))
    same(x.clone().copy_(make([5, 6])), [[5, 6], [5, 6]])
    same(x.new_zeros(3), [0, 0, 0])
    assert x.new_tensor([1]).device == x.device


def test_overlapping_copy_reads_before_it_writes(make: Maker) -> None:
    x = make([1.0, 2.0, 3.0, 4.0])
    x[1:] = x[:-1].clone()
    same(x, [1, 1, 2, 3])


def test_writes_to_expanded_memory_are_refused(t: Any, make: Maker) -> None:
    with refused(t, RuntimeError, "clone"):
        make([1.0]).expand(3).add_(1)


def test_nan_to_num_takes_the_limits_of_the_dtype(t: Any, make: Maker) -> None:
    x = t.nan_to_num(make([float("nan"), float("inf"), float("-inf")]))
    same(x, np.array([0.0, np.finfo(np.float32).max, np.finfo(np.float32).min], np.float32))


def test_equality_of_tensors(t: Any, make: Maker) -> None:
    assert t.equal(make([1, 2]), make([1, 2])) and not t.equal(make([1, 2]), make([1, 3]))
    assert t.allclose(make([1.0]), make([1.0 + 1e-7])) and not t.allclose(make([1.0]), make([1.1]))
    assert len({make([1]), make([1])}) == 2


@pytest.mark.parametrize("exponent", [2, 3.0, 0.5, -0.5, -1])
def test_powers_that_are_ops_of_their_own(t: Any, device: str, exponent: float) -> None:
    """Whole numbers squared are exact; the slope is that of the power, in place, too."""
    given = np.array([0.25, 1.0, 3.0, 7.0, 100.0])
    x = t.tensor(given.tolist(), device=device, requires_grad=True)
    for made in (x**exponent, t.pow(x, exponent), (x + 0).pow_(exponent)):
        tolerance = 3e-7 if exponent in (-0.5, 0.5, -1) else 0
        np.testing.assert_allclose(made.tolist(), (given**exponent).astype(np.float32), rtol=tolerance)
        (slope,) = t.autograd.grad(made.sum(), x)
        np.testing.assert_allclose(slope.tolist(), exponent * given ** (exponent - 1), rtol=1e-6)
