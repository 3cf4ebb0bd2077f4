"""Autograd's open doors: hooks on tensors, custom functions, anomaly mode."""

from __future__ import annotations

import warnings
from typing import Any

import ingot
import pytest
from harness.behaviour import function_of, refused, same

Maker = Any


@pytest.fixture
def leaf(t: Any, device: str) -> Maker:
    """``leaf(values)``: a float32 tensor that requires a gradient."""
    return lambda values: t.tensor(values, dtype=t.float32, device=device, requires_grad=True)


def test_hook_sees_and_replaces_the_gradient(leaf: Maker) -> None:
    x = leaf([1.0, 2.0])
    seen = []
    y = x * 2

    def tenfold(g: Any) -> Any:
        seen.append(g.tolist())
        return g * 10

    handle = y.register_hook(tenfold)
    y.sum().backward()
    assert seen == [[1.0, 1.0]]
    same(x.grad, [20, 20])
    handle.remove()
    (x * 2).sum().backward()
    same(x.grad, [22, 22])


@pytest.mark.parametrize("how", ["root", "view", "sum"])
@pytest.mark.parametrize("who", ["retain_grad", "hook", "function", "grad", "leaf"])
def test_gradients_that_somebody_keeps_are_their_own(t: Any, leaf: Maker, how: str, who: str) -> None:
    """Each backward pass begins with a 1; writing into what one pass gave out is seen by no other."""
    kept: list[Any] = []

    def forward(ctx: Any, x: Any) -> Any:
        return x * 1

    def backward(ctx: Any, g: Any) -> Any:
        kept.append(g)
        return g * 1

    Keeps = function_of(t, "Keeps", forward, backward)

    def one() -> None:
        x = leaf([3.0])
        y = x if who == "leaf" else Keeps.apply(x) if who == "function" else x * 1
        if how == "root":
            y = y.reshape(())
        if who == "retain_grad":
            y.retain_grad()
        elif who == "hook":
            y.register_hook(kept.append)
        end = y.sum() if how == "sum" else y.reshape(()) if how == "view" else y
        if who == "grad":
            kept.append(t.autograd.grad(end, y)[0])
            return
        end.backward()
        if who in ("retain_grad", "leaf"):
            kept.append((x if who == "leaf" else y).grad)

    for _ in range(3):
        one()
    first, second, third = kept
    for g in kept:
        same(g.reshape(1), [1])
    second.mul_(5.0)
    third.zero_()
    same(first.reshape(1), [1])
    same(second.reshape(1), [5])
    one()
    same(kept[-1].reshape(1), [1])


def test_gradients_of_recorded_passes_are_their_own(device: str) -> None:
    """A leaf is handed such a gradient as it comes. (PyTorch would warn of the cycle.)"""
    first, second = (ingot.tensor(3.0, device=device, requires_grad=True) for _ in "ab")
    for x in (first, second):
        x.backward(create_graph=True)
    second.grad.detach().mul_(5.0)
    assert [x.grad.item() for x in (first, second)] == [1.0, 5.0]


def test_hook_of_a_leaf_runs_once_with_the_sum(leaf: Maker) -> None:
    x = leaf([1.0])
    seen = []
    x.register_hook(lambda g: seen.append(g.tolist()))
    (x * 2 + x * 3).sum().backward()
    assert seen == [[5.0]]


def test_hook_after_accumulation(leaf: Maker) -> None:
    x = leaf([1.0])
    seen = []
    x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.tolist()))
    (x * 2).sum().backward()
    assert seen == [[2.0]]


def test_hook_needs_a_gradient(t: Any, device: str) -> None:
    with refused(t, RuntimeError, "require"):
        t.ones(1, device=device).register_hook(lambda g: g)


def test_custom_function(t: Any, leaf: Maker) -> None:
    def forward(ctx: Any, x: Any, scale: float) -> Any:
        ctx.save_for_backward(x)
        ctx.scale = scale
        return scale * x * x * x

    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * 3 * ctx.scale * x * x, None

    Cube = function_of(t, "Cube", forward, backward)
    x = leaf([2.0])
    y = Cube.apply(x, 2.0)
    same(y, [16])
    (g,) = t.autograd.grad(y.sum(), [x], create_graph=True)
    same(g, [24])
    (second,) = t.autograd.grad(g.sum(), [x])
    same(second, [24])


def test_custom_function_of_two_results(t: Any, leaf: Maker) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        return x * 2, x * 3

    def backward(ctx: Any, a: Any, b: Any) -> Any:
        assert ctx.needs_input_grad == (True,)
        return a * 2 + b * 3

    Split = function_of(t, "Split", forward, backward)
    x = leaf([1.0])
    a, b = Split.apply(x)
    (a + 10 * b).sum().backward()
    same(x.grad, [32])


def test_custom_function_with_too_few_gradients(t: Any, leaf: Maker) -> None:
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        return x * y

    def backward(ctx: Any, g: Any) -> Any:
        return g

    Short = function_of(t, "Short", forward, backward)
    with refused(t, RuntimeError, "Short", "2", "1"):
        Short.apply(leaf([1.0]), leaf([1.0])).sum().backward()


def test_once_differentiable(t: Any, leaf: Maker) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.mark_non_differentiable()
        return x * 2

    def backward(ctx: Any, g: Any) -> Any:
        return g * 2

    Opaque = function_of(t, "Opaque", forward, t.autograd.function.once_differentiable(backward))
    x = leaf([1.0])
    (g,) = t.autograd.grad(Opaque.apply(x).pow(2).sum(), [x], create_graph=True)
    with pytest.raises(RuntimeError):
        g.sum().backward()


def test_anomaly_mode_names_the_op_and_the_line(t: Any, leaf: Maker) -> None:
    x = leaf([0.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns that anomaly mode is slow
        with t.autograd.detect_anomaly():
            y = (x * 0) / x  # this line makes 0 / 0
            with refused(t, RuntimeError, "nan", "test_autograd_hooks.py", "this line makes 0 / 0"):
                y.sum().backward()


def test_anomaly_mode_ends_with_its_scope(t: Any, leaf: Maker) -> None:
    x = leaf([0.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with t.autograd.set_detect_anomaly(True):
            pass
    ((x * 0) / x).sum().backward()
    assert x.grad.isnan().all()
