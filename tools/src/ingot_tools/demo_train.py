"""Trains one problem on one device and measures it: the loop that everybody writes, with a clock beside it.

Between `demo_data` (what is learned) and `demo` (table and picture). The same seed gives the same initial weights,
batches and dropout masks on every device. A device on which the whole would take too long (a simulator, say) runs a
share of the steps, which the `Result` tells.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import ingot
from ingot import accelerator, dispatch

from .demo_data import Problem

LIMIT = 60.0  # seconds that one training may take
SHARE = 12.0  # seconds that it gets where the whole would take longer than that
_ENOUGH = 5  # steps after which the pace is known: the first ones build kernels

Step = Callable[[int, float], None]


@dataclass
class Result:
    """One training. ``losses`` has one number per step, ``launches`` how many went each route while it ran."""

    device: str
    problem: str
    total: int
    losses: list[float] = field(default_factory=list)
    epoch: int = 1  # steps in an epoch
    samples: int = 0
    seconds: float = 0.0
    launches: dict[str, int] = field(default_factory=dict)
    correct: int | None = None
    tested: int = 0
    fault: str = ""
    compiled: bool = False
    uncompiled: str = ""  # why a step that should be compiled runs eagerly

    @property
    def steps(self) -> int:
        """Steps that were run."""
        return len(self.losses)

    @property
    def reduced(self) -> bool:
        """True where only a share was run."""
        return self.steps < self.total

    @property
    def loss(self) -> float:
        """The mean over the last epoch."""
        last = self.losses[-self.epoch :]
        return sum(last) / len(last)

    @property
    def accuracy(self) -> float | None:
        """Share of the test samples that are classified rightly."""
        return None if self.correct is None else self.correct / self.tested


class _Pace:
    """Says when time is up: at `SHARE` seconds where the whole would pass `LIMIT`, there at the latest."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.start = self.last = time.perf_counter()
        self.taken: list[float] = []

    def tick(self) -> bool:
        """One step is done; True where it should be the last."""
        now = time.perf_counter()
        self.taken.append(now - self.last)
        self.last = now
        elapsed = now - self.start
        if len(self.taken) < _ENOUGH or elapsed < SHARE:
            return False
        return elapsed > LIMIT or median(self.taken) * self.total > LIMIT


def train(problem: Problem, device: str, seed: int, on_step: Step | None = None, result: Result | None = None) -> Result:
    """Train ``problem`` on ``device`` from ``seed``; ``on_step(step, loss)`` is called after each step.

    ``result`` is filled as it goes, so that a run that fails leaves what it had.
    """
    ingot.manual_seed(seed)
    loader = problem.loader()
    result = result or Result(device, problem.name, 0)
    result.epoch, result.total = len(loader), len(loader) * problem.epochs
    model = problem.model().to(device)
    optimizer = ingot.optim.AdamW(model.parameters(), lr=problem.rate)
    before = dispatch.launch_counts(device)
    pace = _Pace(result.total)
    model.train()

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = problem.loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    run = ingot.compile(step) if result.compiled else step
    for _ in range(problem.epochs):
        for x, y in loader:
            loss = run(x.to(device), y.to(device))
            result.losses.append(loss.item())
            result.samples += len(x)
            if on_step is not None:
                on_step(result.steps, result.losses[-1])
            if pace.tick():
                break
        else:
            continue
        break
    accelerator.synchronize(device)
    result.uncompiled = getattr(run, "eager", "")
    result.seconds = time.perf_counter() - pace.start
    after = dispatch.launch_counts(device)
    result.launches = {route: n - before.get(route, 0) for route, n in after.items()}
    if problem.test is not None:
        result.correct, result.tested = score(model, problem.test, device), len(problem.test[1])
    return result


def score(model: Any, test: tuple[Any, Any], device: str) -> int:
    """How many of the test samples ``model`` classifies rightly."""
    model.eval()
    with ingot.no_grad():
        found = model(test[0].to(device)).argmax(1)
    return sum(a == b for a, b in zip(found.tolist(), test[1].tolist(), strict=True))
