"""NVTX ranges of the CUDA plugin, without a GPU: what its package is given, and what is said where that is missing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from ingot_cuda import ranges
from ingot_devices.errors import ContractError


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    forget()
    yield
    forget()


def forget() -> None:
    ranges.domain.cache_clear()
    ranges.attributes.cache_clear()


def test_ranges_go_to_a_domain_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    made = SimpleNamespace(
        get_event_attributes=lambda message: f"<{message}>",
        push_range=said.append,
        pop_range=lambda: said.append("end"),
    )
    domains = {"ingot": made}
    monkeypatch.setitem(sys.modules, "nvtx", SimpleNamespace(get_domain=domains.__getitem__))
    for text in ("add", "add"):
        ranges.push("cuda:0", text)
        ranges.pop("cuda:0")
    assert said == ["<add>", "end", "<add>", "end"]


def test_the_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nvtx", None)
    with pytest.raises(ContractError, match=r"cuda:0 hands its ranges on through the package nvtx.*ingot-cuda\[nvtx\]"):
        ranges.push("cuda:0", "add")
