"""Steps of many parameters on every device: few launches where it can join them, and the bits of a launch each."""

from __future__ import annotations

from typing import Any

import ingot
import numpy as np
import pytest
from ingot import nn
from ingot.dispatch import launch_counts
from ingot_devices.discovery import open_device
from ingot_devices.joint import most

SIZES = [(3,), (300,), (1,), (7, 10), (5,), (1030,), (16,), (2,), (9,), (40, 3), (4, 4)]
KINDS: dict[str, dict[str, Any]] = {
    "AdamW": {"lr": 0.1},
    "Adam": {"lr": 0.1, "weight_decay": 0.1, "maximize": True},
    "SGD": {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    "NAdam": {"lr": 0.1},
    "RMSprop": {"lr": 0.1, "momentum": 0.9, "centered": True, "eps": 0.1},
    "Rprop": {"lr": 0.1},
    "ASGD": {"lr": 0.1},
}
"""With two to four moments, with counters beside the step, and with sizes of its own."""


def parameters(device: str, dtype: Any = ingot.float32) -> list[Any]:
    rng = np.random.default_rng(5)
    made = [rng.standard_normal(size).astype(np.float32) for size in SIZES]
    return [nn.Parameter(ingot.tensor(v, device=device).to(dtype)) for v in made]


def train(kind: str, given: list[Any], steps: int = 3, **options: Any) -> list[Any]:
    """The parameters after some steps, and what the optimizer keeps for them; some have no gradient at first."""
    optimizer = getattr(ingot.optim, kind)(given, **options)
    for step in range(steps):
        for k, p in enumerate(given):
            p.grad = None if k == 2 and not step else (p.detach().float() * (k + step + 1)).sin().to(p.dtype)
        optimizer.step()
    kept = [v for p in given for v in optimizer.state[p].values() if isinstance(v, ingot.Tensor)]
    return [v.detach().float().cpu().numpy() for v in [*given, *kept]]


@pytest.mark.parametrize(
    ("kind", "dtype"), [*((kind, ingot.float32) for kind in KINDS), *((kind, ingot.bfloat16) for kind in list(KINDS)[:3])]
)
def test_joined_steps_have_the_bits_of_steps_alone(device: str, kind: str, dtype: Any) -> None:
    joined = train(kind, parameters(device, dtype), **KINDS[kind])
    alone = train(kind, parameters(device, dtype), foreach=False, **KINDS[kind])
    for a, b in zip(joined, alone, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_many_parameters_take_few_launches(device: str, kind: str) -> None:
    """Eleven alike share launches, as many to one as the device can join; with foreach=False each has its own."""
    one: Any = open_device(device)
    means = one.kind == "sim" and one.config.mode == "definition"  # then nothing is scheduled
    counted = []
    for options in ({}, {"foreach": False}):
        given = [nn.Parameter(ingot.ones(40, 3, device=device)) for _ in range(11)]
        optimizer = getattr(ingot.optim, kind)(given, **KINDS[kind], **options)
        for _ in range(2):  # moments are made by the first
            for p in given:
                p.grad = p.detach() * 1
            before = sum(launch_counts(one.name).values())
            optimizer.step()
        counted.append(sum(launch_counts(one.name).values()) - before)
    moments = sum(isinstance(v, ingot.Tensor) for v in optimizer.state[given[0]].values())
    share = 1 if means else most(one, 2 + moments)
    assert counted == [-(-11 // share), 11]


def test_a_parameter_listed_twice_is_updated_twice(device: str) -> None:
    p = nn.Parameter(ingot.ones(4, device=device))
    with pytest.warns(UserWarning, match="duplicate"):
        optimizer = ingot.optim.SGD([p, p], lr=1.0)
    p.grad = ingot.ones(4, device=device)
    optimizer.step()
    assert p.tolist() == [-1.0] * 4


def test_what_reads_another_parameter_waits_for_it(device: str) -> None:
    """The second gradient is the first parameter itself: updated before it is read."""
    first, second = (nn.Parameter(ingot.ones(4, device=device)) for _ in range(2))
    first.grad, second.grad = ingot.ones(4, device=device), first.detach()
    ingot.optim.SGD([first, second], lr=1.0).step()
    assert first.tolist() == [0.0] * 4 and second.tolist() == [1.0] * 4


def test_steps_that_fit_are_made_where_another_is_refused(device: str) -> None:
    good, bad = (nn.Parameter(ingot.ones(4, device=device)) for _ in range(2))
    good.grad = ingot.ones(4, device=device)
    optimizer = ingot.optim.SGD([good, bad], lr=1.0, momentum=0.5)
    bad.grad = ingot.ones(4, device=device)
    optimizer.state[bad]["momentum_buffer"] = ingot.ones(3, device=device)
    with pytest.raises(RuntimeError, match="does not match"):
        optimizer.step()
    assert good.tolist() == [0.0] * 4 and bad.tolist() == [1.0] * 4


def test_versions_count_each_step(device: str) -> None:
    given = [nn.Parameter(ingot.ones(n, device=device)) for n in (3, 4)]
    for p in given:
        p.grad = ingot.ones_like(p)
    before = [p._version for p in given]
    ingot.optim.SGD(given, lr=1.0).step()
    assert [p._version for p in given] == [v + 1 for v in before]


def test_foreach_and_fused_exclude_each_other() -> None:
    with pytest.raises(RuntimeError, match="cannot be `True` together"):
        ingot.optim.AdamW([nn.Parameter(ingot.ones(1))], foreach=True, fused=True)
