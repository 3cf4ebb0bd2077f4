"""Mixed precision: which dtype an op takes, what that changes in values and gradients, compiled steps, scaled losses."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from harness.behaviour import needs, ours_only, refused, same

Short = tuple[str, Any]


@pytest.fixture(params=["bfloat16", "float16"])
def short(request: pytest.FixtureRequest, t: Any, device: str) -> Short:
    """The device's kind, and a short dtype that it has."""
    needs(t, device, request.param)
    return device.partition(":")[0], getattr(t, request.param)


def drawn(t: Any, device: str, *shape: int, seed: int = 0) -> Any:
    return t.tensor(np.random.default_rng(seed).normal(size=shape).astype(np.float32), device=device)


# ---- which dtype -------------------------------------------------------------------------------------------------------
LOWER: dict[str, Callable[[Any, Any], Any]] = {
    "matmul": lambda t, x: x @ x, "mm": lambda t, x: t.mm(x, x), "mv": lambda t, x: t.mv(x, x[0]),
    "bmm": lambda t, x: t.bmm(x[None], x[None]), "addmm": lambda t, x: t.addmm(x, x, x),
    "einsum": lambda t, x: t.einsum("ij,kj", x, x),
    "linear": lambda t, x: t.nn.functional.linear(x, x, x[0]), "a layer": lambda t, x: t.nn.Linear(4, 3).to(x.device)(x),
    "conv1d": lambda t, x: t.nn.functional.conv1d(x[None], x[:, :, None]),
    "conv2d": lambda t, x: t.nn.functional.conv2d(x[None, None], x[None, None]),
    "conv_transpose2d": lambda t, x: t.nn.functional.conv_transpose2d(x[None, None], x[None, None]),
    "attention": lambda t, x: t.nn.functional.scaled_dot_product_attention(x[None, None], x[None, None], x[None, None]),
    "gelu of a product": lambda t, x: t.nn.functional.gelu(x @ x), "relu of a product": lambda t, x: (x @ x).relu(),
}  # fmt: skip
FLOAT32: dict[str, Callable[[Any, Any], Any]] = {
    "exp": lambda t, x: (x @ x).exp(), "log": lambda t, x: (x @ x).abs().log(), "pow": lambda t, x: (x @ x) ** 2,
    "pow of a tensor": lambda t, x: (x @ x).abs() ** x, "sum": lambda t, x: (x @ x).sum(0),
    "prod": lambda t, x: (x @ x).prod(0),
    "norm": lambda t, x: (x @ x).norm(), "cumsum": lambda t, x: (x @ x).cumsum(0), "softmax": lambda t, x: (x @ x).softmax(0),
    "log_softmax": lambda t, x: (x @ x).log_softmax(0), "rsqrt": lambda t, x: (x @ x).abs().rsqrt(),
    "layer_norm": lambda t, x: t.nn.functional.layer_norm(x @ x, (4,)),
    "mse_loss": lambda t, x: t.nn.functional.mse_loss(x @ x, x @ x), "softplus": lambda t, x: t.nn.functional.softplus(x @ x),
    "cross_entropy": lambda t, x: t.nn.functional.cross_entropy(x @ x, t.tensor([0, 1, 2, 3], device=x.device)),
    "nll_loss": lambda t, x: t.nn.functional.nll_loss(x @ x, t.tensor([0, 1, 2, 3], device=x.device)),
    "with logits": lambda t, x: t.nn.functional.binary_cross_entropy_with_logits(x @ x, t.sigmoid(x)),
    "what it does not touch": lambda t, x: x + 1, "promotion": lambda t, x: (x @ x) + x,
}  # fmt: skip


@pytest.mark.parametrize("name", LOWER)
def test_products_are_short(t: Any, device: str, short: Short, name: str) -> None:
    if name == "mv":
        ours_only(t, "on a CPU it leaves mv alone")
    x = drawn(t, device, 4, 4)
    with t.autocast(*short):
        assert LOWER[name](t, x).dtype == short[1]
    assert LOWER[name](t, x).dtype == t.float32


@pytest.mark.parametrize("name", FLOAT32)
def test_sums_and_powers_and_losses_are_not(t: Any, device: str, short: Short, name: str) -> None:
    ours_only(t, "on a CPU it has a policy of its own")
    x = drawn(t, device, 4, 4)
    with t.autocast(*short):
        assert FLOAT32[name](t, x).dtype == t.float32


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_recurrent_layers_are_short(t: Any, device: str, short: Short, name: str) -> None:
    ours_only(t, "its GRU on a CPU is not")
    layer = getattr(t.nn, name)(4, 3).to(device)
    with t.autocast(*short):
        made, state = layer(drawn(t, device, 5, 2, 4))
    assert made.dtype == short[1]
    made.float().sum().backward()
    assert all(p.grad.dtype == t.float32 for p in layer.parameters())
    del state


