"""Queues, events and order: what is queued later sees what was queued before, on one stream and across streams.

What a device without further streams must keep is here too: there, everything is one queue.
"""

from __future__ import annotations

import random
import threading
from typing import Any

import numpy as np
from ingot_devices.errors import ContractError

from ..bench import Bench, NotPresent, Probe, pattern, same

ROUNDS = 6


def work_is_done_in_order(bench: Bench) -> None:
    """A chain of ops, copies and writes on the default stream gives what NumPy gives."""
    x = np.arange(257, dtype=np.float32)
    y = bench.tensor(x)
    for k in range(ROUNDS):
        y = y * 2 + k
        y[k] = -1.0
        z = y.clone()
        y.add_(z[::1])
        x = x * 2 + k
        x[k] = -1.0
        x = x + x
        np.testing.assert_array_equal(bench.subject.read(y), x, err_msg=f"round {k}")


def a_copy_waits_for_the_kernel(bench: Bench) -> None:
    """Reading right behind a launch gives its result, also behind a long chain of them."""
    n = 1 << (10 if bench.subject.is_slow else 18)
    x = bench.tensor(np.ones(n, np.float32))
    for _ in range(20):
        x = x + 1
    found = bench.subject.read(x)
    np.testing.assert_array_equal(found, np.full(n, 21, np.float32))


def reused_memory_waits_for_its_reader(bench: Bench) -> None:
    """A block that is freed while a queued kernel reads it is not overwritten before that kernel ran."""
    n = 1 << (8 if bench.subject.is_slow else 16)
    for k in range(ROUNDS):
        x = bench.tensor(np.full(n, k, np.float32))
        y = x.sqrt().square() + x
        del x
        z = bench.tensor(np.full(n, -7, np.float32))  # takes the block of x
        np.testing.assert_allclose(bench.subject.read(y), np.full(n, 2 * k, np.float32), rtol=1e-5, err_msg=f"round {k}")
        np.testing.assert_array_equal(bench.subject.read(z), np.full(n, -7, np.float32))


def threads_share_the_default_stream(bench: Bench) -> None:
    """Four threads compute on the default stream at once, each what it computes alone."""
    faults: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for k in range(ROUNDS):
                x = np.arange(64, dtype=np.float32) + seed * 10 + k
                np.testing.assert_array_equal(bench.subject.read(bench.tensor(x) * 3 + 1), x * 3 + 1)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def _needs_streams(bench: Bench) -> None:
    if not bench.device.streams:
        raise NotPresent(f"{bench.name} has the default stream only")


def events_order_two_streams(bench: Bench) -> None:
    """A stream that waits for an event of another sees what that other did before it, in any order of queueing."""
    _needs_streams(bench)
    device, n = bench.device, 4 * bench.grain
    handles = [bench.allocate(n) for _ in range(3)]
    streams = [device.create_stream() for _ in range(3)]
    shuffle = random.Random(0)
    for k in range(ROUNDS):
        shuffle.shuffle(streams)
        first, second, third = streams
        data = pattern(n, k)
        before = device.set_stream(first)
        bench.put(handles[0], data)
        device.copy(handles[1], 0, handles[0], 0, n)
        done = device.record_event(first)
        device.set_stream(second)
        device.wait_event(done, second)
        device.copy(handles[2], 0, handles[1], 0, n)
        again = device.record_event(second)
        device.set_stream(third)
        device.wait_event(again, third)
        found = bench.get(handles[2], n)
        device.set_stream(before)
        same(found, data, f"round {k}: two copies on two streams, with events between")
    bench.release(*handles)


def the_default_stream_keeps_its_name(bench: Bench) -> None:
    """While another stream is current, an event of stream None still marks what the default one has queued."""
    _needs_streams(bench)
    device, n = bench.device, 4 * bench.grain
    source, target = (bench.allocate(n) for _ in range(2))
    side = device.create_stream()
    for k in range(ROUNDS):
        before = device.set_stream(None)
        data = pattern(n, k)
        bench.put(source, data)
        device.copy(target, 0, source, 0, n)
        device.set_stream(side)
        device.wait_event(device.record_event(None), side)
        found = bench.get(target, n)
        device.set_stream(before)
        same(found, data, f"round {k}: a copy on the default stream, read on another behind an event of it")
    bench.release(source, target)


def kernels_wait_for_events(bench: Bench) -> None:
    """A kernel on a second stream, behind an event of the first, reads what the first wrote."""
    _needs_streams(bench)
    device = bench.device
    a, b = device.create_stream(), device.create_stream()
    n = 64 if bench.subject.is_slow else 1 << 15
    for k in range(ROUNDS):
        before = device.set_stream(a)
        x = bench.tensor(np.full(n, k, np.float32)) * 2
        event = device.record_event(a)
        device.set_stream(b)
        device.wait_event(event, b)
        device.pool.note_use(x._block, b)
        y = x + 1
        found = bench.subject.read(y)
        device.set_stream(before)
        np.testing.assert_array_equal(found, np.full(n, 2 * k + 1, np.float32), err_msg=f"round {k}")


def events_end(bench: Bench) -> None:
    """An event is done after `synchronize_event` and after `synchronize`, and its time does not run backwards."""
    device = bench.device
    start = device.record_event(None)
    _ = bench.tensor(np.ones(64, np.float32)) + 1
    end = device.record_event(None)
    device.synchronize_event(end)
    assert device.event_done(end), "synchronize_event returned, and the event is not done"
    assert device.event_done(start), "an event before a done one is not done"
    assert device.elapsed_ms(start, end) >= 0, f"{device.elapsed_ms(start, end)} ms from one event to a later one"
    later = device.record_event(None)
    device.synchronize()
    assert device.event_done(later), "synchronize returned, and an event before it is not done"


def streams_belong_to_a_thread(bench: Bench) -> None:
    """`set_stream` in one thread changes nothing in another, and gives back what was current."""
    _needs_streams(bench)
    device = bench.device
    stream, seen = device.create_stream(), list[Any]()
    before = device.set_stream(stream)
    try:
        assert device.current_stream() is stream, "set_stream did not make the stream current"
        thread = threading.Thread(target=lambda: seen.append(device.current_stream()))
        thread.start()
        thread.join()
    finally:
        back = device.set_stream(before)
    assert back is stream, "set_stream does not return the stream that was current"
    assert seen[0] is not stream, "another thread's work goes to a stream that this thread has set"


def ranges_nest(bench: Bench) -> None:
    """Ranges for the vendor's profiler begin and end one within the other, and work goes on in them."""
    try:
        bench.device.push_range("outer")
    except ContractError as error:
        raise NotPresent(str(error)) from error
    bench.device.push_range("inner")
    doubled = bench.tensor([1.0, 2.0]) * 2
    bench.device.pop_range()
    bench.device.pop_range()
    np.testing.assert_array_equal(bench.subject.read(doubled), [2.0, 4.0])


PROBES: tuple[Probe, ...] = (
    work_is_done_in_order,
    a_copy_waits_for_the_kernel,
    reused_memory_waits_for_its_reader,
    threads_share_the_default_stream,
    events_order_two_streams,
    the_default_stream_keeps_its_name,
    kernels_wait_for_events,
    events_end,
    streams_belong_to_a_thread,
    ranges_nest,
)
