"""`ingot.func` on every device: derivatives against formulas and the tape, lanes against one value at a time.

That each op is right on lanes is `test_func_ops`'s.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import ingot
import numpy as np
import pytest
from harness.arrays import drawn, on, values
from ingot import func, library, nn
from ingot.func.lanes import Axis
from ingot.nn import functional as F

SHARE = library.custom_op("share_of_the_whole", "out = x / sum(x)", reference=lambda x: x / x.sum(-1, keepdims=True))


@pytest.fixture(autouse=True)
def _default(device: str) -> Iterator[None]:
    with ingot.device(device):
        yield


@pytest.fixture
def x(device: str) -> Any:
    return on(device, drawn(5, 3, seed=1))


@pytest.fixture
def w(device: str) -> Any:
    return on(device, drawn(3, 4, seed=2))


def close(got: Any, wanted: Any, tolerance: float = 2e-5) -> None:
    wanted = values(wanted) if isinstance(wanted, ingot.Tensor) else wanted
    np.testing.assert_allclose(values(got), wanted, rtol=tolerance, atol=tolerance)


# ---- lanes ---------------------------------------------------------------------------------------------------------------
def test_lanes_are_one_axis_more(x: Any, w: Any) -> None:
    close(func.vmap(lambda a: a @ w)(x), x @ w)
    close(func.vmap(lambda a, b: a * b.sum(), in_dims=(0, None))(x, w), x * w.sum())
    close(func.vmap(lambda a: (a[:, None] * a, a.sum()), out_dims=(-1, 0))(x)[0], np.einsum("bi,bj->ijb", values(x), values(x)))
    close(func.vmap(lambda a: a * 2, in_dims=1, out_dims=1)(x), x * 2)
    close(func.vmap(lambda a, *, by: a * by)(x, by=x[0]), x * x[0])
    assert ingot.vmap is func.vmap


def test_nests_of_arguments_and_results(x: Any) -> None:
    made = func.vmap(lambda p, q: {"s": p["a"] + q[0], "t": [p["b"] * q[1]]}, in_dims=({"a": 0, "b": None}, (1, 0)))(
        {"a": x, "b": x[0]}, (x.T, x)
    )
    close(made["s"], x + x)
    close(made["t"][0], x[0] * x)


def test_what_the_function_sees(x: Any, device: str) -> None:
    seen: list[Any] = []

    def look(a: Any) -> Any:
        seen.append((a.shape, a.ndim, a.numel(), a.dtype, str(a.device), len(a), a.is_leaf, a.requires_grad, repr(a)))
        return a

    func.vmap(look)(x)
    shape, ndim, numel, dtype, where, length, leaf, wants, text = seen[0]
    assert (tuple(shape), ndim, numel, dtype, length, leaf, wants) == ((3,), 1, 3, x.dtype, 3, True, False)
    assert where == str(x.device)
    assert text == f"lanes({x!r})"


def test_in_chunks(x: Any) -> None:
    sizes: list[int] = []

    def note(a: Any, b: Any) -> Any:
        sizes.append(a._layout.device.size)
        return a + b, {"s": a.sum()}

    one, two = func.vmap(note, in_dims=(0, None), out_dims=(1, 0), chunk_size=2)(x, x[0])
    close(one, (x + x[0]).T)
    close(two["s"], x.sum(1))
    assert sizes == [2, 2, 1]
    moved, same = func.vmap(lambda a: (a * 2, x[0]), out_dims=(-1, None), chunk_size=2)(x)
    close(moved, (x * 2).T)
    close(same, x[0])


def test_within_each_other(x: Any, w: Any) -> None:
    close(func.vmap(lambda a: func.vmap(lambda b: (a * b).sum())(w.T))(x), x @ w)
    three = func.vmap(func.vmap(func.vmap(lambda a, b, c: a * b + c, (0, None, None)), (None, 0, None)), (None, None, 0))
    close(three(x[:, 0], w[0], x[0]), np.einsum("i,j->ji", values(x[:, 0]), values(w[0])) + values(x[0])[:, None, None])


def test_results_have_memory_of_their_own(x: Any) -> None:
    before = values(x).copy()
    for made in (func.vmap(lambda a: a)(x), func.vmap(lambda a: a[1:])(x), func.vmap(lambda a: a.T, in_dims=0)(x[:, None])):
        made.add_(1)
        np.testing.assert_array_equal(values(x), before)


@pytest.mark.parametrize("size", [0, 1])
def test_few_lanes(size: int) -> None:
    made = func.vmap(lambda a: (a @ ingot.ones(3, 2), a.sum(), a.sort()[0], F.mse_loss(a, a * 2)))(ingot.ones(size, 3))
    assert [tuple(m.shape) for m in made] == [(size, 2), (size,), (size, 3), (size,)]


def test_random_numbers(x: Any) -> None:
    def draw(a: Any) -> Any:
        nothing = a.sum() * 0
        dropped = F.dropout(ingot.ones(64), 0.5)
        return ingot.rand(3) + nothing, dropped + nothing, ingot.randn_like(a), ingot.randperm(9) + nothing

    with pytest.raises(RuntimeError, match="randomness='different' or 'same'"):
        func.vmap(draw)(x)
    for made in func.vmap(draw, randomness="same")(x):
        assert (values(made) == values(made)[0]).all()
    for made in func.vmap(draw, randomness="different")(x):
        assert len({tuple(row) for row in values(made).tolist()}) == 5
    ingot.manual_seed(3)
    first = values(func.vmap(lambda a: a * 0 + ingot.rand(3), randomness="different")(x))
    after = values(ingot.rand(3))
    ingot.manual_seed(3)
    np.testing.assert_array_equal(first, values(ingot.rand(5, 3)))  # the numbers of one tensor with all lanes
    assert not np.isin(after, first).any()


# ---- writes ----------------------------------------------------------------------------------------------------------------
def test_writes_in_place(x: Any) -> None:
    def write(a: Any, v: Any) -> Any:
        made = ingot.zeros_like(a)
        made.add_(a)
        made[0] = v
        made[1:].mul_(2)
        copied = a.clone()
        copied += 1
        copied.masked_fill_(copied > 1, 7.0)
        return made, copied, a.new_full((2,), 3.0).add_(v)

    made, copied, new = func.vmap(write)(x, ingot.arange(5).float())
    wanted = values(x).copy()
    wanted[:, 0], wanted[:, 1:] = np.arange(5), 2 * wanted[:, 1:]
    close(made, wanted)
    close(copied, np.where(values(x) + 1 > 1, 7, values(x) + 1))
    close(new, 3 + np.arange(5.0)[:, None] + np.zeros(2))


def test_writes_that_are_refused(x: Any, w: Any) -> None:
    before = values(x).copy(), values(w).copy()
    for bad in (lambda a: a.add_(1), lambda a: w.add_(a.sum()), lambda a: a[1:].zero_(), lambda a: w.__setitem__(0, a[0])):
        with pytest.raises(RuntimeError, match="cannot be written in place inside"):
            func.vmap(bad)(x)
    np.testing.assert_array_equal(values(x), before[0])
    np.testing.assert_array_equal(values(w), before[1])


def test_gradients_of_writes(x: Any) -> None:
    def write(a: Any, p: Any) -> Any:
        made = a.clone()
        made[0] = p * 3
        made.mul_(p)
        return (made * made).sum()

    p = ingot.tensor(1.5)
    got = func.vmap(func.grad(write, argnums=(0, 1)), in_dims=(0, None))(x, p)
    for k in range(5):
        for mine, wanted in zip(got, func.grad(write, argnums=(0, 1))(x[k], p), strict=True):
            close(mine[k], wanted)


# ---- the tape --------------------------------------------------------------------------------------------------------------
def test_backward_through_lanes(x: Any, w: Any) -> None:
    a, b, c, d = (t.clone().requires_grad_() for t in (x, w, x, w))
    func.vmap(lambda row, m: (row @ m).tanh(), in_dims=(0, None))(a, b).sum().backward()
    (c @ d).tanh().sum().backward()
    close(a.grad, c.grad)
    close(b.grad, d.grad)


def test_second_order_through_lanes(x: Any) -> None:
    a = x.clone().requires_grad_()
    (first,) = ingot.autograd.grad(func.vmap(lambda row: (row**3).sum())(a).sum(), [a], create_graph=True)
    (second,) = ingot.autograd.grad(first.sum(), [a])
    close(second, 6 * x)


def test_two_calls_over_as_many_lanes_are_two_axes() -> None:
    a = ingot.randn(3).requires_grad_()
    y = func.vmap(lambda v: v.sin() * 2)(a)
    rows = func.vmap(lambda v: ingot.autograd.grad(y, [a], v, retain_graph=True)[0])(ingot.eye(3))
    close(rows, np.diag(2 * np.cos(values(a))))
    (batched,) = ingot.autograd.grad(y, [a], ingot.eye(3), is_grads_batched=True)
    close(batched, rows)


def test_gradients_of_each_sample(x: Any) -> None:
    """A net with convolutions and norms, its gradients by lane, against one sample at a time."""
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.LayerNorm(16),
        nn.Linear(16, 5),
    ).eval()  # fmt: skip
    images, classes = ingot.randn(3, 3, 4, 4), ingot.tensor([1, 0, 4])
    parameters = {name: p.detach() for name, p in net.named_parameters()}

    def loss(p: Any, image: Any, c: Any) -> Any:
        return F.cross_entropy(func.functional_call(net, p, (image[None],)), c[None], label_smoothing=0.1)

    made = func.vmap(func.grad(loss), in_dims=(None, 0, 0))(parameters, images, classes)
    for k in range(3):
        net.zero_grad()
        F.cross_entropy(net(images[k : k + 1]), classes[k : k + 1], label_smoothing=0.1).backward()
        for name, p in net.named_parameters():
            close(made[name][k], p.grad, 1e-4)


def test_an_ensemble(x: Any) -> None:
    models = [nn.Sequential(nn.Linear(3, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 2)) for _ in range(3)]
    parameters, buffers = func.stack_module_state(models)
    made = func.vmap(lambda p, b: func.functional_call(models[0], (p, b), (x,)))(parameters, buffers)
    wanted = ingot.stack([m(x) for m in models])
    close(made, wanted)
    made.square().sum().backward()
    wanted.square().sum().backward()
    for name, p in parameters.items():
        close(p.grad, ingot.stack([dict(m.named_parameters())[name].grad for m in models]), 1e-4)


def test_functions_of_ones_own_and_attention(x: Any) -> None:
    class Square(ingot.autograd.Function):
        @staticmethod
        def forward(ctx: Any, a: Any) -> Any:
            ctx.save_for_backward(a)
            return a * a

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * ctx.saved_tensors[0] * g

    close(func.vmap(func.grad(lambda a: Square.apply(a).sum()))(x), 2 * x)
    q = ingot.randn(3, 2, 5, 4)

    def attend(a: Any) -> Any:
        return F.scaled_dot_product_attention(a, a, a, is_causal=True)

    close(func.vmap(attend)(q), attend(q))
    close(func.vmap(func.grad(lambda a: attend(a).sin().sum()))(q), func.grad(lambda a: attend(a).sin().sum())(q), 1e-4)


def test_an_op_of_somebody_elses_runs_lane_after_lane(x: Any) -> None:
    """What a row does with a further axis is known of our own alone."""
    for run in (SHARE, func.grad(lambda a: SHARE(a).square().sum())):
        close(func.vmap(run)(x), ingot.stack([run(row) for row in x]))


def test_two_devices(x: Any, device: str) -> None:
    number = ingot.tensor(2.0, device="cpu")
    close(func.vmap(lambda a: a * number)(x), x * 2)  # a number comes along, as ever
    if device != "cpu:0":
        other = ingot.ones(3, device="cpu")
        with pytest.raises(RuntimeError, match="found at least two devices"):
            func.vmap(lambda a: a * other)(x)
        with pytest.raises(RuntimeError, match="move it before the call"):
            func.vmap(lambda a: a.to("cpu"))(x)


# ---- derivatives -----------------------------------------------------------------------------------------------------------
def test_grad_in_grad(x: Any) -> None:
    got = func.grad(lambda a: func.grad(lambda b: (b**4).sum())(a).sum())(x)
    close(got, 12 * x**2, 1e-4)
    assert not got.requires_grad
    one = ingot.tensor(1.0)  # and an inner variable is not the outer one
    assert func.grad(lambda a: a * func.grad(lambda b: a + b)(one))(one).item() == 1


def test_grad_goes_on_outside(x: Any, w: Any) -> None:
    a, b, c = w.clone().requires_grad_(), w.clone().requires_grad_(), x.clone().requires_grad_()
    func.grad(lambda v: (v @ a).sin().sum())(x).sum().backward()
    (g,) = ingot.autograd.grad((c @ b).sin().sum(), [c], create_graph=True)
    g.sum().backward()
    close(a.grad, b.grad)
    with ingot.no_grad():
        got = func.grad(lambda v: v.sin().sum())(x)
    close(got, x.cos())


def test_forms_of_grad(x: Any, w: Any) -> None:
    got, (value, aux) = func.grad_and_value(lambda a: (a.sum(), {"k": a * 2}), has_aux=True)(x)
    close(got, np.ones((5, 3)))
    close(value, x.sum())
    close(aux["k"], x * 2)
    assert not (value.requires_grad or aux["k"].requires_grad)
    first, second = func.grad(lambda p, q: (p["a"] * q).sum() + p["b"][0].sum() * 2, argnums=(0, 1))({"a": x, "b": [w]}, x)
    close(first["a"], x)
    close(first["b"][0], 2 * np.ones((3, 4)))
    close(second, x)
    close(func.grad(lambda a: ingot.ones(()))(x), np.zeros((5, 3)))


def test_products_with_the_jacobian(x: Any, w: Any) -> None:
    _, pull = func.vjp(lambda a, b: (a @ b, {"s": a.sum()}), x, w)
    for weight in (2.0, 0.0):
        first, second = pull((ingot.ones(5, 4), {"s": ingot.tensor(weight)}))
        close(first, ingot.ones(5, 4) @ w.T + weight)
        close(second, x.T @ ingot.ones(5, 4))
    tangent = ingot.randn(5, 3)
    _, (sines, squares) = func.jvp(lambda a: (a.sin(), (a * a).sum()), (x,), (tangent,))
    close(sines, x.cos() * tangent)
    close(squares, (2 * x * tangent).sum())
    close(func.jvp(func.grad(lambda a: (a.sin() ** 2).sum()), (x,), (tangent,))[1], 2 * (2 * x).cos() * tangent, 1e-4)
    assert func.jvp(lambda a: ingot.ones(2), (x,), (tangent,))[1].tolist() == [0, 0]
    value, push = func.linearize(lambda a, b: {"s": (a @ b).sum()}, x, w)
    close(value["s"], (x @ w).sum())
    for scale in (1.0, 2.0):
        close(push(tangent * scale, w * 0)["s"], (tangent @ w).sum() * scale, 1e-4)


def test_matrices(x: Any, w: Any) -> None:
    def function(a: Any, b: Any) -> Any:
        return (a @ w).tanh(), {"s": (a * b).sum()}

    slope = (1 - np.tanh(values(x[0] @ w)) ** 2)[:, None] * values(w).T
    for jacobian in (func.jacrev, func.jacfwd):
        first, second = jacobian(function, argnums=(0, 1))(x[0], x[1])
        close(first[0], slope)
        close(first[1], np.zeros((4, 3)))
        close(second["s"][0], x[1])
        close(second["s"][1], x[0])
    close(func.jacrev(lambda a: a.sin(), chunk_size=2)(x[0]), np.diag(np.cos(values(x[0]))))
    matrix, aux = func.jacfwd(lambda a: (a.sin(), a * 2), has_aux=True)(x[0])
    close(matrix, np.diag(np.cos(values(x[0]))))
    close(aux, x[0] * 2)
    (aa, ab), _ = func.hessian(lambda a, b: (a * b).sum() ** 2, argnums=(0, 1))(x[0], x[1])
    close(aa, 2 * ingot.outer(x[1], x[1]), 1e-4)
    close(ab, 2 * ingot.outer(x[1], x[0]) + 2 * (x[0] * x[1]).sum() * ingot.eye(3), 1e-4)
    close(func.vmap(func.hessian(lambda a: (a**3).sum()))(x), np.stack([np.diag(6 * row) for row in values(x)]), 1e-4)


# ---- modules ---------------------------------------------------------------------------------------------------------------
def test_functional_call_leaves_the_module_alone(x: Any) -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    before = dict(net.named_parameters())
    zeros = {"0.weight": ingot.zeros(3, 3)}
    close(func.functional_call(net, zeros, (x,)), net[1].bias.expand(5, 3))  # both are the weight
    assert all(v is before[k] for k, v in net.named_parameters())
    with pytest.raises(ZeroDivisionError):
        func.functional_call(_Failing(), {"p": ingot.zeros(1)}, (x,))
    norm = nn.BatchNorm1d(3)
    state = {"running_mean": ingot.zeros(3), "running_var": ingot.ones(3), "num_batches_tracked": ingot.tensor(0)}
    func.functional_call(norm, state, (x,))
    close(state["running_mean"], x.mean(0) * 0.1)
    assert not values(norm.running_mean).any()


def test_batch_norms_without_statistics_run_on_lanes(x: Any) -> None:
    net = func.replace_all_batch_norm_modules_(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)))
    batches = ingot.stack([x, x * 2 + 1])
    close(func.vmap(net)(batches), ingot.stack([net(b) for b in batches]))
    gradients = func.vmap(func.grad(lambda b: net(b).sin().sum()))(batches)
    close(gradients, ingot.stack([func.grad(lambda b: net(b).sin().sum())(b) for b in batches]), 1e-4)


class _Failing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Parameter(ingot.ones(1))

    def forward(self, x: Any) -> Any:
        raise ZeroDivisionError


# ---- with the rest -----------------------------------------------------------------------------------------------------------
def test_compiled(x: Any, w: Any) -> None:
    def step(p: Any, a: Any) -> Any:
        return func.vmap(func.grad(lambda p, b: (b @ p).sin().sum()), in_dims=(None, 0))(p, a)

    compiled, other = ingot.compile(step), x * 2
    for given in (x, x, x, other, x):
        np.testing.assert_array_equal(values(compiled(w, given)), values(step(w, given)))
    assert compiled.replays


def test_autocast(x: Any, w: Any, device: str) -> None:
    with ingot.autocast(device, dtype=ingot.bfloat16):
        assert func.vmap(lambda a: a @ w)(x).dtype is (x @ w).dtype


def test_nothing_is_left_behind(x: Any) -> None:
    def run() -> None:
        a = x.clone().requires_grad_()
        func.vmap(lambda row: (row.exp() * row).sum())(a).sum().backward()
        func.hessian(lambda row: (row**3).sum())(x[0])

    run()
    gc.collect()
    pool = x._layout.device.pool
    axes, used = sum(map(len, Axis._known.values())), pool.stats().used
    for _ in range(5):
        run()
    gc.collect()
    assert sum(map(len, Axis._known.values())) == axes
    assert pool.stats().used == used


def test_many_sizes_do_not_add_up(x: Any) -> None:
    for size in range(2, 90):
        func.vmap(lambda a: a)(x[:1].expand(size, 3))
    assert len(Axis._known) < 90
    assert len(vars(x._layout.device)["_lanes"]) < 90


def test_an_axis_is_not_taken_while_its_tape_lives(x: Any) -> None:
    """Two calls of one size whose results meet: each is on an axis of its own."""
    kept: list[Any] = []

    def keep(a: Any) -> Any:
        kept.append(a)
        return a

    func.vmap(keep)(x)
    both = func.vmap(lambda a: (a * kept[0]).sum())(x)  # the kept one is another axis, which is there no more
    assert tuple(both.shape) == (5,)
    assert len(both._layout.device.axes) == 1


# ---- what is refused -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "said", "call"),
    [
        (ValueError, "in_dims must be a number or a tuple", func.vmap(lambda a: a, in_dims=None)),
        (ValueError, "nothing to map over", func.vmap(lambda a: a, in_dims=(None,))),
        (ValueError, r"one size along their axes, but have \[3, 5\]", lambda x: func.vmap(lambda a, b: a)(x, x.T)),
        (ValueError, "has no such axis", func.vmap(lambda a: a, in_dims=2)),
        (ValueError, "no tensor, but float: give it None", lambda x: func.vmap(lambda a, b: a)(x, 2.0)),
        (ValueError, r"in_dims=\(0, 0\) does not have the form", func.vmap(lambda a: a, in_dims=(0, 0))),
        (ValueError, "out_dims has None", func.vmap(lambda a: a, out_dims=None)),
        (ValueError, "chunk_size must be 1 or more", lambda x: func.vmap(lambda a: a, chunk_size=0)),
        (TypeError, "must return tensors, or tuples, lists and dicts of them, not int", func.vmap(lambda a: 3)),
        (RuntimeError, "randomness must be one of", lambda x: func.vmap(lambda a: a, randomness="some")),
        (RuntimeError, "read on the host", func.vmap(lambda a: a if a.sum() > 0 else -a)),
        (RuntimeError, "read on the host", func.vmap(lambda a: a[a > 0])),
        (RuntimeError, "read on the host", func.vmap(lambda a: ingot.tensor(a.numpy()))),
        (TypeError, "or nests of them, not ingot.int64", lambda x: func.grad(lambda a: a.sum())(ingot.arange(3))),
        (TypeError, "not float", lambda x: func.grad(lambda a: a)(1.0)),
        (RuntimeError, r"a scalar tensor \(no axes\), not a tensor of shape \[5, 3\]", func.grad(lambda a: a)),
        (RuntimeError, "argnums=2 names argument 2, but 1 were given", func.grad(lambda a: a.sum(), argnums=2)),
        (RuntimeError, r"a pair \(output, aux\)", func.grad(lambda a: a.sum(), has_aux=True)),
        (RuntimeError, r"cotangents must be tensors of the shapes", lambda x: func.vjp(lambda a: a, x)[1](x.T)),
        (RuntimeError, r"tangents must be tensors of the shapes", lambda x: func.jvp(lambda a: a, (x,), (x.T,))),
        (TypeError, "primals and tangents must be tuples", lambda x: func.jvp(lambda a: a, x, x)),
        (RuntimeError, "must depend on the primals", lambda x: func.jvp(lambda a: ingot.ones(1), (x,), (x,), strict=True)),
        (RuntimeError, r"no parameter or buffer \['q'\]", lambda x: func.functional_call(nn.Linear(3, 3), {"q": x}, (x,))),
        (RuntimeError, r"missing: \['bias'\]", lambda x: func.functional_call(nn.Linear(3, 3), {"weight": x}, x, strict=True)),
        (ValueError, "several of the dicts", lambda x: func.functional_call(nn.Linear(3, 3), ({"bias": x}, {"bias": x}), (x,))),
        (RuntimeError, "at least one model", lambda x: func.stack_module_state([])),
        (RuntimeError, "one class", lambda x: func.stack_module_state([nn.Linear(3, 3), nn.Sequential()])),
        (RuntimeError, "needs grad_outputs", lambda x: ingot.autograd.grad(x, [x], is_grads_batched=True)),
    ],
)  # fmt: skip
def test_what_is_refused(x: Any, kind: type[Exception], said: str, call: Any) -> None:
    with pytest.raises(kind, match=said):
        call(x)
