"""What does a call cost whose sizes were never seen before? A softmax, and a training step on a batch of another length."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any

from common import parser, report, rounds, serve

CASES = ["softmax", "step"]


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


def main() -> int:
    """Run and report."""
    options = parser(__doc__ or "").parse_args()
    if options.serve:
        lib = import_module(options.serve)
        return serve({"softmax": (softmax(lib), 20), "step": (step(lib), 5)})
    found = rounds(__file__, {"torch": CASES, "ingot": CASES}, options.rounds)
    ratios = {case: (f"torch {case}", f"ingot {case}", 0.0, 0.2) for case in CASES}
    extra = {"torch": version("torch"), "ingot": version("ingot"), "numpy": version("numpy")}
    return report("Sizes never seen before, ingot beside torch", found, ratios, "torch step", options, extra)


if __name__ == "__main__":
    raise SystemExit(main())
