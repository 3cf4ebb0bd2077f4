"""How much does an eager op cost beside PyTorch's? Small adds, a small backward, the README's training step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ingot
import torch
from common import parser, report, rounds


def small(lib: Any) -> tuple[Callable[[], Any], Callable[[], Any], Callable[[], Any]]:
    """a + b on 10 elements, the same recorded, and multiply, sum, backward."""
    a, b = lib.ones(10), lib.ones(10)
    x, y = lib.ones(10, requires_grad=True), lib.ones(10, requires_grad=True)

    def backward() -> None:
        x.grad = y.grad = None
        (x * y).sum().backward()

    return (lambda: a + b), (lambda: x + y), backward


def training(lib: Any) -> Callable[[], Any]:
    """One step of the README's MLP: 64×20 through 128 hidden units to 1, mean squared error, AdamW."""
    nn = lib.nn
    model = nn.Sequential(nn.Linear(20, 128), nn.ReLU(), nn.Linear(128, 1))
    optimizer = lib.optim.AdamW(model.parameters(), lr=1e-3)
    loss_fn = nn.MSELoss()
    x, y = lib.randn(64, 20), lib.randn(64, 1)

    def step() -> None:
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        optimizer.step()

    return step


def main() -> int:
    """Run and report."""
    options = parser(__doc__ or "").parse_args()
    cases: dict[str, tuple[Callable[[], Any], int]] = {}
    for name, lib in (("torch", torch), ("ingot", ingot)):
        add, recorded, backward = small(lib)
        cases |= {f"{name} add": (add, 3000), f"{name} add recorded": (recorded, 3000), f"{name} backward": (backward, 300),
                  f"{name} MLP step": (training(lib), 40)}
    found = rounds(cases, options.rounds)
    ratios = {
        "add": ("torch add", "ingot add", 1.05, 1.2),
        "add recorded": ("torch add recorded", "ingot add recorded", 1.3, 1.5),
        "backward": ("torch backward", "ingot backward", 2.0, 4.0),
        "MLP step": ("torch MLP step", "ingot MLP step", 1.0, 1.5),
    }
    extra = {"torch": torch.__version__, "torch_threads": torch.get_num_threads(), "ingot": "0.1.0"}
    return report("Eager overhead, ingot beside torch", found, ratios, "torch add", options, extra)


if __name__ == "__main__":
    raise SystemExit(main())