def test_integers_are_left_alone(t: Any, device: str, short: Short) -> None:
    n = t.tensor([[1, 2], [3, 4]], device=device)
    with t.autocast(*short):
        assert t.bincount(n.reshape(-1)).dtype == t.int64 and n.sum().dtype == t.int64 and (n + n).dtype == t.int64


def test_float64_is_left_alone(t: Any, device: str, short: Short) -> None:
    needs(t, device, "float64")
    x = drawn(t, device, 4, 4).double()
    with t.autocast(*short):
        assert (x @ x).dtype == t.float64 and x.exp().dtype == t.float64


def test_prelu_and_norms_take_weights_of_float32(t: Any, device: str, short: Short) -> None:
    layers = t.nn.Sequential(t.nn.Conv2d(2, 4, 3), t.nn.PReLU(4), t.nn.BatchNorm2d(4), t.nn.GroupNorm(2, 4)).to(device)
    with t.autocast(*short):
        made = layers(drawn(t, device, 2, 2, 5, 5))
    made.float().square().mean().backward()
    assert layers[2].running_mean.dtype == t.float32
    assert all(p.grad.dtype == t.float32 and bool(p.grad.isfinite().all()) for p in layers.parameters())


# ---- values and gradients ----------------------------------------------------------------------------------------------
def test_it_is_the_program_with_casts_written_out(t: Any, device: str, short: Short) -> None:
    x, w, b = drawn(t, device, 5, 4), drawn(t, device, 3, 4, seed=1), drawn(t, device, 3, seed=2)
    found = []
    for automatic in (True, False):
        leaves = [y.clone().requires_grad_() for y in (x, w, b)]
        if automatic:
            with t.autocast(*short):
                made = t.nn.functional.linear(*leaves)
                loss = made.float().exp().sum()
        else:
            made = t.nn.functional.linear(*[y.to(short[1]) for y in leaves])
            loss = made.float().exp().sum()
        loss.backward()
        found.append([made.float(), loss, *(y.grad for y in leaves)])
    for one, other in zip(*found, strict=True):
        assert one.dtype == other.dtype == t.float32
        same(one, other.detach().cpu().numpy())


def test_a_backward_pass_inside_runs_as_outside(t: Any, device: str, short: Short) -> None:
    grads = []
    for inside in (True, False):
        w = drawn(t, device, 4, 4).requires_grad_()
        with t.autocast(*short):
            loss = (w @ w).softmax(-1).square().sum()
            if inside:
                loss.backward()
        if not inside:
            loss.backward()
        grads.append(w.grad.cpu().numpy())
    np.testing.assert_array_equal(*grads)


def test_a_weight_that_changes_inside_is_cast_again(t: Any, device: str, short: Short) -> None:
    ours_only(t, "PyTorch keeps the cast")
    w = t.ones(2, 2, device=device).requires_grad_()
    with t.autocast(*short):
        assert float((w @ w).detach()[0, 0]) == 2.0
        with t.no_grad():
            w.mul_(2)
        assert float((w @ w).detach()[0, 0]) == 8.0


def test_a_weight_that_was_used_without_gradients_has_them(t: Any, device: str, short: Short) -> None:
    w = t.ones(2, 2, device=device).requires_grad_()
    with t.autocast(*short):
        with t.no_grad():
            w @ w
        for _ in range(2):  # and one that a backward pass went through serves again
            (w @ w).sum().backward()
    same(w.grad, np.full((2, 2), 8.0))


def casts(t: Any, device: str, short: Short, **options: Any) -> int:
    """How many casts run when a weight is used three times."""
    from ingot.profiler import profile

    w, x = drawn(t, device, 4, 4).requires_grad_(), drawn(t, device, 4, 4).to(short[1])
    with t.autocast(*short, **options), profile() as recorded:
        for _ in range(3):
            x @ w
    return sum(e.kind == "op" and e.name == "cast" for e in recorded.events)


def test_a_weight_is_cast_once(t: Any, device: str, short: Short) -> None:
    ours_only(t, "counted by our profiler")
    assert casts(t, device, short) == 1
    assert casts(t, device, short, cache_enabled=False) == 3


