"""A profile summed up: by kind and name, how often, how long, how many bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .timeline import Event


@dataclass
class Average:
    """All events of one kind and name on one row group. Times in nanoseconds."""

    kind: str
    name: str
    device: str
    count: int = 0
    total: int = 0
    nbytes: int = 0

    @property
    def mean(self) -> float:
        """Nanoseconds of one of them."""
        return self.total / self.count


class Averages:
    """The sums, the largest first. Iterable; ``str`` is the table."""

    def __init__(self, events: Sequence[Event]) -> None:
        found: dict[tuple[str, str, str], Average] = {}
        for e in events:
            device = str(e.details.get("device", e.row))
            name = "allocation" if e.kind == "allocation" else e.name
            held = found.setdefault((e.kind, name, device), Average(e.kind, name, device))
            held.count += 1
            held.total += e.duration
            held.nbytes += int(e.details.get("nbytes", 0))
        self.rows = sorted(found.values(), key=lambda a: -a.total)

    def __iter__(self) -> Iterator[Average]:
        return iter(self.rows)

    def table(self, row_limit: int = 40) -> str:
        """For people: the ``row_limit`` longest."""
        lines = [f"{'kind':10} {'name':34} {'device':10} {'count':>7} {'total ms':>10} {'mean µs':>10} {'MiB':>9}"]
        for a in self.rows[:row_limit]:
            moved = f"{a.nbytes / 2**20:9.2f}" if a.nbytes else f"{'':9}"
            lines.append(f"{a.kind:10} {a.name[:34]:34} {a.device:10} {a.count:7} {a.total / 1e6:10.3f} {a.mean / 1e3:10.1f} "
                         f"{moved}".rstrip())
        if len(self.rows) > row_limit:
            lines.append(f"… and {len(self.rows) - row_limit} more")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.table()
