"""The pool at its limits: running out, a lost device, reuse across streams, arenas, threads, forks."""

from __future__ import annotations

import gc
import os
import threading
import warnings
from typing import Any

import numpy as np
import pooled
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingot_devices import dtypes as dt
from ingot_devices.errors import ContractError, DeviceLost, OutOfMemoryError
from ingot_devices.layout import Layout
from ingot_devices.limits import WEBGPU, Limits
from ingot_devices.memory import Arena
from ingot_devices.memory.oom import size_text
from pooled import KIB, MIB, cpu, line
from pretend_device import PretendDevice, StreamedDevice

any_device, no_gc = pooled.any_device, pooled.no_gc


# ---- running out ---------------------------------------------------------------------------------
def test_ladder_drains_and_reuses_before_asking() -> None:
    device = PretendDevice(budget=MIB)
    for _ in range(10):
        device.pool.allocate(MIB)
    assert device.calls == ["allocate"]


def test_ladder_empties_the_cache() -> None:
    device = PretendDevice(budget=MIB)
    for n in (100, 1000, 10_000):
        device.pool.allocate(n)
    assert len(device.memory) == 3
    assert device.pool.allocate(MIB).nbytes == MIB
    assert len(device.memory) == 1


def test_ladder_collects_garbage(no_gc: None) -> None:
    device = PretendDevice(budget=MIB)
    cycle: list[Any] = [device.pool.allocate(MIB)]
    cycle.append(cycle)
    del cycle
    assert device.pool.stats().used == MIB
    assert device.pool.allocate(512 * KIB).nbytes == 512 * KIB
    assert device.pool.stats().used == 512 * KIB


@pytest.mark.parametrize("make", [PretendDevice, cpu])
def test_limit_collects_garbage_and_counts_small_blocks(make: Any, no_gc: None) -> None:
    device = make()
    pool = device.pool
    pool.set_limit(10_000)
    cycle: list[Any] = [pool.allocate(4096), pool.allocate(4096)]
    cycle.append(cycle)
    del cycle
    kept = [pool.allocate(4096) for _ in range(2)]
    with pytest.raises(OutOfMemoryError, match=r"limit 9\.77 KiB"):
        pool.allocate(4096)
    assert pool.stats().used == 8192
    kept.clear()
    assert pool.stats().used == 0
    assert pool.stats().peak <= 10_000
    pool.set_limit(None)
    assert pool.allocate(20_000).nbytes >= 20_000


def test_limit_below_what_is_used_refuses_the_next() -> None:
    pool = cpu().pool
    kept = pool.allocate(1000)
    pool.set_limit(500)
    for n in (10, 100_000):
        with pytest.raises(OutOfMemoryError):
            pool.allocate(n)
    del kept
    assert pool.allocate(100).nbytes == 100


def test_limit_must_be_a_size() -> None:
    with pytest.raises(ValueError, match="-1 was given"):
        cpu().pool.set_limit(-1)


def test_out_of_memory_names_everything_in_few_lines() -> None:
    device = PretendDevice(budget=30 * MIB)
    kept = [device.pool.allocate(MIB) for _ in range(20)]
    kept += [device.pool.allocate(5 * MIB)]
    with pytest.raises(OutOfMemoryError) as caught:
        device.pool.allocate(8 * MIB)
    error = caught.value
    text = str(error)
    assert isinstance(error, MemoryError)
    assert isinstance(error.__cause__, MemoryError) and "board" in str(error.__cause__)
    assert (error.requested, error.limit) == (8 * MIB, None)
    assert "pretend:0" in text and "8.00 MiB requested" in text
    assert "25.00 MiB used" in text and "25.00 MiB reserved" in text and "no limit" in text
    assert f"5.00 MiB  {__file__}:{line() - 10}" in text
    assert f"1.00 MiB  {__file__}:{line() - 12}" in text
    assert "13.00 MiB  in others" in text
    assert len(text.splitlines()) <= 15
    del error, caught
    kept.clear()
    assert device.pool.allocate(8 * MIB).nbytes == 8 * MIB  # the program can go on


