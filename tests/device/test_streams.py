"""Streams and events as PyTorch programs use them, on every device: those without streams have the default one."""

from __future__ import annotations

import gc
import threading
from typing import Any

import numpy as np
import pytest

N = 1 << 12


@pytest.fixture
def opened(device: str) -> Any:
    from ingot_devices import open_device

    return open_device(device)


def test_work_goes_to_the_stream_that_is_current(t: Any, device: str, opened: Any) -> None:
    side = t.Stream(device)
    usual = t.accelerator.current_stream(device)
    assert usual == t.streams.default_stream(device) and hash(usual) == hash(t.streams.default_stream(device))
    x = t.arange(N, dtype=t.float32, device=device)
    side.wait_stream(usual)
    with side as entered:
        assert entered is side and t.accelerator.current_stream(device) == side
        y = x * 2 + 1
        assert y._block.stream is side._raw
        with t.Stream(device) as inner:
            assert t.accelerator.current_stream(device) == inner
        assert t.accelerator.current_stream(device) == side
    assert t.accelerator.current_stream(device) == usual
    usual.wait_stream(side)
    np.testing.assert_array_equal((y - 1).cpu().numpy(), np.arange(N) * 2)
    assert str(side.device) == str(t.device(device)) or side.device.type == t.device(device).type


def test_results_cross_streams_behind_events(t: Any, device: str) -> None:
    streams = [t.Stream(device) for _ in range(3)]
    streams[0].wait_stream(t.accelerator.current_stream(device))
    x = t.zeros(N, device=device)
    done = t.accelerator.current_stream(device).record_event()
    for k in range(9):
        stream = streams[k % 3]
        stream.wait_event(done)
        with stream:
            x.record_stream(stream)
            x = x + k
        done = stream.record_event()
    done.wait()
    done.synchronize()
    assert done.query()
    streams[2].synchronize()
    np.testing.assert_array_equal(x.cpu().numpy(), np.full(N, 36.0))


def test_memory_that_another_stream_uses_waits_for_it(t: Any, device: str, opened: Any) -> None:
    if not opened.streams:
        x = t.ones(4, device=device)
        x.record_stream(t.Stream(device))
        assert x._block.uses is None  # one stream: nothing to wait for
        return
    side = t.Stream(device)
    x = t.ones(N, device=device)
    block = x._block
    x.record_stream(side)
    assert block.uses == {side._raw}
    x.record_stream(t.accelerator.current_stream(device))  # its home
    assert block.uses == {side._raw}
    side.wait_stream(t.accelerator.current_stream(device))
    with side:
        y = x + 1
    del x, block
    gc.collect()
    for k in range(5):  # may take the memory of x, but not before y is there
        z = t.full((N,), float(-k), device=device)
    side.synchronize()
    np.testing.assert_array_equal(y.cpu().numpy(), np.full(N, 2.0))
    np.testing.assert_array_equal(z.cpu().numpy(), np.full(N, -4.0))


def test_events_tell_the_time(t: Any, device: str) -> None:
    start, end = (t.Event(device, enable_timing=True) for _ in range(2))
    start.record()
    x = t.ones(N, device=device)
    for _ in range(3):
        x = x * 2
    end.record()
    end.synchronize()
    assert 0 <= start.elapsed_time(end) < 60_000
    plain = t.Event(device)
    with pytest.raises(ValueError, match="enable_timing=True"):
        start.elapsed_time(plain)
    with pytest.raises(ValueError, match="must be recorded"):
        start.elapsed_time(t.Event(device, enable_timing=True))
    assert plain.query()  # nothing is marked
    plain.synchronize()
    plain.wait()
    assert repr(plain).startswith("ingot.Event(") and "Stream" in repr(t.Stream(device))


def test_a_stream_is_a_threads_own(t: Any, device: str) -> None:
    side, seen = t.Stream(device), []
    with side:
        thread = threading.Thread(target=lambda: seen.append(t.accelerator.current_stream(device)))
        thread.start()
        thread.join()
    assert seen == [t.streams.default_stream(device)]


def test_set_stream_stays(t: Any, device: str) -> None:
    side, usual = t.Stream(device), t.accelerator.current_stream(device)
    t.accelerator.set_stream(side)
    try:
        assert t.accelerator.current_stream(device) == side
    finally:
        t.accelerator.set_stream(usual)
    assert t.accelerator.current_stream(device) == usual


def test_a_network_trains_on_a_side_stream(t: Any, device: str) -> None:
    """Forward, backward and the step on one stream give what the default one gives, bit for bit."""
    found = []
    for stream in (t.accelerator.current_stream(device), t.Stream(device)):
        t.manual_seed(0)
        model = t.nn.Sequential(t.nn.Linear(8, 16), t.nn.Tanh(), t.nn.Linear(16, 1)).to(device)
        optimizer = t.optim.Adam(model.parameters(), lr=0.01)
        x = t.randn(32, 8, device=device)
        stream.wait_stream(t.accelerator.current_stream(device))
        with stream:
            for _ in range(5):
                optimizer.zero_grad()
                loss = (model(x) - x[:, :1]).square().mean()
                loss.backward()
                optimizer.step()
        stream.synchronize()
        found.append([p.detach().cpu().numpy() for p in model.parameters()])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_stream_of_another_device_is_refused(t: Any, device: str) -> None:
    if device.startswith("cpu"):
        other = next((d for d in t.accelerator.discovery.ready() if not d.startswith("cpu")), None)
        if other is None:
            pytest.skip("it takes two devices, and the CPU alone is ready")
    else:
        other = "cpu"
    stream = t.Stream(other)
    with pytest.raises(RuntimeError, match=r"record_stream: it is on .*, and the stream is of"):
        t.ones(1, device=device).record_stream(stream)
    with pytest.raises(RuntimeError, match=r"an event: it is on .*, and the stream is of"):
        t.Event(device).record(stream)
    with pytest.raises(RuntimeError, match="not shared between processes"):
        t.Event(device, interprocess=True)


def test_what_is_no_stream_is_refused_by_name(t: Any, device: str) -> None:
    stream, event = t.Stream(device), t.Event(device, enable_timing=True)
    calls = (t.zeros(1, device=device).record_stream, event.record, t.accelerator.set_stream, t.cuda.stream, stream.wait_stream)
    for call in (*calls, stream.wait_event, event.elapsed_time):
        with pytest.raises(TypeError, match=r"takes an ingot.(Stream|Event).*, not int"):
            call(3)


def test_a_compiled_function_that_changes_streams_runs_eagerly(t: Any, device: str) -> None:
    side, usual = t.Stream(device), t.accelerator.current_stream(device)

    def f(x: Any) -> Any:
        side.wait_stream(usual)
        with side:
            y = x + 1
        usual.wait_stream(side)
        return y

    compiled = t.compile(f)
    with pytest.warns(t.compiler.CompileWarning, match=r"a stream or an event \(.*test_streams.py:\d+\)"):
        found = [compiled(t.ones(2, device=device)).tolist() for _ in range(4)]
    assert found == [[2.0, 2.0]] * 4
