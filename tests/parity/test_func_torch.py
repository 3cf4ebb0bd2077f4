"""`func` beside ``torch.func``: one function of functions on both, the same nest of results; and what both refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:::torch")]
DRAW = np.random.default_rng(7)
X, W, V, Q = (DRAW.standard_normal(shape).astype(np.float32) for shape in ((5, 3), (3, 4), (5, 3), (3, 2, 6, 4)))
IDS = np.array([2, 0, 1, 2, 0])
Case = Callable[..., Any]


def net(t: Any) -> Any:
    """A small net with weights that are the same in both."""
    made = t.nn.Sequential(t.nn.Linear(3, 4), t.nn.LayerNorm(4), t.nn.GELU(), t.nn.Linear(4, 3))
    for k, p in enumerate(made.parameters()):
        p.data.copy_(t.sin(t.arange(p.numel()) + k).reshape(p.shape))
    return made


def loss(t: Any) -> Any:
    model = net(t)

    def of_one(p: Any, x: Any, c: Any) -> Any:
        return t.nn.functional.cross_entropy(t.func.functional_call(model, p, (x[None],)), c[None])

    return of_one, {name: p.detach() for name, p in model.named_parameters()}


def ensemble(t: Any, x: Any) -> Any:
    models = [net(t), net(t)]
    models[1][0].weight.data.mul_(2)
    state = t.func.stack_module_state(models)
    return t.func.vmap(lambda p, b: t.func.functional_call(models[0], (p, b), (x,)))(*state)


def A(t: Any) -> Any:
    return t.autograd.functional


CASES: dict[str, Case] = {
    "rows": lambda t, x, w, v, q, i: t.func.vmap(lambda a, b: (a @ w, a * b.sum()))(x, v),
    "axes": lambda t, x, w, v, q, i: t.func.vmap(lambda a, b: a[:4] - b, in_dims=(1, None), out_dims=1)(x, w[0]),
    "the last axis": lambda t, x, w, v, q, i: t.func.vmap(lambda a: a.cumsum(0), in_dims=-1, out_dims=-1)(x),
    "a nest": lambda t, x, w, v, q, i: t.func.vmap(lambda d: {"s": d["a"] + d["b"], "p": [d["a"]]}, ({"a": 0, "b": 0},))(
        {"a": x, "b": v}
    ),
    "keywords": lambda t, x, w, v, q, i: t.func.vmap(lambda a, *, by: a / by.exp())(x, by=v),
    "chunks": lambda t, x, w, v, q, i: t.func.vmap(lambda a: a.sort()[0], out_dims=1, chunk_size=2)(x),
    "in each other": lambda t, x, w, v, q, i: t.func.vmap(t.func.vmap(lambda a, b: a - b, (None, 0)), (0, None))(x, v),
    "not by lane": lambda t, x, w, v, q, i: t.func.vmap(lambda a: w * 2)(x),
    "positions": lambda t, x, w, v, q, i: t.func.vmap(lambda a, k: (a[k], w[k], a.index_select(0, k[None])))(x, i),
    "classes": lambda t, x, w, v, q, i: t.func.vmap(t.nn.functional.cross_entropy)(x, i),
    "images": lambda t, x, w, v, q, i: t.func.vmap(
        lambda a: t.nn.functional.conv2d(a[None], q[:1, :1, :3, :3]))(q[:, :1]),
    "images by filter": lambda t, x, w, v, q, i: t.func.vmap(
        lambda k: t.nn.functional.conv2d(q[:, :1], k[None, None, :3, :3]))(q[:, 0]),
    "attention": lambda t, x, w, v, q, i: t.func.vmap(lambda a: t.nn.functional.scaled_dot_product_attention(a, a, a))(q),
    "norms": lambda t, x, w, v, q, i: t.func.vmap(lambda a, g: t.nn.functional.layer_norm(a, (4,), g))(q, q[:, 0, 0]),
    "grad": lambda t, x, w, v, q, i: t.func.grad(lambda a, b: (a @ b).sin().sum(), argnums=(0, 1))(x, w),
    "grad and value": lambda t, x, w, v, q, i: t.func.grad_and_value(lambda a: ((a * v).sum(), a), has_aux=True)(x),
    "grad of grad": lambda t, x, w, v, q, i: t.func.grad(lambda a: t.func.grad(lambda b: (b**3 * a).sum())(a).sum())(x),
    "grad by lane": lambda t, x, w, v, q, i: t.func.vmap(t.func.grad(lambda a, b: (a @ b).tanh().sum(), 1), (0, None))(x, w),
    "vjp": lambda t, x, w, v, q, i: t.func.vjp(lambda a, b: a.sin() @ b, x, w)[1](t.ones(5, 4)),
    "vjp of a nest": lambda t, x, w, v, q, i: t.func.vjp(lambda a: {"s": a * 2, "t": a.sum()}, x)[1]({"s": v, "t": v.sum()}),
    "jvp": lambda t, x, w, v, q, i: t.func.jvp(lambda a: (a.sin(), (a * a).sum()), (x,), (v,)),
    "linearize": lambda t, x, w, v, q, i: t.func.linearize(lambda a: (a.sin(), (a * a).sum()), x)[1](v),
    "jacrev": lambda t, x, w, v, q, i: t.func.jacrev(lambda a, b: ((a * b).tanh(), a.sum()), argnums=(0, 1))(x[0], v[0]),
    "jacfwd": lambda t, x, w, v, q, i: t.func.jacfwd(lambda a: {"s": a @ w, "t": a.prod()})(x[0]),
    "jacfwd with aux": lambda t, x, w, v, q, i: t.func.jacfwd(lambda a: (a @ w, a * 2), has_aux=True)(x[0]),
    "hessian": lambda t, x, w, v, q, i: t.func.hessian(lambda a: (a @ w).sigmoid().sum())(x[0]),
    "hessian by lane": lambda t, x, w, v, q, i: t.func.vmap(t.func.hessian(lambda a: (a**2).prod()))(x),
    "hessian by vector": lambda t, x, w, v, q, i: t.func.jvp(t.func.grad(lambda a: (a @ w).tanh().sum()), (x,), (v,))[1],
    "each sample": lambda t, x, w, v, q, i: t.func.vmap(t.func.grad(loss(t)[0]), (None, 0, 0))(loss(t)[1], x, i),
    "an ensemble": lambda t, x, w, v, q, i: ensemble(t, x),
    **{
        f"autograd.functional: {name}": case
        for name, case in {
            "jacobian": lambda t, x, w, v, q, i: A(t).jacobian(lambda a, b: (a * b.sum(0), (a * b).exp()), (x[0], v)),
            "one jacobian": lambda t, x, w, v, q, i: A(t).jacobian(lambda a: a.sin() * a.sum(), x[0]),
            "jacobian forwards": lambda t, x, w, v, q, i: A(t).jacobian(
                lambda a: a.sin() * a.sum(), x[0], vectorize=True, strategy="forward-mode"),
            "hessian": lambda t, x, w, v, q, i: A(t).hessian(lambda a, b: (a * b).sin().sum(), (x[0], v)),
            "vjp": lambda t, x, w, v, q, i: A(t).vjp(lambda a, b: (a * b.sum(0), a @ w), (x, v), (v, x @ w)),
            "vjp of a number": lambda t, x, w, v, q, i: A(t).vjp(lambda a: (a**3).sum(), x),
            "jvp": lambda t, x, w, v, q, i: A(t).jvp(lambda a, b: (a * b, a @ w), (x, v), (v, x)),
            "vhp": lambda t, x, w, v, q, i: A(t).vhp(lambda a: (a @ w).tanh().sum(), x, v),
            "hvp": lambda t, x, w, v, q, i: A(t).hvp(lambda a, b: (a * b).sin().sum(), (x, v), (v, x)),
        }.items()
    },
    "batched grads": lambda t, x, w, v, q, i: t.autograd.grad(
        (y := x.requires_grad_()) * 2, [y], t.ones(2, 5, 3), is_grads_batched=True
    ),
}  # fmt: skip
BAD: dict[str, Case] = {
    "sizes": lambda t, x: t.func.vmap(lambda a, b: a)(x, x.T),
    "axis": lambda t, x: t.func.vmap(lambda a: a, in_dims=3)(x),
    "nothing": lambda t, x: t.func.vmap(lambda a: a, in_dims=(None,))(x),
    "no tensor": lambda t, x: t.func.vmap(lambda a, b: a)(x, 2.0),
    "form": lambda t, x: t.func.vmap(lambda a: a, in_dims=(0, 0))(x),
    "randomness": lambda t, x: t.func.vmap(lambda a: a, randomness="some")(x),
    "random": lambda t, x: t.func.vmap(lambda a: a + t.rand(3))(x),
    "out_dims": lambda t, x: t.func.vmap(lambda a: a, out_dims=None)(x),
    "a branch": lambda t, x: t.func.vmap(lambda a: a if a.sum() > 0 else -a)(x),
    "no scalar": lambda t, x: t.func.grad(lambda a: a)(x),
    "argnums": lambda t, x: t.func.grad(lambda a: a.sum(), argnums=2)(x),
    "aux": lambda t, x: t.func.grad(lambda a: a.sum(), has_aux=True)(x),
    "cotangents": lambda t, x: t.func.vjp(lambda a: a, x)[1](x.T),
    "a vector that is missing": lambda t, x: A(t).vjp(lambda a: a, x),
    "no dependence": lambda t, x: A(t).jacobian(lambda a: t.ones(2), x, strict=True),
    "no single number": lambda t, x: A(t).hessian(lambda a: a, x),
    "no models": lambda t, x: t.func.stack_module_state([]),
    "several kinds": lambda t, x: t.func.stack_module_state([t.nn.Linear(1, 1), t.nn.ReLU()]),
}  # fmt: skip


def leaves(nest: Any) -> list[Any]:
    if isinstance(nest, dict):
        return [v for k in nest for v in leaves(nest[k])]
    return [v for n in nest for v in leaves(n)] if isinstance(nest, (tuple, list)) else [nest]


@pytest.mark.parametrize("name", CASES)
def test_same_results(ingot: Any, torch: Any, name: str) -> None:
    mine, theirs = (leaves(CASES[name](t, *(t.tensor(a) for a in (X, W, V, Q, IDS)))) for t in (ingot, torch))
    assert len(mine) == len(theirs)
    for got, wanted in zip(mine, theirs, strict=True):
        assert tuple(got.shape) == tuple(wanted.shape)
        assert got.requires_grad == wanted.requires_grad
        np.testing.assert_allclose(got.detach().numpy(), wanted.detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", BAD)
def test_same_refusals(ingot: Any, torch: Any, name: str) -> None:
    for t in (torch, ingot):
        with pytest.raises((RuntimeError, ValueError, TypeError, AssertionError)) as error:
            BAD[name](t, t.tensor(X))
        assert str(error.value)


def test_same_names(ingot: Any, torch: Any) -> None:
    missing = {n for n in torch.func.__all__ if not hasattr(ingot.func, n)}
    assert missing <= {"functionalize", "debug_unwrap", "rearrange"}
