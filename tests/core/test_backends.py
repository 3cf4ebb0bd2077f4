"""The switches for kernels under PyTorch's names: what they say, and what they refuse."""

from __future__ import annotations

from typing import Any

import ingot
import pytest
from ingot_devices import precision


@pytest.mark.parametrize(
    ("holder", "name", "first"),
    [(ingot.backends.cuda.matmul, "allow_tf32", False), (ingot.backends.cudnn, "allow_tf32", True),
     (ingot.backends.cudnn, "deterministic", True)],
)  # fmt: skip
def test_a_switch_turns_and_takes_nothing_else(holder: Any, name: str, first: bool) -> None:
    assert getattr(holder, name) is first
    try:
        setattr(holder, name, not first)
        assert getattr(holder, name) is not first
        for wrong in ("yes", 1, None):
            with pytest.raises(TypeError, match=f"{name} is True or False; {wrong!r} was given"):
                setattr(holder, name, wrong)
        assert getattr(holder, name) is not first
    finally:
        setattr(holder, name, first)


def test_two_names_of_one_switch() -> None:
    ingot.set_float32_matmul_precision("high")
    try:
        assert ingot.backends.cuda.matmul.allow_tf32
        with precision.exact():
            assert not ingot.backends.cuda.matmul.allow_tf32 and not ingot.backends.cudnn.allow_tf32
        assert ingot.backends.cuda.matmul.allow_tf32 and ingot.backends.cudnn.allow_tf32
    finally:
        ingot.set_float32_matmul_precision("highest")
    with pytest.raises(ValueError, match="one of highest, high, medium; 'exact' was given"):
        ingot.set_float32_matmul_precision("exact")
