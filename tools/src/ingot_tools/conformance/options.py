"""pytest's options for the conformance of a device: ``pytest --pyargs ingot_tools.conformance --ingot-device acme:0``.

Loaded by every pytest of an environment that has ingot-tools (entry point ``pytest11``): options come before collection.
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; nothing else happens without them."""
    group = parser.getgroup("ingot-conformance", "Ingot: conformance of a device")
    group.addoption("--ingot-device", metavar="NAME", help="the device to judge: acme or acme:0")
    group.addoption("--ingot-level", action="append", default=[], metavar="LEVEL", help="only this level (repeatable)")
