"""A kernel may leave its results in another order of axes than the dense one: they are seen there, and not copied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ingot
import numpy as np
import pytest
from ingot_devices.codegen import Compiled
from ingot_devices.layout import Layout
from ingot_devices.registry import Kernel, Request, registry

RNG = np.random.default_rng(8)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    registry.register(Kernel("softmax", "cpu", turned, priority=1000, owner="test"))
    yield
    registry.remove("test")


def turned(request: Request) -> Compiled:
    """A softmax whose result lies column by column."""
    (result,) = request.outputs
    rows, _columns = result.shape
    left = Layout.of(result.shape, (1, rows), result.dtype, result.device)

    def call(x: Any, out: Any) -> None:
        e = np.exp(x - x.max(-1, keepdims=True))
        out[...] = (e / e.sum(-1, keepdims=True)).T.reshape(-1)

    return Compiled(call, "columns first", results=(left,))


def reference(x: Any) -> Any:
    e = np.exp(x)
    return e / e.sum(-1, keepdims=True)


def test_it_is_seen_where_it_lies() -> None:
    data = RNG.normal(size=(3, 5))
    made = ingot.tensor(data).softmax(-1)
    assert made.stride() == (1, 3)
    assert made.t().contiguous().data_ptr() == made.data_ptr()
    np.testing.assert_allclose(made.numpy(), reference(data), rtol=1e-12)


def test_its_gradient_and_what_is_made_of_it() -> None:
    data = RNG.normal(size=(3, 5))
    x = ingot.tensor(data).requires_grad_()
    (x.softmax(-1) * 2).square().sum().backward()
    p = reference(data)
    up = 8 * p
    np.testing.assert_allclose(x.grad.numpy(), p * (up - (up * p).sum(-1, keepdims=True)), rtol=1e-12)


def test_a_compiled_program_gives_the_same() -> None:
    x = ingot.tensor(RNG.normal(size=(3, 5)))
    step = ingot.compile(lambda x: x.softmax(-1) * 2 + 1)
    wanted = x.softmax(-1) * 2 + 1
    for _ in range(4):
        made = step(x)
    np.testing.assert_array_equal(made.numpy(), wanted.numpy())
