"""What users do wrong, and what they are told: every message names what was given and what is
allowed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from harness.behaviour import ours_only, refused, same

# ---- devices -------------------------------------------------------------------------------------


def test_unknown_device(t: Any) -> None:
    with refused(t, RuntimeError, "nonesuch", "cpu"):
        t.zeros(1, device="nonesuch")


def test_unavailable_device_says_why_and_what_to_do(t: Any) -> None:
    ours_only(t, "the record of discovery")
    import ingot_devices

    away = [r for r in ingot_devices.records() if not r.ready]
    if not away:
        pytest.skip("every known backend is ready here")
    with refused(t, RuntimeError, away[0].reason, away[0].remedy):
        t.zeros(1, device=away[0].name)


def test_index_of_a_device_that_is_not_there(t: Any, device: str) -> None:
    ours_only(t, "PyTorch's CPU takes any index")
    with refused(t, RuntimeError, f"{device.split(':', maxsplit=1)[0]}:99"):
        t.zeros(1, device=f"{device.split(':', maxsplit=1)[0]}:99")


def test_two_devices_are_both_named(t: Any, device: str) -> None:
    ours_only(t, "needs two devices")
    if device.startswith("cpu"):
        pytest.skip("needs a second device")
    with refused(t, RuntimeError, device, "cpu:0", ".to("):
        t.ones(2, device=device) + t.ones(2, device="cpu")
    same(
        t.ones(2, device=device) + t.tensor(1.0), [2, 2]
    )  # zero-dim tensors of the CPU go anywhere


# ---- shapes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["add", "mul", "maximum", "lt", "where"])
def test_shapes_that_do_not_broadcast_are_both_shown(t: Any, device: str, name: str) -> None:
    a, b = t.ones(2, 3, device=device), t.ones(4, device=device)
    with refused(t, RuntimeError, "[2, 3]", "[4]"):
        t.where(a > 0, a, b) if name == "where" else getattr(t, name)(a, b)


def test_matrices_that_do_not_fit(t: Any, device: str) -> None:
    a = t.ones(2, 3, device=device)
    with refused(t, RuntimeError, "2", "3"):
        a @ a
    with refused(t, RuntimeError, "2D", "1D"):
        t.mm(a, t.ones(3, device=device))
    with refused(t, RuntimeError):
        t.dot(t.ones(2, device=device), t.ones(3, device=device))


def test_sizes_that_do_not_multiply(t: Any, device: str) -> None:
    with refused(t, RuntimeError, "6", "[4, 2]"):
        t.ones(6, device=device).reshape(4, 2)
    with refused(t, RuntimeError, "one dimension"):
        t.ones(6, device=device).reshape(-1, -1)
    with refused(t, RuntimeError):
        t.ones(6, device=device).reshape(4, -1)
    with refused(t, RuntimeError, "[3]", "[4]"):
        t.ones(3, device=device).expand(4)


def test_lists_of_tensors(t: Any, device: str) -> None:
    with refused(t, RuntimeError, "[2]", "[3]"):
        t.stack([t.ones(2, device=device), t.ones(3, device=device)])
    with refused(t, RuntimeError, "2", "3"):
        t.cat([t.ones(2, 2, device=device), t.ones(2, 3, device=device)])
    with pytest.raises((RuntimeError, ValueError)):
        t.cat([])
    with refused(t, RuntimeError):
        t.ones(5, device=device).split([2, 2])


def test_axis_out_of_range(t: Any, device: str) -> None:
    x = t.ones(2, 3, device=device)
    for name, axes in (("sum", (2,)), ("softmax", (-3,)), ("transpose", (0, 5)), ("squeeze", (4,))):
        with refused(t, IndexError, "[-2, 1]"):
            getattr(x, name)(*axes)
    with refused(t, RuntimeError):
        x.sum((0, 0))
    with refused(t, RuntimeError):
        x.permute(0, 0)


def test_extreme_of_nothing(t: Any, device: str) -> None:
    with refused(t, RuntimeError, "dim"):
        t.zeros(0, device=device).max()
    with pytest.raises((RuntimeError, IndexError)):
        t.zeros(2, 0, device=device).argmax(1)
    with refused(t, RuntimeError, "5", "3"):
        t.zeros(3, device=device).topk(5)


def test_ragged_data(t: Any) -> None:
    with pytest.raises(ValueError, match="expected sequence"):
        t.tensor([[1, 2], [3]])
    with pytest.raises((TypeError, ValueError)):
        t.tensor(["a"])
    with pytest.raises(TypeError):
        t.tensor(np.array(["a"]))


# ---- dtypes --------------------------------------------------------------------------------------


def test_dtypes_that_an_op_does_not_take(t: Any, device: str) -> None:
    flags, numbers = t.tensor([True, False], device=device), t.tensor([1.0, 2.0], device=device)
    with refused(t, RuntimeError, "bool"):
        t.neg(flags)
    with refused(t, RuntimeError, "bool"):
        flags - flags
    with refused(t, RuntimeError, "float32"):
        numbers & numbers
    with refused(t, RuntimeError, "float32"):
        numbers << 1
    with refused(t, RuntimeError, "int64"):
        t.tensor([1, 2], device=device).mean()


def test_matmul_of_two_dtypes(t: Any, device: str) -> None:
    with refused(t, RuntimeError, "float32", "int64"):
        t.ones(2, 2, device=device) @ t.ones(2, 2, dtype=t.int64, device=device)


def test_indices_must_be_integers(t: Any, device: str) -> None:
    x, numbers = t.ones(3, device=device), t.zeros(1, device=device)
    with refused(t, RuntimeError, "float32"):
        x.gather(0, numbers)
    with refused(t, RuntimeError, "float32"):
        x.index_select(0, numbers)
    with refused(t, RuntimeError, "float32"):
        t.nn.functional.embedding(numbers, t.ones(3, 2, device=device))


def test_negative_integer_powers(t: Any, device: str) -> None:
    with refused(t, RuntimeError, "negative"):
        t.tensor([2], device=device) ** -1


# ---- what is not a tensor ------------------------------------------------------------------------


def test_arguments_that_are_no_tensors(t: Any, device: str) -> None:
    x = t.ones(2, device=device)
    with refused(t, TypeError, "str"):
        x + "a"
    with pytest.raises(TypeError):
        t.exp(1.0)
    with pytest.raises(AttributeError):
        x.nonesuch  # noqa: B018
    with pytest.raises(TypeError):
        t.exp(x, nonesuch=1)
    with pytest.raises(TypeError):
        x.sum(nonesuch=1)


# ---- indices that are data: refused by the device, told at the next synchronisation --------------

BAD_INDEX = {
    "index": lambda t, x, i: x[i],
    "embedding": lambda t, x, i: t.nn.functional.embedding(i, x),
    "gather": lambda t, x, i: x.gather(0, i[:, None]),
    "index_select": lambda t, x, i: x.index_select(0, i),
    "scatter": lambda t, x, i: x.scatter(0, i[:, None], 1.0),
    "take_along_dim": lambda t, x, i: t.take_along_dim(x, i[:, None], 0),
    "write": lambda t, x, i: x.clone().index_put_((i,), t.ones((), device=x.device)),
}


OP = {"take_along_dim": "gather", "write": "index_put"}


@pytest.mark.parametrize("name", BAD_INDEX)
@pytest.mark.parametrize("bad", [3, 1000])
def test_index_out_of_range_in_data(t: Any, device: str, name: str, bad: int) -> None:
    if name == "take_along_dim":
        ours_only(t, "PyTorch reads beyond the end")
    x, index = t.ones(3, 2, device=device), t.tensor([0, bad], device=device)
    error = IndexError if t.__name__ == "ingot" else (IndexError, RuntimeError)
    with pytest.raises(error) as caught:
        BAD_INDEX[name](t, x, index).sum().item()
    if t.__name__ == "ingot":  # which op, and on a device that runs later, launched from where
        assert f"{OP.get(name, name)}: index out of range" in str(caught.value)
        assert "test_errors.py" in str(caught.value) or device.startswith("cpu")
    same(t.ones(2, device=device) * 2, [2, 2])  # the program goes on


def test_a_bad_index_is_told_at_the_next_synchronisation(t: Any, device: str) -> None:
    ours_only(t, "the status word of a device")
    from ingot.devices import open_device

    if open_device(device).host_visible:
        pytest.skip("this device computes before it returns, so it tells at once")
    table, index = t.ones(3, 2, device=device), t.tensor([0, 7], device=device)
    line = sys._getframe().f_lineno + 1
    t.nn.functional.embedding(index, table)
    table + 1  # the launch did not wait, nor does this one
    with pytest.raises(IndexError) as caught:
        t.accelerator.synchronize(device)
    assert f"embedding: index out of range (launched at {__file__}:{line})" in str(caught.value)
    t.accelerator.synchronize(device)  # told once


def test_target_out_of_range(t: Any, device: str) -> None:
    x, target = t.zeros(2, 3, device=device), t.tensor([0, 7], device=device)
    with refused(t, (IndexError, RuntimeError), "cross_entropy: index out of range"):
        t.nn.functional.cross_entropy(x, target).item()
    same(t.ones(2, device=device) * 2, [2, 2])


def test_number_out_of_range_is_told_at_once(t: Any, device: str) -> None:
    x = t.zeros(3, device=device)
    with refused(t, IndexError, "3"):
        x.select(0, 3)
    with refused(t, (IndexError, RuntimeError), "3"):
        x.narrow(0, 2, 2)


def test_integers_of_more_than_64_bits_are_floats_or_refused(t: Any, device: str) -> None:
    ours_only(t, "PyTorch refuses them beside floats, too")
    big, x, n = 2**70, t.tensor([1.5, -2.0], device=device), t.tensor([1, 2], device=device)
    scaled = t.compile(lambda values, by: values * by)
    for got, right in (
        (x + big, [2.0**70] * 2), (x * -big, [-1.5 * 2.0**70, 2.0**71]), (x < big, [True, True]), (x - 2**63, [-(2.0**63)] * 2),
        (n / big, [2.0**-70, 2.0**-69]), (t.full((2,), big, dtype=t.float32, device=device), [2.0**70] * 2),
        (scaled(x, big), [1.5 * 2.0**70, -(2.0**71)]),
    ):  # fmt: skip
        assert got.tolist() == right
    calls: list[Callable[[], Any]]
    calls = [lambda: n + big, lambda: n * -big, lambda: n < big, lambda: n.sub_(big), lambda: scaled(n, big)]
    for call in calls:
        with pytest.raises(OverflowError, match=r"int too (big|large) to convert"):
            call()
    assert n.tolist() == [1, 2]


def test_numbers_that_an_integer_dtype_lacks_are_refused(t: Any, device: str) -> None:
    like = {"dtype": t.int8, "device": device}
    x = t.tensor([100, -3], **like)
    calls: list[Callable[[], Any]] = [
        lambda: t.full((2,), 300, **like),
        lambda: t.full((2,), float("nan"), **like),
        lambda: t.full_like(x, -129),
        lambda: x.new_full((2,), 128),
        lambda: t.tensor([1, 300], **like),
        lambda: t.tensor([1.0, float("inf")], **like),
        lambda: x.clamp(max=300),
        lambda: x.clamp_(min=-300),
        lambda: t.where(x > 0, x, 300),
        lambda: x.masked_fill(x > 0, 300),
        lambda: t.nn.functional.pad(x, (1, 1), value=300),
    ]
    for call in calls:
        with refused(t, RuntimeError, "cannot be converted to type int8", "without overflow"):
            call()
    assert x.tolist() == [100, -3]
    assert x.clamp(max=99.5).tolist() == [99.5, -3.0]
    assert x.clamp(-2, 99).tolist() == [99, -2]
    assert t.full((1,), 2.75, **like).tolist() == [2]
    assert t.full((1,), -1, dtype=t.uint8).tolist() == [255]
