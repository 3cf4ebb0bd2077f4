"""How fast a device is, measured by one product: a slow one is asked less, or a sample of its cases would take days.

Slow is what takes longer for it than Python's own loops, on whichever machine this is: a device that interprets takes more
than twice as long, another one less than a quarter. A number of seconds would say something else on each machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

SIDE = 48
"""Of the product's matrices."""
TILE = 67
"""The longest side of the samples that lie beyond any tile (`Sample.tile`)."""
ROOM = 2.0
"""Seconds that such a sample may take on a slow device."""


class Pace(NamedTuple):
    """Seconds that the product takes the device, and Python's own loops."""

    device: float = 0.0
    python: float = 1.0

    @property
    def is_slow(self) -> bool:
        """Python's own loops are faster."""
        return self.device > self.python

    @property
    def has_room(self) -> bool:
        """There is time for samples beyond any tile."""
        return self.device * (TILE / SIDE) ** 3 <= ROOM


FAST = Pace()
SLOW = Pace(0.0, -1.0)
"""What is said to be slow, without a measurement."""


def measured(subject: Any) -> Pace:
    """The pace of the device that ``subject`` (`Subject`) is on."""
    x, rows = subject.tensor(np.ones((SIDE, SIDE), np.float32)), [[1.0] * SIDE] * SIDE

    def device() -> None:
        with suppress(Exception):  # a device that cannot do that is judged elsewhere
            subject.read(x @ x)

    def python() -> None:
        _ = [[sum(a * b for a, b in zip(row, column, strict=True)) for column in rows] for row in rows]

    return Pace(_shortest(device), _shortest(python))


def _shortest(work: Callable[[], None]) -> float:
    times = []
    for _ in range(3):  # the first builds the kernel
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)
