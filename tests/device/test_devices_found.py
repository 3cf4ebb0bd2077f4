"""Which devices this run covers: one test per backend known, skipped with the reason where it has
no device."""

from __future__ import annotations

import os

import ingot
import ingot_devices
import pytest
from ingot.devices import open_device


def required() -> set[str]:
    """The backends that ``INGOT_REQUIRE`` names: missing ones fail the run."""
    return {
        name for name in os.environ.get("INGOT_REQUIRE", "").replace(" ", "").split(",") if name
    }


def known() -> list[str]:
    return sorted({r.name for r in ingot_devices.records()} | required())


@pytest.mark.parametrize("kind", known())
def test_device_found(kind: str) -> None:
    record = ingot_devices.record(kind)
    why = record.sentence() if record is not None else "no backend has this name"
    if kind in required():
        assert record is not None and record.ready, f"INGOT_REQUIRE asks for {kind}: {why}"
    elif record is None or not record.ready:
        pytest.skip(f"{kind}: {why}")
    else:
        ingot_devices.open_device(record.ready[0]).require()


def test_without_an_argument_it_is_the_current_accelerator(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGOT_DEVICE", device)
    opened, waited = open_device(device), list[str]()
    synchronize = opened.synchronize

    def counted() -> None:
        waited.append(device)
        synchronize()

    monkeypatch.setattr(opened, "synchronize", counted)
    before = ingot.accelerator.memory_allocated()
    x = ingot.ones(1 << 16, device=device)
    assert ingot.accelerator.memory_allocated() - before == ingot.accelerator.memory_allocated(device) - before >= 4 << 16
    ingot.accelerator.synchronize()
    assert waited == [device]
    assert ingot.accelerator.current_stream() == ingot.accelerator.current_stream(device)
    del x
