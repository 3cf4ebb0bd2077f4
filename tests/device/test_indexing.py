"""Reading and writing by index: every form that PyTorch takes, against NumPy, and what is
refused."""

from __future__ import annotations

from typing import Any

import ingot
import numpy as np
import pytest
from harness.behaviour import refused, same
from ingot.dispatch import launch_counts
from ingot_devices.discovery import open_device

SHAPE = (3, 4, 2)
ARRAY = np.arange(24, dtype=np.float32).reshape(SHAPE)

BASIC = {
    "integer": 1, "negative": -1, "slice": slice(1, 3), "step": slice(None, None, 2),
    "past the end": slice(1, 99),
    "nothing": slice(2, 1), "tuple": (1, 2), "column": (slice(None), 1), "ellipsis": (..., 0),
    "all": ...,
    "new axis": None, "new axes": (None, 1, None, slice(None)), "inner ellipsis": (0, ..., 1),
    "empty tuple": (),
}  # fmt: skip

ADVANCED = {
    "list": [2, 0], "array": np.array([[0, 1], [2, 2]]),
    "two arrays": (np.array([0, 2]), np.array([1, 3])),
    "arrays and slice": (np.array([0, 2]), slice(1, 3)),
    "slice and array": (slice(None), np.array([3, 0, 0])),
    "parted arrays": (np.array([0, 1]), slice(None), np.array([1, 0])),
    "broadcast": (np.array([[0], [1]]), np.array([1, 2])),
    "number and array": (1, np.array([0, 3])),
    "negative": np.array([-1, -3]),
    "mask of all": ARRAY % 3 == 0, "mask of rows": np.array([True, False, True]),
    "mask of the last two axes": (slice(None), ARRAY[0] > 3),
    "mask and array": (np.array([True, False, True]), np.array([1, 0])),
    "empty": np.array([], np.int64), "new axis and array": (None, np.array([1, 1])),
    "ellipsis and array": (..., np.array([1, 0])),
}  # fmt: skip
EVERY = {
    **{f"basic {k}": v for k, v in BASIC.items()},
    **{f"advanced {k}": v for k, v in ADVANCED.items()},
}


def key_of(t: Any, key: Any, device: str) -> Any:
    """``key`` with tensors on the device for arrays."""
    if isinstance(key, tuple):
        return tuple(key_of(t, k, device) for k in key)
    return t.tensor(key, device=device) if isinstance(key, np.ndarray) else key


@pytest.mark.parametrize("name", EVERY)
def test_get(t: Any, device: str, name: str) -> None:
    key = EVERY[name]
    same(t.tensor(ARRAY, device=device)[key_of(t, key, device)], ARRAY[key])


ALIKE = (  # pairs of keys that are equal, or nearly, and mean different things
    (1, True), (0, False), (1, (1,)), (1, [1]), (1, slice(1, None)), (slice(1, None), slice(None, 1)), (slice(1, 2), (1, 2)),
    (slice(1, 3), slice(1, 3, 2)), ((slice(1, 3), None), (None, slice(1, 3))), ((0, 1), (0, slice(1, 2))),
)  # fmt: skip


@pytest.mark.parametrize("keys", ALIKE, ids=str)
@pytest.mark.parametrize("grad", [True, False])
def test_keys_that_look_alike_stay_apart(t: Any, device: str, keys: tuple[Any, Any], grad: bool) -> None:
    """Each is asked for twice, in both orders: layouts of parts are kept."""
    x = t.tensor(ARRAY, device=device)
    with t.set_grad_enabled(grad):
        for key in (*keys, *reversed(keys)):
            same(x[key], ARRAY[key])


def test_views_by_numbers_that_are_no_ints(t: Any, device: str) -> None:
    """What was kept for ints does not answer for what equals them."""
    x = t.tensor(ARRAY, device=device)
    assert x.reshape(4, 6).shape == (4, 6)
    with refused(t, TypeError):
        x.reshape(4.0, 6)
    with refused(t, IndexError):
        x[1.0]
    with refused(t, TypeError, "slice"):
        x[1.0:]
    with refused(t, TypeError, "fill_"):
        x.fill_("a")


