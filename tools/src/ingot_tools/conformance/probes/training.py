"""Whole trainings: the device goes the way that NumPy goes, twice to the same bits, and needs no more than it needs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..bench import Bench, Probe

STEPS = 12
SIZES = (6, 16, 3)  # inputs, hidden units, classes
BATCH = 10
RATE = 0.1
NEAR = 2e-4  # relative distance of the parameters after `STEPS`, in float32


def _data() -> tuple[Any, Any, list[Any]]:
    rng = np.random.default_rng(5)
    x = rng.standard_normal((BATCH, SIZES[0]))
    y = rng.integers(0, SIZES[2], BATCH)
    shapes = ((SIZES[1], SIZES[0]), (SIZES[1],), (SIZES[2], SIZES[1]), (SIZES[2],))
    return x, y, [rng.standard_normal(s) * 0.4 for s in shapes]


def in_numpy() -> tuple[list[float], list[Any]]:
    """Losses and parameters of the training by hand: linear, tanh, linear, cross entropy, gradient descent; float64."""
    x, y, (w1, b1, w2, b2) = _data()
    losses = []
    for _ in range(STEPS):
        h = np.tanh(x @ w1.T + b1)
        z = h @ w2.T + b2
        z = z - z.max(1, keepdims=True)
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        losses.append(float(-np.log(p[np.arange(BATCH), y]).mean()))
        dz = p.copy()
        dz[np.arange(BATCH), y] -= 1
        dz /= BATCH
        dh = (dz @ w2) * (1 - h * h)
        w2, b2 = w2 - RATE * dz.T @ h, b2 - RATE * dz.sum(0)
        w1, b1 = w1 - RATE * dh.T @ x, b1 - RATE * dh.sum(0)
    return losses, [w1, b1, w2, b2]


def on_device(bench: Bench) -> tuple[list[float], list[Any]]:
    """The same with layers and an optimizer."""
    t, device = bench.t, bench.subject.device
    x, y, start = _data()
    model = t.nn.Sequential(t.nn.Linear(SIZES[0], SIZES[1]), t.nn.Tanh(), t.nn.Linear(SIZES[1], SIZES[2])).to(device)
    with t.no_grad():
        for p, values in zip(model.parameters(), start, strict=True):
            p.copy_(bench.tensor(values.astype(np.float32)))
    optimizer = t.optim.SGD(model.parameters(), lr=RATE)
    inputs, targets = bench.tensor(x.astype(np.float32)), bench.tensor(y)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = t.nn.functional.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.item()))
    return losses, [bench.subject.read(p) for p in model.parameters()]


def a_training_goes_as_in_numpy(bench: Bench) -> None:
    """A classifier's losses and weights after some steps are those of the same training by hand in float64."""
    (losses, weights), (wanted, expected) = on_device(bench), in_numpy()
    np.testing.assert_allclose(losses, wanted, rtol=NEAR, err_msg="losses")
    for k, (got, w) in enumerate(zip(weights, expected, strict=True)):
        off = np.linalg.norm(got - w) / np.linalg.norm(w)
        assert off < NEAR, f"parameter {k} is off by {off:.2g} of its size after {STEPS} steps"


def a_training_repeats_bit_for_bit(bench: Bench) -> None:
    """Two trainings from one seed, dropout and shuffling included, end in the same bits."""

    def run() -> bytes:
        t, device = bench.t, bench.subject.device
        t.manual_seed(3)
        model = t.nn.Sequential(
            t.nn.Linear(6, 8), t.nn.LayerNorm(8), t.nn.GELU(), t.nn.Dropout(0.3), t.nn.Linear(8, 3)
        ).to(device)
        optimizer = t.optim.AdamW(model.parameters(), lr=1e-2)
        x, y = t.randn(9, 6, device=device), bench.tensor(np.arange(9) % 3)
        for _ in range(4):
            optimizer.zero_grad()
            t.nn.functional.cross_entropy(model(x), y).backward()
            t.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        return b"".join(bench.subject.read(p).tobytes() for p in model.parameters())

    assert run() == run(), "two trainings from one seed end in different bits"


def the_digits_are_learned(bench: Bench) -> None:
    """Some steps of the demo's classifier bring its loss well below where it began."""
    from ...demo_data import digits

    t, device = bench.t, bench.subject.device
    t.manual_seed(0)
    problem = digits(1)
    model = problem.model().to(device)
    optimizer = t.optim.AdamW(model.parameters(), lr=problem.rate)
    losses = []
    steps = 6 if bench.subject.is_slow else 60
    for _, (x, y) in zip(range(steps), problem.loader(), strict=False):
        optimizer.zero_grad()
        loss = problem.loss(model(x.to(device)), y.to(device))
        loss.backward()
        optimizer.step()
        losses.append(float(loss.item()))
    factor = 0.98 if bench.subject.is_slow else 0.75
    assert np.mean(losses[-3:]) < factor * losses[0], f"the loss went from {losses[0]:.3f} to {np.mean(losses[-3:]):.3f}"


PROBES: tuple[Probe, ...] = (a_training_goes_as_in_numpy, a_training_repeats_bit_for_bit, the_digits_are_learned)
