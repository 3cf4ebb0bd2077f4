"""Bytes between host and devices: every dtype bit for bit, every layout, every copy unit."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingot_cpu.device import CpuDevice
from ingot_devices import dtypes as dt
from ingot_devices.errors import DeviceLost
from ingot_devices.layout import Layout
from ingot_devices.limits import DTypeClass, Limits
from ingot_devices.memory import Pool
from ingot_devices.transfer import copy_view, read, write
from ingot_devices.view import View
from pretend_device import PretendDevice, StreamedDevice

STORED = {
    dt.bool_: DTypeClass("stored", dt.uint32, dt.uint32),
    dt.bfloat16: DTypeClass("stored", dt.uint32, dt.float32),
    dt.float16: DTypeClass("stored", dt.uint32, dt.float32),
    dt.int8: DTypeClass("stored", dt.int32, dt.int32),
    dt.uint16: DTypeClass("stored", dt.uint32, dt.uint32),
}
UNITS = Limits(copy_granularity=4, allocation_granularity=256)


def cpu() -> CpuDevice:
    device = CpuDevice()
    device.name, device.kind = "cpu:0", "cpu"
    device.pool = Pool(device)
    return device


MAKERS: dict[str, Callable[[], Any]] = {
    "pretend": PretendDevice,
    "units": lambda: PretendDevice(limits=UNITS),
    "stored": lambda: PretendDevice(limits=Limits(copy_granularity=16, dtypes=STORED)),
    "streams": StreamedDevice,
    "cpu": cpu,
}


@pytest.fixture(params=MAKERS)
def device(request: pytest.FixtureRequest) -> Any:
    return MAKERS[request.param]()


def random(dtype: dt.DType, shape: tuple[int, ...], seed: int = 0) -> Any:
    """Random bits: NaNs with payloads and subnormal numbers among them."""
    count = int(np.prod(shape, dtype=int))
    raw = np.random.default_rng(seed).integers(0, 256, count * dtype.itemsize, np.uint8)
    if dtype is dt.bool_:
        raw &= 1
    return raw.view(dtype.numpy).reshape(shape)


def bits(array: Any) -> list[int]:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).tolist()


def dense(device: Any, shape: tuple[int, ...], dtype: dt.DType) -> Any:
    layout = Layout.dense(shape, dtype, device)
    return View.make(device.pool.fresh(layout)[0], layout)


def part(view: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Any:
    layout = Layout.of(shape, strides, view._layout.dtype, view._layout.device)
    return View.make(view._block, layout, offset)


# ---- there and back ------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", dt.ALL, ids=lambda d: d.name)
@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5), (0,), (4, 0, 2), (33_000,)], ids=str)
def test_round_trip_is_bit_exact(device: Any, dtype: dt.DType, shape: tuple[int, ...]) -> None:
    view = dense(device, shape, dtype)
    array = random(dtype, shape)
    write(view, array)
    found = read(view)
    assert found.dtype == dtype.numpy and found.shape == shape
    assert bits(found) == bits(array)


@pytest.mark.parametrize(
    "dtype", [dt.uint8, dt.bool_, dt.bfloat16, dt.float64], ids=lambda d: d.name
)
def test_strided_views(device: Any, dtype: dt.DType) -> None:
    whole = dense(device, (6, 7), dtype)
    expected = random(dtype, (6, 7))
    write(whole, expected)
    cases: list[Any] = [
        (lambda a: a.T, (7, 6), (1, 7), 0),
        (lambda a: a[1:5:2, 2:], (2, 5), (14, 1), 9),
        (lambda a: a[3], (7,), (1,), 21),
        (lambda a: a[:, 3], (6,), (7,), 3),
        (lambda a: a[5, 6, ...], (), (), 41),
        (lambda a: a[:0, 1:], (0, 6), (7, 1), 1),
    ]
    for k, (cut, *how) in enumerate(cases):
        view = part(whole, *how)
        assert bits(read(view)) == bits(cut(expected)), how
        value = random(dtype, how[0], seed=k + 1)
        write(view, value)
        cut(expected)[...] = value
        assert bits(read(whole)) == bits(expected), how


def test_broadcast_view_reads(device: Any) -> None:
    row = dense(device, (3,), dt.int32)
    write(row, np.array([1, 2, 3], np.int32))
    assert read(part(row, (2, 3), (0, 1), 0)).tolist() == [[1, 2, 3], [1, 2, 3]]


def test_read_gives_memory_of_its_own(device: Any) -> None:
    view = dense(device, (5,), dt.float32)
    write(view, np.zeros(5, np.float32))
    found = read(view)
    found += 1
    assert read(view).tolist() == [0] * 5


def test_source_may_be_reused_and_of_any_layout(device: Any) -> None:
    view = dense(device, (4, 3), dt.int64)
    source = np.arange(24, dtype=np.int64).reshape(3, 8)[:, ::2].T
    expected = source.tolist()
    source.flags.writeable = False
    write(view, source)
    assert read(view).tolist() == expected


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from([1, 2, 4, 16, 48]),
    st.sampled_from([dt.uint8, dt.float16, dt.float64]),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_neighbours_keep_their_values(unit: int, dtype: dt.DType, offset: int, n: int) -> None:
    device = PretendDevice(limits=Limits(copy_granularity=unit))
    whole = dense(device, (81,), dtype)
    expected = random(dtype, (81,))
    write(whole, expected)
    value = random(dtype, (n,), seed=1)
    write(part(whole, (n,), (1,), offset), value)
    expected = expected.copy()
    expected[offset : offset + n] = value
    assert bits(read(whole)) == bits(expected)


def test_stored_forms() -> None:
    device = MAKERS["stored"]()
    view = dense(device, (2,), dt.bfloat16)
    write(view, np.array([1.0, -2.0], dt.bfloat16.numpy))
    words = device.memory[view._block.handle][:8].view(np.uint32)
    assert words.tolist() == [0x3F80, 0xC000]
    view = dense(device, (2,), dt.int8)
    write(view, np.array([-1, 5], np.int8))
    assert device.memory[view._block.handle][:8].view(np.int32).tolist() == [-1, 5]
    view = dense(device, (2,), dt.bool_)
    write(view, np.array([True, False]))
    assert device.memory[view._block.handle][:8].view(np.uint32).tolist() == [1, 0]


# ---- mistakes ------------------------------------------------------------------------------------
def test_wrong_shape_and_dtype_name_both(device: Any) -> None:
    view = dense(device, (3,), dt.float32)
    with pytest.raises(ValueError, match=r"shape \(4,\) cannot be written to float32\[3\]"):
        write(view, np.zeros(4, np.float32))
    with pytest.raises(TypeError, match="float64 cannot be written to a value"):
        write(view, np.zeros(3))
    with pytest.raises(ValueError, match=r"float32\[3\] cannot be copied into float32\[4\]"):
        copy_view(dense(device, (4,), dt.float32), view)


def test_lost_device_refuses(device: Any) -> None:
    view = dense(device, (3,), dt.float32)
    device.lost = True
    for act in (lambda: read(view), lambda: write(view, np.zeros(3, np.float32)),
                lambda: copy_view(view, view)):  # fmt: skip
        with pytest.raises(DeviceLost):
            act()


def test_read_checks_the_status_word(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[Any] = []
    status = types.ModuleType("status")
    status.check = checked.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ingot_devices.status", status)
    view = dense(device, (3,), dt.float32)
    write(view, np.zeros(3, np.float32))
    assert checked == []
    read(view)
    assert checked == [device]


def test_transfers_are_uses_of_their_stream() -> None:
    device = StreamedDevice()
    view = dense(device, (3,), dt.float32)
    side = device.create_stream()
    device.set_stream(side)
    write(view, np.zeros(3, np.float32))
    assert view._block.uses == {side}


# ---- between values ------------------------------------------------------------------------------
@pytest.mark.parametrize("target", MAKERS)
@pytest.mark.parametrize("dtype", [dt.bool_, dt.bfloat16, dt.int64], ids=lambda d: d.name)
def test_copies_between_devices(device: Any, target: str, dtype: dt.DType) -> None:
    other = MAKERS[target]()
    source, array = dense(device, (5, 4), dtype), random(dtype, (5, 4))
    write(source, array)
    cases: list[Any] = [
        ((5, 4), (4, 1), 0, lambda a: a),
        ((4, 5), (1, 4), 0, lambda a: a.T),
        ((3,), (1,), 5, lambda a: a.reshape(-1)[5:8]),
        ((0,), (1,), 5, lambda a: a.reshape(-1)[:0]),
    ]
    for shape, strides, offset, cut in cases:
        taken = dense(other, shape, dtype)
        copy_view(taken, part(source, shape, strides, offset))
        assert bits(read(taken)) == bits(cut(array))


def test_copy_on_one_device_stays_there() -> None:
    device = MAKERS["units"]()
    source, taken = dense(device, (8,), dt.float32), dense(device, (8,), dt.float32)
    write(source, np.arange(8, dtype=np.float32))
    device.calls.clear()
    copy_view(taken, source)
    assert device.calls == ["copy"]
    assert read(taken).tolist() == list(range(8))


@pytest.mark.parametrize("shift", [1, 3])
def test_overlapping_ranges_are_read_first(device: Any, shift: int) -> None:
    whole = dense(device, (16,), dt.int32)
    write(whole, np.arange(16, dtype=np.int32))
    copy_view(part(whole, (10,), (1,), shift), part(whole, (10,), (1,), 0))
    expected = list(range(16))
    expected[shift : shift + 10] = range(10)
    assert read(whole).tolist() == expected


def test_peers_copy_without_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = PretendDevice(), PretendDevice()
    source, taken = dense(first, (4,), dt.float32), dense(second, (4,), dt.float32)
    write(source, np.ones(4, np.float32))

    def peer(*ranges: Any) -> bool:
        dst, to, device, src, of, nbytes = ranges
        second.memory[dst][to : to + nbytes] = device.memory[src][of : of + nbytes]
        return True

    monkeypatch.setattr(second, "copy_peer", peer)
    monkeypatch.setattr(first, "copy_out", None)  # the host would need it
    copy_view(taken, source)
    assert read(taken).tolist() == [1] * 4