@pytest.mark.parametrize("name", EVERY)
def test_set(t: Any, device: str, name: str) -> None:
    key = EVERY[name]
    for value in (7.0, np.arange(ARRAY[key].size, dtype=np.float32).reshape(ARRAY[key].shape) - 50):
        x, expected = t.tensor(ARRAY, device=device), ARRAY.copy()
        x[key_of(t, key, device)] = key_of(t, value, device)
        expected[key] = value
        same(x, expected)


@pytest.mark.parametrize(
    "name", ["basic column", "advanced slice and array", "advanced two arrays", "basic step"]
)
def test_set_broadcasts_and_augments(t: Any, device: str, name: str) -> None:
    key = EVERY[name]
    x, expected = t.tensor(ARRAY, device=device), ARRAY.copy()
    x[key_of(t, key, device)] += t.tensor([10.0, 20.0], device=device)
    expected[key] += np.array([10.0, 20.0], np.float32)
    same(x, expected)


def test_a_number_beside_an_array_selects_first(t: Any, device: str) -> None:
    """As in PyTorch, and unlike NumPy, for which the number is an array too."""
    x = t.tensor(ARRAY, device=device)
    same(x[1, :, t.tensor([0, 1, 1], device=device)], ARRAY[1][:, [0, 1, 1]])


def test_basic_keys_are_views_and_advanced_ones_are_copies(t: Any, device: str) -> None:
    x = t.zeros(3, 4, device=device)
    x[1][:, None][0] = 5
    x[t.tensor([0], device=device)][0] = 9
    same(x, [[0] * 4, [5, 0, 0, 0], [0] * 4])


def test_gradient_reaches_what_was_read(t: Any, device: str) -> None:
    x = t.zeros(3, 4, device=device, requires_grad=True)
    (x[1, ::2].sum() + 3 * x[t.tensor([0, 0, 2], device=device), 1].sum()).backward()
    same(x.grad, [[0, 6, 0, 0], [1, 0, 1, 0], [0, 3, 0, 0]])


def test_gradient_of_a_write(t: Any, device: str) -> None:
    x = t.ones(2, 3, device=device, requires_grad=True)
    value = t.full((3,), 2.0, device=device, requires_grad=True)
    y = x * 1
    y[0] = value * value
    (y * t.tensor([[1.0, 2.0, 3.0]] * 2, device=device)).sum().backward()
    same(x.grad, [[0, 0, 0], [1, 2, 3]])
    same(value.grad, [4, 8, 12])


def test_last_write_wins(t: Any, device: str) -> None:
    x = t.zeros(3, device=device)
    x[t.tensor([1, 1, 1], device=device)] = t.tensor([1.0, 2.0, 3.0], device=device)
    assert x.tolist() == [0.0, 3.0, 0.0]


def test_index_put_accumulates(t: Any, device: str) -> None:
    x = t.zeros(3, device=device)
    where = (t.tensor([1, 1, 2], device=device),)
    x.index_put_(where, t.tensor([1.0, 2.0, 5.0], device=device), accumulate=True)
    same(x, [0, 3, 5])


POSITIONS: dict[str, Any] = {
    "rows": np.array([2, 0]), "rows twice": np.array([1, 1]), "columns": (slice(None), np.array([3, 1])),
    "elements": (np.array([0, 2]), np.array([1, 3])), "parted": (np.array([0, 1]), slice(None), np.array([1, 0])),
    "mask": ARRAY % 3 == 0, "mask of rows": np.array([True, False, True]),
}  # fmt: skip


@pytest.mark.parametrize("name", POSITIONS)
@pytest.mark.parametrize("dtype", ["float32", "int64", "int8", "bool", "float16"])
@pytest.mark.parametrize("value", [2.7, -3, True])
def test_set_a_number_at_positions(t: Any, device: str, name: str, dtype: str, value: Any) -> None:
    x, wanted = t.tensor(ARRAY > 4, device=device).to(getattr(t, dtype)), (ARRAY > 4).astype(dtype)
    x[key_of(t, POSITIONS[name], device)] = value
    wanted[POSITIONS[name]] = value
    same(x, wanted)


