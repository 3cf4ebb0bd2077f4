"""Which devices this run covers: one test per backend known, skipped with the reason where it has
no device."""

from __future__ import annotations

import os

import ingot_devices
import pytest


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
