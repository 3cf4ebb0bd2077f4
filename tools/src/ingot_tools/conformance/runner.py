"""Runs cases on one device in this process, and says what became of each.

`conduct` has this done in a child process that may die; the pytest form and the tests run it here. The ops of levels
that are guarded run on poisoned and fenced memory (`guard`), all else on the device's own pool.
"""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from ingot_devices.fallback import ledger
from ingot_devices.precision import exact

from . import leaks
from .bench import Bench, NotPresent
from .guard import GuardedPool, GuardedSubject, guarded
from .harness.compare import observing
from .harness.pace import Pace
from .harness.subject import Refused, Subject, opened
from .harness.suite import BY_NAME as CHECKS
from .harness.suite import run_case
from .levels import BY_NAME, Case, probes
from .records.record import Record
from .reproduce import SECONDS, program
from .result import ABSENT, CLOSED, GAP, PASSED, UNSUPPORTED, WRONG, Result, worst_route

_SHOWN = 600  # characters of a message
ROOM = 10 * SECONDS  # for making failing calls smaller, all in all


class Alone(GuardedSubject):
    """Ingot where there is no CPU device to read through."""

    def read(self, tensor: Any) -> Any:
        from ingot_devices.transfer import read

        array = read(tensor)
        return array.astype(np.float32) if self.name(tensor) == "bfloat16" else array


class Runner:
    """``device`` is its name, ``pace`` how fast it is, which is measured unless it is given. Use it as a context manager, so
    that the device's own pool comes back."""

    def __init__(self, device: str, alone: bool = False, pace: Pace | None = None) -> None:
        import ingot

        if not __debug__:
            raise RuntimeError("checks are assertions: run conformance without python -O and PYTHONOPTIMIZE")
        self.ingot = ingot
        self.subject: Subject = opened(device, Alone if alone else GuardedSubject, pace)
        self._pools = ExitStack()
        self._pool: GuardedPool | None = None
        self._room = ROOM
        self._exact = exact()  # what is asked is what a kernel computes, not what it may trade for speed

    def __enter__(self) -> Runner:
        self._exact.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._guard(False)
        self._exact.__exit__(None, None, None)

    @property
    def device(self) -> Any:
        """The open device; another one after a reset."""
        return self.ingot.devices.open_device(self.subject.device)

    @property
    def gaps(self) -> dict[str, str]:
        """What the plugin declares that it does not keep: patterns of case names, without the level, and reasons."""
        return dict(self.device.gaps)

    def run(self, case: Case) -> Result:
        """One case. Nothing that it raises gets out, but what ends programs."""
        self._guard(BY_NAME[case.level].guarded and case.record is not None)
        start = time.perf_counter()
        with observing() as worst, self._counted(case) as route, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fault = self._fault(case)
        status, message = _told(fault)
        shown = self._program(case, fault) if status == WRONG else ""
        made = Result(case.name, status, message, worst.units, *route(), shown)
        made = self._against_gaps(case, made)
        made.seconds = round(time.perf_counter() - start, 4)
        return made

    def _program(self, case: Case, fault: BaseException | None) -> str:
        """What shows the fault; where faults are many, later ones are not made smaller."""
        start = time.monotonic()
        made = program(self.subject, case, fault, min(SECONDS, self._room))
        self._room = max(self._room - (time.monotonic() - start), 0.0)
        return made

    def _fault(self, case: Case) -> BaseException | None:
        try:
            if case.record is None:
                _probe(case)(Bench(self.device, self.subject))
            elif self._pool is None:
                run_case(self.subject, CHECKS[case.check], case.record, case.variant)
            else:
                self._watched(case, case.record, self._pool)
            self.device.synchronize()
        except Exception as error:
            return error.with_traceback(None)
        return None

    def _watched(self, case: Case, record: Record, pool: GuardedPool) -> None:
        """Run a case on guarded memory, all of which goes back to the device."""

        def work() -> None:
            run_case(self.subject, CHECKS[case.check], record, case.variant)
            pool.empty_cache()  # every fence is checked as its memory goes back
            pool.fence.unbroken("memory outside of an operand was written")

        pool.clean()  # what the case before wrote outside is no fault of this one
        before = leaks.free(self.device)
        work()
        if before is not None and (leaks.free(self.device) or 0) < before:
            gone = leaks.lost(self.device, work)
            assert not gone, f"each run takes {gone} bytes of the device's memory for good, as memory_info() tells"

    def _against_gaps(self, case: Case, result: Result) -> Result:
        name = case.name.removeprefix(f"{case.level}/")
        for declared, reason in self.gaps.items():
            if fnmatchcase(name, declared):
                if result.status == WRONG:
                    result.status, result.message = GAP, f"{reason} ({result.message})"
                elif result.status == PASSED and declared == name:
                    result.status = CLOSED
                    result.message = f"declared as a gap ({reason}), and right by now: take it out of the device's `gaps`"
        return result

    @contextmanager
    def _counted(self, case: Case) -> Iterator[Callable[[], tuple[str, str]]]:
        """The route of a value check, by the launches that were added, and the ops that ran on the host."""
        if case.check != "value":
            yield lambda: ("", "")
            return
        name = self.device.name
        counts = self.ingot.dispatch.launch_counts
        before, host = counts(name), _on_host(name)
        yield lambda: (worst_route(before, counts(name)), ", ".join(sorted(_on_host(name) - host)))

    def _guard(self, wanted: bool) -> None:
        if wanted == (self._pool is not None):
            return
        if not wanted:
            self._pool = None
            self._pools.close()
            return
        self._pools = ExitStack()
        self._pool = self._pools.enter_context(guarded(self.device))


def _on_host(device: str) -> Counter[str]:
    """How often each op ran on the host."""
    made = Counter[str]()
    for entry in ledger():
        made[entry.op] += entry.count if entry.device == device else 0
    return made


def _probe(case: Case) -> Any:
    return next(p for p in probes(BY_NAME[case.level]) if p.__name__ == case.check)


def _told(fault: BaseException | None) -> tuple[str, str]:
    """The status and the message of what a case raised."""
    if fault is None:
        return PASSED, ""
    text = " ".join(str(fault).split())[:_SHOWN]
    if isinstance(fault, Refused):
        return UNSUPPORTED, text
    if isinstance(fault, NotPresent):
        return ABSENT, text
    kind = "" if isinstance(fault, AssertionError) else f"{type(fault).__name__}: "
    return WRONG, kind + text
