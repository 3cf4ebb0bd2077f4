"""An accelerator that the scaffold wrote, planted in this process: what the faults are planted in.

A test module takes the fixture by assignment (``acme = pretend_acme.acme``).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")  # what it changes must not stay for tests of others
def acme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The native backend as the plugin ``acme``; its modules, and discovery that knows it."""
    from ingot.devices import forget
    from ingot_devices import discovery
    from ingot_devices.catalog import Catalog
    from ingot_devices.context import changed
    from ingot_devices.layout import Layout
    from ingot_devices.registry import registry
    from ingot_tools.scaffold import new
    from installed import install

    place = tmp_path_factory.mktemp("acme")
    (place / "site").mkdir()
    install(new.backend("acme", place / "ingot-acme", native=True), place / "site")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(place / "site"))
        patch.setenv("INGOT_CACHE_DIR", str(place / "cache"))
        patch.setenv("INGOT_DISABLE", "opencl,cuda,webgpu,sim")
        patch.setenv("INGOT_FALLBACK", "allow")
        discovery.open_device("cpu")  # before, and the same inside: the core keeps it for good
        patch.setattr(discovery, "_catalog", Catalog())
        patch.setattr(discovery, "_opened", dict(discovery._opened))
        patch.setattr(discovery, "_kernels", [])
        patch.setattr(registry, "_kernels", {})
        import ingot_acme.device

        yield ingot_acme
        for device in [d for d in discovery.open_devices() if d.kind == "acme"]:  # another module has another one of the name
            forget(device)
            Layout.forget(device)
    changed()
    for name in [n for n in sys.modules if n.startswith("ingot_acme")]:
        del sys.modules[name]
