"""A profile as JSON in the Chrome trace-event format (Google, *Trace Event Format*), which Perfetto and Chrome open.

Complete events (X) on rows of the host's threads and of the devices, flow events (s, f) from a launch to its kernel,
counters (C) of each device's used memory, metadata (M) that names the rows. Times are in microseconds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .timeline import Event

HOST, DEVICES = 1, 2


def write_trace(events: Sequence[Event], path: Path) -> None:
    """Write ``events`` to ``path``."""
    path.write_text(json.dumps(trace(events)), encoding="utf-8")


def trace(events: Sequence[Event]) -> dict[str, Any]:
    """The JSON object format of the trace."""
    rows: dict[tuple[int, str], int] = {}
    made: list[dict[str, Any]] = []
    for event in events:
        process = DEVICES if event.kind == "kernel" else HOST
        thread = rows.setdefault((process, event.row), len(rows) + 1)
        made += _of(event, process, thread)
    names = [_meta("process_name", HOST, 0, "host"), _meta("process_name", DEVICES, 0, "devices")]
    names += [_meta("thread_name", process, thread, row) for (process, row), thread in rows.items()]
    return {"traceEvents": names + made, "displayTimeUnit": "ms", "otherData": {"writer": "ingot", "pid": os.getpid()}}


def _of(event: Event, process: int, thread: int) -> list[dict[str, Any]]:
    at = {"pid": process, "tid": thread, "ts": event.start / 1e3}
    complete = {"ph": "X", "name": event.name, "cat": event.kind, "dur": event.duration / 1e3, "args": event.details, **at}
    made = [complete]
    if event.link:
        flow = {"name": "launch", "cat": "launch", "id": event.link, **at}
        made.append({"ph": "s", **flow} if event.kind == "launch" else {"ph": "f", "bp": "e", **flow})
    if event.kind == "allocation":
        counter = {"ph": "C", "name": f"memory of {event.details['device']}", "args": {"used": event.details["used"]}}
        made.append({**counter, "pid": HOST, "tid": 0, "ts": at["ts"]})
    return made


def _meta(name: str, process: int, thread: int, value: str) -> dict[str, Any]:
    return {"ph": "M", "name": name, "pid": process, "tid": thread, "ts": 0, "args": {"name": value}}
