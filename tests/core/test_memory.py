"""The pool: classes, counting, small blocks, views, where a block was made."""

from __future__ import annotations

import gc
import threading
import warnings
import weakref
from typing import Any

import numpy as np
import pooled
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingot_devices import dtypes as dt
from ingot_devices.errors import OutOfMemoryError
from ingot_devices.layout import Layout
from ingot_devices.limits import WEBGPU, Limits
from ingot_devices.memory import Block, HostBlock, Pool, hold
from ingot_devices.memory import pool as pool_module
from ingot_devices.memory.sizes import granule, round_size
from pooled import KIB, MIB, cpu, line
from pretend_device import PretendDevice

any_device, no_gc = pooled.any_device, pooled.no_gc


# ---- size classes --------------------------------------------------------------------------------
@given(st.integers(0, 1 << 34), st.sampled_from([Limits(), WEBGPU, Limits(copy_granularity=96)]))
def test_a_class_is_enough_and_wastes_little(nbytes: int, limits: Limits) -> None:
    size = round_size(nbytes, limits)
    assert size >= max(nbytes, 1)
    assert size % limits.allocation_granularity == 0
    assert size % limits.copy_granularity == 0
    assert size <= nbytes * (1.125 if nbytes <= MIB else 1 + 1 / 32) + 256
    if limits.copy_granularity <= limits.allocation_granularity:
        assert round_size(size, limits) == size


def test_a_class_stays_within_the_largest_buffer() -> None:
    limits = Limits(max_buffer=1000 * 64)
    assert round_size(999 * 64 + 1, limits) == 1000 * 64


def test_classes_are_few() -> None:
    assert len({round_size(n, Limits()) for n in range(1, MIB, 13)}) < 100


def test_what_is_kept_for_long_is_not_rounded_to_a_class(any_device: Any) -> None:
    pool = any_device.pool
    nbytes = 9 * MIB + 1
    kept = pool.allocate(nbytes, exact=True)
    assert nbytes <= kept.nbytes < nbytes + granule(any_device.limits) < pool.allocate(nbytes).nbytes
    first = kept.handle
    del kept
    assert pool.allocate(nbytes, exact=True).handle is first
    pool.empty_cache()
    assert (pool.stats().used, pool.stats().reserved) == (0, 0)


# ---- counting ------------------------------------------------------------------------------------
def test_used_returns_to_zero_and_reserved_follows(any_device: Any) -> None:
    pool = any_device.pool
    sizes = [0, 1, 63, 64, 4096, 70_000, 3 * MIB, 17 * MIB]
    blocks = [pool.allocate(n) for n in sizes]
    stats = pool.stats()
    assert stats.used == sum(b.nbytes for b in blocks) >= sum(sizes)
    assert stats.reserved == stats.used
    peak = stats.peak
    assert peak == stats.used
    del blocks
    stats = pool.stats()
    assert (stats.used, stats.peak, stats.blocks) == (0, peak, 0)
    assert stats.cached == stats.reserved > 0
    pool.empty_cache()
    stats = pool.stats()
    assert (stats.used, stats.reserved, stats.cached) == (0, 0, 0)
    assert not getattr(any_device, "memory", None)


def test_zero_bytes_give_a_valid_block(any_device: Any) -> None:
    a, b = any_device.pool.allocate(0), any_device.pool.allocate(0)
    assert a.handle is not b.handle
    assert a.version == 0


def test_fresh_block_is_reset(any_device: Any) -> None:
    pool = any_device.pool
    block = pool.allocate(MIB)
    block.version = 7
    handle = block.handle
    del block
    again = pool.allocate(MIB)
    assert again.handle is handle  # reused
    assert again.version == 0
    assert again.uses is None
    assert pool.stats().allocations == 1


def test_reset_peak(any_device: Any) -> None:
    pool = any_device.pool
    kept = pool.allocate(1000)
    large = pool.allocate(100_000)
    assert pool.stats().peak == kept.nbytes + large.nbytes
    del large
    pool.reset_peak()
    assert pool.stats().peak == kept.nbytes
    large = pool.allocate(200_000)
    assert pool.stats().peak == kept.nbytes + large.nbytes