PARTS: dict[str, Any] = {
    "dense": ((2, *SHAPE), 1), "in steps": ((3, 4, 4), (..., slice(None, None, 2))), "column": ((*SHAPE, 2), (..., 1)),
    "turned": ((2, 4, 3), None),
}  # fmt: skip


@pytest.mark.parametrize("name", POSITIONS)
@pytest.mark.parametrize("part", PARTS)
def test_set_in_a_part(t: Any, device: str, name: str, part: str) -> None:
    """What lies around it stays."""
    shape, key = PARTS[part]
    wanted = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    x = t.tensor(wanted, device=device)
    there, target = (x.permute(2, 1, 0), wanted.transpose(2, 1, 0)) if key is None else (x[key], wanted[key])
    values = np.arange(target[POSITIONS[name]].size, dtype=np.float32).reshape(target[POSITIONS[name]].shape) - 50
    for value in (7.0, values):
        there[key_of(t, POSITIONS[name], device)] = key_of(t, value, device)
        target[POSITIONS[name]] = value
        same(x, wanted)


def test_set_from_itself(t: Any, device: str) -> None:
    """Every value is read before one is written."""
    x, wanted = t.tensor(ARRAY, device=device), ARRAY.copy()
    x[t.tensor([0, 1, 2], device=device)] = x.flip(0)
    x[t.tensor([0, 1], device=device)] = x[t.tensor([1, 2], device=device)]
    wanted[[0, 1, 2]] = wanted[::-1].copy()
    wanted[[0, 1]] = wanted[[1, 2]]
    same(x, wanted)
    x[t.tensor([0, 2], device=device)] = x[0, 0].clone()
    wanted[[0, 2]] = wanted[0, 0].copy()
    same(x, wanted)


@pytest.mark.parametrize("name", POSITIONS)
@pytest.mark.parametrize("number", [True, False])
def test_gradient_of_a_write_at_positions(t: Any, device: str, name: str, number: bool) -> None:
    x = t.ones(*SHAPE, device=device, requires_grad=True)
    value: Any = 2.0 if number else t.tensor(2.0, device=device, requires_grad=True)
    y = x * 3
    y[key_of(t, POSITIONS[name], device)] = value
    weights = t.tensor(ARRAY, device=device)
    (y * y * weights).sum().backward()
    kept = np.ones(SHAPE, np.float32)
    kept[POSITIONS[name]] = 0
    same(x.grad, 18 * ARRAY * kept)
    if not number and name != "rows twice":  # what is written twice is counted twice, as in PyTorch
        same(value.grad, 4 * (ARRAY * (1 - kept)).sum())


@pytest.mark.parametrize("write", [lambda y: y.fill_(3), lambda y: y.zero_(), lambda y: y.__setitem__(..., 2.0),
                                   lambda y: y[:].fill_(2.0), lambda y: y.masked_fill_(y == y, 1.0)])  # fmt: skip
def test_what_is_overwritten_whole_keeps_its_history(t: Any, device: str, write: Any) -> None:
    """With zeros for gradients, so that a backward pass over it needs no question."""
    x = t.ones(3, device=device, requires_grad=True)
    y = x * 2
    write(y)
    assert y.requires_grad
    (y * y + x).sum().backward()
    same(x.grad, [1, 1, 1])


def test_written_values_are_not_what_was_saved(t: Any, device: str) -> None:
    writes: list[Any] = [
        lambda y, i: y.__setitem__(i, 3.0), lambda y, i: y.masked_fill_(y > 0, 1.0), lambda y, i: y.scatter_(0, i, 2.0),
    ]  # fmt: skip
    for write in writes:
        y = t.ones(4, device=device, requires_grad=True) * 1
        squared = y * y
        write(y, t.tensor([1], device=device))
        with refused(t, RuntimeError, "modified by an inplace operation"):
            squared.sum().backward()


