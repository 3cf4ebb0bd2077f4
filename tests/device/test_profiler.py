"""The profiler on every device: what is on the time line, a trace of the right format, and no trace of it afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ingot_devices import observe, open_device


def program(t: Any, device: str) -> Callable[[], Any]:
    """A training step."""
    model = t.nn.Sequential(t.nn.Linear(6, 8), t.nn.ReLU(), t.nn.Linear(8, 1)).to(device)
    optimizer = t.optim.SGD(model.parameters(), lr=0.1)
    x, y = t.randn(5, 6, device=device), t.zeros(5, 1, device=device)

    def step() -> Any:
        loss = t.nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def valid(trace: dict[str, Any]) -> None:
    """Hold ``trace`` against the trace-event format: what each phase must have, and flows that begin before they end."""
    assert isinstance(trace["traceEvents"], list) and trace["displayTimeUnit"] in ("ms", "ns")
    starts: dict[Any, float] = {}
    for e in trace["traceEvents"]:
        assert isinstance(e["name"], str) and e["name"]
        assert isinstance(e["pid"], int) and isinstance(e["tid"], int) and e["ts"] >= 0
        if e["ph"] == "X":
            assert e["dur"] >= 0 and isinstance(e["cat"], str) and isinstance(e["args"], dict)
        elif e["ph"] == "M":
            assert e["name"] in ("process_name", "thread_name") and isinstance(e["args"]["name"], str)
        elif e["ph"] == "C":
            assert all(isinstance(v, (int, float)) for v in e["args"].values())
        elif e["ph"] == "s":
            starts[e["id"]] = e["ts"]
        else:
            assert e["ph"] == "f" and e["bp"] == "e" and e["id"] in starts
    named = {(e["pid"], e["tid"]) for e in trace["traceEvents"] if e["name"] == "thread_name"}
    assert {(e["pid"], e["tid"]) for e in trace["traceEvents"] if e["ph"] == "X"} <= named


def test_a_training_step_on_the_time_line(t: Any, device: str, tmp_path: Path) -> None:
    step = program(t, device)
    step()
    with t.profiler.profile() as recorded:
        with t.profiler.record_function("one step"):
            loss = step()
        loss.item()
        t.tensor([1.0, 2.0], device=device)
    kinds = {e.kind for e in recorded.events}
    assert {"op", "range", "kernel", "allocation"} <= kinds
    assert any(e.kind == "op" and e.name == "linear" for e in recorded.events)
    assert {e.row for e in recorded.events if e.kind == "kernel"} == {device}
    made = next(e for e in recorded.events if e.kind == "allocation" and e.details["op"] == "linear")
    assert __file__ in made.details["site"] and made.details["nbytes"] > 0
    opened = open_device(device)
    if not opened.numpy_handles:
        assert {"launch", "copy"} <= kinds
        kernels = {e.link: e for e in recorded.events if e.kind == "kernel"}
        assert all(e.link in kernels for e in recorded.events if e.kind == "launch")
    path = tmp_path / "trace.json"
    recorded.export_chrome_trace(path)
    trace = json.loads(path.read_text())
    valid(trace)
    rows = {e["args"]["name"] for e in trace["traceEvents"] if e["ph"] == "M"}
    assert {"host", "devices", "MainThread", device} <= rows


def test_the_table(t: Any, device: str) -> None:
    step = program(t, device)
    with t.profiler.profile() as recorded:
        for _ in range(3):
            step()
    rows = {(a.kind, a.name): a for a in recorded.key_averages()}
    assert rows["op", "mse_loss"].count == 3
    steps = [(a.count, name) for (kind, name), a in rows.items() if kind == "op" and name.endswith("sgd_step")]
    assert sum(count * int(name.partition(" × ")[0] if " × " in name else 1) for count, name in steps) == 12  # some joined
    text = recorded.key_averages().table(5).splitlines()
    assert text[0].split() == ["kind", "name", "device", "count", "total", "ms", "mean", "µs", "MiB"]
    assert len(text) == 7 and text[-1].startswith("… and ")


def test_nothing_is_left_of_it(t: Any, device: str) -> None:
    """Plans that are made while nobody watches have the calls that they always had."""
    from ingot import dispatch

    opened = open_device(device)
    x = t.ones(3, device=device)
    with t.profiler.profile():
        t.exp(x)
    t.exp(x)
    t.softmax(x, -1)
    entries = [e for plans in (dispatch._plans, *dispatch._fast) for e in plans.values()]
    assert entries and all(observe.bare(s.call) is s.call for e in entries for s in e.plan.steps)
    assert not {"launch", "copy_in", "copy_out", "copy"} & set(vars(opened))
    assert "_own" not in vars(opened.pool)
    assert opened.pool.host == opened.numpy_handles
    with t.profiler.record_function("free"):
        assert observe.OBSERVERS == []


def test_one_profile_at_a_time(t: Any, device: str) -> None:
    with t.profiler.profile(), pytest.raises(RuntimeError, match="a profile is running already"), t.profiler.profile():
        pass
    assert observe.OBSERVERS == []


def test_a_custom_op_has_its_name_there(t: Any, device: str) -> None:
    op = t.library.custom_op("squared_error", "out = square(x - y)")
    try:
        with t.profiler.profile() as recorded:
            op(t.ones(3, device=device), 2.0)
        assert any(e.kind == "op" and e.name == "squared_error" for e in recorded.events)
    finally:
        t.library.withdraw("squared_error")


def test_a_replay_of_a_compiled_function_is_one_event(t: Any, device: str) -> None:
    """It is recorded anew when a profile begins, eagerly and seen; from then on its launches are one program."""
    double = t.compile(lambda x: (x * 2).exp())
    x = t.ones(3, device=device)
    for _ in range(3):
        double(x)
    with t.profiler.profile() as recorded:
        double(x)
        double(x)
    assert any(e.name == "exp" for e in recorded.events)
    assert [e.name.partition(" of ")[0] for e in recorded.events if e.details.get("route") == "replay"] == ["replay"]
