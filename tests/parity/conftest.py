"""Makes the tests of `tests/device` importable here, and gives the PyTorch that they and the records are compared with."""

from __future__ import annotations

import sys
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
def t(torch: Any) -> Any:
    """The library under test, for the tests shared with `tests/device`."""
    return torch


@pytest.fixture(scope="session")
def device() -> str:
    """Where PyTorch's tensors live."""
    return "cpu"
