"""Which devices there are, why others are not there, and opening them.

The door of discovery for everybody: `hooks` → `plugins` (declare) → `probing` (probe) → here
(open). Nothing happens at import; what was found is kept by a `Catalog`.

A device is called ``"acme:0"``, or ``"acme"`` (the first usable one of the kind), or ``"auto"``:
what ``INGOT_DEVICE`` says, else the ready device of highest priority.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .catalog import Catalog
from .claims import doubts
from .errors import ContractError, DeviceUnavailable
from .outcomes import Record, mend, one_line, traceback_text

if TYPE_CHECKING:
    from .claims import Declared
    from .device import Device

AUTO = "auto"
_catalog = Catalog()
_opened: dict[str, Device] = {}  # by every spec that was asked for, but "auto"
_kernels: list[bool] = []  # not empty once the hook ingot_kernels ran


# ---- asking --------------------------------------------------------------------------------------
def records() -> tuple[Record, ...]:
    """Every outcome of discovery. Probes what was not probed yet, all at once."""
    return _catalog.records()


def record(name: str) -> Record | None:
    """The outcome for one backend or plugin; None for a name that nobody knows."""
    return _catalog.record(name)


def ready() -> list[str]:
    """Names of all usable devices, highest priority first."""
    return _catalog.ready()


def is_available(kind: str) -> bool:
    """True if ``kind`` (or ``"kind:index"``) has a usable device. Raises nothing, asks no other
    kind."""
    with suppress(DeviceUnavailable):
        name, index = parse(kind)
        found = _catalog.record(name)
        if found is not None:
            return bool(found.ready_indices) if index is None else index in found.ready_indices
    return False


def device_count(kind: str) -> int:
    """How many usable devices ``kind`` has; 0 where it is not available."""
    found = _catalog.record(kind)
    return len(found.ready_indices) if found is not None else 0


def best() -> str:
    """The name that ``"auto"`` means: ``INGOT_DEVICE``, else the ready device of highest priority.

    DeviceUnavailable if ``INGOT_DEVICE`` names one that cannot be had, or if none is ready.
    """
    chosen = os.environ.get("INGOT_DEVICE", "").strip()
    if chosen and chosen != AUTO:
        try:
            kind, index = _find(chosen)
        except DeviceUnavailable as error:
            raise DeviceUnavailable(f"INGOT_DEVICE={chosen}: {error}", error.record) from None
        return f"{kind}:{index}"
    names = _catalog.ready()
    if not names:
        raise DeviceUnavailable(_catalog.available())
    return names[0]


def resolve_name(spec: str) -> str:
    """The full name (``"acme:0"``) of the usable device that ``spec`` means, without opening it.

    DeviceUnavailable with the record's reason and remedy, and what is available, if there is none.
    """
    if spec == AUTO:
        return best()
    kind, index = _find(spec)
    return f"{kind}:{index}"


def parse(spec: str) -> tuple[str, int | None]:
    """Kind and index (None where none is given) of a device's name; DeviceUnavailable if it is
    none."""
    kind, colon, index = spec.partition(":")
    if not kind or (colon and not index.isdecimal()):
        raise DeviceUnavailable(
            f"{spec!r} is not the name of a device; write 'kind' or 'kind:index', or {AUTO!r}"
        )
    return kind, int(index) if colon else None


def _find(spec: str) -> tuple[str, int]:
    """Kind and index of a usable device."""
    kind, index = parse(spec)
    found = _catalog.record(kind)
    if found is None:
        known = f"no backend is called {kind!r}. {_catalog.similar(kind)}{_catalog.available()}"
        raise DeviceUnavailable(f"unknown device {spec!r}: {known}")
    if found.state != "ready":
        why = f"device {spec!r} is not available: {found.sentence()}"
    elif not found.devices:
        why = f"{spec!r} is no device: the plugin {found.reason}"
    elif index is None:
        return kind, found.ready_indices[0]
    elif index >= len(found.devices):
        why = f"device {spec!r} does not exist: {kind} has {len(found.devices)}"
    elif not found.devices[index].usable:
        info = found.devices[index]
        remedy = f". Remedy: {info.remedy}" if info.remedy else ""
        why = f"device {spec!r} ({info.name}) is not usable: {info.fault}{remedy}"
    else:
        return kind, index
    raise DeviceUnavailable(f"{why}. {_catalog.available()}", found)


def dlpack_type(kind: str) -> int:
    """The ``DLDeviceType`` of a backend's memory; 0 where only the host shares it."""
    declared = _catalog.load().backends.get(kind)
    return 0 if declared is None else declared.backend.dlpack_type


def of_dlpack(number: int) -> str | None:
    """The usable backend whose memory DLPack knows by this ``DLDeviceType``."""
    backends = _catalog.load().backends
    found = (kind for kind, d in backends.items() if number and d.backend.dlpack_type == number)
    return next((kind for kind in found if is_available(kind)), None)


# ---- opening -------------------------------------------------------------------------------------
def open_device(spec: str) -> Device:
    """The device called ``spec``: ``"acme"``, ``"acme:0"`` or ``"auto"``. One object per device.

    Raises DeviceUnavailable, which says the reason, the remedy and what is available. A lost device
    is returned as it is (it refuses work) until `reset_device`.
    """
    found = _opened.get(spec)
    if found is not None:
        return found
    with _catalog.lock:
        name = resolve_name(spec)
        if name not in _opened:
            _opened[name] = _open(*name.split(":"))
        if spec != AUTO:
            _opened[spec] = _opened[name]
        return _opened[name]


