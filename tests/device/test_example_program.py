"""The program of the README, as people write it today, runs with nothing changed but its imports.

Seeds are set from outside, losses are read from outside; `tests/parity` runs the same text with PyTorch.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ingot
import pytest

PROGRAM = '''\
import ingot as torch
from ingot import nn
from ingot.utils.data import DataLoader, TensorDataset

device = "cuda" if torch.cuda.is_available() else "cpu"     # a backend not installed is simply not available
X = torch.randn(2048, 20)
y = X @ torch.randn(20, 1) + 0.1 * torch.randn(2048, 1)
loader = DataLoader(TensorDataset(X, y), batch_size=64, shuffle=True)

class MLP(nn.Module):
    def __init__(self, in_dim, hidden=128):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(in_dim, hidden), nn.ReLU(), nn.Linear(hidden, 1))
    def forward(self, x):
        return self.net(x)

model = MLP(20).to(device)
loss_fn = nn.MSELoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
model.train()
for epoch in range(10):
    for xb, yb in loader:
        xb, yb = xb.to(device), yb.to(device)
        optimizer.zero_grad()
        loss = loss_fn(model(xb), yb)
        loss.backward()
        optimizer.step()
'''
SEEDS = range(20)
STEPS, EPOCH = 320, 32


@contextmanager
def noting_losses(t: Any) -> Iterator[list[float]]:
    """The value of each tensor on which ``backward`` is called."""
    losses: list[float] = []
    backward = t.Tensor.backward

    def noting(self: Any, *args: Any, **kwargs: Any) -> None:
        losses.append(self.item())
        backward(self, *args, **kwargs)

    t.Tensor.backward = noting
    try:
        yield losses
    finally:
        t.Tensor.backward = backward


def run(t: Any, seed: int) -> list[float]:
    """The losses of the program with ``t`` (ingot or torch) and this seed."""
    t.manual_seed(seed)
    with noting_losses(t) as losses:
        exec(compile(PROGRAM.replace("ingot", t.__name__), "<program>", "exec"), {"__name__": "program"})
    return losses


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_the_program_learns(seed: int) -> None:
    losses = run(ingot, seed)
    assert len(losses) == STEPS
    assert losses[-1] < 0.05 * losses[0]


def test_the_program_runs_as_a_script(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM + "print(loss.item())\n")
    done = [
        subprocess.run(
            [sys.executable, "-W", "error", script], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        for _ in range(2)
    ]
    assert [d.stderr for d in done] == ["", ""]
    first, second = (float(d.stdout) for d in done)
    assert first < 1
    assert first != second, "the default seed is drawn from the operating system"
