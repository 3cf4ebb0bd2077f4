"""optim on every device: the update rules against NumPy in float64, groups, state."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import ingot
import numpy as np
import pytest
from ingot import nn
from optimizers import CASES, REFERENCES, Options, expected, made, named, parameters, run, values

ULP = {ingot.float16: 2**-10, ingot.bfloat16: 2**-7}


@pytest.mark.parametrize(("kind", "options"), CASES, ids=named)
def test_a_run_is_that_of_numpy(device: str, kind: str, options: Options) -> None:
    given, gradients = values(25)
    moving = parameters(ingot, device, given, ingot.float32)
    got = run(ingot, made(ingot, kind, options, moving), moving, gradients)
    for mine, wanted, start in zip(got, expected(kind, options, given, gradients), given, strict=True):
        assert np.abs(wanted - start).max() > 5e-4  # it goes somewhere
        np.testing.assert_allclose(mine, wanted, rtol=2e-6, atol=4e-6)


@pytest.mark.parametrize("dtype", [ingot.float16, ingot.bfloat16], ids=str)
@pytest.mark.parametrize("kind", REFERENCES)
def test_halves_are_computed_in_float32(device: str, kind: str, dtype: Any) -> None:
    """One step is the exact one, rounded once."""
    options = next(o for k, o in CASES if k == kind)
    given, gradients = (parameters(ingot, device, v, dtype) for v in (values(1)[0], values(1)[1][0]))
    plain, slopes = ([p.detach().cpu().double().numpy() for p in each] for each in (given, gradients))
    got = run(ingot, made(ingot, kind, options, given), given, [slopes])
    for mine, wanted in zip(got, expected(kind, options, plain, [slopes]), strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=1.01 * ULP[dtype] / 2, atol=1e-6)


def test_asgd_keeps_the_mean_of_the_last_parameters(device: str) -> None:
    """From step t0 + 1 on: until then it is the parameter itself."""
    parameter, seen = nn.Parameter(ingot.ones(3, device=device)), []
    optimizer = ingot.optim.ASGD([parameter], lr=0.1, t0=2)
    for k in range(8):
        parameter.grad = ingot.full((3,), 0.5 + k, device=device)
        optimizer.step()
        seen.append(parameter.detach().cpu().numpy().astype(np.float64))
        state = optimizer.state[parameter]
        np.testing.assert_allclose(state["ax"].cpu().numpy(), np.mean(seen[min(k, 3) :], axis=0), rtol=1e-6)
    assert state["step"] == 8 and state["mu"] == 1 / 6


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


@pytest.mark.parametrize(("kind", "options"), CASES, ids=named)
def test_a_resumed_run_is_bit_equal(device: str, kind: str, options: Options) -> None:
    given, gradients = values(9)
    moving = parameters(ingot, device, given, ingot.float32)
    optimizer = made(ingot, kind, options, moving)
    run(ingot, optimizer, moving, gradients[:4])
    saved = copy.deepcopy(optimizer.state_dict())
    others = [nn.Parameter(p.detach().clone()) for p in moving]
    through = run(ingot, optimizer, moving, gradients[4:])
    resumed = getattr(ingot.optim, kind)([{"params": others[:-1]}, {"params": others[-1:]}], lr=0.7)
    resumed.load_state_dict(saved)
    assert resumed.param_groups[0]["lr"] == options["lr"]
    assert optimizer.state_dict()["state"].keys() == saved["state"].keys()
    for mine, wanted in zip(run(ingot, resumed, others, gradients[4:]), through, strict=True):
        np.testing.assert_array_equal(mine, wanted)


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
