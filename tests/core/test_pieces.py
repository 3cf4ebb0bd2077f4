"""Gradients of slices are put side by side when all have come, instead of being added up among zeros."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import dispatched
import ingot
import numpy as np
import pytest

RNG = np.random.default_rng(5)


calls = dispatched.calls


CASES: dict[str, tuple[Callable[[Any], Any], Sequence[tuple[Any, float]]]] = {
    "thirds": (lambda x: [x[..., :2], x[..., 2:4], x[..., 4:]],
               [((..., slice(2)), 1), ((..., slice(2, 4)), 2), ((..., slice(4, None)), 3)]),
    "rows": (list, [((k,), k + 1) for k in range(4)]),
    "with gaps": (lambda x: [x[1:2], x[3]], [((slice(1, 2),), 1), ((3,), 2)]),
    "two rows and the rest": (lambda x: [x[2], x[0], x[3:]], [((2,), 1), ((0,), 2), ((slice(3, None),), 3)]),
    "one": (lambda x: [x[:, 1:3]], [((slice(None), slice(1, 3)), 1)]),
    "all of it": (lambda x: [x[:], x[0:4]], [((slice(None),), 1), ((slice(None),), 2)]),
    "overlapping": (lambda x: [x[:3], x[2:]], [((slice(3),), 1), ((slice(2, None),), 2)]),
    "two axes": (lambda x: [x[:2], x[:, :2]], [((slice(2),), 1), ((slice(None), slice(2)), 2)]),
    "stepped": (lambda x: [x[::2], x[1:2]], [((slice(None, None, 2),), 1), ((slice(1, 2),), 2)]),
    "empty": (lambda x: [x[2:2], x[4:]], [((slice(2, 2),), 1), ((slice(4, None),), 2)]),
    "of slices": (lambda x: [x[:2][1:], x[:2][:1], x[2:]], [((1,), 1), ((0,), 2), ((slice(2, None),), 3)]),
    "beside the whole": (lambda x: [x[:2], x * 1, x[2:]], [((slice(2),), 1), ((slice(None),), 2), ((slice(2, None),), 3)]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("create", [False, True])
def test_the_gradient_is_that_of_each_part_in_its_place(name: str, create: bool) -> None:
    cut, places = CASES[name]
    data = RNG.normal(size=(4, 6))
    x = ingot.tensor(data).requires_grad_()
    loss = sum((part * part * (k + 1)).sum() for k, part in enumerate(cut(x)))
    (g,) = ingot.autograd.grad(loss, x, create_graph=create)
    wanted = np.zeros((4, 6))
    for place, factor in places:
        wanted[place] += 2 * factor * data[place]
    np.testing.assert_allclose(g.detach().numpy(), wanted, rtol=1e-15)
    if create:
        second = np.zeros((4, 6))
        for place, factor in places:
            second[place] += 2 * factor
        np.testing.assert_allclose(ingot.autograd.grad(g.sum(), x)[0].numpy(), second, rtol=1e-15)


def test_neighbours_are_joined_in_one_pass(calls: list[str]) -> None:
    x = ingot.randn(3, 12).requires_grad_()
    q, k, v = x[..., :4], x[..., 4:8], x[..., 8:]
    (q * k * v).sum().backward()
    assert calls.count("cat") == 1
    assert not {"slice_backward", "add"} & set(calls)


def test_a_hook_sees_the_whole_and_what_it_gives_back_counts() -> None:
    x = ingot.ones(4).requires_grad_()
    y = x * 2
    seen: list[Any] = []

    def hook(g: Any) -> Any:
        seen.append(g.numpy().tolist())
        return g * 10

    y.register_hook(hook)
    (y[:2].sum() + y[3] * 5).backward()
    assert seen == [[1.0, 1.0, 0.0, 5.0]]
    np.testing.assert_array_equal(x.grad.numpy(), [20, 20, 0, 100])


def test_a_gradient_that_was_given_is_not_written_to() -> None:
    x = ingot.ones(4).requires_grad_()
    y = x * 1
    given = ingot.ones(4)
    (part,) = (y[:],)
    (z,) = (y[0:4],)
    ingot.autograd.backward([part, z, y], [given, given, given])
    np.testing.assert_array_equal(given.numpy(), np.ones(4))
    np.testing.assert_array_equal(x.grad.numpy(), np.full(4, 3.0))


def test_taking_all_is_a_tensor_of_its_own_on_the_same_memory() -> None:
    x = ingot.zeros(2, 3)
    for y in (x[:], x[...], x[:, :], x[0:2]):
        assert y is not x
        y[0, 0] = 7
        assert x[0, 0].item() == 7
        x[0, 0] = 0
