"""Run as a program: a compiled computation whose kernels come from the disk cache, and a digest of its results.

    python cached_step.py DEVICE [--together] [--end N] [--full]

``--together``: it says that it is ready and waits for a line; ``--end N``: it is killed at its Nth entry, before that stands in
its place; ``--full``: no entry can be put into its place.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from typing import Any

import ingot as t
from ingot import nn


def training(device: str) -> list[Any]:
    """Results of a few steps: some forty kernels."""
    t.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 3)).to(device)
    optimizer = t.optim.AdamW(model.parameters(), lr=0.05)
    x, y = t.randn(5, 6, device=device), t.randint(0, 3, (5,), device=device)

    def step() -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    compiled = t.compile(step, fullgraph=True)
    return [*(compiled() for _ in range(5)), *model.parameters()]


def chain(device: str) -> list[Any]:
    """Results of three kernels and the one that they are fused to, for devices whose compiler takes a second for each."""
    compiled = t.compile(lambda x: (x * 2 + 1).sin(), fullgraph=True)
    x = t.tensor([0.1 * k for k in range(9)]).to(device)
    return [compiled(x) for _ in range(4)]


def fault(arguments: list[str]) -> None:
    """What happens to the cache's files in this process."""
    real, done = os.replace, [0]
    end = int(arguments[arguments.index("--end") + 1]) if "--end" in arguments else 0

    def replace(source: Any, target: Any) -> None:
        if str(target).endswith(".entry"):
            done[0] += 1
            if done[0] == end:
                os.kill(os.getpid(), signal.SIGKILL)
            if "--full" in arguments:
                raise OSError(28, "No space left on device")
        real(source, target)

    vars(os)["replace"] = replace


def main() -> None:
    device = sys.argv[1]
    fault(sys.argv)
    t.zeros(1, device=device)
    if "--together" in sys.argv:
        print("ready", flush=True)
        sys.stdin.readline()
    digest = hashlib.sha256()
    for value in (training if device.startswith("cpu") else chain)(device):
        digest.update(value.detach().cpu().numpy().tobytes())
    print(digest.hexdigest())


if __name__ == "__main__":
    main()
