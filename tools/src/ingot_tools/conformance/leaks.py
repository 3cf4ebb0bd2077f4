"""Whether work gives back all that it takes of a device's memory, as the device itself tells (`Device.memory_info`).

Not what is gone after a run counts: a driver keeps what it builds, and other programs share a device. What is gone again
after each further run of the same work, is lost.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

TURNS = 4


def free(device: Any) -> int | None:
    """Bytes that are free, with nothing queued; None where the device tells nothing, or speaks of the host's memory."""
    if device.host_visible:
        return None
    device.synchronize()
    told = device.memory_info()
    return None if told is None else int(told[0])


def lost(device: Any, work: Callable[[], object], turns: int = TURNS) -> int:
    """Bytes that each of ``turns`` runs of ``work`` takes for good, at the least; 0 where one of them took none."""
    before, least = free(device), 0
    for turn in range(turns if before is not None else 0):
        work()
        gc.collect()
        after = free(device)
        assert before is not None and after is not None
        if after >= before:
            return 0
        least, before = min(least, before - after) if turn else before - after, after
    return least