def test_request_above_the_largest_buffer_says_so() -> None:
    device = PretendDevice(limits=Limits(max_buffer=MIB))
    with pytest.raises(OutOfMemoryError, match=r"largest buffer is 1\.00 MiB"):
        device.pool.allocate(MIB + 1)
    assert device.calls == []


def test_other_failures_are_not_taken_for_lack_of_memory() -> None:
    device = PretendDevice()

    def burn(nbytes: int) -> int:
        raise OSError("on fire")

    device.allocate = burn  # type: ignore[method-assign]
    with pytest.raises(OSError, match="on fire"):
        device.pool.allocate(10)
    assert device.pool.stats()[:2] == (0, 0)


def test_a_handle_that_is_none_is_said_to_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    device = PretendDevice()
    monkeypatch.setattr(device, "allocate", lambda nbytes: None)
    for ask in (device.pool.allocate, device.pool.raw):
        with pytest.raises(ContractError, match=r"PretendDevice\.allocate\(\d+\) returned None; it must return a handle"):
            ask(64)
    assert device.pool.stats()[:2] == (0, 0)


def test_a_typed_error_of_the_device_climbs_the_ladder_too() -> None:
    device = PretendDevice()
    del device.pool.allocate(100).version  # cached
    allocate, tries = device.allocate, []

    def scarce(nbytes: int) -> int:
        tries.append(nbytes)
        if len(device.memory):
            raise OutOfMemoryError("full")
        return allocate(nbytes)

    device.allocate = scarce  # type: ignore[method-assign]
    assert device.pool.allocate(1000).nbytes >= 1000
    assert len(tries) > 1


def test_no_ladder_inside_a_graph_capture() -> None:
    device = StreamedDevice(budget=MIB)
    device.pool.allocate(1000)  # cached
    device.calls.clear()
    device.pool.capturing = True
    with pytest.raises(OutOfMemoryError, match="inside a graph capture"):
        device.pool.allocate(MIB)
    assert set(device.calls) == {"allocate"}
    device.pool.capturing = False
    assert device.pool.allocate(MIB).nbytes == MIB


def test_size_text() -> None:
    assert [size_text(n) for n in (0, 1023, 1024, 1536 * KIB, 5 << 40)] == [
        "0 B", "1023 B", "1.00 KiB", "1.50 MiB", "5120.00 GiB"]  # fmt: skip


# ---- a lost device -------------------------------------------------------------------------------
def test_a_lost_device_refuses_and_its_releases_do_nothing() -> None:
    device = PretendDevice()
    blocks = [device.pool.allocate(1000), device.pool.allocate(1000)]
    blocks.pop()
    device.pool.stats()  # one in the cache
    device.lost = True
    device.calls.clear()
    with pytest.raises(DeviceLost, match="pretend:0"):
        device.pool.allocate(1000)
    with pytest.raises(DeviceLost):
        device.pool.fresh(Layout.dense((10,), dt.float32, device))
    blocks.clear()
    device.pool.empty_cache()
    assert device.pool.stats()[:2] == (0, 0)
    assert device.calls == []


# ---- streams -------------------------------------------------------------------------------------
def test_home_stream_reuses_at_once() -> None:
    device = StreamedDevice()
    stream = device.create_stream()
    device.set_stream(stream)
    block = device.pool.allocate(100)
    assert block.stream is stream
    handle = block.handle
    stream.work()
    del block
    assert device.pool.allocate(100).handle == handle


def test_another_stream_waits_for_the_home_stream() -> None:
    device = StreamedDevice()
    block = device.pool.allocate(100)
    handle = block.handle
    device.default.work()
    del block
    device.set_stream(device.create_stream())
    other = device.pool.allocate(100)
    assert other.handle != handle
    device.default.run()
    third = device.pool.allocate(100)
    assert third.handle == handle
    assert third.stream is device.current
    assert device.current is not None
    device.current.work()
    device.set_stream(None)
    del third
    assert device.pool.allocate(100).handle != handle  # its home is the other stream now


