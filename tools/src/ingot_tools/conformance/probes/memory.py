"""The first level: what the contract says of limits, allocations and copies, asked of the device itself.

No kernel runs here, and the pool is left out but for the last probes.
"""

from __future__ import annotations

import gc
import threading
from typing import Any

import numpy as np
from ingot_devices.transfer import read

from .. import leaks
from ..bench import Bench, NotPresent, Probe, pattern, same
from ..records.record import ALL

COUNT = 12
MANY = 64


def limits_are_sane(bench: Bench) -> None:
    """Every limit is positive, granularities are powers of two, and classes of dtypes fit their storage."""
    limits = bench.device.limits
    for name in ("allocation_granularity", "binding_granularity", "copy_granularity"):
        value = getattr(limits, name)
        assert value > 0 and value & (value - 1) == 0, f"limits.{name} is {value}; it must be a power of two"
    for name in ("max_buffer", "max_binding", "max_bindings", "max_workgroup", "lanes", "compute_units"):
        assert getattr(limits, name) > 0, f"limits.{name} is {getattr(limits, name)}; it must be positive"
    assert limits.index_bits in (32, 64), f"limits.index_bits is {limits.index_bits}; it must be 32 or 64"
    for d, kept in limits.dtypes.items():
        assert kept.kind != "refused" or kept.reason, f"{d.name} is refused without a reason"
        assert kept.kind != "native" or kept.storage is d, f"{d.name} is native and stored as {kept.storage.name}"


def allocations_do_not_overlap(bench: Bench) -> None:
    """Live allocations are apart: what is written to one stays out of the others."""
    n = bench.grain
    sizes = [n * (1 + k % 5) for k in range(COUNT)]
    handles = [bench.allocate(s) for s in sizes]
    for k, (h, s) in enumerate(zip(handles, sizes, strict=True)):
        bench.put(h, pattern(s, k))
    for k, (h, s) in enumerate(zip(handles, sizes, strict=True)):
        same(bench.get(h, s), pattern(s, k), f"allocation {k} of {COUNT}, after all were written")
    bench.release(*handles)


