"""The table itself: the screen is true, every op has a meaning, and a gradient or a place in the list."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ingot_devices import dtypes as dt
from ingot_devices import opset
from ingot_devices.opset import NO_GRADIENT, OPS, Op, Spec, add_op
from opset_tape import Tape, Value

HOUSE = {name: op for name, op in OPS.items() if op.group != "custom"}  # somebody may have declared others by now


def screen() -> dict[str, set[str]]:
    """Group → names, as the package's docstring lists them."""
    groups: dict[str, set[str]] = {}
    table = (opset.__doc__ or "").split("\n\n")[1]
    for line in table.splitlines():
        head = re.match(r"(\w+)  +", line)
        if head:
            group = head[1]
        groups.setdefault(group, set()).update(re.findall(r"\w+", line[len(head[0]) if head else 0 :]))
    return groups


def test_the_screen_lists_every_op_in_its_group() -> None:
    shown = screen()
    held: dict[str, set[str]] = {}
    for op in HOUSE.values():
        held.setdefault(op.group, set()).add(op.name)
    assert shown == held


@pytest.mark.parametrize("op", HOUSE.values(), ids=HOUSE)
def test_an_op_means_one_thing(op: Op) -> None:
    meanings = [op.expression, op.define, op.view]
    assert sum(m is not None for m in meanings) == 1 or (op.decompose is not None and not any(meanings))


@pytest.mark.parametrize("op", HOUSE.values(), ids=HOUSE)
def test_an_op_has_a_gradient_or_is_listed(op: Op) -> None:
    if op.name in NO_GRADIENT:
        assert not op.gradient
    else:
        assert op.gradient or op.decompose or not set(op.outputs) & set(op.differentiable)


def test_the_list_names_ops_that_exist() -> None:
    assert OPS.keys() >= NO_GRADIENT


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="in the opset already"):
        add_op(Op("sum", "reduce", ("x",), lambda x: (x,)))


def test_a_rule_that_asks_for_what_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"asks for \['y'\]"):
        add_op(Op("never", "reduce", ("x",), lambda x: (x,), gradient={"x": lambda b, g, y: g}))


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda b: b.full(0.1, shape=(2, 3), dtype=dt.float64), np.full((2, 3), 0.1)),
        (lambda b: b.full(2, shape=(), dtype=dt.bool_), np.array(True)),
        (lambda b: b.full(-1, shape=(0,), dtype=dt.int8), np.zeros(0, np.int8)),
        (lambda b: b.arange(2, 3, n=4, dtype=dt.int64), np.array([2, 5, 8, 11])),
        (lambda b: b.arange(0.5, 0.25, n=3, dtype=dt.float32), np.array([0.5, 0.75, 1], np.float32)),
        (lambda b: b.arange(7, 1, n=1, dtype=dt.float64), np.array([7.0])),
        (lambda b: b.linspace(0, 1, n=5, dtype=dt.float64), np.linspace(0, 1, 5)),
        (lambda b: b.linspace(-1.0, 0.3, n=4, dtype=dt.float64), np.linspace(-1, 0.3, 4)),
        (lambda b: b.linspace(3.0, 9.0, n=1, dtype=dt.float32), np.array([3], np.float32)),
        (lambda b: b.eye(n=2, m=3, dtype=dt.float32), np.eye(2, 3, dtype=np.float32)),
        (lambda b: b.eye(n=1, m=1, dtype=dt.bool_), np.eye(1, dtype=bool)),
    ],
)
def test_creation(made: Callable[[Tape], Value], expected: Any) -> None:
    array = made(Tape()).array
    np.testing.assert_allclose(array, expected, rtol=1e-15)
    assert array.dtype == expected.dtype


def test_zero_dim_results_rank_below_tensors() -> None:
    (spec,) = OPS["sum"].infer([Spec.of((3,), dt.float32)], OPS["sum"].bind({"axes": (-1,)}))
    assert spec == Spec((), dt.float32, 1)


@pytest.mark.parametrize("kind", dt.ALL, ids=lambda d: d.name)
def test_numbers_are_taken_in_every_dtype(kind: dt.DType) -> None:
    b = Tape()
    np.testing.assert_array_equal(b.full(1, shape=(2,), dtype=kind).array, np.ones(2, kind.numpy))
    padded = b.pad(np.zeros(1, kind.numpy), 1, pads=((1, 1),)).array
    np.testing.assert_array_equal(padded, np.array([1, 0, 1], kind.numpy))


def test_a_number_that_overflows_is_infinite() -> None:
    assert np.isinf(Tape().full(1e60, shape=(1,), dtype=dt.float32).array[0])