def test_blocks_return_without_the_collector(any_device: Any, no_gc: None) -> None:
    pool = any_device.pool
    make = pool.maker(Layout.dense((300, 300), dt.float32, any_device))
    small = pool.maker(Layout.dense((10,), dt.float32, any_device))
    for _ in range(50):
        make(), small()
    stats = pool.stats()
    assert stats.used == 0
    assert stats.allocations <= 2


def test_finalizer_only_queues() -> None:
    device = PretendDevice()
    block = device.pool.allocate(100)
    with device.pool.lock:  # would deadlock another way: the finalizer runs in another thread
        thread = threading.Thread(target=lambda held=[block]: held.clear())
        del block
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
    assert "release" not in device.calls
    assert device.pool.stats().used == 0


def test_an_allocator_may_replace_the_devices() -> None:
    device, other = PretendDevice(), PretendDevice()
    device.pool = Pool(device, other)
    block = device.pool.allocate(100)
    assert other.memory and not device.memory
    del block
    device.pool.close()
    assert not other.memory


# ---- small blocks straight from NumPy ------------------------------------------------------------
def test_small_host_blocks_are_numpys_own_and_counted() -> None:
    device = cpu()
    block, native = device.pool.fresh(Layout.dense((10,), dt.bfloat16, device))
    assert isinstance(block, HostBlock) and isinstance(block, Block)
    assert block.handle is native and native.base is None
    assert (block.nbytes, block.stream, block.uses, block.version, block.site) == (
        20, None, None, 0, None)  # fmt: skip
    assert device.pool.stats()[:3] == (20, 20, 20)
    del block, native
    assert device.pool.stats()[:3] == (0, 0, 20)


def test_adopted_arrays_are_counted_and_limited() -> None:
    device = cpu()
    array = np.ones(100, np.float32)
    block = device.pool.adopt(array.nbytes, array)
    assert device.pool.used == 400
    device.pool.set_limit(1000)
    with pytest.raises(OutOfMemoryError, match="400 B used") as caught:
        device.pool.adopt(array.nbytes * 2, array)
    assert (caught.value.requested, caught.value.limit) == (800, 1000)
    del caught
    gc.collect()
    assert device.pool.used == 400
    del block
    assert device.pool.used == 0
    assert device.pool.adopt(1000, array).nbytes == 1000


def test_counting_without_the_interpreter_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "ATOMIC", False)
    device = cpu()
    make = device.pool.maker(Layout.dense((10,), dt.float32, device))
    kept = [make() for _ in range(5)]
    assert device.pool.used == 200
    kept.clear()
    assert device.pool.used == 0


def test_a_half_made_block_is_harmless() -> None:
    device = cpu()
    for kind in (device.pool.block_type, device.pool._pooled_type):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            kind.__new__(kind)  # as an interrupt right here would leave it
    assert device.pool.used == 0