def reset_device(spec: str) -> Device:
    """End the device's incarnation, if there is one (its tensors are gone), and open a new one."""
    with _catalog.lock:
        name = resolve_name(spec)
        old = _opened.get(name)
        if old is not None:
            _forget([old])
            _close(old)
        return open_device(name)


def open_devices() -> list[Device]:
    """The devices that are open now, in the order in which they were opened."""
    return list(dict.fromkeys(_opened.copy().values()))


def _open(kind: str, index: str) -> Device:
    """Open through the plugin, guarded, and give the device its name and its pool."""
    from . import debug, observe
    from .memory import Pool
    from .memory.guard import GuardedPool

    debug.start()
    pool = GuardedPool if "bounds" in debug.wanted() else Pool
    loaded = _catalog.load()
    declared = loaded.backends[kind]
    load_kernels()
    try:
        device = _checked(declared, declared.backend.open(int(index)))
        device.name, device.kind, device.index = f"{kind}:{index}", kind, int(index)
        allocator = loaded.allocators.get(kind)
        device.pool = pool(device, allocator[1]) if allocator else pool(device)
    except (Exception, SystemExit) as error:
        raise _cannot_open(declared, f"{kind}:{index}", error) from error
    observe.opened(device)
    return device


def _checked(declared: Declared, device: Any) -> Device:
    from .device import Device
    from .limits import Limits

    if not isinstance(device, Device):
        raise ContractError(
            f"{type(declared.backend).__name__}.open(index) returned {type(device).__name__}, "
            "which is no ingot_devices.Device"
        )
    if not isinstance(device.limits, Limits):
        raise ContractError(
            f"{type(device).__name__}.limits is a {type(device.limits).__name__}; it must be an ingot_devices.Limits, "
            "written Limits(memory=…, max_buffer=…), which has a default for every field that is left out"
        )
    return device


def _cannot_open(declared: Declared, name: str, error: BaseException) -> DeviceUnavailable:
    from .probing import forget

    plugin = declared.plugin
    if not declared.backend.probe_in_process:
        forget(declared)  # the remembered probe was too hopeful
    found = declared.record(
        "broken",
        f"open() of plugin {plugin.name!r} ({plugin.distribution} {plugin.version}) "
        f"raised {one_line(error)}",
        mend(plugin.distribution, plugin.name),
        detail=traceback_text(error),
    )
    why = f"device {name!r} could not be opened: {found.reason}. Remedy: {found.remedy}"
    return DeviceUnavailable(f"{why}. {_catalog.available(but=name)}", found)


def _close(device: Device) -> None:
    """End an incarnation; what its plugin raises meanwhile is a note."""
    plugin = _catalog.load().backends[device.kind].plugin.name
    with _catalog.noting(plugin, f"closing {device.name}"):
        if not device.lost:
            device.pool.close()
        device.close()
    device.lost = True


def _forget(devices: list[Device]) -> None:
    for spec in [s for s, d in _opened.items() if d in devices]:
        del _opened[spec]


# ---- for the rest of the house -------------------------------------------------------------------
def note(plugin: str, text: str) -> None:
    """Attach a fault that costs no device (a kernel that was refused, say) to a plugin's
    records."""
    _catalog.note(plugin, text)


def rescan(fresh: bool = False) -> tuple[Record, ...]:
    """Probe again; ``fresh`` also where the remembered answer is not *ready*. Open devices stay."""
    _catalog.rescan(fresh)
    return _catalog.records()


def notes(kind: str) -> tuple[str, ...]:
    """What is wrong with the plugin that brings devices of this kind, and costs no device: kernels that were not taken, say."""
    declared = _catalog.load().backends.get(kind)
    return () if declared is None else _catalog.notes(declared.plugin.name)


def load_kernels() -> None:
    """Run the hook ``ingot_kernels`` of every plugin, guarded, once: before the first device opens.

    Equal claims are found when all are there, and noted on the records of both owners.
    """
    from .registry import registry

    with _catalog.lock:
        if _kernels:
            return
        _kernels.append(True)
        loaded = _catalog.load()
        for plugin in list(loaded.plugins.values()):
            with _catalog.noting(plugin.name, "ingot_kernels", "none of its kernels is used"):
                for kernel in loaded.kernels(plugin):
                    registry.register(kernel, owner=plugin.name)
                    for doubt in doubts(kernel, loaded.backends):
                        _catalog.note(plugin.name, doubt)
        for conflict in registry.conflicts():
            for owner in conflict.owners:
                _catalog.note(owner, str(conflict))


def run_commands(app: Any) -> None:
    """Let plugins add commands to the ``ingot`` command (hook ``ingot_commands``), each guarded."""
    loaded = _catalog.load()
    for plugin in list(loaded.plugins.values()):
        with _catalog.noting(plugin.name, "ingot_commands"):
            loaded.call(plugin, "ingot_commands", app=app)


def _after_fork() -> None:
    """In the child: devices whose backend does not survive a fork are lost, and refused from now
    on."""
    _catalog.after_fork()
    if _opened:
        backends = _catalog.load().backends
        dead = [d for d in open_devices() if not backends[d.kind].backend.survives_fork]
        _forget(dead)
        for device in dead:
            device.lost = True


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
