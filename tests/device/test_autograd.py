"""Autograd as PyTorch programs know it: leaves, modes, hooks, higher orders, views, custom
functions, anomaly mode."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from harness.behaviour import function_of, near, needs, refused, same

Maker = Any


@pytest.fixture
def leaf(t: Any, device: str) -> Maker:
    """``leaf(values)``: a float32 tensor that requires a gradient."""
    return lambda values: t.tensor(values, dtype=t.float32, device=device, requires_grad=True)


# ---- leaves and accumulation ---------------------------------------------------------------------


def test_backward_accumulates_into_leaves(leaf: Maker) -> None:
    x = leaf([1.0, 2.0])
    (x * x).sum().backward()
    same(x.grad, [2, 4])
    (x * 3).sum().backward()
    same(x.grad, [5, 7])
    x.grad = None
    (x * 3).sum().backward()
    same(x.grad, [3, 3])


def test_leaves_and_results(t: Any, leaf: Maker) -> None:
    x = leaf([1.0])
    y = x * 2
    assert x.is_leaf and x.grad_fn is None and x.requires_grad
    assert not y.is_leaf and y.grad_fn is not None and y.requires_grad
    assert y.detach().is_leaf and not y.detach().requires_grad
    assert not (x > 0).requires_grad
    assert "Mul" in type(y.grad_fn).__name__ or "Mul" in repr(y.grad_fn)


def test_one_value_used_twice(leaf: Maker) -> None:
    x = leaf([3.0])
    y = x * x
    (y * y + y).sum().backward()
    same(x.grad, [4 * 27 + 6])


def test_gradients_that_are_one_value_meet(t: Any, leaf: Maker) -> None:
    """A mean's gradient is one number seen everywhere, and nothing can be added to it in place."""
    ways = [
        lambda x: x.mean(), lambda x: x.sum(), lambda x: x.mean(0).sum(), lambda x: x.mean(-1, keepdim=True).sum(),
        lambda x: (x * 2).mean(), lambda x: x.transpose(0, 1).mean(),
    ]  # fmt: skip

    def gradient(*used: Any) -> Any:
        x = leaf([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
        t.autograd.backward([way(x) for way in used])
        return x.grad

    for first in ways:
        for second in ways:
            near(gradient(first, second, first), (2 * gradient(first) + gradient(second)).tolist())


def test_backward_takes_a_gradient(t: Any, leaf: Maker, device: str) -> None:
    x = leaf([1.0, 2.0])
    (x * x).backward(t.tensor([1.0, 10.0], device=device))
    same(x.grad, [2, 40])
    with refused(t, RuntimeError, "scalar"):
        (x * x).backward()
    with refused(t, RuntimeError, "[2]", "[3]"):
        (x * x).backward(t.ones(3, device=device))


def test_grad_leaves_leaves_alone(t: Any, leaf: Maker) -> None:
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    gx, gy = t.autograd.grad((x * y).sum(), [x, y])
    same(gx, [3, 4])
    same(gy, [1, 2])
    assert x.grad is None
    with refused(t, RuntimeError, "allow_unused"):
        t.autograd.grad(x.sum(), [x, y])
    assert t.autograd.grad(x.sum(), [x, y], allow_unused=True)[1] is None


def test_grad_by_an_inner_value(t: Any, leaf: Maker) -> None:
    x = leaf([2.0])
    y = x * x
    (g,) = t.autograd.grad((y * y).sum(), [y])
    same(g, [8])


def test_retain_grad(leaf: Maker) -> None:
    x = leaf([2.0])
    y = x * x
    y.retain_grad()
    (y * 3).sum().backward()
    same(y.grad, [3])


def test_broadcast_operands_get_their_shape_back(t: Any, leaf: Maker, device: str) -> None:
    x, y = leaf([[1.0], [2.0]]), leaf([1.0, 2.0, 3.0])
    (x * y).sum().backward()
    same(x.grad, [[6], [6]])
    same(y.grad, [3, 3, 3])
    z = leaf(2.0)
    (z * t.ones(2, 2, device=device)).sum().backward()
    same(z.grad, 4)


def test_gradient_has_the_dtype_of_its_leaf(t: Any, leaf: Maker) -> None:
    x = leaf([1.0, 2.0])
    (x.half() * 3).float().sum().backward()
    assert x.grad.dtype is t.float32
    same(x.grad, [3, 3])
    with refused(t, RuntimeError, "int64", "floating point"):
        t.tensor([1], device=x.device).requires_grad_()


def test_gradient_of_dropout_follows_its_mask(t: Any, leaf: Maker) -> None:
    x = leaf([float(k) for k in range(1, 41)])
    y = t.nn.functional.dropout(x, 0.5)
    y.sum().backward()
    near(x.grad, (y / x).tolist())


# ---- modes ---------------------------------------------------------------------------------------


def test_no_grad_and_enable_grad(t: Any, leaf: Maker) -> None:
    x = leaf([1.0])
    with t.no_grad():
        assert not t.is_grad_enabled() and not (x * 2).requires_grad
        with t.enable_grad():
            assert (x * 2).requires_grad
    assert t.is_grad_enabled()
    with t.set_grad_enabled(False):
        assert not (x * 2).requires_grad


def test_modes_decorate_functions(t: Any, leaf: Maker) -> None:
    @t.no_grad()  # type: ignore[untyped-decorator]
    def double(x: Any) -> Any:
        return x * 2

    assert not double(leaf([1.0])).requires_grad and t.is_grad_enabled()


def test_mode_ends_with_an_exception(t: Any) -> None:
    with pytest.raises(KeyError), t.no_grad():
        raise KeyError
    assert t.is_grad_enabled()


def test_inference_mode(t: Any, leaf: Maker) -> None:
    x = leaf([1.0])
    with t.inference_mode():
        y = x * 2
    assert y.is_inference() and not y.requires_grad
    with refused(t, RuntimeError, "nference"):
        (x * y).sum().backward()


# ---- the graph's life ----------------------------------------------------------------------------


def test_backward_twice_needs_retain_graph(t: Any, leaf: Maker) -> None:
    x = leaf([2.0])
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    same(x.grad, [8])
    with refused(t, RuntimeError, "retain_graph=True"):
        y.backward()


def test_graph_is_released_without_gc(leaf: Maker) -> None:
    gc.disable()
    try:
        x = leaf([2.0])
        y = (x * x).exp().sum()
        node = weakref.ref(y)
        y.backward()
        del y
        assert node() is None
    finally:
        gc.enable()


def test_long_chains_do_not_exhaust_the_stack(leaf: Maker, device: str) -> None:
    x = leaf([1.0])
    y = x
    for _ in range(200 if device.startswith("sim") else 3000):
        y = y + 1
    y.sum().backward()
    del y
    same(x.grad, [1])


def test_nothing_to_differentiate(t: Any, device: str) -> None:
    with refused(t, RuntimeError, "require"):
        t.ones(1, device=device).sum().backward()


# ---- in-place ops and views ----------------------------------------------------------------------


def test_inplace_on_a_leaf_is_refused(t: Any, leaf: Maker) -> None:
    x = leaf([1.0])
    with refused(t, RuntimeError, "leaf", "no_grad"):
        x.add_(1)
    with refused(t, RuntimeError, "leaf"):
        x[:1].mul_(2)
    with t.no_grad():
        x.add_(1)
    same(x, [2])


def test_inplace_on_a_saved_value_names_the_op(t: Any, leaf: Maker) -> None:
    x = leaf([1.0, 2.0])
    y = x.exp()
    z = y.sum() * 2
    y.add_(1)
    with refused(t, RuntimeError, "exp", "version"):
        z.backward()
        y.backward(t.ones_like(y))


def test_inplace_on_a_view_of_a_saved_value(t: Any, leaf: Maker) -> None:
    x = leaf([1.0, 2.0])
    y = x * 1
    z = y * y
    y[0] = 5
    with refused(t, RuntimeError, "version"):
        z.sum().backward()


def test_inplace_not_saved_is_fine(leaf: Maker) -> None:
    x = leaf([1.0, 2.0])
    y = x * 1
    z = y + 1
    y.mul_(5)
    (z.sum() + y.sum()).backward()
    same(x.grad, [6, 6])


def test_write_through_a_view_reaches_the_base(leaf: Maker) -> None:
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    base = x * 1
    base.t()[0].mul_(10)
    base.sum().backward()
    same(x.grad, [[10, 1], [10, 1]])


def test_write_into_the_base_reaches_its_views(leaf: Maker) -> None:
    x = leaf([1.0, 2.0, 3.0])
    base = x * 1
    view = base[1:]
    base.mul_(3)
    view.sum().backward()
    same(x.grad, [0, 3, 3])


def test_a_view_in_several_steps(leaf: Maker) -> None:
    """It has a gradient, and sees writes into its base."""
    x = leaf([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    base = x * 1
    view = base[1:, None, ::2][..., 1]
    view.sum().backward(retain_graph=True)
    same(x.grad, [[0, 0, 0], [0, 0, 1]])
    base.mul_(3)
    same(view, [[18]])
    view.sum().backward()
    same(x.grad, [[0, 0, 0], [0, 0, 4]])


def test_views_that_are_gone_are_forgotten(t: Any, leaf: Maker) -> None:
    """Their base does not collect what is left of them, and still finds those that live."""
    x = leaf([1.0, 2.0, 3.0])
    base = x * 1
    kept = [base[k:] for k in range(3)]
    for _ in range(500):
        base[1:]
    if t.__name__ == "ingot":
        assert len(base._views) < 100
    base.mul_(2)
    sum(view.sum() for view in kept).backward()
    same(x.grad, [2, 4, 6])


@pytest.mark.parametrize("key", [0, (slice(None), 1)], ids=["rows", "columns"])
def test_a_number_written_over_a_part_ends_its_gradient(leaf: Maker, key: Any) -> None:
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    y = x * 2
    before = y[key]
    y[key] = 5.0
    same(before, [5, 5])
    y.sum().backward()
    wanted = np.full((2, 2), 2.0)
    wanted[key] = 0
    same(x.grad, wanted)


def test_a_number_written_over_all(t: Any, leaf: Maker) -> None:
    x = leaf([1.0, 2.0])
    y = x * 2
    z = y * y
    y.fill_(3.0)
    same(y, [3, 3])
    with refused(t, RuntimeError, "version"):
        z.sum().backward()
    with refused(t, RuntimeError, "leaf"):
        x.zero_()


def test_copy_into_a_buffer_becomes_differentiable(t: Any, leaf: Maker, device: str) -> None:
    x = leaf([1.0, 2.0])
    buffer = t.zeros(4, device=device)
    buffer[1:3] = x * x
    assert buffer.requires_grad
    (buffer * t.tensor([1.0, 2.0, 3.0, 4.0], device=device)).sum().backward()
    same(x.grad, [4, 12])


def test_detach_shares_memory_and_not_history(leaf: Maker) -> None:
    x = leaf([1.0])
    y = x * 2
    y.detach().zero_()
    same(y, [0])
    y.detach_()
    assert y.is_leaf


# ---- higher orders -------------------------------------------------------------------------------


def test_second_and_third_order(t: Any, leaf: Maker) -> None:
    x = leaf([2.0])
    (first,) = t.autograd.grad((x**4).sum(), [x], create_graph=True)
    (second,) = t.autograd.grad(first.sum(), [x], create_graph=True)
    (third,) = t.autograd.grad(second.sum(), [x])
    near(first, [32])
    near(second, [48])
    near(third, [48])


def test_gradient_penalty_trains(t: Any, leaf: Maker) -> None:
    w, x = leaf([[1.0, 2.0], [3.0, 4.0]]), leaf([[0.5, -1.0]])
    (g,) = t.autograd.grad(t.tanh(x @ w).sum(), [x], create_graph=True)
    (g * g).sum().backward()
    assert w.grad is not None and np.isfinite(w.grad.cpu().numpy()).all() and x.grad is not None


def test_gradcheck(t: Any, device: str) -> None:
    if device.startswith("sim"):
        pytest.skip("hundreds of evaluations")
    needs(t, device, "float64")
    a, b = (
        t.tensor([[0.3, -1.2], [2.0, 0.7]], dtype=t.float64, device=device, requires_grad=True)
        for _ in "ab"
    )
    assert t.autograd.gradcheck(lambda x, y: (x @ y).sin(), (a, b))
    assert t.autograd.gradgradcheck(lambda x: x.exp() * x, (a,))

    def forward(ctx: Any, x: Any) -> Any:
        return x * x

    def backward(ctx: Any, g: Any) -> Any:
        return g * 5

    Wrong = function_of(t, "Wrong", forward, backward)
    with pytest.raises(RuntimeError):
        t.autograd.gradcheck(Wrong.apply, (a,))


@pytest.mark.parametrize("name", ["sin", "abs", "square", "mul", "pow"])
def test_an_op_in_place_keeps_what_its_gradient_reads(t: Any, device: str, name: str) -> None:
    """The value before, of which nothing is left: a copy is kept, with its history for a second order. Also under a view."""

    def slopes(how: str) -> list[Any]:
        leaf = t.linspace(-1, 1, 6, device=device).requires_grad_()
        factor = t.linspace(1, 2, 6, device=device).requires_grad_()
        others = {"mul": (factor,), "pow": (3,)}.get(name, ())
        x = leaf * 2
        if how == "apart":
            x = getattr(x, name)(*others)
        else:
            getattr(x if how == "in place" else x.view(2, 3).view(6), name + "_")(*others)
        first = t.autograd.grad((x * x).sum(), [leaf, *(others if name == "mul" else ())], create_graph=True)
        return [*first, *t.autograd.grad(first[0].square().sum(), leaf)]

    expected = slopes("apart")
    for how in ("in place", "under a view"):
        for got, wanted in zip(slopes(how), expected, strict=True):
            near(got, wanted.detach().cpu().numpy())


@pytest.mark.parametrize("name", ["relu_", "sigmoid_", "tanh_", "exp_"])
def test_an_op_in_place_saves_what_it_wrote(t: Any, device: str, name: str) -> None:
    """Its gradient reads the result, which is the tensor itself: nobody may write there before the backward pass."""
    leaf = t.linspace(-1, 1, 1000, device=device).requires_grad_()
    x = leaf * 1
    assert getattr(x, name)() is x
    x.sum().backward()
    other = leaf.detach().requires_grad_()
    getattr(other * 1, name[:-1])().sum().backward()
    assert (leaf.grad == other.grad).all()
    y = leaf * 1
    getattr(y, name)()
    y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
