"""A kernel that somebody wrote and the op behind it as one call: when that is done, when it is not, and that it is listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ingot
import numpy as np
import pytest
from ingot_devices.codegen import Compiled, Unsupported
from ingot_devices.registry import Kernel, Request, registry

RNG = np.random.default_rng(11)
F = ingot.nn.functional
TIMES = {"": 1.0, "relu": 1.0, "gelu_tanh": 3.0}
"""What the epilogues here multiply with beside: it shows which call ran."""


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    registry.register(Kernel("linear", "cpu", linear, None, "dense", priority=1000, owner="test"))
    yield
    registry.remove("test")


def linear(request: Request) -> Compiled:
    """x·weightᵀ + bias, that can take relu (as it is) and gelu_tanh (marked by a factor of 3)."""

    def made(op: str) -> Callable[..., None]:
        if op not in TIMES:
            raise Unsupported(f"no {op}")

        def call(x: Any, weight: Any, bias: Any, out: Any) -> None:
            value = x @ weight.T + (0 if bias is None else bias)
            out[...] = (np.maximum(value, 0) if op else value) * TIMES[op]

        return call

    return Compiled(made(""), "linear", behind=made)


def given(*shapes: tuple[int, ...]) -> list[Any]:
    return [ingot.tensor(RNG.normal(size=s)) for s in shapes]


def compiled(function: Any, *operands: Any, mode: str | None = "max-autotune") -> tuple[Any, str]:
    """What the third call gives, and what `explain` says then."""
    made = ingot.compile(function, fullgraph=True, mode=mode)
    for _ in range(3):
        result = made(*operands)
    return result, made.explain(times=False)


def relu(x: Any, w: Any, b: Any) -> Any:
    return F.relu(F.linear(x, w, b)) + 1


def gelu(x: Any, w: Any, b: Any) -> Any:
    return F.gelu(F.linear(x, w, b), approximate="tanh")


def test_the_op_is_the_kernel_s_own() -> None:
    x, w, b = given((4, 6), (5, 6), (5,))
    result, text = compiled(gelu, x, w, b)
    np.testing.assert_array_equal(result.numpy(), np.maximum(x.numpy() @ w.numpy().T + b.numpy(), 0) * 3)
    assert "reassociations     gelu_tanh of linear by its kernel, before the result is rounded" in text
    assert "linear+gelu_tanh" in text and "2 recorded, 1 after fusion" in text


def test_what_follows_is_fused_as_ever() -> None:
    x, w, b = given((2, 3, 6), (5, 6), (5,))
    result, text = compiled(relu, x, w, b)
    np.testing.assert_array_equal(result.numpy(), relu(x, w, b).numpy())
    assert "linear+relu" in text


@pytest.mark.parametrize("mode", [None, "reduce-overhead"])
def test_other_modes_keep_the_eager_bits(mode: str | None) -> None:
    x, w, b = given((4, 6), (5, 6), (5,))
    result, text = compiled(gelu, x, w, b, mode=mode)
    np.testing.assert_array_equal(result.numpy(), gelu(x, w, b).numpy())
    assert "reassociations     none" in text


def test_so_does_a_check_against_the_eager_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGOT_COMPILE", "verify")
    x, w, b = given((4, 6), (5, 6), (5,))
    made = ingot.compile(gelu, mode="max-autotune")
    for _ in range(4):
        made(x, w, b)
    assert "reassociations     none" in made.explain(times=False)


def kept(x: Any, w: Any, b: Any) -> Any:
    y = F.linear(x, w, b)
    return y, F.relu(y)


def read_twice(x: Any, w: Any, b: Any) -> Any:
    y = F.linear(x, w, b)
    return F.relu(y) * y


def unknown(x: Any, w: Any, b: Any) -> Any:
    return F.silu(F.linear(x, w, b))


def of_a_part(x: Any, w: Any, b: Any) -> Any:
    return F.relu(F.linear(x, w, b)[1:])


def written_between(x: Any, w: Any, b: Any) -> Any:
    y = F.linear(x, w, b)
    w.mul_(2.0)
    return F.relu(y)


@pytest.mark.parametrize("function", [kept, read_twice, unknown, of_a_part, written_between])
def test_it_is_left_where_it_would_change_what_others_see(function: Any) -> None:
    x, w, b = given((4, 6), (5, 6), (5,))
    mine, text = compiled(function, x, w.clone(), b)
    again = w.clone()
    for _ in range(3):
        eager = function(x, again, b)
    for a, e in zip(mine if isinstance(mine, tuple) else (mine,), eager if isinstance(eager, tuple) else (eager,), strict=True):
        np.testing.assert_allclose(a.numpy(), e.numpy(), rtol=1e-12)
    assert "reassociations     none" in text


def test_a_gradient_that_needs_what_lies_between_keeps_it() -> None:
    x, w, b = given((4, 6), (5, 6), (5,))
    w.requires_grad_()
    step = ingot.compile(gelu, mode="max-autotune")
    for _ in range(3):
        (grad,) = ingot.autograd.grad(step(x, w, b).sum(), w)
    (wanted,) = ingot.autograd.grad(gelu(x, w, b).sum(), w)
    np.testing.assert_allclose(grad.numpy(), wanted.numpy(), rtol=1e-12)
