"""optim on every device: the update rules against NumPy in float64, groups, state, schedules."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import ingot
import numpy as np
import pytest
from ingot import nn
from ingot.optim import lr_scheduler

Array = np.ndarray[Any, Any]


def start(device: str) -> tuple[Any, Array, list[Array]]:
    """A parameter, its values in float64, and five gradients."""
    random = np.random.default_rng(3)
    values = random.standard_normal((3, 2)).astype(np.float32)
    gradients = [random.standard_normal((3, 2)).astype(np.float32) for _ in range(5)]
    parameter = nn.Parameter(ingot.tensor(values.tolist(), device=device))
    return parameter, values.astype(np.float64), gradients


def run(optimizer: Any, parameter: Any, gradients: list[Array]) -> Array:
    for gradient in gradients:
        parameter.grad = ingot.tensor(gradient.tolist(), device=parameter.device)
        optimizer.step()
    result: Array = parameter.detach().cpu().numpy()
    return result


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight_decay": 0.1},
        {"momentum": 0.9},
        {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.01},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.9, "maximize": True},
    ],
    ids=str,
)
def test_sgd(device: str, options: dict[str, Any]) -> None:
    parameter, p, gradients = start(device)
    got = run(ingot.optim.SGD([parameter], lr=0.1, **options), parameter, gradients)
    momentum, buffer = options.get("momentum", 0), None
    for gradient in gradients:
        g = (-1 if options.get("maximize") else 1) * gradient.astype(np.float64)
        g = g + options.get("weight_decay", 0) * p
        if momentum:
            keep = 1 - options.get("dampening", 0)
            buffer = g if buffer is None else momentum * buffer + keep * g
            g = g + momentum * buffer if options.get("nesterov") else buffer
        p = p - 0.1 * g
    np.testing.assert_allclose(got, p, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["Adam", "AdamW"])
@pytest.mark.parametrize(
    "options",
    [{}, {"weight_decay": 0.1}, {"amsgrad": True, "weight_decay": 0.1}, {"maximize": True}],
    ids=str,
)
def test_adam(device: str, kind: str, options: dict[str, Any]) -> None:
    parameter, p, gradients = start(device)
    optimizer = getattr(ingot.optim, kind)([parameter], lr=0.01, betas=(0.8, 0.9), **options)
    got = run(optimizer, parameter, gradients)
    decay = options.get("weight_decay", 0.01 if kind == "AdamW" else 0)
    mean, square, greatest = 0 * p, 0 * p, 0 * p
    for step, gradient in enumerate(gradients, 1):
        g = (-1 if options.get("maximize") else 1) * gradient.astype(np.float64)
        if kind == "AdamW":
            p = p * (1 - 0.01 * decay)
        else:
            g = g + decay * p
        mean, square = 0.8 * mean + 0.2 * g, 0.9 * square + 0.1 * g * g
        greatest = np.maximum(greatest, square)
        second = greatest if options.get("amsgrad") else square
        scale = np.sqrt(second / (1 - 0.9**step)) + 1e-8
        p = p - 0.01 / (1 - 0.8**step) * mean / scale
    np.testing.assert_allclose(got, p, rtol=1e-5, atol=1e-6)


def test_groups_have_options_of_their_own(device: str) -> None:
    slow, fast = (nn.Parameter(ingot.ones(2, device=device)) for _ in range(2))
    groups: list[dict[str, Any]] = [{"params": [slow]}, {"params": fast, "lr": 1.0}]
    optimizer = ingot.optim.SGD(groups, lr=0.5)
    optimizer.add_param_group({"params": [nn.Parameter(ingot.ones(1))], "weight_decay": 0.1})
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 1.0, 0.5]
    (slow.sum() + fast.sum()).backward()
    optimizer.step()
    assert slow.tolist() == [0.5, 0.5] and fast.tolist() == [0.0, 0.0]
    optimizer.zero_grad()
    assert slow.grad is None
    assert repr(optimizer).startswith("SGD (\nParameter Group 0\n    dampening: 0\n    lr: 0.5")


def test_what_has_no_gradient_is_left_alone() -> None:
    used, unused = nn.Parameter(ingot.ones(1)), nn.Parameter(ingot.ones(1))
    optimizer = ingot.optim.AdamW([used, unused], lr=0.1)
    used.sum().backward()
    optimizer.step()
    assert unused.tolist() == [1.0] and list(optimizer.state) == [used]


def test_closure_is_called_with_gradients_on() -> None:
    parameter = nn.Parameter(ingot.ones(1))
    optimizer = ingot.optim.SGD([parameter], lr=0.25)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (parameter * parameter).sum()
        loss.backward()
        return loss

    with ingot.no_grad():
        assert optimizer.step(closure).item() == 1.0
    assert parameter.tolist() == [0.5]


def test_optimizers_refuse_what_makes_no_sense() -> None:
    parameter = nn.Parameter(ingot.ones(1))
    sgd: Callable[..., Any] = ingot.optim.SGD
    with pytest.raises(ValueError, match="empty parameter list"):
        sgd([])
    with pytest.raises(TypeError, match=r"should be an iterable .* write \[tensor\]"):
        sgd(parameter)
    with pytest.raises(TypeError, match="ordering of tensors in sets"):
        sgd([{"params": {parameter}}])
    with pytest.raises(TypeError, match=r"can only optimize Tensors.*int"):
        sgd([3])
    with pytest.raises(ValueError, match="can't optimize a non-leaf Tensor"):
        sgd([parameter * 2])
    with pytest.raises(ValueError, match="more than one parameter group"):
        sgd([{"params": [parameter]}, {"params": [parameter]}])
    with pytest.raises(ValueError, match="Invalid learning rate: -1"):
        sgd([parameter], lr=-1)
    with pytest.raises(ValueError, match="Nesterov momentum requires a momentum"):
        sgd([parameter], nesterov=True)
    with pytest.raises(ValueError, match=r"Invalid beta parameter at index 1: 1.0"):
        ingot.optim.Adam([parameter], betas=(0.9, 1.0))
    with pytest.warns(UserWarning, match="duplicate parameters"):
        sgd([parameter, parameter])


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW"])
def test_a_resumed_run_is_bit_equal(device: str, kind: str) -> None:
    options: dict[str, Any] = {"momentum": 0.9} if kind == "SGD" else {"weight_decay": 0.1}
    make = getattr(ingot.optim, kind)
    parameter, _, gradients = start(device)
    optimizer = make([parameter], lr=0.1, **options)
    run(optimizer, parameter, gradients[:2])
    saved = copy.deepcopy(optimizer.state_dict())
    other = nn.Parameter(parameter.detach().clone())
    through = run(optimizer, parameter, gradients[2:])
    resumed = make([other], lr=0.7)
    resumed.load_state_dict(saved)
    assert resumed.param_groups[0]["lr"] == 0.1
    np.testing.assert_array_equal(run(resumed, other, gradients[2:]), through)


def test_state_dict_has_pytorchs_form() -> None:
    first, second = (nn.Parameter(ingot.ones(2)) for _ in range(2))
    groups: list[dict[str, Any]] = [{"params": [first]}, {"params": [second], "lr": 0.5}]
    optimizer = ingot.optim.Adam(groups)
    second.sum().backward()
    optimizer.step()
    state = optimizer.state_dict()
    assert [group["params"] for group in state["param_groups"]] == [[0], [1]]
    assert list(state["state"]) == [1]
    assert list(state["state"][1]) == ["step", "exp_avg", "exp_avg_sq"]
    assert state["param_groups"][1]["lr"] == 0.5


def test_loading_state_that_does_not_fit_changes_nothing() -> None:
    big, small = nn.Parameter(ingot.ones(3)), nn.Parameter(ingot.ones(2))
    optimizer = ingot.optim.Adam([big], lr=0.1)
    big.sum().backward()
    optimizer.step()
    other = ingot.optim.Adam([small], lr=0.3)
    with pytest.raises(ValueError, match="exp_avg of parameter 0 has shape"):
        other.load_state_dict(optimizer.state_dict())
    assert other.param_groups[0]["lr"] == 0.3 and not other.state
    two = ingot.optim.Adam([{"params": [small]}, {"params": [big]}])
    with pytest.raises(ValueError, match="different number of parameter groups: 1 instead of 2"):
        two.load_state_dict(optimizer.state_dict())
    pair = ingot.optim.Adam([small, big])
    with pytest.raises(ValueError, match="doesn't match the size of optimizer's group"):
        pair.load_state_dict(optimizer.state_dict())


def test_loaded_state_is_a_copy_and_takes_a_tensor_step() -> None:
    parameter = nn.Parameter(ingot.ones(2))
    optimizer = ingot.optim.AdamW([parameter], lr=0.1)
    moments = {"exp_avg": ingot.ones(2), "exp_avg_sq": ingot.ones(2)}
    state = {"step": ingot.tensor(4.0), **moments}
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": {0: state}, "param_groups": groups})
    parameter.sum().backward()
    optimizer.step()
    assert optimizer.state[parameter]["step"] == 5
    assert moments["exp_avg"].tolist() == [1.0, 1.0]


# ---- schedules -----------------------------------------------------------------------------------


def rates(make: Callable[[Any], Any], epochs: int = 8, lr: float = 1.0) -> list[float]:
    optimizer = ingot.optim.SGD([nn.Parameter(ingot.ones(1))], lr=lr)
    schedule = make(optimizer)
    found = []
    for _ in range(epochs):
        optimizer.step()
        found.append(optimizer.param_groups[0]["lr"])
        assert schedule.get_last_lr() == [found[-1]]
        schedule.step()
    return found


def test_schedules() -> None:
    def cosine(n: int) -> float:
        return 0.1 + 0.9 * (1 + math.cos(math.pi * n / 4)) / 2

    wanted: dict[Callable[[Any], Any], Callable[[int], float]] = {
        lambda o: lr_scheduler.StepLR(o, 3, 0.5): lambda n: 0.5 ** (n // 3),
        lambda o: lr_scheduler.MultiStepLR(o, [2, 5, 5]): lambda n: (
            0.1 ** ((n >= 2) + 2 * (n >= 5))
        ),
        lambda o: lr_scheduler.ExponentialLR(o, 0.9): lambda n: 0.9**n,
        lambda o: lr_scheduler.LambdaLR(o, lambda n: 1 / (n + 1)): lambda n: 1 / (n + 1),
        lambda o: lr_scheduler.LinearLR(o, 0.5, 1.0, 4): lambda n: 0.5 + 0.125 * min(n, 4),
        lambda o: lr_scheduler.ConstantLR(o, 0.5, 3): lambda n: 0.5 if n < 3 else 1.0,
        lambda o: lr_scheduler.CosineAnnealingLR(o, 4, 0.1): cosine,
    }
    for make, formula in wanted.items():
        np.testing.assert_allclose(rates(make), [formula(n) for n in range(8)], rtol=1e-9)


def test_schedules_one_after_the_other() -> None:
    def make(optimizer: Any) -> Any:
        warm = lr_scheduler.LinearLR(optimizer, 0.25, 1.0, 3)
        then = lr_scheduler.ExponentialLR(optimizer, 0.5)
        return lr_scheduler.SequentialLR(optimizer, [warm, then], [3])

    def nested(optimizer: Any) -> Any:
        last = lr_scheduler.StepLR(optimizer, 1, 0.1)
        return lr_scheduler.SequentialLR(optimizer, [make(optimizer), last], [5])

    np.testing.assert_allclose(rates(make, 6), [0.25, 0.5, 0.75, 1.0, 0.5, 0.25])
    np.testing.assert_allclose(rates(nested, 7), [0.25, 0.5, 0.75, 1.0, 0.5, 1.0, 0.1])


def test_a_resumed_schedule_goes_on_as_it_would_have() -> None:
    def make(optimizer: Any) -> Any:
        steps = lr_scheduler.StepLR(optimizer, 2, 0.5)
        cosine = lr_scheduler.CosineAnnealingLR(optimizer, 5)
        return lr_scheduler.SequentialLR(optimizer, [steps, cosine], [4])

    parameter = nn.Parameter(ingot.ones(1))
    whole = rates(make, 8)
    optimizer = ingot.optim.SGD([parameter], lr=1.0)
    schedule = make(optimizer)
    for _ in range(5):
        optimizer.step()
        schedule.step()
    saved = copy.deepcopy((optimizer.state_dict(), schedule.state_dict()))
    again = ingot.optim.SGD([parameter], lr=9.0)
    resumed = make(again)
    again.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    found = []
    for _ in range(3):
        found.append(again.param_groups[0]["lr"])
        again.step()
        resumed.step()
    assert found == whole[5:]


def test_schedules_refuse_what_makes_no_sense() -> None:
    optimizer = ingot.optim.SGD([nn.Parameter(ingot.ones(1))])
    with pytest.raises(TypeError, match="int is not an Optimizer"):
        lr_scheduler.StepLR(3, 1)  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="initial_lr"):
        lr_scheduler.StepLR(optimizer, 1, last_epoch=3)
    with pytest.raises(ValueError, match="Expected 1 lr_lambdas, but got 2"):
        lr_scheduler.LambdaLR(optimizer, [lambda n: 1.0] * 2)
    schedule = lr_scheduler.StepLR(optimizer, 1)
    with pytest.warns(UserWarning, match=r"before `optimizer\.step\(\)`"):
        schedule.step()
