"""What a registered kernel wants its operands to lie like: dispatch copies those that do not, and leaves the others alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ingot
import numpy as np
import pytest
from ingot_devices.codegen import Compiled
from ingot_devices.registry import LAYOUTS, Kernel, Request, registry

RNG = np.random.default_rng(9)
SEEN: list[tuple[tuple[int, ...], ...]] = []


@pytest.fixture(autouse=True)
def cleared() -> Iterator[None]:
    SEEN.clear()
    yield
    registry.remove("test")


def register(layout: str) -> None:
    """A product that takes what is ``layout``, and keeps how its operands lay."""

    def product(request: Request) -> Compiled:
        strides = tuple(x.strides for x in request.layouts)

        def call(x: Any, y: Any, out: Any) -> None:
            SEEN.append(strides)
            out[...] = x @ y

        return Compiled(call, "product")

    registry.register(Kernel("matmul", "cpu", product, None, layout, priority=1000, owner="test"))


def multiply(x: Any, y: Any) -> None:
    np.testing.assert_allclose((x @ y).numpy(), x.numpy() @ y.numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("layout", "wanted"),
    [
        ("any", ((0, 0), (1, 7))),
        ("aligned", ((0, 0), (1, 7))),
        ("matrix-dense", ((7, 1), (1, 7))),
        ("inner-dense", ((7, 1), (5, 1))),
        ("dense", ((7, 1), (5, 1))),
    ],
)
def test_only_what_does_not_lie_so_is_copied(layout: str, wanted: tuple[tuple[int, ...], ...]) -> None:
    register(layout)
    spread = ingot.tensor(RNG.normal(size=(1, 1))).expand(3, 7)
    turned = ingot.tensor(RNG.normal(size=(5, 7))).t()
    multiply(spread, turned)
    assert [wanted] == SEEN


@pytest.mark.parametrize("layout", ["matrix-dense", "inner-dense"])
def test_rows_further_apart_than_they_are_long_stay(layout: str) -> None:
    register(layout)
    multiply(ingot.tensor(RNG.normal(size=(3, 9)))[:, :7], ingot.tensor(RNG.normal(size=(7, 5))))
    assert SEEN == [((9, 1), (5, 1))]


def test_the_classes_are_named() -> None:
    assert set(LAYOUTS) == {"any", "aligned", "matrix-dense", "inner-dense", "dense"}
    with pytest.raises(ValueError, match="matrix-dense"):
        Kernel("matmul", "cpu", lambda request: None, layout="sideways")
