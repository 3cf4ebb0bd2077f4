"""Which devices there are, why others are not there, and opening them.

The door of discovery for everybody: `hooks` → `plugins` (declare) → `probing` (probe) → here (open). Nothing happens
at import. The first question loads the plugins' light modules; asking about one kind probes that kind alone, asking
for all probes all of them at once. Answers are kept until `rescan`.

A name is ``"acme"`` (its first usable device), ``"acme:0"``, or ``"auto"``: what ``INGOT_DEVICE`` says, else the ready
device of highest priority.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from .errors import ContractError, DeviceUnavailable
from .records import Record, mend, one_line, traceback_text

if TYPE_CHECKING:
    from .device import Device
    from .plugins import Declared, Loaded

AUTO = "auto"
_FORKED = "this process was forked, and a device cannot be shared with its parent"
_SPAWN = "start workers with the spawn or forkserver method"


class Discovery:
    """Plugins, records and open devices of one process. Use the module's functions."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.loaded: Loaded | None = None
        self.failures: list[Record] = []  # of plugins, and of published backends that are not installed
        self.probed: dict[str, Record] = {}
        self.opened: dict[str, Device] = {}
        self.notes: dict[str, list[str]] = {}
        self.forked = False
        self.kernels_loaded = False

    # ---- declare and probe ---------------------------------------------------------------------------------------
    def load(self) -> Loaded:
        """Import the plugins' light modules, once."""
        with self.lock:
            if self.loaded is None:
                from .plugins import load
                from .published import not_installed

                loaded = load()
                named = {r.name for r in loaded.records} | set(loaded.backends)
                self.failures = [*loaded.records, *not_installed(named)]
                self.loaded = loaded
            return self.loaded

    def probe(self, names: Iterable[str] | None = None, fresh: bool = False) -> None:
        """Ask the backends called ``names`` (default: all) that were not asked yet, all at once."""
        with self.lock:
            backends = self.load().backends
            wanted = [d for n, d in backends.items() if n not in self.probed and (names is None or n in names)]
            if self.forked:
                for declared in [d for d in wanted if not d.backend.survives_fork]:
                    self.probed[declared.backend.name] = declared.record("refused", _FORKED, _SPAWN)
                    wanted.remove(declared)
            if wanted:
                from .probing import probe_all

                self.probed.update({r.name: r for r in probe_all(wanted, fresh)})

    def records(self) -> tuple[Record, ...]:
        """Every outcome, the ready ones by priority, then the rest by name."""
        with self.lock:
            self.probe()
            bare = [r for r in self.loaded_plugins_without_backend() if r.plugin]
            found = [*self.probed.values(), *self.failures, *bare]
            found.sort(key=lambda r: (r.state != "ready", -_top_priority(r), r.name))
            return tuple(self._noted(r) for r in found)

    def loaded_plugins_without_backend(self) -> list[Record]:
        """Plugins that bring kernels, allocators or commands only: ready, with no device of their own."""
        loaded = self.load()
        owners = {d.plugin.name for d in loaded.backends.values()} | {r.plugin for r in loaded.records}
        return [p.record("ready", "brings no device of its own") for n, p in loaded.plugins.items() if n not in owners]

    def record(self, name: str) -> Record | None:
        """The record of one backend or plugin, probing no other; None for a name that nobody knows."""
        with self.lock:
            self.load()
            self.probe([name])
            if name in self.probed:
                return self._noted(self.probed[name])
            others = [*self.failures, *self.loaded_plugins_without_backend()]
            return next((self._noted(r) for r in others if name in (r.name, r.plugin)), None)

    def _noted(self, record: Record) -> Record:
        return replace(record, notes=tuple(self.notes.get(record.plugin, ())))

    # ---- open ----------------------------------------------------------------------------------------------------
    def open(self, spec: str) -> Device:
        """The device called ``spec``; opened at most once per incarnation."""
        with self.lock:
            kind, index = self.resolve(spec)
            name = f"{kind}:{index}"
            if name not in self.opened:
                self.opened[name] = self._open(kind, index)
            self.opened[spec if spec != AUTO else name] = self.opened[name]
            return self.opened[name]

    def resolve(self, spec: str) -> tuple[str, int]:
        """Kind and index that ``spec`` means, both known to be usable; DeviceUnavailable otherwise."""
        kind, index = parse(self.best() if spec == AUTO else spec)
        record = self.record(kind)
        if record is None:
            raise DeviceUnavailable(f"no device is called {spec!r}{self._similar(kind)}. {self._available()}")
        if record.state != "ready":
            raise DeviceUnavailable(f"device {spec!r} is not available ({record.sentence()}). {self._available()}", record)
        if not record.devices:
            raise DeviceUnavailable(f"{spec!r} is a plugin that {record.reason}. {self._available()}", record)
        if index is None:
            return kind, parse(record.ready[0])[1] or 0
        if index >= len(record.devices):
            count = len(record.devices)
            raise DeviceUnavailable(f"device {spec!r} does not exist: {kind} has {count} "
                                    f"device{'s' if count != 1 else ''}. {self._available()}", record)
        info = record.devices[index]
        if not info.usable:
            remedy = f". Remedy: {info.remedy}" if info.remedy else ""
            raise DeviceUnavailable(f"device {spec!r} ({info.name}) is not usable: {info.fault}{remedy}. "
                                    f"{self._available()}", record)
        return kind, index

    def _open(self, kind: str, index: int) -> Device:
        """Open through the plugin, guarded, and give the device its name and its pool."""
        from .memory import Pool

        loaded = self.load()
        declared = loaded.backends[kind]
        self.load_kernels()
        try:
            device = declared.backend.open(index)
            _check_device(declared, device)
            device.name, device.kind, device.index = f"{kind}:{index}", kind, index
            allocator = loaded.allocators.get(kind)
            device.pool = Pool(device, allocator[1]) if allocator else Pool(device)
        except (Exception, SystemExit) as error:
            raise self._refused(declared, index, error) from error
        return device

    def _refused(self, declared: Declared, index: int, error: BaseException) -> DeviceUnavailable:
        from .probing import forget

        plugin, kind = declared.plugin, declared.backend.name
        if not declared.backend.probe_in_process:
            forget(declared)
        record = replace(
            self.probed[kind], state="broken", reason=f"open({index}) raised {one_line(error)}",
            remedy=mend(plugin.distribution, plugin.name), detail=traceback_text(error),
        )  # fmt: skip
        return DeviceUnavailable(f"device '{kind}:{index}' could not be opened by plugin {plugin.name!r} of "
                                 f"{plugin.distribution} {plugin.version} ({record.sentence()}). "
                                 f"{self._available()}", record)

    def load_kernels(self) -> None:
        """Run the hook ``ingot_kernels`` of every plugin, once, before the first device is opened."""
        with self.lock:
            if self.kernels_loaded:
                return
            self.kernels_loaded = True
            loaded = self.load()
            for plugin in list(loaded.plugins.values()):
                with self.guarded(plugin.name, "ingot_kernels"):
                    _load_kernels(loaded, plugin.name)

    def guarded(self, plugin: str, doing: str) -> suppress:
        """A context in which an exception becomes a note on the plugin's record."""
        return _Noted(self, plugin, doing)

    def reset(self, spec: str) -> Device:
        """Close the device's incarnation, if any, and open a new one."""
        with self.lock:
            kind, index = self.resolve(spec)
            old = self.opened.get(f"{kind}:{index}")
            if old is not None:
                self.opened = {n: d for n, d in self.opened.items() if d is not old}
                old.lost = True  # its tensors are gone; their releases do nothing
                with self.guarded(self.load().backends[kind].plugin.name, f"closing {old.name}"):
                    old.close()
            return self.open(f"{kind}:{index}")

    # ---- choose --------------------------------------------------------------------------------------------------
    def ready(self) -> list[str]:
        """Names of all usable devices, highest priority first."""
        with self.lock:
            self.probe()
            found = [(-r.priority_of(parse(n)[1] or 0), n) for r in self.probed.values() for n in r.ready]
            return [name for _, name in sorted(found)]

    def best(self) -> str:
        """What ``"auto"`` means now."""
        chosen = os.environ.get("INGOT_DEVICE", "").strip()
        if chosen and chosen != AUTO:
            try:
                kind, index = self.resolve(chosen)
            except DeviceUnavailable as error:
                raise DeviceUnavailable(f"INGOT_DEVICE={chosen}: {error}", error.record) from None
            return f"{kind}:{index}"
        names = self.ready()
        if not names:
            raise DeviceUnavailable(f"no device is ready. {self._reasons()}")
        return names[0]

    def _available(self) -> str:
        names = self.ready()
        return f"Available: {', '.join(sorted(names))}" if names else f"No device is ready. {self._reasons()}"

    def _reasons(self) -> str:
        return "; ".join(f"{r.name} is {r.sentence()}" for r in self.records()) or "No plugin is installed"

    def _similar(self, kind: str) -> str:
        near = get_close_matches(kind, [r.name for r in self.records()], 1)
        return f"; did you mean {near[0]!r}?" if near else ""

    # ---- fork ----------------------------------------------------------------------------------------------------
    def after_fork(self) -> None:
        """In the child: devices that do not survive a fork are lost, and refused from now on."""
        self.lock = threading.RLock()
        self.forked = True
        backends = self.loaded.backends if self.loaded else {}
        for name, declared in backends.items():
            if not declared.backend.survives_fork and name in self.probed:
                self.probed[name] = declared.record("refused", _FORKED, _SPAWN)
        lost = {id(d) for d in self.opened.values() if not backends[d.kind].backend.survives_fork}
        for device in self.opened.values():
            device.lost = device.lost or id(device) in lost
        self.opened = {n: d for n, d in self.opened.items() if id(d) not in lost}


