"""Makes the tests of `tests/device` importable here, and gives the PyTorch that they and the records are compared with."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "device"))


@pytest.fixture(scope="session")
def torch() -> Any:
    """PyTorch, built without CUDA."""
    torch = pytest.importorskip("torch")
    assert torch.version.cuda is None, "compare with the CPU build of PyTorch"
    torch.set_num_threads(1)
    return torch


@pytest.fixture(scope="session")
def ingot() -> Any:
    """What is compared with it."""
    return pytest.importorskip("ingot")


@pytest.fixture(scope="session")
def same_type_of_error(ingot: Any, torch: Any) -> Callable[[Callable[[Any], Any]], None]:
    """The assertion that both refuse a call, ingot with the type that PyTorch raises or a kind of it."""

    def check(call: Callable[[Any], Any]) -> None:
        with pytest.raises(Exception) as theirs:
            call(torch)
        with pytest.raises(theirs.type):
            call(ingot)

    return check


@pytest.fixture(scope="session")
def t(torch: Any) -> Any:
    """The library under test, for the tests shared with `tests/device`."""
    return torch


@pytest.fixture(scope="session")
def device() -> str:
    """Where PyTorch's tensors live."""
    return "cpu"
