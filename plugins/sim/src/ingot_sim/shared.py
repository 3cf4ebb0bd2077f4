"""Memory that work-items share, with an eye on who touched what since the last barrier.

Two work-items that touch one element, one of them writing, with no barrier between them: that is a
race, whatever the values happen to be. `Shared` notices it at the second access. The elements of a
buffer are ordered by nothing within a launch; those of workgroup memory by each barrier.
"""

from __future__ import annotations

from typing import Any

from .statements import Outside

SEVERAL = -1


class Race(Exception):
    """Two work-items touched one element without a barrier between them."""


class Unwritten(Exception):
    """Workgroup memory was read before anything was written to it."""


class Shared:
    """One memory of ``size`` elements: a buffer (``data`` is its memoryview) or workgroup memory (a list).

    ``me`` is the number of the work-item. Workgroup memory begins as None, which nobody may read.
    """

    def __init__(self, name: str, data: Any, benign: bool = False) -> None:
        self.name, self.data, self.size = name, data, len(data)
        self.benign = benign  # a word that any work-item may set
        self.writer: dict[int, int] = {}
        self.reader: dict[int, int] = {}

    def barrier(self) -> None:
        """All accesses so far are ordered before those that follow."""
        self.writer.clear()
        self.reader.clear()

    def get(self, at: int, me: int) -> Any:
        """The element at ``at``, for work-item ``me``."""
        if not 0 <= at < self.size:
            raise Outside(f"{self.name}[{at}], and {self.name} has {self.size} elements")
        if self.writer.get(at, me) != me:
            raise Race(f"work-item {me} reads {self.name}[{at}], which {self.writer[at]} wrote")
        if self.reader.setdefault(at, me) != me:
            self.reader[at] = SEVERAL
        value = self.data[at]
        if value is None:
            raise Unwritten(f"{self.name}[{at}] is read before it is written")
        return value

    def put(self, at: int, value: Any, me: int) -> None:
        """Store ``value`` at ``at``, by work-item ``me``."""
        if not 0 <= at < self.size:
            raise Outside(f"{self.name}[{at}], and {self.name} has {self.size} elements")
        if not self.benign:
            if self.writer.setdefault(at, me) != me:
                raise Race(f"work-item {me} writes {self.name}[{at}], which {self.writer[at]} wrote")
            if self.reader.get(at, me) != me:
                who = self.reader[at]
                by = "several others" if who == SEVERAL else str(who)
                raise Race(f"work-item {me} writes {self.name}[{at}], which {by} read")
        self.data[at] = value
