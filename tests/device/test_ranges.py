"""Ranges for a vendor's own profiler on every device: what is named, and what is said where nobody takes them."""

from __future__ import annotations

from typing import Any

import pytest
from ingot_devices import observe, open_device
from ingot_devices.discovery import open_devices
from ingot_devices.errors import ContractError


def takes_ranges(opened: Any) -> bool:
    try:
        opened.push_range("asked")
        opened.pop_range()
    except ContractError:
        return False
    return True


def test_ops_and_ranges_of_one_s_own_are_named(t: Any, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open_device(device)
    said: list[tuple[int, str]] = []
    depth = 0

    def push(name: str) -> None:
        nonlocal depth
        said.append((depth, name))
        depth += 1

    def pop() -> None:
        nonlocal depth
        depth -= 1
        assert depth >= 0, "a range ended that had not begun"

    monkeypatch.setattr(opened, "push_range", push, raising=False)
    monkeypatch.setattr(opened, "pop_range", pop, raising=False)
    x = t.randn(3, 4, device=device)
    step = t.compile(lambda: (x * 2).exp().sum())
    step(), step()
    with t.profiler.emit_ranges():
        with t.profiler.record_function("mine"):
            wanted = (x.exp() + 1).sum()
        step()
        with pytest.raises(RuntimeError, match="broadcast"):
            x + t.randn(5, device=device)
    assert depth == 0 and float(wanted) == pytest.approx(float((x.exp() + 1).sum()))
    own = said.index((0, "mine"))
    inner = [name for d, name in said[own + 1 :] if d >= 1]
    assert {"exp", "add", "sum"} <= set(inner), said
    assert any(d == 0 and name not in ("mine", "ingot", "asked") for d, name in said[own:]), said
    said.clear()
    x + 1
    assert said == [] and observe.OBSERVERS == []


def test_the_device_itself(t: Any, device: str) -> None:
    """One that takes ranges takes those of ops; where none does, the error gives the reason of each."""
    opened: Any = open_device(device)
    x = t.ones(3, device=device)
    if not takes_ranges(opened):
        if not any(takes_ranges(d) for d in open_devices()):
            with pytest.raises(RuntimeError, match=f"emit_ranges.*{opened.name}"), t.profiler.emit_ranges():
                pass
        assert observe.OBSERVERS == []
        return
    with t.profiler.emit_ranges():
        assert float((x + 1).sum()) == 6.0
    assert observe.OBSERVERS == []
    if opened.kind == "sim":
        assert {"add", "sum"} <= {name for _, name in opened.ranges}
        with pytest.raises(ContractError, match="without a push_range"):
            opened.pop_range()
