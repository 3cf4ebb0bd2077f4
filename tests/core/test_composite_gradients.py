"""One backward op gives the gradients of all operands of a composite: it runs once for a node."""

from __future__ import annotations

import dispatched
import ingot
import numpy as np
from ingot.nn import functional as F

calls = dispatched.calls


def test_attention_goes_back_once(calls: list[str]) -> None:
    q, k, v = (ingot.randn(2, 3, 4).requires_grad_() for _ in range(3))
    F.scaled_dot_product_attention(q, k, v).sum().backward()
    assert calls.count("attention_backward") == 1
    assert all(x.grad is not None and x.grad.shape == (2, 3, 4) for x in (q, k, v))


def test_what_two_operands_ask_for_alike_is_theirs_alone() -> None:
    """The same tensor twice: each edge gets a gradient of its own to add to."""
    x = ingot.tensor([1.0, 2.0]).requires_grad_()
    loss = F.mse_loss(x, x * 1.0, reduction="sum") + (x * x).sum()
    loss.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2.0, 4.0])