# ---- scopes ------------------------------------------------------------------------------------------------------------
def test_scopes_nest_and_end(t: Any, device: str, short: Short) -> None:
    kind, dtype = short
    x = drawn(t, device, 2, 2)
    with t.autocast(kind, dtype=dtype):
        assert t.is_autocast_enabled(kind) and t.get_autocast_dtype(kind) == dtype
        with t.autocast(kind, enabled=False):
            assert (x @ x).dtype == t.float32 and not t.is_autocast_enabled(kind)
        assert (x @ x).dtype == dtype
        with pytest.raises(ZeroDivisionError), t.autocast(kind, enabled=False):
            raise ZeroDivisionError
        assert (x @ x).dtype == dtype
    assert (x @ x).dtype == t.float32 and not t.is_autocast_enabled(kind)


def test_it_decorates(t: Any, device: str, short: Short) -> None:
    def product(x: Any) -> Any:
        """A docstring."""
        return x @ x

    decorated = t.autocast(*short)(product)
    for _ in range(2):
        assert decorated(drawn(t, device, 2, 2)).dtype == short[1]
    assert decorated.__doc__ == "A docstring."


def test_other_threads_are_not_in_it(t: Any, device: str, short: Short) -> None:
    found = []
    x = drawn(t, device, 2, 2)
    with t.autocast(*short):
        thread = threading.Thread(target=lambda: found.append((x @ x).dtype))
        thread.start()
        thread.join()
    assert found == [t.float32]


def test_what_it_refuses(t: Any, device: str) -> None:
    ours_only(t, "it warns and goes on")
    kind = device.partition(":")[0]
    with refused(t, RuntimeError, kind, "float32", "16"):
        t.autocast(kind, dtype=t.float32)
    for make in (t.autocast, t.amp.GradScaler):
        with refused(t, TypeError, "device"):
            make(5)
        with refused(t, RuntimeError, "toaster"):
            make("toaster")


def test_a_device_that_is_not_there(t: Any, device: str, short: Short, monkeypatch: pytest.MonkeyPatch) -> None:
    ours_only(t, "its devices are others")
    from ingot.lazy import discovery

    monkeypatch.setattr(discovery, "is_available", lambda kind: False)
    with pytest.warns(UserWarning, match=f"{short[0]}.*does nothing"):
        scope = t.autocast(*short)
    with scope:
        assert not t.is_autocast_enabled(short[0]) and drawn(t, device, 2, 2).exp().dtype == t.float32
    assert not t.amp.is_autocast_available(short[0])
    with pytest.warns(UserWarning, match=f"GradScaler.*{short[0]}.*does nothing"):
        assert not t.amp.GradScaler(short[0]).is_enabled()