class _Noted(suppress):
    """Turns an exception inside the block into a note."""

    def __init__(self, discovery: Discovery, plugin: str, doing: str) -> None:
        super().__init__(Exception, SystemExit)
        self.discovery, self.plugin, self.doing = discovery, plugin, doing

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        swallowed = bool(super().__exit__(kind, error, trace))
        if swallowed and error is not None:
            self.discovery.notes.setdefault(self.plugin, []).append(f"{self.doing} raised {one_line(error)}")
        return swallowed


def _load_kernels(loaded: Loaded, plugin: str) -> None:
    def register(kernel: Any) -> None:
        from .registry import register as file

        file(kernel, owner=plugin)

    loaded.call(loaded.plugins[plugin], "ingot_kernels", register=register)


def _check_device(declared: Declared, device: Any) -> None:
    from .device import Device

    if not isinstance(device, Device):
        raise ContractError(f"{type(declared.backend).__name__}.open(index) returned {type(device).__name__}, "
                            "which is no ingot_devices.Device")


def _top_priority(record: Record) -> int:
    return max((record.priority_of(i) for i in range(len(record.devices))), default=record.priority)


def parse(spec: str) -> tuple[str, int | None]:
    """Kind and index (None where none is given) of a device's name; DeviceUnavailable if it is none."""
    kind, colon, index = spec.partition(":")
    if not kind or (colon and not index.isdecimal()):
        raise DeviceUnavailable(f"{spec!r} is not the name of a device; write 'kind' or 'kind:index', as in 'cpu:0'")
    return kind, int(index) if colon else None


