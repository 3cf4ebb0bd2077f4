"""Kernels for ops that exist, on every device: as an expression and as a function; priority, owner, scopes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ingot_devices import open_device
from ingot_devices.custom import callable_kernel, expression_kernel
from ingot_devices.errors import DeclarationError
from ingot_devices.explain import explain
from ingot_devices.registry import registry

HERE = Path(__file__).name


@pytest.fixture(autouse=True)
def owned() -> Iterator[None]:
    """Forgets the kernels that a test registers."""
    yield
    registry.remove(HERE)


def kind(device: str) -> str:
    return device.partition(":")[0]


def test_an_expression_replaces_a_kernel(t: Any, device: str) -> None:
    kernel = expression_kernel("hypot", kind(device), "out = sqrt(x*x + y*y) + 1", priority=2)
    x, y = t.tensor([3.0], device=device), t.tensor([4.0], device=device)
    assert t.hypot(x, y).tolist() == [5.0]
    with t.use_kernel(kernel):
        assert t.hypot(x, y).tolist() == [6.0]
        with t.use_kernel(expression_kernel("hypot", kind(device), "out = x + y")):
            assert t.hypot(x, y).tolist() == [7.0]  # the innermost wins
        assert t.hypot(x, y).tolist() == [6.0]
    registry.register(kernel)
    assert t.hypot(x, y).tolist() == [6.0]
    found = explain("hypot", open_device(device))
    assert (found.route, found.considered[0].owner) == ("registered", HERE)
    with t.without_kernels(owner=HERE):
        assert t.hypot(x, y).tolist() == [5.0]


def test_a_function_of_native_views(t: Any, device: str) -> None:
    """It gets what the device's kernels get: here it counts its calls and lets the expression do the work."""
    opened = open_device(device)
    seen: list[int] = []
    plain = expression_kernel("sum", kind(device), "out = sum(x)")

    def counted(*views: Any) -> None:
        seen.append(len(views))

    kernel = callable_kernel("neg", kind(device), counted)
    x = t.tensor([1.0, 2.0], device=device)
    with t.use_kernel(kernel):
        assert t.neg(x).shape == (2,)
    assert seen == [2]
    with t.use_kernel(plain):
        assert t.tensor([[1.0, 2.0]], device=device).sum(-1).tolist() == [3.0]
    assert opened.name == device


def test_a_result_that_is_not_the_ops_is_refused(t: Any, device: str) -> None:
    kernel = expression_kernel("neg", kind(device), "out = x > 0")
    with pytest.raises(DeclarationError, match=rf"{HERE}:\d+: the results are"), t.use_kernel(kernel):
        t.neg(t.tensor([1.0], device=device))


def test_the_highest_priority_wins_and_equals_lose(t: Any, device: str) -> None:
    x = t.tensor([1.0], device=device)
    for owner, priority, number in (("low", 1, 10), ("high", 2, 20), ("rival a", 3, 30), ("rival b", 3, 40)):
        registry.register(expression_kernel("neg", kind(device), f"out = x*0 + {number}", priority=priority, owner=owner))
    try:
        assert t.neg(x).tolist() == [20.0]  # the rivals of priority 3 are both left out
        with t.without_kernels(owner="high"):
            assert t.neg(x).tolist() == [10.0]
    finally:
        for owner in ("low", "high", "rival a", "rival b"):
            registry.remove(owner)
    assert t.neg(x).tolist() == [-1.0]
