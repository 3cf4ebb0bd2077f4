"""Recorded programs: what `ingot.compile` replays gives the bits of the eager call, on this device's own kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..bench import Bench, Probe

CALLS = 5  # the first runs eagerly, the second is recorded, the others are replayed


def _repeated(bench: Bench, function: Callable[..., Any], shapes: tuple[tuple[int, ...], ...]) -> None:
    """``function`` compiled and eager, on new values each time."""
    compiled = bench.t.compile(function, fullgraph=True)
    rng = np.random.default_rng(0)
    for k in range(CALLS):
        given = [bench.tensor(rng.standard_normal(s).astype(np.float32)) for s in shapes]
        eager, replayed = function(*given), compiled(*given)
        found, wanted = bench.subject.read(replayed), bench.subject.read(eager)
        np.testing.assert_array_equal(found, wanted, err_msg=f"call {k + 1} of {CALLS}")
    assert compiled.replays, f"nothing was replayed: {compiled.eager or 'no recording'}"


def chains_are_fused_to_the_same_bits(bench: Bench) -> None:
    """A chain of pointwise ops with broadcasting, and a reduction behind it."""

    def chain(x: Any, y: Any) -> Any:
        return ((x * 2 - y).tanh() + x.exp() * 0.5).relu().sum(-1)

    _repeated(bench, chain, ((5, 33), (33,)))


def normalisations_are_fused_to_the_same_bits(bench: Bench) -> None:
    """A product, a softmax and a layer norm: several stages, residuals in memory of the program."""
    layer_norm = bench.t.nn.functional.layer_norm

    def block(x: Any, w: Any) -> Any:
        return layer_norm((x @ w).softmax(-1), (17,)) + x.sum()

    _repeated(bench, block, ((6, 10), (10, 17)))


def a_training_step_is_one_program(bench: Bench) -> None:
    """Forward, backward, dropout and optimizer, compiled: parameters and losses of the eager training, to the bit."""
    t, device = bench.t, bench.subject.device

    def train(compiled: bool) -> list[bytes]:
        t.manual_seed(1)
        model = t.nn.Sequential(t.nn.Linear(6, 8), t.nn.GELU(), t.nn.Dropout(0.25), t.nn.Linear(8, 3)).to(device)
        optimizer = t.optim.AdamW(model.parameters(), lr=0.05)

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            loss = t.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        run = t.compile(step) if compiled else step
        rng = np.random.default_rng(2)
        bits = []
        for _ in range(CALLS):
            x, y = bench.tensor(rng.standard_normal((5, 6)).astype(np.float32)), bench.tensor(rng.integers(0, 3, 5))
            bits.append(bench.subject.read(run(x, y)).tobytes())
        return bits + [bench.subject.read(p).tobytes() for p in model.parameters()]

    eager, replayed = train(False), train(True)
    differ = [k for k, (a, b) in enumerate(zip(eager, replayed, strict=True)) if a != b]
    assert not differ, f"losses (0 to {CALLS - 1}) and parameters that differ: {differ}"


PROBES: tuple[Probe, ...] = (
    chains_are_fused_to_the_same_bits,
    normalisations_are_fused_to_the_same_bits,
    a_training_step_is_one_program,
)