def a_release_spares_the_others(bench: Bench) -> None:
    """Releasing every second allocation, and allocating anew, changes nothing in those that live on."""
    n = 4 * bench.grain
    handles = [bench.allocate(n) for _ in range(COUNT)]
    for k, h in enumerate(handles):
        bench.put(h, pattern(n, k))
    bench.release(*handles[::2])
    fresh = [bench.allocate(n) for _ in range(COUNT // 2)]
    for h in fresh:
        bench.put(h, b"\x5a" * n)
    for k in range(1, COUNT, 2):
        same(bench.get(handles[k], n), pattern(n, k), f"allocation {k}, after others were released")
    bench.release(*handles[1::2], *fresh)


def copies_reach_every_byte(bench: Bench) -> None:
    """Copies of one unit up to many, at every offset of a granule, write their bytes and no other."""
    unit = bench.device.limits.copy_granularity
    total = -(-64 * unit // bench.grain) * bench.grain
    handle = bench.allocate(total)
    base = pattern(total, 99)
    for units in (1, 2, 3, 7, 16, 31):
        for first in (0, 1, 5, 17):
            bench.put(handle, base)
            data, at = pattern(units * unit, units + first), first * unit
            bench.put(handle, data, at)
            wanted = base[:at] + data + base[at + len(data) :]
            same(bench.get(handle, total), wanted, f"copy in of {len(data)} bytes at {at}")
            same(bench.get(handle, len(data), at), data, f"copy out of {len(data)} bytes at {at}")
    bench.release(handle)


def a_source_may_be_reused(bench: Bench) -> None:
    """`copy_in` returns when its source may be overwritten."""
    device, n = bench.device, -(-(1 << 16) // bench.grain) * bench.grain
    handle, data = bench.allocate(n), bytearray(pattern(n, 1))
    kept = bytes(data)
    device.copy_in(handle, 0, memoryview(data))
    data[:] = b"\xee" * n
    same(bench.get(handle, n), kept, "copy in, whose source was overwritten on return")
    bench.release(handle)


def copies_within_the_device(bench: Bench) -> None:
    """`copy` moves bytes between two allocations and within one, between any offsets, and nothing around them."""
    device, unit = bench.device, bench.device.limits.copy_granularity
    total = -(-64 * unit // bench.grain) * bench.grain
    a, b = bench.allocate(total), bench.allocate(total)
    first, second = pattern(total, 1), pattern(total, 2)
    for to, of, units in ((0, 0, 64), (3, 0, 5), (0, 7, 9), (11, 30, 17), (63, 1, 1)):
        bench.put(a, first)
        bench.put(b, second)
        device.copy(b, to * unit, a, of * unit, units * unit)
        wanted = second[: to * unit] + first[of * unit : (of + units) * unit] + second[(to + units) * unit :]
        same(bench.get(b, total), wanted, f"copy of {units} units from {of} to {to}")
        same(bench.get(a, total), first, "the source of a copy")
    device.copy(a, 40 * unit, a, 2 * unit, 8 * unit)
    wanted = first[: 40 * unit] + first[2 * unit : 10 * unit] + first[48 * unit :]
    same(bench.get(a, total), wanted, "copy within one allocation")
    bench.release(a, b)


def copies_keep_their_order(bench: Bench) -> None:
    """Copies act in the order in which they are called, on their way in, within and out."""
    device, n = bench.device, 8 * bench.grain
    a, b = bench.allocate(n), bench.allocate(n)
    for k in range(COUNT):
        bench.put(a, pattern(n, k))
        device.copy(b, 0, a, 0, n)
        bench.put(a, pattern(n, k + 100))
        same(bench.get(b, n), pattern(n, k), f"round {k}: a copy taken before its source was overwritten")
    bench.release(a, b)


def too_much_is_refused(bench: Bench) -> None:
    """An allocation beyond ``limits.max_buffer`` or beyond the memory raises MemoryError, and the device works on."""
    limits = bench.device.limits
    if limits.memory is not None:  # the pool refuses what is beyond `max_buffer`; the device itself is asked for too much
        asked = -(-2 * limits.memory // bench.grain) * bench.grain
        try:
            handle = bench.allocate(asked)
        except MemoryError:
            pass
        else:
            bench.release(handle)
            raise AssertionError(f"{asked} bytes were allocated, and limits.memory is {limits.memory}")
    try:
        bench.device.pool.allocate(limits.max_buffer + 1)
    except MemoryError as error:
        assert bench.name in str(error), f"the error does not name the device: {error}"
    else:
        raise AssertionError(f"{limits.max_buffer + 1} bytes were allocated, and limits.max_buffer is {limits.max_buffer}")
    copies_keep_their_order(bench)


def every_dtype_comes_back(bench: Bench) -> None:
    """Tensors of every dtype that is not refused come back as they went: extremes, NaN, odd sizes."""
    subject = bench.subject
    for name in (d for d in ALL if d not in subject.refused):
        for n in (1, 3, 17, 1000):
            array = _extremes(name, n)
            got = read(subject.t.tensor(array, dtype=subject.dtype(name), device=subject.device))
            np.testing.assert_array_equal(np.asarray(got, array.dtype), array, err_msg=f"{n} elements of {name}")


def _extremes(name: str, n: int) -> Any:
    """``n`` values of a dtype, the largest and smallest that it holds among them."""
    rng = np.random.default_rng(n)
    if name == "bool":
        return rng.integers(0, 2, n).astype(bool)
    if "float" in name:  # what a half holds, too
        array = rng.integers(-128, 128, n).astype(np.float32)
        array[:3] = (np.nan, -np.inf, -0.0)[:n]
        return array
    info = np.iinfo(name)
    array = rng.integers(info.min, info.max, n, dtype=name)
    array[:2] = (info.min, info.max)[:n]
    return array


def many_threads_at_once(bench: Bench) -> None:
    """Four threads allocate, copy and release at once, each with its own memory."""
    n = 4 * bench.grain
    faults: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for k in range(COUNT):
                handle = bench.allocate(n)
                bench.put(handle, pattern(n, seed * 1000 + k))
                same(bench.get(handle, n), pattern(n, seed * 1000 + k), f"thread {seed}, round {k}")
                bench.release(handle)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def memory_is_given_back(bench: Bench) -> None:
    """Allocating and releasing without end needs no more memory than one of them: `release` releases."""
    device, limits = bench.device, bench.device.limits
    n = 1 << 20 if limits.memory is None else min(limits.memory // 8, limits.max_buffer, 1 << 30)
    n = max(n // bench.grain, 1) * bench.grain
    rounds = 64 if limits.memory is None else 2 + limits.memory // n
    for k in range(rounds):
        try:
            bench.release(bench.allocate(n))
        except MemoryError as error:
            raise AssertionError(f"after {k} releases of {n} bytes each there is no memory: {error}") from error
    live = getattr(device, "live_handles", None)
    if callable(live):  # a device that counts
        count = live()
        bench.release(bench.allocate(n))
        assert live() == count, f"{live()} allocations are live, {count} before one was made and released"


def free_memory_comes_back(bench: Bench) -> None:
    """As `memory_info` tells, releases give back all that allocations took: raw ones, and those of the pool."""
    device = bench.device
    room = leaks.free(device)
    if room is None:
        raise NotPresent(f"{bench.name} does not tell how much of its own memory is free (memory_info)")
    n = max(min(room // (4 * MANY), 1 << 20) // bench.grain, 1) * bench.grain

    def raw() -> None:
        bench.release(*[bench.allocate(n) for _ in range(MANY)])

    def pooled() -> None:
        kept = [bench.tensor(np.ones(1000 + 100 * k, np.float32)) for k in range(MANY)]
        kept.clear()
        device.pool.empty_cache()

    for what, work in ((f"{MANY} allocations of {n} bytes, all released", raw), (f"{MANY} tensors, all dropped", pooled)):
        work()  # a driver may take something for itself the first time
        gone = leaks.lost(device, work)
        assert not gone, f"{what}: each time {gone} bytes do not come back, as memory_info() tells"


def the_pool_forgets_nothing(bench: Bench) -> None:
    """Used bytes return to what they were when tensors are dropped, with the collector switched off."""
    pool = bench.device.pool
    gc.collect()
    before = pool.stats().used
    gc.disable()
    try:
        kept: list[Any] = [bench.tensor(np.ones(1000 + k, np.float32)) for k in range(COUNT)]
        assert pool.stats().used > before, "live tensors count nothing"
        kept.clear()
        assert pool.stats().used == before, f"{pool.stats().used - before} bytes are held by nobody"
    finally:
        gc.enable()


PROBES: tuple[Probe, ...] = (
    limits_are_sane,
    allocations_do_not_overlap,
    a_release_spares_the_others,
    copies_reach_every_byte,
    a_source_may_be_reused,
    copies_within_the_device,
    copies_keep_their_order,
    too_much_is_refused,
    every_dtype_comes_back,
    many_threads_at_once,
    memory_is_given_back,
    free_memory_comes_back,
    the_pool_forgets_nothing,
)
