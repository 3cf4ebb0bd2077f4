"""How much does an eager op cost beside PyTorch's? Small adds, a small backward, the README's training step."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any

from common import parser, report, rounds, serve


def small(lib: Any) -> dict[str, tuple[Callable[[], Any], int]]:
    """a + b on 10 elements, the same recorded, and multiply, sum, backward."""
    a, b = lib.ones(10), lib.ones(10)
    x, y = lib.ones(10, requires_grad=True), lib.ones(10, requires_grad=True)
    return {
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


def main() -> int:
    """Run and report."""
    options = parser(__doc__ or "").parse_args()
    if options.serve:
        lib = import_module(options.serve)
        return serve({**small(lib), "MLP step": (training(lib), 100)})
    cases = ["add", "add recorded", "backward", "MLP step"]
    found = rounds(__file__, {"torch": cases, "ingot": cases}, options.rounds)
    bounds = {"add": (1.05, 1.2), "add recorded": (1.3, 1.5), "backward": (2.0, 4.0), "MLP step": (1.0, 1.5)}
    ratios = {case: (f"torch {case}", f"ingot {case}", must, aim) for case, (must, aim) in bounds.items()}
    extra = {"torch": version("torch"), "ingot": version("ingot"), "numpy": version("numpy")}
    return report("Eager overhead, ingot beside torch", found, ratios, "torch add", options, extra)


if __name__ == "__main__":
    raise SystemExit(main())