def test_only_what_is_written_is_touched(device: str) -> None:
    """One launch, and no memory of the size of the tensor."""
    one: Any = open_device(device)
    x = ingot.zeros(1 << 16, device=device)
    i, v, mask = ingot.tensor([5, 1, 7], device=device), ingot.tensor([1.0, 2.0, 3.0], device=device), x > 4
    writes: dict[str, Any] = {
        "number": lambda: x.__setitem__(i, 3.0), "values": lambda: x.__setitem__(i, v), "scatter": lambda: x.scatter_(0, i, v),
        "scatter_add": lambda: x.scatter_add_(0, i, v), "index_add": lambda: x.index_add_(0, i, v),
        "accumulate": lambda: x.index_put_((i,), v, accumulate=True), "mask": lambda: x.masked_fill_(mask, 1.0),
    }  # fmt: skip
    for name, write in writes.items():
        write()
        before, used = sum(launch_counts(one.name).values()), one.pool.stats().used
        one.pool.reset_peak()
        write()
        launches = sum(launch_counts(one.name).values()) - before
        peak = one.pool.stats().peak - used
        assert launches == 1, name
        assert peak < x.nbytes // 16, (name, peak)


@pytest.mark.parametrize("write", [lambda x, i: x.__setitem__(i, 300), lambda x, i: x.masked_fill_(x == 0, 300),
                                   lambda x, i: x.fill_(300), lambda x, i: x.__setitem__(i, float("nan"))])  # fmt: skip
def test_a_number_that_the_dtype_does_not_have(t: Any, device: str, write: Any) -> None:
    x = t.zeros(3, dtype=t.int8, device=device)
    with refused(t, RuntimeError, "int8", "overflow"):
        write(x, t.tensor([1], device=device))
    same(x, [0, 0, 0])


# ---- refusals ------------------------------------------------------------------------------------


def test_number_out_of_range(t: Any, device: str) -> None:
    x = t.zeros(3, 4, device=device)
    for key in (3, -4, (0, 4), (slice(None), -5)):
        with refused(t, IndexError, "out of"):
            x[key]


def test_too_many_indices(t: Any, device: str) -> None:
    with refused(t, IndexError, "too many"):
        t.zeros(3, device=device)[0, 0]


def test_mask_of_another_shape(t: Any, device: str) -> None:
    with refused(t, IndexError, "mask", "[2]", "[3]"):
        t.zeros(3, device=device)[t.tensor([True, False], device=device)]


def test_float_index(t: Any, device: str) -> None:
    with refused(t, IndexError, "float32"):
        t.zeros(3, device=device)[t.tensor([1.0], device=device)]
    with pytest.raises((TypeError, IndexError)):
        t.zeros(3, device=device)[1.5]


def test_arrays_that_do_not_broadcast(t: Any, device: str) -> None:
    rows, columns = t.tensor([0, 1], device=device), t.tensor([0, 1, 2], device=device)
    with refused(t, IndexError, "broadcast", "[2]", "[3]"):
        t.zeros(3, 4, device=device)[rows, columns]


def test_value_that_does_not_fit(t: Any, device: str) -> None:
    x = t.zeros(3, 4, device=device)
    with refused(t, RuntimeError, "[3]", "[4]"):
        x[0] = t.zeros(3, device=device)


@pytest.mark.parametrize("key", [1, slice(1, 3), (slice(None), 2), (..., None), (slice(None), slice(None, None, 2), 1), ()])
@pytest.mark.parametrize("value", [2.7, 3, True])
@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "float16"])
def test_set_a_number(t: Any, device: str, key: Any, value: Any, dtype: str) -> None:
    """Dense parts and others, into every kind of number; the rest keeps its values."""
    x, wanted = t.tensor(ARRAY > 4, device=device).to(getattr(t, dtype)), (ARRAY > 4).astype(dtype)
    for _ in range(2):
        x[key] = value
    wanted[key] = value
    same(x, wanted)


def test_a_part_without_elements_does_not_lie_behind_the_end(t: Any, device: str) -> None:
    """A strict device looks where an operand begins, though it reads nothing of it."""
    x, y = t.ones(3, 0, 24, device=device), t.ones(2, 24, device=device)
    for part in (x[2], x[1:][1], x[-1]):
        same(t.cat([part, y]), np.ones((2, 24), np.float32))
