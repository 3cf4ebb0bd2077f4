"""What does a call cost whose sizes were never seen before? A softmax, and a training step on a batch of another length."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from common import beside_torch


def softmax(lib: Any) -> Callable[[], Any]:
    """Of rows, whose number and length are others each time."""
    sizes = itertools.count(40)

    def run() -> Any:
        n = next(sizes)
        return lib.softmax(lib.ones(n, n + 3), -1)

    return run


def step(lib: Any) -> Callable[[], Any]:
    """A small classifier: two layers, layer_norm, cross_entropy, AdamW; the batch is longer by one each time."""
    nn, sizes = lib.nn, itertools.count(40)
    model = nn.Sequential(nn.Linear(20, 64), nn.GELU(), nn.LayerNorm(64), nn.Linear(64, 10))
    optimizer = lib.optim.AdamW(model.parameters(), lr=1e-3)

    def run() -> None:
        n = next(sizes)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(lib.ones(n, 20)), lib.arange(n) % 10).backward()
        optimizer.step()

    return run


def cases(lib: Any) -> dict[str, tuple[Callable[[], Any], int]]:
    """All of them."""
    return {"softmax": (softmax(lib), 20), "step": (step(lib), 5)}


def main() -> int:
    """Run and report."""
    title, bounds = "Sizes never seen before, ingot beside torch", {"softmax": (0.02, 0.2), "step": (0.15, 0.5)}
    return beside_torch(__file__, __doc__ or "", title, cases, bounds, "step")


if __name__ == "__main__":
    raise SystemExit(main())