# ---- the public functions --------------------------------------------------------------------------------------------
_discovery = Discovery()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _discovery.after_fork())


def open_device(spec: str) -> Device:
    """The device called ``spec``: ``"acme"``, ``"acme:0"`` or ``"auto"``. One object per device.

    Raises DeviceUnavailable, which names the reason, the remedy and what is available. A lost device is returned as
    it is (it refuses work) until `reset_device`.
    """
    found = _discovery.opened.get(spec)
    return _discovery.open(spec) if found is None else found


def reset_device(spec: str) -> Device:
    """End the device's incarnation (its tensors are gone) and open a new one."""
    return _discovery.reset(spec)


def open_devices() -> list[Device]:
    """The devices that are open now."""
    return list({id(d): d for d in list(_discovery.opened.values())}.values())


def records() -> tuple[Record, ...]:
    """Every outcome of discovery. Probes what was not probed yet, all at once."""
    return _discovery.records()


def record(name: str) -> Record | None:
    """The outcome for one backend or plugin; None for a name that nobody knows."""
    return _discovery.record(name)


def ready() -> list[str]:
    """Names of all usable devices, highest priority first."""
    return _discovery.ready()


def best() -> str:
    """The name that ``"auto"`` stands for: ``INGOT_DEVICE``, else the ready device of highest priority."""
    return _discovery.best()


def is_available(kind: str) -> bool:
    """True if ``kind`` (or ``"kind:index"``) has a usable device. Raises nothing, probes nothing else."""
    with suppress(DeviceUnavailable):
        name, index = parse(kind)
        found = _discovery.record(name)
        return found is not None and bool(found.ready if index is None else f"{name}:{index}" in found.ready)
    return False


def device_count(kind: str) -> int:
    """How many usable devices ``kind`` has; 0 for one that is not available."""
    found = _discovery.record(kind)
    return len(found.ready) if found is not None else 0


def note(plugin: str, text: str) -> None:
    """Attach a fault that costs no device to a plugin's records (a kernel that was refused, say)."""
    with _discovery.lock:
        _discovery.notes.setdefault(plugin, []).append(text)


def rescan(fresh: bool = False) -> tuple[Record, ...]:
    """Probe again; ``fresh`` also asks anew where the remembered answer is not *ready*. Open devices stay."""
    with _discovery.lock:
        _discovery.probed.clear()
        _discovery.probe(fresh=fresh)
        return _discovery.records()


def run_commands(app: Any) -> None:
    """Let plugins add commands to the ``ingot`` command (hook ``ingot_commands``), each guarded."""
    loaded = _discovery.load()
    for plugin in list(loaded.plugins.values()):
        with _discovery.guarded(plugin.name, "ingot_commands"):
            loaded.call(plugin, "ingot_commands", app=app)
