"""Graphs: work that is kept instead of queued, and queued again and again.

A `Capture` is the stream that a thread has while it captures. It takes launches and copies within the device; anything that
waits, or brings bytes of the host, spoils it, as a driver has it. A `Graph` holds what was captured; its memory must live as
long as it does, which each replay checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingot_devices.errors import LaunchError

from .queue import Stream, Task

if TYPE_CHECKING:
    from .device import SimDevice


@dataclass(eq=False)
class Capture(Stream):
    """A stream whose work never runs by itself: no queue knows it."""

    spoilt: str = ""

    def refuse(self, what: str) -> None:
        """Note that something was asked for that no graph can hold, and raise LaunchError."""
        self.spoilt = self.spoilt or what
        raise LaunchError(f"{what} is not possible while a graph is captured")

    def finish(self, name: str) -> list[Task]:
        """What was captured."""
        if self.spoilt:
            raise LaunchError(f"{name}: the capture was spoilt by {self.spoilt}")
        return list(self.tasks)


class Graph:
    """The tasks of one capture."""

    def __init__(self, device: SimDevice, tasks: Sequence[Task]) -> None:
        self.device, self.tasks = device, tasks

    def replay(self) -> None:
        """Queue all of it on the current stream."""
        self.device.run_graph(self.tasks)
