"""The device suite on the simulated driver: ``pytest tests/device --device cuda --cuda-driver simulated``.

`Simulated` is a plugin of pytest, registered by ``tests/device/conftest.py``. It activates the driver before a device is looked
for, makes every block exactly as large as it was asked for (so that one element beyond is beyond), and fails a test after
which the driver has a finding, whatever the test itself thought.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from .use import Simulator, activate

KIND = "cuda"
SAID = "SIMULATED CUDA driver: kernels ran on the host, compiled by g++; no GPU was there, and nothing is tested on CUDA"


def exact_blocks() -> None:
    """Blocks of KIND without rounding: size classes and the device's granule would hide small steps beyond an end."""
    from ingot_devices.memory import pool
    from ingot_devices.memory.sizes import round_size

    rounded, first, patch = round_size, pool.Pool.__init__, pytest.MonkeyPatch()
    exact: set[int] = set()

    def init(self: pool.Pool, device: Any, *rest: Any) -> None:
        if getattr(device, "kind", None) == KIND:
            device.limits = replace(device.limits, allocation_granularity=1)
            exact.add(id(device.limits))
        first(self, device, *rest)

    def size(nbytes: int, limits: Any) -> int:
        return max(nbytes, 1) if id(limits) in exact else rounded(nbytes, limits)

    patch.setattr(pool.Pool, "__init__", init)
    patch.setattr(pool, "round_size", size)


def judge_nothing() -> None:
    """For a run that only collects kernels (INGOT_CUDA_SIM_GATHER): nothing ran, so no value is compared."""
    from ingot_tools.conformance.harness import compare

    def accept(*_: Any, **__: Any) -> None:
        """Whatever it is."""

    patch = pytest.MonkeyPatch()
    patch.setattr(compare, "close", accept)
    patch.setattr(compare, "verified", accept)
    patch.setattr(np.testing, "assert_array_equal", accept)
    patch.setattr(np.testing, "assert_allclose", accept)


class Simulated:
    """The plugin. ``order``, ``seed`` and the rest are the variables that the driver reads (README.md)."""

    def __init__(self) -> None:
        os.environ.setdefault("INGOT_TEST_SMALL", "1")  # by rule, not by how fast the machine happens to be today
        self.simulator: Simulator = activate()
        self.seen: list[str] = []
        exact_blocks()
        if "INGOT_CUDA_SIM_GATHER" in os.environ:
            judge_nothing()

    def pytest_report_header(self) -> list[str]:
        names = ("ORDER", "SEED", "CHECK", "ARCH")
        given = [f"{n.lower()} {os.environ[f'INGOT_CUDA_SIM_{n}']}" for n in names if f"INGOT_CUDA_SIM_{n}" in os.environ]
        return [SAID, f"simulated driver: {', '.join(given) or 'threads in forward order, every access checked'}"]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Ends a test with the driver's findings."""
        try:
            return (yield)
        finally:
            self.judge(item)

    def judge(self, item: pytest.Item) -> None:
        """Fail ``item`` if the driver found something, and take a lost device back."""
        found = self.simulator.findings()
        if not found or item.get_closest_marker("provokes_the_driver"):
            return
        self.seen += found
        self.simulator.recover()
        from ingot_devices import discovery

        if any(d.kind == KIND for d in discovery.open_devices()):
            discovery.reset_device(KIND)
        pytest.fail("the simulated CUDA driver found: " + "; ".join(found[:3]), pytrace=False)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        terminalreporter.section("SIMULATED CUDA")
        terminalreporter.write_line(f"{SAID}; {len(self.seen)} findings")
