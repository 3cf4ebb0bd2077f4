"""A fixture that tells what is dispatched. A test module takes it by assignment (``calls = dispatched.calls``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from ingot import dispatch


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of ops in the order of their dispatch."""
    seen: list[str] = []
    whole = dispatch.call

    def call(op: Any, operands: Sequence[Any], *rest: Any) -> Any:
        seen.append(op.name)
        return whole(op, operands, *rest)

    monkeypatch.setattr(dispatch, "call", call)
    return seen
