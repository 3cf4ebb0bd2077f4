"""A trace of a training step: every launch with the device's own times, as the JSON that chrome://tracing and Perfetto read."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import ingot


def main() -> int:
    """Write the trace beside the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    ingot.manual_seed(0)
    model = ingot.nn.Sequential(ingot.nn.Linear(64, 128), ingot.nn.GELU(), ingot.nn.Linear(128, 10)).to("cuda")
    optimizer = ingot.optim.AdamW(model.parameters(), lr=1e-3)
    x, target = ingot.randn(256, 64, device="cuda"), ingot.zeros(256, dtype=ingot.int64, device="cuda")

    def step() -> None:
        optimizer.zero_grad()
        ingot.nn.functional.cross_entropy(model(x), target).backward()
        optimizer.step()

    for _ in range(3):
        step()
    device = x._layout.device
    device.synchronize()
    events = traced(device, step)
    path = given.out.with_name("trace.chrome.json")
    path.write_text(json.dumps({"traceEvents": events, "displayTimeUnit": "ns"}))
    busy = sum(e["dur"] for e in events)
    print(f"{len(events)} launches, {busy:.0f} µs on the device, in {path.name}")
    given.out.write_text(json.dumps({"launches": len(events), "busy us": busy, "trace": path.name}))
    return 0 if events else 1


def traced(device: Any, step: Any) -> list[dict[str, Any]]:
    """One run of ``step``: an entry for each launch, with events of the device around it."""
    launch, marks = device.launch, []

    def marked(entry: Any, *rest: Any) -> None:
        start = device.record_event()
        launch(entry, *rest)
        marks.append((entry.name, start, device.record_event()))

    first = device.record_event()
    device.launch = marked
    ingot_plans_forgotten()
    try:
        step()
    finally:
        del device.launch
        ingot_plans_forgotten()
    device.synchronize()
    return [
        {"name": name, "ph": "X", "pid": device.name, "tid": "default stream", "ts": device.elapsed_ms(first, start) * 1e3,
         "dur": device.elapsed_ms(start, end) * 1e3}
        for name, start, end in marks
    ]  # fmt: skip


def ingot_plans_forgotten() -> None:
    """Plans hold the launch function they were made with."""
    from ingot_devices.context import changed

    changed()


if __name__ == "__main__":
    sys.exit(main())