# ---- native views of the CPU ---------------------------------------------------------------------
@pytest.mark.parametrize("dtype", dt.ALL, ids=lambda d: d.name)
@pytest.mark.parametrize("n", [0, 1, 10, 100_000])
def test_views_are_arrays_of_the_layout(dtype: dt.DType, n: int) -> None:
    device = cpu()
    block, native = device.pool.fresh(Layout.dense((n,), dtype, device))
    assert native.shape == (n,) and native.dtype == dtype.numpy
    device.host_bytes(block.handle)[:] = 0
    if n > 2:
        part = device.view(block, Layout.of((n // 2,), (2,), dtype, device), 1)
        part[...] = 1
        assert (native[1::2] == 1).all() and (native[::2] == 0).all()
        assert device.view(block, Layout.of((), (), dtype, device), 1).shape == ()


@pytest.mark.parametrize("n", [10, 100_000])
def test_a_native_view_keeps_the_memory(n: int, no_gc: None) -> None:
    device = cpu()
    layout = Layout.dense((n,), dt.float32, device)
    block, native = device.pool.fresh(layout)
    view = device.view(block, layout, 0)[2:][::2]
    view[...] = 7
    pooled = type(block.handle) is not np.ndarray
    assert pooled == (n == 100_000)
    del block, native
    assert device.pool.stats().used >= 4 * n or not pooled  # a small array has memory of its own
    other = device.pool.fresh(layout)[1]
    other[...] = 1
    assert not np.shares_memory(view, other) and (view == 7).all()
    del view, other
    assert device.pool.stats().used == 0


def test_hold_makes_an_export_that_owns_the_block(no_gc: None) -> None:
    device = cpu()
    block, native = device.pool.fresh(Layout.dense((10,), dt.bfloat16, device))
    export = hold(block, native)
    assert type(export) is np.ndarray
    alive = weakref.ref(block)
    del block, native
    assert alive() is not None and device.pool.used == 20
    tail = export[5:].reshape(5, 1)
    del export
    assert alive() is not None
    del tail
    assert alive() is None and device.pool.used == 0


@pytest.mark.parametrize("nbytes", [64 * KIB, MIB, 2 * MIB, 5 * MIB + 1])
def test_host_memory_is_aligned(nbytes: int) -> None:
    memory = cpu().allocate(nbytes)
    assert memory.nbytes == nbytes and memory.dtype == np.uint8
    assert memory.ctypes.data % 64 == 0
    memory[:] = 1


def test_impossible_host_request_is_typed_and_survivable() -> None:
    device = cpu()
    with pytest.raises(OutOfMemoryError, match=r"cpu:0 is out of memory: .* requested"):
        device.pool.allocate(1 << 47)
    assert device.pool.stats().used == 0
    assert device.pool.allocate(MIB).nbytes == MIB


def test_memory_info_of_the_host() -> None:
    info = cpu().memory_info()
    assert info is None or 0 < info[0] <= info[1]


# ---- where it was made ---------------------------------------------------------------------------
def test_sites() -> None:
    device = PretendDevice()
    for _ in range(2):  # a new one, and one that is used again
        block = device.pool.allocate(pool_module.NOTED)
        assert block.site == f"{__file__}:{line() - 1}"
        made = device.pool.fresh(
            Layout.dense((pool_module.NOTED,), dt.float32, device),
        )
        assert made[0].site == f"{__file__}:{line() - 3}"
        assert f"from {__file__}" in repr(block)
        assert device.pool.allocate(100).site is None  # small ones come and go too fast
        del block, made
    host = cpu()
    assert host.pool.allocate(pool_module.NOTED).site == f"{__file__}:{line()}"
    assert host.pool.allocate(pool_module.NOTED - 1).site is None


def test_sites_are_the_users_even_from_within_ingot() -> None:
    device = PretendDevice()
    inside: dict[str, Any] = {"__name__": "ingot.ops.pretend", "pool": device.pool}
    exec("def op():\n    return pool.allocate(1 << 20)", inside)
    block = inside["op"]()
    assert block.site == f"{__file__}:{line() - 1}"


def test_live_lists_the_largest_first(any_device: Any) -> None:
    blocks = [any_device.pool.allocate(n * MIB) for n in (1, 4, 2)]
    live = any_device.pool.live(2)
    assert [a.nbytes for a in live] == [4 * MIB, 2 * MIB]
    assert live[0].site == f"{__file__}:{line() - 3}"
    blocks.clear()
    assert any_device.pool.live() == []


def test_what_is_forgotten_counts_for_nobody() -> None:
    """And going away changes nothing: a small block is, one from the pool's own memory is not."""
    gc.collect()
    pool = cpu().pool
    before = pool.stats().used
    small, large = pool.adopt(64, np.empty(16, np.float32)), pool.allocate(1 << 20)
    assert pool.stats().used == before + small.nbytes + large.nbytes
    assert pool.forget(small) and not pool.forget(large)
    assert pool.stats().used == before + large.nbytes
    del small, large
    gc.collect()
    assert pool.stats().used == before
