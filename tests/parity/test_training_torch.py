"""The README's program learns with ingot as it does with PyTorch, over 20 seeds of each."""

from __future__ import annotations

from typing import Any

import ingot
import pytest
from test_example_program import EPOCH, SEEDS, run

pytestmark = [pytest.mark.torch, pytest.mark.slow]


def test_the_last_epoch_is_within_the_range_of_torch(torch: Any) -> None:
    ours, theirs = ([_last_epoch(t, seed) for seed in SEEDS] for t in (ingot, torch))
    low, high = min(theirs), max(theirs)
    outside = [mean for mean in ours if not low <= mean <= high]
    assert not outside, f"PyTorch's last epochs lie between {low} and {high}"


def _last_epoch(t: Any, seed: int) -> float:
    return sum(run(t, seed)[-EPOCH:]) / EPOCH