def test_block_used_elsewhere_waits_for_that_stream() -> None:
    device = StreamedDevice()
    side = device.create_stream()
    block = device.pool.allocate(100)
    device.pool.note_use(block, None)
    assert block.uses is None
    device.pool.note_use(block, side)
    device.pool.note_use(block, side)
    assert block.uses == {side}
    handle = block.handle
    side.work()
    del block
    second = device.pool.allocate(100)
    assert second.handle != handle
    assert device.pool.stats().cached > 0
    side.run()
    assert device.pool.allocate(100).handle == handle


def test_ladder_waits_for_streams_before_it_asks_again() -> None:
    device = StreamedDevice(budget=MIB)
    side = device.create_stream()
    block = device.pool.allocate(MIB)
    handle = block.handle
    device.pool.note_use(block, side)
    side.work()
    del block
    assert device.pool.allocate(MIB).handle == handle
    assert "release" not in device.calls


def test_cache_is_given_back_only_after_the_work() -> None:
    device = StreamedDevice()
    side = device.create_stream()
    blocks = [device.pool.allocate(100), device.pool.allocate(5000)]
    device.pool.note_use(blocks[0], side)
    side.work()
    device.default.work()
    blocks.clear()
    device.pool.empty_cache()  # the device refuses a release before its work is done
    assert not device.memory


def test_an_event_that_cannot_be_recorded_loses_nothing() -> None:
    device = StreamedDevice()
    side = device.create_stream()
    block = device.pool.allocate(100)
    device.pool.note_use(block, side)
    record = device.record_event

    def broken(stream: Any = None) -> Any:
        raise OSError("driver")

    device.record_event = broken  # type: ignore[method-assign]
    del block
    with pytest.raises(OSError, match="driver"):
        device.pool.stats()
    device.record_event = record  # type: ignore[method-assign]
    assert device.pool.stats().used == 0
    device.pool.empty_cache()
    assert not device.memory


# ---- arenas --------------------------------------------------------------------------------------
@pytest.mark.parametrize("limits", [Limits(), WEBGPU, Limits(suballocate=False)])
def test_arena_keeps_its_memory(limits: Limits) -> None:
    device = PretendDevice(limits=limits)
    arena = Arena(device.pool, [10, 0, 1000, 64])
    assert len({id(s.block) for s in arena.slots}) == (1 if limits.suballocate else 4)
    assert all(s.offset % limits.binding_granularity == 0 for s in arena.slots)
    assert device.pool.stats().used == arena.nbytes
    ranges = [(s.block.handle, s.offset, s.offset + n)
              for s, n in zip(arena.slots, [10, 1, 1000, 64], strict=True)]  # fmt: skip
    assert not any(overlap(a, b) for a in ranges for b in ranges if a is not b)
    assert device.pool.allocate(arena.nbytes).handle not in {s.block.handle for s in arena.slots}
    arena.close()
    assert device.pool.stats().used == 0


def test_an_arena_may_lend_its_memory() -> None:
    """One that is large enough serves as it is; for a larger one a block is taken that is twice as large."""
    device = PretendDevice()
    first = Arena(device.pool, [1000, 64])
    small = Arena(device.pool, [10, 500], first)
    assert {s.block for s in small.slots} == {first.whole} and small.turn is first.turn
    large = Arena(device.pool, [first.nbytes, 64], small)
    assert large.whole is not first.whole and large.nbytes >= 2 * first.nbytes and large.turn is first.turn
    assert Arena(device.pool, [2 * first.nbytes - 64], large).whole is large.whole
    apart = Arena(PretendDevice(limits=Limits(suballocate=False)).pool, [10, 20], None)
    assert apart.whole is None and len({id(s.block) for s in apart.slots}) == 2


def test_a_turn_follows_on_another_stream_and_in_a_child() -> None:
    device = StreamedDevice()
    arena = Arena(device.pool, [64])
    turn = arena.turn
    turn.follow()
    assert device.calls.count("wait_event") == 0, "the same stream follows by itself"
    side = device.create_stream()
    device.set_stream(side)
    device.calls.clear()
    for _ in range(2):
        turn.follow()
    assert device.calls == ["record_event", "wait_event"], "another one waits, once"
    with turn.lock:
        turn.renew()  # as in a child of a fork
        found: list[bool] = []
        other = threading.Thread(target=lambda: found.append(turn.lock.acquire(False)))
        other.start()
        other.join(10)
        assert found == [True]


