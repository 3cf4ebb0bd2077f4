"""``INGOT_DEBUG=sync,bounds,nan``: slow runs that name the call in which something went wrong.

sync     each launch is waited for, so that a kernel that fails is named where it was called
bounds   memory around each block is filled with a pattern and looked at after each launch (`memory.guard`); implies sync
nan      a result that has NaN while no operand has is an error; implies sync

Read when the first device is opened; words are joined by commas. Each is an observer (`observe`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import observe, status
from .errors import IngotError, LaunchError
from .layout import Layout
from .memory.site import call_site, text
from .view import View

if TYPE_CHECKING:
    from .device import Device
    from .plan import Plan, Step

WORDS = ("sync", "bounds", "nan")
_started: list[observe.Observer] = []


def wanted() -> frozenset[str]:
    """The words in ``INGOT_DEBUG``; IngotError for one that there is not."""
    given = os.environ.get("INGOT_DEBUG", "")
    words = frozenset(w.strip() for w in given.split(",") if w.strip())
    if not words <= set(WORDS):
        raise IngotError(f"INGOT_DEBUG is {given!r}; it can be {', '.join(WORDS)}, or several of them joined by commas")
    return words


def start() -> None:
    """Begin what the environment asks for, once."""
    words = wanted()
    if words and not _started:
        made = Debug(words)
        _started.append(made)
        observe.begin(made)


class Debug(observe.Observer):
    """Waits after each step, and looks."""

    def __init__(self, words: frozenset[str]) -> None:
        self.words = words

    def around(self, plan: Plan, step: Step, call: Callable[..., Any]) -> Callable[..., Any]:
        device = plan.device
        nan = "nan" in self.words and len(plan.steps) == 1
        outputs = {r.slot for r in plan.results}

        def run(*values: Any) -> None:
            try:
                call(*values)
                status.finish(device)
            except Exception as error:
                _named(error, plan, step)
                raise
            self._bounds(device, plan, step)
            if nan:
                self._nan(device, plan, step, _arrays(plan, step, values, outputs, device))

        return run

    def whole(self, plan: Plan, run: Callable[..., Any]) -> Callable[..., Any]:
        def checked(operands: Sequence[Any], kind: type[View]) -> list[Any]:
            made: list[Any] = run(operands, kind)
            if "nan" in self.words:
                from .transfer import read

                pairs = [(False, read(x)) for x in operands if isinstance(x, View)] + [(True, read(x)) for x in made]
                self._nan(plan.device, plan, plan.steps[-1], pairs)
            return made

        return checked

    def _bounds(self, device: Device, plan: Plan, step: Step) -> None:
        check = getattr(device.pool, "check_bands", None)
        if check is not None:
            broken = check()
            if broken:
                raise LaunchError(f"{_who(plan, step)} wrote outside its memory: {broken}.{_remedy(step)}")

    def _nan(self, device: Device, plan: Plan, step: Step, pairs: list[tuple[bool, Any]]) -> None:
        if any(_has_nan(a) for output, a in pairs if not output):
            return
        for number, array in enumerate([a for output, a in pairs if output]):
            if _has_nan(array):
                at = [int(i) for i in np.argwhere(np.isnan(array.astype(np.float64)))[0]]
                raise LaunchError(f"{_who(plan, step)} made NaN out of operands without one: result {number}, element {at}")


def _who(plan: Plan, step: Step) -> str:
    name = plan.op if step.op == plan.op else f"{plan.op} ({step.op})"
    place = text(call_site(2))
    return f"{name} on {plan.device.name} [{step.route}]" + (f", called at {place}," if place else "")


def _remedy(step: Step) -> str:
    return f" The kernel is written at {step.origin}: guard its index by the sizes of its operands" if step.origin else ""


def _named(error: Exception, plan: Plan, step: Step) -> None:
    error.add_note(f"while {_who(plan, step)} ran (INGOT_DEBUG waits for each launch)")


def _has_nan(array: Any) -> bool:
    return array.dtype.kind not in "biu" and bool(np.isnan(array.astype(np.float64)).any())


def _arrays(
    plan: Plan, step: Step, values: Sequence[Any], outputs: set[int], device: Device
) -> list[tuple[bool, Any]]:
    """(is it an output, its elements) for each tensor of a step, from its native views."""
    from .plan import Ref

    found = []
    for operand, value in zip(step.operands, values, strict=True):
        if isinstance(operand, Ref):
            slot = operand.slot
            known = (*plan.keys, *plan.allocations) if plan.keys else (*(None,) * plan.inputs, *plan.allocations)
            layout = operand.layout or (known[slot] if isinstance(known[slot], Layout) else None)
            array = _elements(value, layout, device)
            if array is not None:
                found.append((slot in outputs, array))
    return found


def _elements(value: Any, layout: Layout | None, device: Device) -> Any:
    """The elements behind a native view; None where they cannot be read without its layout."""
    from .transfer import read

    if isinstance(value, View):
        return read(value)
    if isinstance(value, np.ndarray):
        return value
    return None if layout is None or not isinstance(value, tuple) else _from_handle(device, value, layout)


def _from_handle(device: Device, native: tuple[Any, int], layout: Layout) -> Any:
    from .transfer import decode

    kept = device.limits.dtype_class(layout.dtype)
    unit, item = device.limits.copy_granularity, kept.storage.itemsize
    low, high = native[1] * item, native[1] * item + layout.span * item
    start, stop = low // unit * unit, -(-high // unit) * unit
    staging = np.empty(stop - start, np.uint8)
    device.copy_out(native[0], start, staging.data)
    strides = tuple(s * item for s in layout.strides)
    return decode(np.ndarray(layout.shape, kept.storage.numpy, staging, low - start, strides), layout.dtype, kept)
