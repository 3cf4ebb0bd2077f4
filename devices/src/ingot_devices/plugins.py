"""Loads plugins: entry points one by one, each guarded, into plain dicts.

Between `hooks` (what a plugin may say) and `discovery` (who asks). pluggy's own bulk loader stops
at the first plugin that fails; here a failure is a `Record` and the next one is loaded. Only a
plugin's light module is imported. The child process of a probe uses the same door for one plugin
(`probe`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

import pluggy

from . import hooks
from .backend import CONTRACT, Backend
from .claims import (
    Declared,
    Plugin,
    check_contract,
    checked_allocator,
    checked_backend,
    checked_kernel,
)
from .errors import ContractError
from .outcomes import Record

if TYPE_CHECKING:
    from .registry import Kernel


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    return manager


@dataclass
class Loaded:
    """What all plugins together declared. ``records`` holds those that failed to."""

    plugins: dict[str, Plugin] = field(default_factory=dict)
    backends: dict[str, Declared] = field(default_factory=dict)
    allocators: dict[str, tuple[Plugin, hooks.RawAllocator]] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    manager: pluggy.PluginManager = field(default_factory=_manager)

    def call(self, plugin: Plugin, hook: str, **arguments: Any) -> None:
        """Call one hook of one plugin alone, so that an exception has an owner."""
        others = [m for m in self.manager.get_plugins() if m is not plugin.module]
        self.manager.subset_hook_caller(hook, others)(**arguments)

    def kernels(self, plugin: Plugin) -> list[Kernel]:
        """The kernels of one plugin, checked. Raises what its hook raises; then none is kept."""
        found: list[Kernel] = []

        def register(kernel: Kernel) -> None:
            found.append(checked_kernel(plugin, kernel))

        self.call(plugin, "ingot_kernels", register=register)
        return found


def load(points: Iterable[EntryPoint] | None = None) -> Loaded:
    """Load every installed plugin (or ``points``). Raises nothing that a plugin raised."""
    loaded = Loaded()
    off = disabled_names()
    found = entry_points(group=hooks.GROUP) if points is None else points
    for point in sorted(found, key=lambda p: (p.name, _distribution(p))):
        _load_one(loaded, point, off)
    return loaded


def disabled_names() -> frozenset[str]:
    """The names in ``INGOT_DISABLE``."""
    given = os.environ.get("INGOT_DISABLE", "")
    return frozenset(n.strip() for n in given.split(",") if n.strip())


def _load_one(loaded: Loaded, point: EntryPoint, off: frozenset[str]) -> None:
    plugin = Plugin(point.name, _distribution(point), point.dist.version if point.dist else "")
    if plugin.name in off:
        loaded.records.append(plugin.record("disabled", *_switched_off(plugin.name)))
        return
    if plugin.name in loaded.plugins:
        other = loaded.plugins[plugin.name].distribution
        loaded.records.append(
            plugin.record(
                "refused",
                f"the entry point {plugin.name!r} of {plugin.distribution} is also one of {other}",
                f"`pip uninstall {plugin.distribution}` or `pip uninstall {other}`",
            )
        )
        return
    try:
        module = point.load()
    except (Exception, SystemExit) as error:
        loaded.records.append(plugin.failed(error, f"importing {point.value}"))
        return
    plugin = Plugin(plugin.name, plugin.distribution, plugin.version, module)
    fault = check_contract(getattr(module, "INGOT_CONTRACT", CONTRACT), plugin)
    if fault:
        loaded.records.append(plugin.record("refused", *fault))
        return
    try:
        _register(loaded, plugin)
    except (Exception, SystemExit) as error:
        loaded.manager.unregister(name=plugin.name)
        loaded.records.append(plugin.failed(error, "registering"))
        return
    loaded.plugins[plugin.name] = plugin
    _collect(loaded, plugin, off)


def _register(loaded: Loaded, plugin: Plugin) -> None:
    """Give the module to pluggy, which checks signatures, and refuse hooks that do not exist."""
    try:
        loaded.manager.register(plugin.module, name=plugin.name)
    except pluggy.PluginValidationError as error:
        raise ContractError(" ".join(str(error).split())) from None
    callers = loaded.manager.get_hookcallers(plugin.module) or []
    known = [n for n in vars(hooks) if n.startswith("ingot_")]
    unknown = [c.name for c in callers if c.name not in known]
    if unknown:
        raise ContractError(
            f"plugin {plugin.name!r} implements {', '.join(unknown)}; "
            f"the hooks are {', '.join(known)}"
        )
    if not callers:
        raise ContractError(
            f"plugin {plugin.name!r} ({plugin.module!r}) implements no hook; mark its "
            f"functions with @hookimpl (the hooks are {', '.join(known)})"
        )


def _collect(loaded: Loaded, plugin: Plugin, off: frozenset[str]) -> None:
    """Run the declaring hooks of one plugin. One that raises leaves nothing behind but a record."""
    backends: list[Backend] = []
    allocators: list[tuple[str, hooks.RawAllocator]] = []

    def register_backend(backend: Backend) -> None:
        backends.append(checked_backend(plugin, backend))

    def register_allocator(kind: str, allocator: hooks.RawAllocator) -> None:
        allocators.append(checked_allocator(plugin, kind, allocator))

    doors: dict[str, Callable[..., None]] = {
        "ingot_backends": register_backend,
        "ingot_allocators": register_allocator,
    }
    for hook, register in doors.items():
        try:
            loaded.call(plugin, hook, register=register)
        except (Exception, SystemExit) as error:
            loaded.manager.unregister(name=plugin.name)
            del loaded.plugins[plugin.name]
            loaded.records.append(plugin.failed(error, hook))
            return
    for backend in backends:
        _file_backend(loaded, Declared(backend, plugin), off)
    for kind, allocator in allocators:
        _file_allocator(loaded, plugin, kind, allocator)


def _file_backend(loaded: Loaded, declared: Declared, off: frozenset[str]) -> None:
    name = declared.backend.name
    fault = check_contract(declared.backend.contract, declared.plugin)
    other = loaded.backends.get(name)
    if name in off:
        loaded.records.append(declared.record("disabled", *_switched_off(name)))
    elif fault:
        loaded.records.append(declared.record("refused", *fault))
    elif other is not None:
        mine, theirs = declared.plugin, other.plugin
        loaded.records.append(
            declared.record(
                "refused",
                f"{mine.distribution} ({mine.name}) declares the backend {name!r}, which "
                f"{theirs.distribution} ({theirs.name}) declares already",
                f"set INGOT_DISABLE={mine.name} or INGOT_DISABLE={theirs.name} to choose",
            )
        )
    else:
        loaded.backends[name] = declared


def _file_allocator(
    loaded: Loaded, plugin: Plugin, kind: str, allocator: hooks.RawAllocator
) -> None:
    if kind in loaded.allocators:
        other = loaded.allocators[kind][0]
        loaded.records.append(
            plugin.record(
                "refused",
                f"registers an allocator for {kind!r}, as {other.distribution} ({other.name}) does",
                f"set INGOT_DISABLE={plugin.name} or INGOT_DISABLE={other.name} to choose",
            )
        )
    else:
        loaded.allocators[kind] = (plugin, allocator)


def _switched_off(name: str) -> tuple[str, str]:
    return (
        f"switched off by INGOT_DISABLE={os.environ.get('INGOT_DISABLE', '')}",
        f"remove {name} from INGOT_DISABLE",
    )


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else ""
