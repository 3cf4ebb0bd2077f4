"""Runs cases on a device in child processes that may crash or hang, and collects what became of each.

Between the command and `worker`. A child that ends, or that gives no answer for `PATIENCE` seconds, costs the case that it
had begun: that case is *crashed*, and a new child goes on with the next. So it does after `MANY` cases. Before all others
the first child measures how fast the device is; where that costs the child, nothing is known, and nothing left out.
"""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from ingot_devices import IngotError

from .child import Child
from .harness.pace import FAST, SIDE, Pace
from .levels import Case
from .result import CRASHED, Result
from .worker import PACE

PATIENCE = 180.0
"""Seconds for one case: more than the slowest takes on a device that interprets, on a busy machine."""
MANY = 400
"""Cases that one child runs: a driver may keep all that it has ever built."""
RESTARTS = 25
"""Children that may end before the device is given up."""
HANGS = 5
"""Of these, children that may hang: each costs all the patience."""
TICK = 1.0
"""Seconds between two looks at how long a case takes."""


class Watcher:
    """What is told on the way: nothing, here."""

    def came(self, result: Result) -> None:
        """A case has its result."""

    def waits(self, case: str, seconds: float, patience: float) -> None:
        """``case`` has no answer for so many ``seconds``, and is ended after ``patience``; called each `TICK`."""


@dataclass
class Conducted:
    """``facts`` is what the device says of itself; ``left`` the cases that there was no time for; ``notes`` say what else a
    reader of the results has to know."""

    results: list[Result] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def conduct(
    device: str, cases: Sequence[Case], budget: float | None = None, watcher: Watcher | None = None,
    patience: float | None = None,
) -> Conducted:  # fmt: skip
    """Run ``cases`` on ``device`` in order, at most for ``budget`` seconds; ``patience``: other than `PATIENCE`."""
    end = None if budget is None else time.monotonic() + budget
    run = _Run(device, end, watcher or Watcher(), PATIENCE if patience is None else patience)
    with _ended_like_an_interrupt():
        run.all([c.name for c in cases if c.level != "alone"], alone=False)
        run.all([c.name for c in cases if c.level == "alone"], alone=True)
    return run.made


@contextmanager
def _ended_like_an_interrupt() -> Iterator[None]:
    """Within the block SIGTERM raises SystemExit, so that what has to be done on the way out is done: children end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Run:
    """The state of one run: what came of it so far, how fast the device is, and what it has cost."""

    def __init__(self, device: str, end: float | None, watcher: Watcher, patience: float) -> None:
        self.device, self.end, self.watcher, self.patience = device, end, watcher, patience
        self.made = Conducted()
        self.pace: Pace | None = None
        self.ended = self.hung = 0
        self.gave_up = False

    def all(self, names: list[str], alone: bool) -> None:
        """Run the cases of these names, in as many children as it takes."""
        if names and self.pace is None:
            names = [PACE, *names]
        while names and not self.gave_up and not self.is_over():
            now, later = names[:MANY], names[MANY:]
            with closing(Child(self.device, now, alone, self.pace or FAST)) as child:
                names = self.follow(child, now) + later
        self.made.left += [name for name in names if name != PACE]

    def is_over(self) -> bool:
        """There is no time left."""
        return self.end is not None and time.monotonic() > self.end

    def follow(self, child: Child, left: list[str]) -> list[str]:
        """Take a child's answers until it ends or the time is over; the names of what it did not begin."""
        left, begun, ready = list(left), "", False
        while True:
            try:
                answer = self.next_of(child, begun)
            except queue.Empty:
                child.kill()
                how = f"no answer for {self.patience:g} s"
                self.hung += 1
                break
            if answer is None:
                how = child.how_it_ended()
                if ready and not begun and not left:
                    return []
                break
            if "ready" in answer:
                ready, self.made.facts = True, self.made.facts or answer["facts"]
            elif "begin" in answer:
                begun = answer["begin"]
                left.remove(begun)
            else:
                begun = ""
                self.take(answer)
                if self.is_over():
                    return left
        self.lose(begun, ready, how, child.said())
        return left

    def next_of(self, child: Child, begun: str) -> dict[str, Any] | None:
        """The next answer; None where the child has ended, `queue.Empty` where the patience has."""
        start = time.monotonic()
        while (waited := time.monotonic() - start) < self.patience:
            try:
                return child.answers.get(timeout=min(TICK, self.patience - waited))
            except queue.Empty:
                self.watcher.waits(begun or "the start", time.monotonic() - start, self.patience)
        raise queue.Empty

    def take(self, answer: dict[str, Any]) -> None:
        """Note what was answered: the pace, or a result."""
        if PACE in answer:
            self.pace = Pace(*answer[PACE])
            self.made.facts |= {**answer["facts"], "pace": self.pace._asdict()}
        else:
            self.made.results.append(Result(**answer))
            self.watcher.came(self.made.results[-1])

    def lose(self, begun: str, ready: bool, how: str, said: str) -> None:
        """A child is lost, and with it what it had begun; give up where that happens too often."""
        how += f": {said}" if said else ""
        if not ready and not self.made.results:
            raise IngotError(f"conformance could not begin: {how}")
        self.ended += 1
        if begun == PACE:
            self.pace = FAST
            self.made.notes.append(f"how fast {self.device} is could not be measured, so nothing was left out for it: "
                                   f"a product of {SIDE}×{SIDE} float32 was asked for, and {how}")  # fmt: skip
        elif begun:
            self.take({"case": begun, "status": CRASHED, "message": how})
        if not ready or self.ended > RESTARTS or self.hung >= HANGS:
            self.gave_up = True
            self.made.notes.append(f"the rest was not run: the process was lost {self.ended} times, {self.hung} of them "
                                   f"because no answer came. The last time: {how}")  # fmt: skip
