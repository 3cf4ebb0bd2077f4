"""Measuring on a device: calls in a batch between two synchronisations, medians over rounds taken in turn.

Used by `bench` and `tune`. A batch is long enough that the clock and the waiting do not matter.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

LEAST = 0.005  # seconds of a batch, where a call is shorter


def once(call: Callable[[], Any], wait: Callable[[], None], batch: int) -> float:
    """Seconds of one call of ``batch``."""
    wait()
    start = time.perf_counter()
    for _ in range(batch):
        call()
    wait()
    return (time.perf_counter() - start) / batch


def batch_of(call: Callable[[], Any], wait: Callable[[], None], least: float = LEAST) -> int:
    """How many calls take ``least`` seconds; the call has run by then."""
    once(call, wait, 1)
    took = max(once(call, wait, 1), 1e-7)
    return max(1, min(1000, int(least / took)))


def measure(
    call: Callable[[], Any], wait: Callable[[], None], budget: float = 1.0, most: int = 5, least: float = LEAST
) -> float:
    """Median seconds of one call, over at most ``most`` rounds that together take about ``budget`` seconds."""
    batch = batch_of(call, wait, least)
    first = once(call, wait, batch)
    rounds = max(1, min(most, int(budget / (first * batch))))
    return statistics.median(once(call, wait, batch) for _ in range(rounds))


def in_turn(
    calls: Mapping[Any, Callable[[], Any]], wait: Callable[[], None], rounds: int = 7
) -> dict[Any, Sequence[float]]:
    """Seconds of each call in each round; in a round all are measured one after another."""
    batches = {name: batch_of(call, wait) for name, call in calls.items()}
    found: dict[Any, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            found[name].append(once(call, wait, batches[name]))
    return dict(found)
