"""`linalg` beside PyTorch: the same values, first and second derivatives, for each row of `tests/device/linalg_cases`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from linalg_cases import CASES, listed

pytestmark = pytest.mark.torch
WRITES_OVER = ("cond in another norm",)  # PyTorch, what its own gradient reads


def derivatives(t: Any, name: str) -> list[Any]:
    """Values, gradients, and gradients of the gradients' squares."""
    call, _, arrays = CASES[name]
    tensors = [t.tensor(a).requires_grad_() for a in arrays]
    made = listed(call(t, *tensors))
    total = sum((m * t.cos(t.arange(m.numel(), dtype=m.dtype)).reshape(m.shape)).sum() for m in made)
    first = list(t.autograd.grad(total, tensors, create_graph=True))
    second = list(t.autograd.grad(sum((g * g).sum() for g in first), tensors))
    return [x.detach().numpy() for x in (*made, *first, *second)]


@pytest.mark.parametrize("name", CASES)
def test_same_derivatives(ingot: Any, torch: Any, name: str) -> None:
    if name in WRITES_OVER:
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            derivatives(torch, name)
        return
    mine, theirs = (derivatives(t, name) for t in (ingot, torch))
    for got, wanted in zip(mine, theirs, strict=True):
        scale = max(1.0, np.abs(wanted).max())
        np.testing.assert_allclose(got / scale, wanted / scale, atol=1e-9)
