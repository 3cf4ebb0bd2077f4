"""Modules that are imported when they are first used, so that ``import ingot`` stays quick."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class LazyModule:
    """Stands for a module; the first attribute asked for imports it."""

    def __init__(self, name: str) -> None:
        self.__dict__["_name"] = name

    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self._name), name)
        if not name.startswith("_"):
            self.__dict__[name] = value
        return value


casting = LazyModule("ingot.amp.casting")
crossing = LazyModule("ingot.func.crossing")
heard = LazyModule("ingot.heard")
discovery = LazyModule("ingot_devices.discovery")
interchange = LazyModule("ingot.interchange")
plans = LazyModule("ingot_devices.plan")
resolution = LazyModule("ingot_devices.resolve")
"""What finds a plan: needed by the first op, not by the import."""
