"""Backends that exist and are not installed, from the data file ``published.json``.

Beside `plugins`: for each published backend that no installed plugin declared, a record *not
installed* that says whether its hardware was seen. Looks at device nodes and the PCI bus, never at
a driver.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from glob import glob
from importlib.resources import files
from pathlib import Path
from typing import Any

from .outcomes import Record

_PCI = "/sys/bus/pci/devices"


def not_installed(known: Container[str]) -> list[Record]:
    """Records of the published backends whose name is not in ``known``."""
    return [
        _record(entry) for entry in json.loads(_text())["backends"] if entry["name"] not in known
    ]


def _text() -> str:
    return files("ingot_devices").joinpath("published.json").read_text("utf-8")


def _record(entry: Mapping[str, Any]) -> Record:
    reason = f"{entry['distribution']} is not installed"
    hardware = entry.get("hardware")
    if hardware:
        seen = see(entry)
        reason += (
            f"; {hardware} seen at {seen}" if seen else f"; no {hardware} seen on this machine"
        )
    return Record(
        name=entry["name"],
        state="not installed",
        reason=reason,
        remedy=entry["remedy"],
        distribution=entry["distribution"],
        vendor=entry["vendor"],
    )


def see(entry: Mapping[str, Any]) -> str:
    """Where the hardware of ``entry`` shows itself on this machine, or nothing."""
    nodes = [sorted(glob(pattern)) for pattern in entry.get("paths", ())]
    for found in filter(None, nodes):
        return str(found[0])
    for wanted in entry.get("pci", ()):
        for device in sorted(glob(f"{_PCI}/*")):
            if _reads(device, "vendor", wanted["vendor"]) and _reads(
                device, "class", wanted["class"]
            ):
                return f"PCI {Path(device).name}"
    return ""


def _reads(device: str, name: str, prefix: str) -> bool:
    try:
        return Path(device, name).read_text().startswith(prefix)
    except OSError:
        return False
