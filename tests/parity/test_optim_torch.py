"""Optimizers beside PyTorch's: long runs with every option, states that go over from one to the other, what is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from optimizers import CASES, Options, made, named, parameters, run, values

pytestmark = pytest.mark.torch
ROUNDED = ("NAdam", "ASGD")
"""PyTorch keeps a factor of their rates in float32, also for parameters in float64."""
DTYPES = {"float32": 4e-6, "float64": 1e-12}
KINDS = list(dict.fromkeys(kind for kind, _ in CASES))


def bound(kind: str, dtype: str) -> float:
    return max(DTYPES[dtype], 1e-7 if kind in ROUNDED else 0)


def translated(ingot: Any, torch: Any, value: Any) -> Any:
    """A nest of PyTorch's tensors as ingot's."""
    if isinstance(value, torch.Tensor):
        return ingot.tensor(value.tolist(), dtype=getattr(ingot, str(value.dtype).removeprefix("torch.")))
    if isinstance(value, dict):
        return {key: translated(ingot, torch, v) for key, v in value.items()}
    return [translated(ingot, torch, v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kind", "options"), CASES, ids=named)
def test_runs_agree(ingot: Any, torch: Any, kind: str, options: Options, dtype: str) -> None:
    given, gradients = values(80)
    found = []
    for t in (ingot, torch):
        moving = parameters(t, "cpu", given, getattr(t, dtype))
        found.append(run(t, made(t, kind, options, moving, **({} if t is ingot else {"foreach": False})), moving, gradients))
    for mine, wanted in zip(*found, strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=bound(kind, dtype), atol=bound(kind, dtype))


@pytest.mark.parametrize(("kind", "options"), CASES, ids=named)
def test_a_state_goes_over(ingot: Any, torch: Any, kind: str, options: Options) -> None:
    """PyTorch's state and options, loaded in the middle of a run, and the same names in both."""
    given, gradients = values(20)
    theirs = parameters(torch, "cpu", given, torch.float64)
    optimizer = made(torch, kind, options, theirs)
    half = run(torch, optimizer, theirs, gradients[:10])
    ours = parameters(ingot, "cpu", half, ingot.float64)
    resumed = getattr(ingot.optim, kind)([{"params": ours[:-1]}, {"params": ours[-1:]}], lr=0.7)
    saved = copy.deepcopy(optimizer.state_dict())
    resumed.load_state_dict(translated(ingot, torch, saved))
    mine, wanted = (run(t, o, p, gradients[10:]) for t, o, p in ((ingot, resumed, ours), (torch, optimizer, theirs)))
    for a, b in zip(mine, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=bound(kind, "float64"), atol=bound(kind, "float64"))
    state, group = resumed.state_dict()["state"], made(ingot, kind, options, ours).param_groups[0]
    assert {n: list(s) for n, s in state.items()} == {n: list(s) for n, s in optimizer.state_dict()["state"].items()}
    assert {name: optimizer.param_groups[0][name] for name in group if name != "params"} == {
        name: group[name] for name in group if name != "params"
    }


BAD: list[tuple[str, Options]] = [
    *((kind, {"lr": -0.1}) for kind in KINDS),
    *((kind, {"betas": betas}) for kind in ("Adam", "NAdam", "RAdam", "Adamax") for betas in ((1.0, 0.9), (0.9, -0.1))),
    *((kind, {"eps": -1.0}) for kind in ("Adam", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad", "Adadelta")),
    *((kind, {"weight_decay": -1.0}) for kind in KINDS if kind != "Rprop"),
    ("RMSprop", {"momentum": -0.1}), ("RMSprop", {"alpha": -0.1}), ("Adagrad", {"lr_decay": -1.0}),
    ("Adagrad", {"initial_accumulator_value": -1.0}), ("Adadelta", {"rho": 1.1}), ("Rprop", {"etas": (1.1, 1.2)}),
    ("NAdam", {"momentum_decay": -1.0}), ("Adagrad", {"foreach": True, "fused": True}), ("LBFGS", {"lr": -1.0}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "options"), BAD, ids=named)
def test_the_same_is_refused(ingot: Any, torch: Any, kind: str, options: Options) -> None:
    said = []
    for t in (ingot, torch):
        with pytest.raises((ValueError, RuntimeError)) as caught:
            getattr(t.optim, kind)([t.nn.Parameter(t.ones(1))], **options)
        said.append((type(caught.value), str(caught.value)))
    assert said[0][0] is said[1][0]
    assert said[0][1].startswith(said[1][1])


# ---- LBFGS ---------------------------------------------------------------------------------------
def rosenbrock(x: Any) -> Any:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def bowl(x: Any) -> Any:
    return (x * x).sum() + (x[0] * x[1]).sin()


@pytest.mark.parametrize("function", [rosenbrock, bowl])
@pytest.mark.parametrize(
    "options",
    [
        {"lr": 1e-3},
        {"lr": 1e-3, "history_size": 2, "max_iter": 5},
        {"line_search_fn": "strong_wolfe"},
        {"line_search_fn": "strong_wolfe", "history_size": 3, "max_iter": 9, "max_eval": 7},
        {"line_search_fn": "strong_wolfe", "lr": 20.0, "tolerance_change": 1e-5, "tolerance_grad": 1e-3},
        {"line_search_fn": "strong_wolfe", "lr": 1e-2, "max_iter": 3},
    ],
    ids=str,
)
def test_lbfgs_agrees(ingot: Any, torch: Any, function: Callable[[Any], Any], options: Options) -> None:
    """Losses, parameters, and how often the closure was called, with a state that is loaded on the way."""
    found = []
    for t in (ingot, torch):
        first = t.nn.Parameter(t.tensor([-1.2, 1.0, 0.5], dtype=t.float64))
        second = t.nn.Parameter(t.tensor([[0.3, -0.7]], dtype=t.float64))
        optimizer, calls, losses = t.optim.LBFGS([first, second], **options), [0], []

        def closure(t: Any = t, first: Any = first, second: Any = second, calls: Any = calls) -> Any:
            calls[0] += 1
            first.grad = second.grad = None
            loss = function(t.cat([first, second.reshape(-1)]))
            loss.backward()
            return loss

        for step in range(8):
            losses.append(optimizer.step(closure).item())
            if step == 3:
                saved = copy.deepcopy(optimizer.state_dict())
                optimizer = t.optim.LBFGS([first, second], lr=0.5)
                optimizer.load_state_dict(saved)
        state = optimizer.state[first]
        found.append((losses, calls[0], state["n_iter"], state["func_evals"], first.tolist(), second.tolist(), sorted(state)))
    (ours, *mine), (theirs, *wanted) = found
    assert ours[-1] < ours[0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    assert mine[:3] == wanted[:3] and mine[-1] == wanted[-1]
    for a, b in zip(mine[3:5], wanted[3:5], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)
