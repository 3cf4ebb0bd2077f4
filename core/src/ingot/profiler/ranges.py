"""Ranges for the profiler that a device's vendor has: each op by its name, through ``Device.push_range``.

What Ingot's own profile (`timeline`) writes down itself, this hands on: plans, replays of compiled programs, and the user's
own ranges. A plan's ranges go to its device alone, the others to every open device that takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ingot_devices.errors import ContractError
from ingot_devices.observe import Observer

if TYPE_CHECKING:
    from ingot_devices.device import Device
    from ingot_devices.plan import Plan, Step


class Ranges(Observer):
    """Hands ranges on. ``devices``: those that take them; ``refused``: why the others do not."""

    def __init__(self) -> None:
        self.devices: list[Device] = []
        self.refused: dict[str, str] = {}

    def attach(self, device: Device) -> None:
        try:
            device.push_range("ingot")
            device.pop_range()
        except ContractError as error:
            self.refused[device.name] = str(error)
        else:
            self.devices.append(device)

    def require(self) -> None:
        """RuntimeError if nobody takes ranges."""
        if not self.devices:
            reasons = "; ".join(self.refused.values()) or "no device is open"
            raise RuntimeError(f"emit_ranges needs an open device that hands ranges to a profiler of its vendor's: {reasons}")

    def around(self, plan: Plan, step: Step, call: Callable[..., Any]) -> Callable[..., Any]:
        return self._named(plan, step.op, call)

    def whole(self, plan: Plan, run: Callable[..., Any]) -> Callable[..., Any]:
        return self._named(plan, plan.op, run)

    def region(self, name: str, call: Callable[[], Any], nothing: Any = None) -> Any:
        took = self.enter(name)
        try:
            return call()
        finally:
            self.leave(name, took)

    def enter(self, name: str) -> Sequence[Device]:
        took = tuple(self.devices)
        for device in took:
            device.push_range(name)
        return took

    def leave(self, name: str, entered: Sequence[Device]) -> None:
        for device in reversed(entered):
            device.pop_range()

    def _named(self, plan: Plan, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """``call`` within a range of the plan's device, if that takes any."""
        device = plan.device
        if device not in self.devices:
            return call

        def within(*given: Any) -> Any:
            device.push_range(name)
            try:
                return call(*given)
            finally:
                device.pop_range()

        return within
