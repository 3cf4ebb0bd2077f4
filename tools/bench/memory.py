"""How much memory does a training step need at its peak? Ingot compiled, beside itself eagerly and beside PyTorch.

    .venv/bin/python tools/bench/memory.py --out tools/bench/results/memory.json

Counted is what tensors take: parameters, the optimizer's state and gradients, arguments, what a step saves, and temporaries.
Ingot's pool counts every block; of PyTorch the profiler tells each allocation and release of a step, on top of the tensors that
are alive before it. What its libraries (oneDNN, OpenBLAS) take for themselves is seen by neither. PyTorch's compiled form wants
a C++ compiler. Bytes are the same each time, so a busy machine is no reason not to measure.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from shutil import which
from typing import Any

import nets
from common import machine, parser, versions
from compiled import training

Step = Callable[[], Any]
WARM = 4  # steps before the one that is looked at: state is there, and a recording replays


def wide(t: Any, compiled: bool) -> Step:
    """Eight layers of 1024 over a batch of 512."""
    t.manual_seed(0)
    model = t.nn.Sequential(*[t.nn.Sequential(t.nn.Linear(1024, 1024), t.nn.GELU()) for _ in range(8)])
    optimizer = nets.optimizer_of(t, model.parameters(), compiled)
    x = t.randn(512, 1024)
    forward = t.compile(model) if compiled and t.__name__ == "torch" else model

    def step() -> None:
        optimizer.zero_grad()
        forward(x).square().mean().backward()
        optimizer.step()

    made: Step = t.compile(step) if compiled and t.__name__ == "ingot" else step
    return made


WORKS: dict[str, Callable[[Any, bool], Step]] = {
    "MLP": training,
    "wide MLP": wide,
    "GPT": nets.gpt,
    "ResNet-18 head": nets.resnet_transfer,
    "ResNet-18": nets.resnet_training,
}


def ingot_peak(step: Step) -> int:
    """By the pool's own count."""
    import ingot

    pool = ingot.empty(0)._layout.device.pool
    pool.reset_peak()
    step()
    return int(pool.stats().peak)


def torch_peak(step: Step) -> int:
    """What is alive before, and the most that the profiler's allocations and releases come to."""
    import torch

    gc.collect()
    kinds = (torch.Tensor, torch.nn.Parameter)
    tensors = [o for o in gc.get_objects() if type(o) in kinds]
    for t in tensors:
        if t.is_leaf:
            t.grad = None  # the step would drop it first, and the profiler does not tell of what it has not seen allocated
    tensors = [o for o in gc.get_objects() if type(o) in kinds]
    alive = {s.data_ptr(): s.nbytes() for s in (t.untyped_storage() for t in tensors)}
    del tensors, t
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        step()
    assert profile.profiler is not None and profile.profiler.kineto_results is not None
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = most = sum(alive.values())
    for event in sorted(events, key=lambda e: e.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return int(most)


def peak(library: str, work: str, compiled: bool) -> int:
    """Bytes, in a process of its own."""
    side = [sys.executable, __file__, "--serve", f"{library}/{work}/{'compiled' if compiled else ''}"]
    return int(subprocess.run(side, check=True, capture_output=True, text=True).stdout.split()[-1])


def main() -> int:
    """Measure and report."""
    options = parser(__doc__ or "").parse_args()
    if options.serve:
        library, work, compiled = options.serve.split("/")
        step = WORKS[work](import_module(library), bool(compiled))
        for _ in range(WARM):
            step()
        print(ingot_peak(step) if library == "ingot" else torch_peak(step))
        return 0
    peers = [("torch", False), ("torch", True)] if which("c++") else [("torch", False)]
    sides = [("ingot", True), ("ingot", False), *(peers if find_spec("torch") else [])]
    found: dict[str, dict[str, int]] = {}
    ratios = {}
    print("Peak memory of a training step, bytes")
    for work in WORKS:
        found[work] = {f"{lib} {'compiled' if c else 'eager'}": peak(lib, work, c) for lib, c in sides}
        ours = found[work]["ingot compiled"]
        for name, theirs in list(found[work].items())[1:]:
            times = theirs / ours
            ratios[f"{work}, beside {name}"] = {
                **dict.fromkeys(("median", "q1", "q3"), times), "must": 1.0, "aim": 1.1, "met": times >= 1,
                "aim_met": times >= 1.1,
            }  # fmt: skip
            print(f"  {work:<16} {ours:>15,}   {name:<16} {theirs:>15,} {times:8.3f}", flush=True)
    if options.out:
        said = {"machine": machine(), **versions("torch", "ingot"), "bytes": found, "ratios": ratios}
        options.out.write_text(json.dumps(said, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