def overlap(a: tuple[int, int, int], b: tuple[int, int, int]) -> bool:
    return a[0] == b[0] and a[1] < b[2] and b[1] < a[2]


# ---- never two owners ----------------------------------------------------------------------------
@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 300_000)), max_size=60),
    st.sampled_from([PretendDevice, StreamedDevice, cpu]),
)
def test_no_two_live_blocks_share_memory(steps: list[tuple[int, int]], make: Any) -> None:
    device = make()
    pool = device.pool
    streams = [None, *(device.create_stream() for _ in range(2))]
    live: list[tuple[Any, int]] = []
    for k, (action, n) in enumerate(steps):
        if action <= 2:
            if device.streams:
                device.set_stream(streams[action])
            block = pool.allocate(n)
            device.copy_in(block.handle, 0, np.full(8, k, np.uint8).data) if n >= 8 else None
            live.append((block, k if n >= 8 else -1))
            del block
        elif action == 3 and live:
            live.pop(n % len(live))
        elif action == 4 and live and device.streams:
            pool.note_use(live[n % len(live)][0], streams[n % 3])
            (streams[n % 3] or device.default).work()
        else:
            pool.empty_cache()
        for block, mark in live:
            if mark >= 0:
                found = np.empty(8, np.uint8)
                device.copy_out(block.handle, 0, found.data)
                assert (found == mark % 256).all()
        block = None
    assert pool.stats().used == sum(b.nbytes for b, _ in live)
    live.clear()
    pool.empty_cache()
    assert pool.stats()[:2] == (0, 0)


# ---- threads and processes -----------------------------------------------------------------------
@pytest.mark.parametrize("collect", [True, False])
def test_many_threads_lose_no_byte(any_device: Any, collect: bool) -> None:
    pool = any_device.pool
    layouts = [Layout.dense((n,), dt.float32, any_device) for n in (1, 10, 1000, 20_000, 70_000)]
    shared: list[Any] = [None] * 16
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        try:
            for _ in range(400):
                pair = pool.fresh(layouts[rng.integers(len(layouts))])
                cycle: list[Any] = [pair]
                cycle.append(cycle)
                shared[rng.integers(16)] = pair if rng.random() < 0.5 else None
                if rng.random() < 0.02:
                    pool.empty_cache()
        except BaseException as error:
            failures.append(error)

    if not collect:
        gc.disable()
    try:
        threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)
    finally:
        gc.enable()
    assert failures == []
    shared.clear()
    gc.collect()
    assert pool.stats().used == 0
    pool.empty_cache()
    assert pool.stats().reserved == 0
    assert not getattr(any_device, "memory", None)


def test_a_finalizer_may_allocate_inside_allocate() -> None:
    device = PretendDevice(budget=MIB)

    class Nasty:
        def __del__(self) -> None:
            device.pool.allocate(1000)
            device.pool.empty_cache()

    allocate = device.allocate

    def collecting(nbytes: int) -> int:
        cycle: list[Any] = [Nasty()]
        cycle.append(cycle)
        del cycle
        gc.collect()
        return allocate(nbytes)

    device.allocate = collecting  # type: ignore[method-assign]
    blocks = [device.pool.allocate(n * 1000) for n in range(1, 6)]
    assert len({b.handle for b in blocks}) == 5
    blocks.clear()
    device.allocate = allocate  # type: ignore[method-assign]
    gc.collect()
    device.pool.empty_cache()
    assert not device.memory


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_goes_on_though_the_lock_was_taken() -> None:
    device = cpu()
    block = device.pool.allocate(MIB)
    device.pool.lock.acquire()
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: forking beside threads
        child = os.fork()
    if child == 0:
        done: list[int] = []
        thread = threading.Thread(
            target=lambda: done.append(device.pool.allocate(2 * MIB).nbytes), daemon=True
        )
        thread.start()  # another thread: the lock is reentrant
        thread.join(20)
        os.write(writer, b"1" if done == [2 * MIB] else b"0")
        os._exit(0)
    device.pool.lock.release()
    os.close(writer)
    assert os.read(reader, 1) == b"1"
    os.close(reader)
    os.waitpid(child, 0)
    assert block.nbytes == MIB
