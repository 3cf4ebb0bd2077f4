"""Asks one backend what devices there are; in a child process, ``python -m ingot_devices.probe
PLUGIN BACKEND``.

Third stop of discovery. A driver call that hangs or crashes cannot be stopped inside the process
that makes it, so `probing` starts this module once per backend and reads one JSON object from its
standard output. The answer is the varying part of a `Record`: state, reason, remedy, devices,
detail.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from typing import Any

from . import hooks
from .backend import Backend, DeviceInfo, Unavailable
from .outcomes import State, info_from_dict, info_to_dict, one_line, traceback_text
from .plugins import load

_GRACE = 60  # seconds


@dataclass(frozen=True)
class Answer:
    """What a probe came to. ``remedy`` is empty where the caller knows a better one."""

    state: State
    reason: str = ""
    remedy: str = ""
    devices: tuple[DeviceInfo, ...] = ()
    detail: str = ""

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps({**asdict(self), "devices": [info_to_dict(d) for d in self.devices]})

    @staticmethod
    def from_json(text: str | bytes) -> Answer:
        """The inverse of ``to_json``; ValueError for anything else."""
        plain = json.loads(text)
        try:
            plain["devices"] = tuple(info_from_dict(d) for d in plain["devices"])
            return Answer(**plain)
        except (TypeError, KeyError) as error:
            raise ValueError(f"not the answer of a probe: {error}") from None


def time_limit() -> float:
    """Seconds that a probe may take: ``INGOT_PROBE_TIMEOUT``, else 5."""
    try:
        return float(os.environ.get("INGOT_PROBE_TIMEOUT", ""))
    except ValueError:
        return 5.0


def ask(backend: Backend) -> Answer:
    """Call ``backend.probe()`` guarded, and check what it returns."""
    try:
        found = backend.probe()
    except (Exception, SystemExit) as error:
        return Answer("broken", f"probe() raised {one_line(error)}", detail=traceback_text(error))
    if isinstance(found, Unavailable):
        return Answer("no hardware", found.reason, found.remedy)
    if not isinstance(found, Sequence) or not all(isinstance(d, DeviceInfo) for d in found):
        return Answer(
            "broken",
            f"probe() returned {found!r:.80}; allowed are a list of DeviceInfo and Unavailable",
        )
    return _judge(tuple(found))


def _judge(devices: tuple[DeviceInfo, ...]) -> Answer:
    if not devices:
        return Answer("no hardware", "its probe found no device")
    if any(d.usable for d in devices):
        return Answer("ready", devices=devices)
    first = devices[0]
    return Answer("broken", f"{first.name}: {first.fault}", first.remedy, devices)


def _find(plugin: str, backend: str) -> Backend | Answer:
    """The backend as its plugin declares it; no other plugin is loaded, since it may be at
    fault."""
    loaded = load(p for p in entry_points(group=hooks.GROUP) if p.name == plugin)
    if backend in loaded.backends:
        return loaded.backends[backend].backend
    if loaded.records:
        failed = loaded.records[0]
        return Answer(failed.state, failed.reason, failed.remedy, detail=failed.detail)
    return Answer("broken", f"no plugin {plugin!r} declares a backend {backend!r} in the child process")


def main(arguments: Sequence[str]) -> int:
    """Print the answer. Plugins and drivers print too, so their standard output goes to the error
    stream."""
    if len(arguments) not in (1, 2):
        print("usage: python -m ingot_devices.probe PLUGIN [BACKEND]", file=sys.stderr)
        return 2
    if hasattr(signal, "alarm"):  # the kernel's own end for a child whose parent is gone
        signal.alarm(int(time_limit()) + _GRACE)
    answers = os.dup(1)
    os.dup2(2, 1)
    found = _find(arguments[0], arguments[-1])
    answer: Any = found if isinstance(found, Answer) else ask(found)
    os.write(answers, answer.to_json().encode() + b"\n")
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(status)  # a driver that crashes while it is torn down has answered all the same
