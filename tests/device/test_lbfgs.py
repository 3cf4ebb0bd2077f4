"""LBFGS and averages of weights on every device: minima that are known, means by NumPy, and resumed runs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import ingot
import numpy as np
import pytest
from ingot import nn
from ingot.compiler import CompileWarning
from ingot.optim import swa_utils


class Valley:
    """x² + 10y² + …, rotated, from a point on its side; the minimum is known."""

    def __init__(self, device: str, **options: Any) -> None:
        random = np.random.default_rng(0)
        q, _ = np.linalg.qr(random.standard_normal((5, 5)))
        self.matrix = ingot.tensor((q * [1, 3, 10, 20, 30] @ q.T).astype(np.float32).tolist(), device=device)
        self.wanted = random.standard_normal(5).astype(np.float32)
        self.goal = ingot.tensor(self.wanted.tolist(), device=device)
        self.first, self.second = (nn.Parameter(ingot.zeros(n, device=device)) for n in ((2, 1), (3,)))
        self.options = options
        self.optimizer = ingot.optim.LBFGS([self.first, self.second], **options)
        self.calls = 0

    def closure(self) -> Any:
        self.calls += 1
        self.optimizer.zero_grad()
        away = ingot.cat([self.first.reshape(-1), self.second]) - self.goal
        loss = (self.matrix @ away) @ away / 2
        loss.backward()
        return loss

    def found(self) -> Any:
        return np.concatenate([p.detach().cpu().numpy().reshape(-1) for p in (self.first, self.second)])


@pytest.mark.parametrize(
    "options", [{"lr": 1.0, "line_search_fn": "strong_wolfe"}, {"lr": 0.5, "history_size": 4}], ids=["searched", "fixed"]
)
def test_it_finds_the_minimum(device: str, options: dict[str, Any]) -> None:
    """In far fewer evaluations than descent takes where curvatures differ by 30."""
    valley = Valley(device, **options)
    losses = [valley.optimizer.step(valley.closure).item() for _ in range(3)]
    np.testing.assert_allclose(valley.found(), valley.wanted, atol=2e-3)
    assert losses[0] > 1 and losses[-1] < 1e-4 and valley.calls <= 75
    state = valley.optimizer.state[valley.first]
    assert state["func_evals"] == valley.calls and len(state["old_dirs"]) <= options.get("history_size", 100)


def test_a_resumed_search_is_bit_equal(device: str) -> None:
    valley = Valley(device, lr=0.3, max_iter=3)
    for _ in range(2):
        valley.optimizer.step(valley.closure)
    saved, start = copy.deepcopy(valley.optimizer.state_dict()), [p.detach().clone() for p in (valley.first, valley.second)]
    for _ in range(3):
        valley.optimizer.step(valley.closure)
    other = Valley(device)
    with ingot.no_grad():
        other.first.copy_(start[0])
        other.second.copy_(start[1])
    other.optimizer.load_state_dict(saved)
    for _ in range(3):
        other.optimizer.step(other.closure)
    np.testing.assert_array_equal(other.found(), valley.found())


def test_a_compiled_function_leaves_it_to_eager_calls(device: str) -> None:
    eager, other = (Valley(device, line_search_fn="strong_wolfe", max_iter=2) for _ in range(2))
    compiled = ingot.compile(lambda: other.optimizer.step(other.closure))
    compiled()
    with pytest.warns(CompileWarning, match="a value read on the host"):
        compiled()
    for _ in range(2):
        compiled()
    for _ in range(4):
        eager.optimizer.step(eager.closure)
    np.testing.assert_array_equal(other.found(), eager.found())


def test_what_it_refuses() -> None:
    one, two = (nn.Parameter(ingot.ones(1)) for _ in range(2))
    with pytest.raises(ValueError, match="doesn't support per-parameter options"):
        ingot.optim.LBFGS([{"params": [one]}, {"params": [two]}])
    with pytest.raises(ValueError, match="line_search_fn is 'strong_wolfe' or None, not 'armijo'"):
        ingot.optim.LBFGS([one], line_search_fn="armijo")
    with pytest.raises(TypeError, match=r"needs a closure: a function that clears the gradients"):
        ingot.optim.LBFGS([one]).step()


# ---- averages ------------------------------------------------------------------------------------
MEANS: dict[str, tuple[Callable[[], dict[str, Any]], Callable[[list[Any]], Any]]] = {
    "mean": (dict, lambda seen: np.mean(seen, axis=0)),
    "exponential": (
        lambda: {"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.8)},
        lambda seen: sum(0.2 * 0.8 ** (len(seen) - 1 - k) * v for k, v in enumerate(seen)) + 0.8 ** len(seen) * seen[0],
    ),
    "of one's own": (lambda: {"avg_fn": lambda average, value, count: average + value}, lambda seen: np.sum(seen, axis=0)),
}


@pytest.mark.parametrize("name", MEANS)
def test_weights_are_averaged(device: str, name: str) -> None:
    options, formula = MEANS[name]
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).to(device)
    averaged, seen = swa_utils.AveragedModel(model, device, **options()), []
    optimizer = ingot.optim.SGD(model.parameters(), lr=0.5)
    for k in range(5):
        optimizer.zero_grad()
        batch = ingot.arange(12, device=device).reshape(4, 3) + 0.3 * k
        (model(batch) ** 3).sum().backward()
        optimizer.step()
        averaged.update_parameters(model)
        seen.append([p.detach().cpu().double().numpy().copy() for p in model.parameters()])
    for k, mine in enumerate(averaged.module.parameters()):
        np.testing.assert_allclose(mine.detach().cpu().numpy(), formula([s[k] for s in seen]), rtol=1e-5, atol=1e-6)
    assert int(averaged.n_averaged) == 5 and int(averaged.state_dict()["module.1.num_batches_tracked"]) == 5
    assert averaged.module is not model and list(averaged.state_dict())[:2] == ["n_averaged", "module.0.weight"]


def test_batch_norm_gets_the_statistics_of_all_batches(device: str) -> None:
    model = nn.Sequential(nn.BatchNorm1d(2)).to(device).eval()
    values = np.random.default_rng(1).standard_normal((3, 5, 2)).astype(np.float32)
    swa_utils.update_bn([ingot.tensor(batch.tolist()) for batch in values], model, device)
    np.testing.assert_allclose(model[0].running_mean.cpu().numpy(), values.mean((0, 1)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model[0].running_var.cpu().numpy(), values.var(1, ddof=1).mean(0), rtol=1e-5)
    assert not model.training and model[0].momentum == 0.1
