"""Memory shared with other libraries through the contract: a planted backend that DLPack knows, and no vendor."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import finding
import numpy as np
import pytest
from planted import backend, plant

place = finding.place
KIND = 12  # DLPack's kDLExtDev: memory of an extension

DEVICE = """
import ctypes
from ingot_devices import Device

class PlantedDevice(Device):
    def __init__(self): self.memory, self.handed, self.taken = {}, [], []
    def allocate(self, nbytes):
        buffer = (ctypes.c_char * (nbytes + 64))()
        address = -(-ctypes.addressof(buffer) // 64) * 64
        self.memory[address] = buffer
        return address
    def release(self, handle): del self.memory[handle]
    def copy_in(self, handle, offset, data): ctypes.memmove(handle + offset, bytes(data), data.nbytes)
    def copy_out(self, handle, offset, data): data[:] = ctypes.string_at(handle + offset, data.nbytes)
    def copy(self, dst, dst_offset, src, src_offset, nbytes): ctypes.memmove(dst + dst_offset, src + src_offset, nbytes)
    def synchronize(self): pass
    def address(self, handle): return handle
    def share_in(self, address): return address - address % 16
    def stream_number(self): return 7
    def hand_over(self, stream): self.handed.append(stream)
"""


class Lender:
    """Another library: it lends ``array`` as memory of the planted device, and knows when it has it back."""

    def __init__(self, tensor: Any, device: tuple[int, int] = (KIND, 0)) -> None:
        self.tensor, self.device, self.streams = tensor, device, list[Any]()

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device

    def __dlpack__(self, stream: Any = None) -> Any:
        self.streams.append(stream)
        return self.tensor.__dlpack__(stream=-1)


class Confused(Lender):
    """It says that it is on the device, and lends the host's memory."""

    def __dlpack__(self, stream: Any = None) -> Any:
        return np.ones(3, np.float32).__dlpack__()


@pytest.fixture
def t(place: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Ingot, with the planted device called lent:0."""
    source = backend("lent").replace('vendor = "Planted Silicon"', f'vendor = "Planted Silicon"\n    dlpack_type = {KIND}')
    plant(place, "lent", source, device=DEVICE)
    monkeypatch.setenv("INGOT_FALLBACK", "allow")
    import ingot
    from ingot import devices

    monkeypatch.setattr(devices, "_open", {})
    return ingot


def test_memory_is_shared_both_ways(t: Any) -> None:
    x = t.arange(12, dtype=t.float32, device="lent").reshape(3, 4)
    y = t.from_dlpack(x)
    assert str(y.device) == "lent:0"
    y += 1
    assert x.cpu().numpy().tolist() == (np.arange(12).reshape(3, 4) + 1).tolist()
    assert x._layout.device.handed == [7]  # the consumer's stream, which is its own here


def test_strides_and_offsets_survive(t: Any) -> None:
    x = t.arange(12, dtype=t.float32, device="lent").reshape(3, 4)
    y = t.from_dlpack(x.T[1:])
    assert (tuple(y.shape), y.stride()) == ((3, 3), (1, 4))
    assert y.cpu().numpy().tolist() == np.arange(12).reshape(3, 4).T[1:].tolist()


@pytest.mark.parametrize("name", ["bool", "uint8", "int64", "float16", "bfloat16", "float64"])
def test_every_dtype_keeps_its_name(t: Any, name: str) -> None:
    x = t.ones(5, device="lent").to(getattr(t, name))
    y = t.from_dlpack(x)
    assert y.dtype is x.dtype
    assert y.to(t.float32).cpu().numpy().tolist() == [1.0] * 5


def test_the_lender_is_asked_for_our_stream_and_told_when_we_are_done(t: Any) -> None:
    from ingot import interchange

    lender = Lender(t.ones(4, device="lent"))
    before = len(interchange._exported)  # other tests' memory, which no allocation has drained yet
    y = t.from_dlpack(lender)
    assert lender.streams == [7]
    assert len(interchange._exported) == before + 1
    del y
    gc.collect()
    device = lender.tensor._layout.device
    device.pool.stats()  # takes back what finalizers have queued
    assert len(interchange._exported) == before
    assert lender.tensor.cpu().numpy().tolist() == [1.0] * 4


def test_borrowed_memory_is_neither_counted_nor_given_to_the_device(t: Any) -> None:
    x = t.ones(1000, device="lent")
    pool = x._layout.device.pool
    before = pool.stats().used
    y = t.from_dlpack(x)
    assert pool.stats().used == before
    del y
    gc.collect()
    pool.empty_cache()
    assert pool.stats().used == before
    assert float(x.sum()) == 1000


def test_a_capsule_that_nobody_takes_is_given_back(t: Any) -> None:
    from ingot import interchange

    before = len(interchange._exported)
    capsule = t.ones(3, device="lent").__dlpack__()
    assert len(interchange._exported) == before + 1
    del capsule
    assert len(interchange._exported) == before


def test_what_cannot_be_shared_is_told(t: Any) -> None:
    x = t.ones(3, device="lent")
    with pytest.raises(BufferError, match=r"no usable backend has memory of DLPack's device type 99; copy it to the host"):
        t.from_dlpack(Lender(x, (99, 0)))
    with pytest.raises(BufferError, match=r"Confused says that it is on \(12, 0\), and its memory on \(1, 0\)"):
        t.from_dlpack(Confused(x))
    with pytest.raises(AttributeError, match="lent:0 has no such interface; use DLPack"):
        getattr(x, "__cuda_array_interface__")  # noqa: B009 - the question is the test
    assert not hasattr(x, "__cuda_array_interface__")


def test_the_host_goes_through_numpy(t: Any) -> None:
    x = t.arange(6).reshape(2, 3)
    assert x.__dlpack_device__() == (1, 0)
    assert np.from_dlpack(x).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert t.from_dlpack(np.arange(3.0)).numpy().tolist() == [0.0, 1.0, 2.0]
