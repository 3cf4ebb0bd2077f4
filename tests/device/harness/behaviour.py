"""Helpers of the behaviour tests, which run on ingot and, in `tests/parity`, on PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ingot_devices
import numpy as np
import pytest
from ingot_devices import dtypes


@contextmanager
def refused(t: Any, error: type[BaseException] | tuple[type[BaseException], ...], *words: str) -> Iterator[None]:
    """The body raises ``error``; ingot's message has every one of ``words`` (PyTorch's may be
    worded otherwise)."""
    with pytest.raises(error) as caught:
        yield
    if t.__name__ == "ingot":
        missing = [word for word in words if word not in str(caught.value)]
        assert not missing, f"{missing} missing in: {caught.value}"


def ours_only(t: Any, why: str) -> None:
    """Skip where PyTorch differs on purpose."""
    if t.__name__ != "ingot":
        pytest.skip(f"ingot's own: {why}")


def needs(t: Any, device: str, dtype: str) -> None:
    """Skip where the device declares that it refuses ``dtype``."""
    if t.__name__ == "ingot":
        kept = ingot_devices.open_device(device).limits.dtype_class(dtypes.dtype(dtype))
        if kept.kind == "refused":
            pytest.skip(f"{device} declares no {dtype}: {kept.reason}")


def function_of(t: Any, name: str, forward: Any, backward: Any) -> Any:
    """An ``autograd.Function`` of these two, of the library that the test runs on: no type can say what is derived from."""
    return type(name, (t.autograd.Function,), {"forward": staticmethod(forward), "backward": staticmethod(backward)})


def same(tensor: Any, expected: Any) -> None:
    """Equal values, shape included."""
    np.testing.assert_array_equal(tensor.detach().cpu().numpy(), np.asarray(expected))


def near(tensor: Any, expected: Any, tolerance: float = 1e-5) -> None:
    """Values close to ``expected``."""
    np.testing.assert_allclose(tensor.detach().cpu().numpy(), np.asarray(expected), rtol=tolerance, atol=tolerance)
