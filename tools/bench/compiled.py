"""What does a whole training step cost, compiled? The README's MLP, beside PyTorch eager, PyTorch compiled, and JAX.

PyTorch has two compiled forms: the step as it is written with its model under ``torch.compile`` and its fused AdamW, and the
whole step as one pure function of parameters and moments, which is its fastest. Both want a C++ compiler, and are left out
where there is none, as JAX is where it is not installed. Ingot's is ``ingot.compile(step)``. The time of the first two
calls, which record and build, is in the JSON too: in a fresh process, with what the disk cache holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from shutil import which
from typing import Any

import with_jax
from common import parser, report, rounds, serve, versions

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


def whole(torch: Any) -> Step:
    """PyTorch's step as one pure function of parameters, moments and count, compiled as a whole."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(20, 128), torch.nn.ReLU(), torch.nn.Linear(128, 1))
    x, y = torch.randn(64, 20), torch.randn(64, 1)
    parameters = {k: p.detach().clone() for k, p in model.named_parameters()}
    moments = [{k: torch.zeros_like(p) for k, p in parameters.items()} for _ in range(2)]

    def loss(p: dict[str, Any]) -> Any:
        return torch.nn.functional.mse_loss(torch.func.functional_call(model, p, (x,)), y)

    def step(p: dict[str, Any], first: dict[str, Any], second: dict[str, Any], count: Any) -> tuple[Any, ...]:
        gradients = torch.func.grad(loss)(p)
        new = {k: with_jax.adamw(p[k], gradients[k], first[k], second[k], count, torch) for k in p}
        return *({k: v[place] for k, v in new.items()} for place in range(3)), count + 1

    compiled = torch.compile(step)
    state = [parameters, *moments, torch.tensor(1.0)]

    def call() -> None:
        with torch.no_grad():
            state[:] = compiled(*state)

    return call


def cases(name: str) -> dict[str, tuple[Step, int]]:
    """The step as written, and compiled; a small add as the control."""
    if name == "jax":
        return {"compiled": (with_jax.training(), 200)}
    lib = import_module(name)
    a, b = lib.ones(10), lib.ones(10)
    found: dict[str, tuple[Step, int]] = {"add": (lambda: a + b, 20000), "eager": (training(lib, False), 100)}
    if name == "ingot" or which("c++"):
        found["compiled"] = (training(lib, True), 200)
    if name == "torch" and which("c++"):
        found["whole"] = (whole(lib), 200)
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
        return serve(cases(options.serve))
    peers = ["add", "eager", *(["compiled", "whole"] if which("c++") else [])]
    sides = {"torch": peers, "ingot": ["eager", "compiled"], **({"jax": ["compiled"]} if find_spec("jax") else {})}
    found = rounds(__file__, sides, options.rounds)
    ratios = {
        "eager beside eager": ("torch eager", "ingot eager", 1.0, 1.5),
        "compiled beside eager": ("torch eager", "ingot compiled", 20.0, 40.0),
        "compiled beside compiled": ("torch compiled", "ingot compiled", 5.0, 10.0),
        "compiled beside the whole step compiled": ("torch whole", "ingot compiled", 5.0, 10.0),
        "compiled beside JAX": ("jax compiled", "ingot compiled", 4.0, 6.0),
    }
    extra = {**versions("torch", "ingot", "jax"), "first two calls, ms": first_calls()}
    return report("A training step, compiled, ingot beside its peers", found, ratios, "torch add", options, extra)


if __name__ == "__main__":
    raise SystemExit(main())
