"""What the tests of the pool share: devices with one, a collector at rest, the line of a call.

A test module takes a fixture by assignment (``any_device = pooled.any_device``).
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from ingot_cpu.device import CpuDevice
from ingot_devices.memory import Pool
from pretend_device import PretendDevice, StreamedDevice

KIB, MIB = 1 << 10, 1 << 20


def cpu() -> CpuDevice:
    device = CpuDevice()
    device.name, device.kind = "cpu:0", "cpu"
    device.pool = Pool(device)
    return device


@pytest.fixture(params=[PretendDevice, StreamedDevice, cpu])
def any_device(request: pytest.FixtureRequest) -> Any:
    return request.param()


@pytest.fixture
def no_gc() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def line() -> int:
    """The line that calls this."""
    frame = sys._getframe(1)
    return frame.f_lineno
