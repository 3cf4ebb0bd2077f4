"""What does a whole training step cost, compiled? The README's MLP, beside PyTorch eager and PyTorch compiled.

PyTorch's compiled form is the step with its model under ``torch.compile`` and its fused AdamW; it wants a C++ compiler, and
is left out where there is none. Ingot's is ``ingot.compile(step)``. The time of the first two calls, which record and
build, is in the JSON too: in a fresh process, with what the disk cache holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from shutil import which
from typing import Any

from common import parser, report, rounds, serve

Step = Callable[[], Any]


def training(lib: Any, compiled: bool) -> Step:
    """One step: 64×20 through 128 hidden units to 1, mean squared error, AdamW."""
    lib.manual_seed(0)
    model = lib.nn.Sequential(lib.nn.Linear(20, 128), lib.nn.ReLU(), lib.nn.Linear(128, 1))
    fused = {"fused": True} if compiled and lib.__name__ == "torch" else {}
    optimizer = lib.optim.AdamW(model.parameters(), lr=1e-3, **fused)
    loss_fn = lib.nn.MSELoss()
    x, y = lib.randn(64, 20), lib.randn(64, 1)
    forward = lib.compile(model) if compiled and lib.__name__ == "torch" else model

    def step() -> None:
        optimizer.zero_grad()
        loss_fn(forward(x), y).backward()
        optimizer.step()

    made: Step = lib.compile(step) if compiled and lib.__name__ == "ingot" else step
    return made


def cases(lib: Any) -> dict[str, tuple[Step, int]]:
    """The step as written, and compiled; a small add as the control."""
    a, b = lib.ones(10), lib.ones(10)
    found: dict[str, tuple[Step, int]] = {"add": (lambda: a + b, 20000), "eager": (training(lib, False), 100)}
    if lib.__name__ == "ingot" or which("c++"):
        found["compiled"] = (training(lib, True), 200)
    return found


def first_calls() -> float:
    """Milliseconds that two calls of the compiled step take beyond two of the eager one, in this process."""
    import ingot

    eager, step = training(ingot, False), training(ingot, True)
    eager(), eager()
    start = time.perf_counter()
    step(), step()
    return (time.perf_counter() - start) * 1e3


def main() -> int:
    """Run and report."""
    options = parser(__doc__ or "").parse_args()
    if options.serve:
        return serve(cases(import_module(options.serve)))
    peers = ["add", "eager", *(["compiled"] if which("c++") else [])]
    found = rounds(__file__, {"torch": peers, "ingot": ["eager", "compiled"]}, options.rounds)
    ratios = {
        "eager beside eager": ("torch eager", "ingot eager", 1.0, 1.5),
        "compiled beside eager": ("torch eager", "ingot compiled", 20.0, 40.0),
    }
    if "compiled" in peers:
        ratios["compiled beside compiled"] = ("torch compiled", "ingot compiled", 5.0, 10.0)
    extra = {"torch": version("torch"), "ingot": version("ingot"), "first two calls, ms": first_calls()}
    return report("A training step, compiled, ingot beside torch", found, ratios, "torch add", options, extra)


if __name__ == "__main__":
    raise SystemExit(main())
