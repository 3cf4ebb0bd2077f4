"""What kind of accelerator sim pretends to be: limits, memory, mode, seed and faults, from code or the environment.

INGOT_SIM_LIMITS   default | webgpu                 whose limits are enforced
INGOT_SIM_MEMORY   bytes                            allocations beyond it raise MemoryError
INGOT_SIM_MODE     definition | schedule            what a kernel is: its meaning, or the program of a device
INGOT_SIM_SEED     integer                          the order of everything whose order is free
INGOT_SIM_FAULTS   see `faults`
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ingot_devices import dtypes as dt
from ingot_devices.limits import WEBGPU, DTypeClass, Limits

from .faults import parse

_BFLOAT16 = DTypeClass("stored", dt.uint16, dt.float32)

LIMITS: Mapping[str, Limits] = {
    "default": Limits(max_workgroup=256, max_workgroup_dims=(256, 256, 64), lanes=8, dtypes={dt.bfloat16: _BFLOAT16}),
    "webgpu": WEBGPU,
}
MODES = ("definition", "schedule")


@dataclass(frozen=True)
class SimConfig:
    """One pretend accelerator. ``memory`` in bytes; None: as much as the host gives."""

    limits: Limits = LIMITS["default"]
    memory: int | None = None
    mode: str = "definition"
    seed: int = 0
    faults: str = ""

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"sim's mode {self.mode!r} is unknown; choose one of {', '.join(MODES)}")
        parse(self.faults)
        object.__setattr__(self, "limits", replace(self.limits, memory=self.memory))

    @staticmethod
    def from_env(env: Mapping[str, str] = os.environ) -> SimConfig:
        """As the variables INGOT_SIM_… say; ValueError names the variable that is wrong."""
        limits = env.get("INGOT_SIM_LIMITS", "default").lower()
        if limits not in LIMITS:
            raise ValueError(f"INGOT_SIM_LIMITS is {limits!r}; choose one of {', '.join(LIMITS)}")
        return SimConfig(
            LIMITS[limits],
            _integer(env, "INGOT_SIM_MEMORY", None),
            env.get("INGOT_SIM_MODE", "definition"),
            _integer(env, "INGOT_SIM_SEED", 0) or 0,
            env.get("INGOT_SIM_FAULTS", ""),
        )


def _integer(env: Mapping[str, str], name: str, default: int | None) -> int | None:
    text = env.get(name)
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name} must be a whole number, {text!r} was given") from None
