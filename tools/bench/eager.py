"""How much does an eager op cost beside PyTorch's? Small adds, a small backward, views, numbers in and out, the README's
training step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from common import beside_torch


def small(lib: Any) -> dict[str, tuple[Callable[[], Any], int]]:
    """a + b on 10 elements, the same recorded, multiply, sum, backward; on 8×16 elements what launches little or nothing."""
    a, b = lib.ones(10), lib.ones(10)
    x, y = lib.ones(10, requires_grad=True), lib.ones(10, requires_grad=True)
    m = lib.ones(8, 16)

    def write() -> None:
        m[0] = 1.0
        m.zero_()

    return {
        "views": (lambda: (m.view(16, 8), m.transpose(0, 1), m.unsqueeze(0), m[1:3], m[:, 1], m[0, 0]), 5000),
        "elements": (lambda: (m[0, 0].item(), float(m[1, 1]), bool(m[2, 2])), 5000),
        "write": (write, 5000),
        "new": (lambda: (lib.empty(8, 16), lib.zeros(8, 16), lib.ones(8, 16)), 5000),
        "add": (lambda: a + b, 20000),
        "add recorded": (lambda: x + y, 20000),
        "backward": (lambda: (x * y).sum().backward(), 1000),
    }


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


def cases(lib: Any) -> dict[str, tuple[Callable[[], Any], int]]:
    """All of them."""
    return {**small(lib), "MLP step": (training(lib), 100)}


BOUNDS = {
    "add": (1.05, 1.2), "add recorded": (1.3, 1.5), "backward": (2.0, 4.0), "views": (0.7, 1.0), "elements": (0.5, 1.0),
    "write": (0.4, 1.0), "new": (0.3, 1.0), "MLP step": (1.0, 1.5),
}  # fmt: skip


def main() -> int:
    """Run and report."""
    return beside_torch(__file__, __doc__ or "", "Eager overhead, ingot beside torch", cases, BOUNDS, "add")


if __name__ == "__main__":
    raise SystemExit(main())