# ---- compiled ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("around", ["inside", "outside"])
def test_a_compiled_step_is_the_eager_one(t: Any, device: str, short: Short, around: str) -> None:
    ours_only(t, "bit for bit, by replay")
    found = []
    for how in ("eager", "compiled"):
        t.manual_seed(0)
        model = t.nn.Sequential(t.nn.Linear(8, 16), t.nn.GELU(), t.nn.LayerNorm(16), t.nn.Linear(16, 4)).to(device)
        optimizer = t.optim.AdamW(model.parameters(), lr=0.05)

        def step(x: Any, y: Any, model: Any = model, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            with t.autocast(*short, enabled=True if around == "inside" else t.is_autocast_enabled(short[0])):
                loss = t.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        run: Any = t.compile(step) if how == "compiled" else step
        losses = []
        for k in range(6):
            x, y = drawn(t, device, 32, 8, seed=k), t.tensor(np.arange(32) % 4, device=device)
            with t.autocast(*short, enabled=around == "outside"):
                losses.append(float(run(x, y)))
        found.append((losses, [p.detach().cpu().numpy() for p in model.parameters()]))
        if how == "compiled":
            assert run.replays, run.eager
    assert found[0][0] == found[1][0]
    for one, other in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_array_equal(one, other)


# ---- the scaler --------------------------------------------------------------------------------------------------------
def scaled_steps(t: Any, device: str, planted: dict[int, float], **options: Any) -> list[float]:
    """Scales and weights along ten steps of SGD; in some of them a gradient is what ``planted`` says."""
    w = t.tensor([1.0, 2.0], device=device).requires_grad_()
    optimizer = t.optim.SGD([w], lr=0.25)
    scaler = t.amp.GradScaler(device.partition(":")[0], **options)
    found = []
    for k in range(10):
        optimizer.zero_grad()
        loss = (w * w).sum() * planted.get(k, 1.0)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        found += [scaler.get_scale(), *w.tolist()]
    return found


def test_a_step_that_is_not_finite_is_left_out_and_the_scale_moves(t: Any, device: str) -> None:
    inf, nan = float("inf"), float("nan")
    found = scaled_steps(t, device, {2: inf, 3: nan, 6: inf}, init_scale=1024.0, growth_interval=2)
    scales, weights = found[::3], found[1::3]
    assert scales == [1024, 2048, 1024, 512, 512, 1024, 512, 512, 1024, 1024]
    assert weights == [0.5, 0.25, 0.25, 0.25, 0.125, 0.0625, 0.0625, 0.03125, 0.015625, 0.0078125]


def test_a_scaler_that_is_off_does_nothing(t: Any, device: str) -> None:
    found = scaled_steps(t, device, {}, enabled=False)
    assert found[::3] == [1.0] * 10 and found[-2] == 2.0**-10


def test_gradients_are_unscaled_to_be_clipped(t: Any, device: str) -> None:
    w = t.tensor([3.0], device=device).requires_grad_()
    optimizer, scaler = t.optim.SGD([w], lr=1.0), t.amp.GradScaler(device.partition(":")[0], init_scale=64.0)
    scaler.scale((w * w).sum()).backward()
    assert w.grad.tolist() == [384.0]
    scaler.unscale_(optimizer)
    assert w.grad.tolist() == [6.0]
    t.nn.utils.clip_grad_norm_([w], 1.0)
    scaler.step(optimizer)
    np.testing.assert_allclose(w.tolist(), [2.0], rtol=1e-5)
    scaler.update()


def test_a_scalers_state_goes_over(t: Any, device: str) -> None:
    kind = device.partition(":")[0]
    one, other = t.amp.GradScaler(kind, init_scale=8.0, growth_interval=3), t.amp.GradScaler(kind)
    other.load_state_dict(one.state_dict())
    assert other.state_dict() == one.state_dict() == {
        "scale": 8.0, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 3, "_growth_tracker": 0,
    }  # fmt: skip
    assert t.amp.GradScaler(kind, enabled=False).state_dict() == {}


def test_what_a_scaler_refuses(t: Any, device: str) -> None:
    kind = device.partition(":")[0]
    w = t.ones(1, device=device).requires_grad_()
    optimizer, scaler = t.optim.SGD([w], lr=1.0), t.amp.GradScaler(kind)
    scaler.scale(w.sum()).backward()
    scaler.unscale_(optimizer)
    with refused(t, RuntimeError, "unscale_"):
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    with refused(t, RuntimeError, "step"):
        scaler.step(optimizer)
    with refused(t, RuntimeError, "unscale_"):
        scaler.unscale_(optimizer)
    with refused(t, RuntimeError, "Closure"):
        t.amp.GradScaler(kind).step(optimizer, closure=w.sum)
    with refused(t, RuntimeError, "empty"):
        scaler.load_state_dict({})
    with refused(t, (ValueError, AssertionError), "1.0"):
        t.amp.GradScaler(kind, growth_factor=1.0)
    with refused(t, (ValueError, AssertionError), "2.0"):
        t.amp.GradScaler(kind, backoff_factor=2.0)
    h = t.ones(1, device=device, dtype=t.float16).requires_grad_()
    half, scaler = t.optim.SGD([h], lr=1.0), t.amp.GradScaler(kind)
    with refused(t, (RuntimeError, AssertionError), "scale("):
        scaler.unscale_(half)
    scaler.scale(h.sum()).backward()
    with refused(t, ValueError, "FP16"):
        scaler.unscale_(half)


# ---- and it learns -----------------------------------------------------------------------------------------------------
def test_a_net_learns_in_float16_with_a_scaler(t: Any, device: str) -> None:
    needs(t, device, "float16")
    kind = device.partition(":")[0]
    t.manual_seed(0)
    model = t.nn.Sequential(t.nn.Linear(8, 32), t.nn.ReLU(), t.nn.Linear(32, 1)).to(device)
    optimizer, scaler = t.optim.AdamW(model.parameters(), lr=1e-2), t.amp.GradScaler(kind)
    x = drawn(t, device, 64, 8)
    y = (x[:, :1] * x[:, 1:2]).detach()
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        with t.autocast(kind, dtype=t.float16):
            loss = t.nn.functional.mse_loss(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0] and all(p.dtype == t.float32 for p in model.parameters())
