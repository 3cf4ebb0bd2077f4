"""Runs cases on a device in child processes that may crash or hang, and collects what became of each.

Between the command and `worker`. A child that ends, or that gives no answer for `PATIENCE` seconds, costs the case that it
had begun: that case is *crashed*, and a new child goes on with the next. So it does after `MANY` cases.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import IO, Any

from ingot_devices import IngotError

from .levels import Case
from .result import CRASHED, Result

PATIENCE = 180.0
"""Seconds for one case: more than the slowest takes on a device that interprets, on a busy machine."""
MANY = 400
"""Cases that one child runs: a driver may keep all that it has ever built."""
RESTARTS = 25
"""Children that may end before the device is given up."""

OnResult = Callable[[Result], None]


@dataclass
class Conducted:
    """``facts`` is what the device says of itself; ``left`` the cases that there was no time for."""

    results: list[Result] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


def conduct(
    device: str, cases: Sequence[Case], budget: float | None = None, on_result: OnResult = lambda result: None
) -> Conducted:
    """Run ``cases`` on ``device`` in order, at most for ``budget`` seconds."""
    end = None if budget is None else time.monotonic() + budget
    made = Conducted()
    alone = [c.name for c in cases if c.level == "alone"]
    together = [c.name for c in cases if c.level != "alone"]
    for names, disabled in ((together, False), (alone, True)):
        restarts = 0
        while names and (end is None or time.monotonic() < end):
            now, later = names[:MANY], names[MANY:]
            with closing(_Child(device, now, disabled)) as child:
                names = child.run(made, end, on_result) + later
                restarts += child.ended_early
                if restarts > RESTARTS:
                    raise IngotError(f"{device} ended its process {restarts} times; the rest was not run. Last: {child.said()}")
        made.left += names
    return made


class _Child:
    """One worker and what it was asked for."""

    def __init__(self, device: str, names: list[str], alone: bool) -> None:
        self.names = names
        self.ended_early = False
        self.err: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed with the object
        command = [sys.executable, "-P", "-m", "ingot_tools.conformance.worker", device, *(["alone"] if alone else [])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in sys.path)}
        environment.setdefault("INGOT_FALLBACK", "allow")
        environment.pop("PYTHONOPTIMIZE", None)  # checks are assertions
        if alone:
            environment["INGOT_DISABLE"] = ",".join(filter(None, (os.environ.get("INGOT_DISABLE", ""), _cpu())))
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.err, env=environment, text=True,
            start_new_session=True,
        )  # fmt: skip
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.threads = [threading.Thread(target=t, daemon=True) for t in (self._read, self._write)]
        for thread in self.threads:
            thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def _write(self) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError), self.process.stdin as stream:
            stream.write("\n".join(self.names))

    def run(self, made: Conducted, end: float | None, on_result: OnResult) -> list[str]:
        """Take results until the child ends or the time is over; the names of what it did not begin."""
        left, begun, ready = list(self.names), "", False
        while True:
            try:
                line = self.lines.get(timeout=PATIENCE)
            except queue.Empty:
                self.kill()
                return self._crashed(made, begun, left, f"no answer for {PATIENCE:g} s", on_result)
            if line is None:
                break
            answer = json.loads(line)
            if "ready" in answer:
                ready, made.facts = True, made.facts or answer["facts"]
            elif "begin" in answer:
                begun = answer["begin"]
                left.remove(begun)
            else:
                begun = ""
                made.results.append(Result(**answer))
                on_result(made.results[-1])
                if end is not None and time.monotonic() > end:
                    self.kill()
                    return left
        status = self.process.wait()
        if not ready:
            raise IngotError(f"conformance could not begin: {self.said()}")
        if begun or left:
            return self._crashed(made, begun, left, _how(status), on_result)
        return []

    def _crashed(self, made: Conducted, begun: str, left: list[str], how: str, on_result: OnResult) -> list[str]:
        self.ended_early = True
        if begun:
            said = self.said()
            made.results.append(Result(begun, CRASHED, how + (f": {said}" if said else "")))
            on_result(made.results[-1])
        return left

    def kill(self) -> None:
        """End the child and what it has started."""
        if self.process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def close(self) -> None:
        """End the child, if it has not ended, and close what belongs to it."""
        self.kill()
        for thread in self.threads:
            thread.join()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.err.close()

    def said(self) -> str:
        """The last line on the child's error stream."""
        self.err.seek(0)
        lines = self.err.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else ""


def _cpu() -> str:
    from ingot.cpu import KIND

    return KIND


def _how(status: int) -> str:
    if status < 0:
        return f"the process was ended by {signal.Signals(-status).name}"
    return f"the process ended with {status}"
