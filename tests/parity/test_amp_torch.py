"""Mixed precision beside PyTorch's, whose policy for a CPU is another one in some ops (`tests/device/test_amp` has ours)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_amp import *  # noqa: F403 - collected here, with this folder's fixtures
from test_amp import drawn, scaled_steps

pytestmark = pytest.mark.torch


def trained(t: Any, dtype: str) -> list[np.ndarray[Any, Any]]:
    """Losses and weights of a net that learns for six steps under autocast."""
    model = t.nn.Sequential(t.nn.Linear(8, 16), t.nn.Tanh(), t.nn.Linear(16, 4))
    for k, p in enumerate(model.parameters()):
        p.data.copy_(drawn(t, "cpu", *p.shape, seed=k) * 0.3)
    optimizer, scaler = t.optim.AdamW(model.parameters(), lr=0.01), t.amp.GradScaler("cpu", init_scale=256.0)
    losses = []
    for k in range(6):
        optimizer.zero_grad()
        with t.autocast("cpu", dtype=getattr(t, dtype)):
            made = model(drawn(t, "cpu", 32, 8, seed=10 + k))
            loss = t.nn.functional.mse_loss(made.float(), drawn(t, "cpu", 32, 4, seed=20 + k))
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        losses.append(float(loss.detach()))
    return [np.array(losses), *(p.detach().numpy() for p in model.parameters())]


@pytest.mark.parametrize(("dtype", "apart"), [("float16", 2e-3), ("bfloat16", 2e-2)])
def test_a_net_learns_alike(ingot: Any, torch: Any, dtype: str, apart: float) -> None:
    for one, other in zip(trained(ingot, dtype), trained(torch, dtype), strict=True):
        np.testing.assert_allclose(one, other, rtol=apart, atol=apart)


def test_scales_move_alike(ingot: Any, torch: Any) -> None:
    planted = {1: float("inf"), 4: float("nan"), 5: float("-inf"), 9: float("inf")}
    options = {"init_scale": 512.0, "growth_factor": 4.0, "backoff_factor": 0.25, "growth_interval": 2}
    assert scaled_steps(ingot, "cpu", planted, **options) == scaled_steps(torch, "cpu", planted, **options)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_finfo(ingot: Any, torch: Any, dtype: str) -> None:
    ours, theirs = (t.finfo(getattr(t, dtype)) for t in (ingot, torch))
    for name in ("bits", "eps", "max", "min", "smallest_normal", "tiny", "resolution", "dtype"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64"])
def test_iinfo(ingot: Any, torch: Any, dtype: str) -> None:
    ours, theirs = (t.iinfo(getattr(t, dtype)) for t in (ingot, torch))
    assert (ours.bits, ours.max, ours.min, ours.dtype) == (theirs.bits, theirs.max, theirs.min, theirs.dtype)


def test_infos_refuse(same_type_of_error: Any) -> None:
    same_type_of_error(lambda t: t.finfo("float32"))
    for call in (lambda t: t.finfo(t.int8), lambda t: t.iinfo(t.float32), lambda t: t.iinfo(t.bool)):
        same_type_of_error(call)


def test_a_finfo_is_of_the_default_dtype(ingot: Any, torch: Any) -> None:
    assert repr(ingot.finfo()) == repr(torch.finfo()) == repr(ingot.finfo(ingot.float32))
