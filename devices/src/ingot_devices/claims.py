"""What plugins claim, and whether it is well said: identities and validation.

Beside `plugins`, which loads entry points and files what passes here. Every fault names
plugin, hook, signature and what is wrong.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from .backend import CONTRACT, Backend
from .errors import ContractError
from .hooks import RawAllocator
from .outcomes import Record, State, mend, one_line, traceback_text

if TYPE_CHECKING:
    from .registry import Kernel

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_RESERVED = ("auto", "meta")


@dataclass(frozen=True)
class Plugin:
    """One entry point: its name, the distribution that brings it, and the loaded module."""

    name: str
    distribution: str
    version: str
    module: Any = None

    def record(self, state: State, reason: str, remedy: str = "", **more: Any) -> Record:
        """A record about this plugin, or about a backend of it (``name=…``)."""
        more.setdefault("name", self.name)
        return Record(
            state=state,
            reason=reason,
            remedy=remedy,
            distribution=self.distribution,
            version=self.version,
            plugin=self.name,
            **more,
        )

    def failed(self, error: BaseException, doing: str, **more: Any) -> Record:
        """The record of an exception that this plugin raised."""
        return self.record(
            "broken",
            f"{doing} raised {one_line(error)}",
            mend(self.distribution, self.name),
            detail=traceback_text(error),
            **more,
        )


@dataclass(frozen=True)
class Declared:
    """A backend and the plugin that declared it."""

    backend: Backend
    plugin: Plugin

    def record(self, state: State, reason: str = "", remedy: str = "", **more: Any) -> Record:
        """A record about this backend."""
        return self.plugin.record(
            state,
            reason,
            remedy,
            name=self.backend.name,
            vendor=self.backend.vendor,
            priority=self.backend.priority,
            **more,
        )


def check_contract(version: Any, plugin: Plugin) -> tuple[str, str] | None:
    """None when ``version`` is spoken here, else (reason, remedy)."""
    here = f"this ingot-devices speaks contract {CONTRACT[0]}.{CONTRACT[1]}"
    match version:
        case (int(major), int(minor)) if isinstance(version, tuple):
            pass
        case _:
            wrong = f"declares contract {version!r}, which is no pair of integers; {here}"
            return wrong, mend(plugin.distribution, plugin.name)
    if major == CONTRACT[0] and minor in (CONTRACT[1], CONTRACT[1] - 1):
        return None
    behind = "ingot-devices" if version > CONTRACT else plugin.distribution
    return f"written for contract {major}.{minor}; {here}", mend(behind, plugin.name)


def checked_backend(plugin: Plugin, backend: Any) -> Backend:
    """``backend`` if it is well declared; ContractError otherwise."""
    fault = _fault_of_backend(plugin, backend)
    if fault:
        raise ContractError(
            f"plugin {plugin.name!r}, hook ingot_backends, register(backend): {fault}"
        )
    return backend  # type: ignore[no-any-return]


def _fault_of_backend(plugin: Plugin, backend: Any) -> str:
    if inspect.isclass(backend):
        return f"got the class {backend.__name__}; register an instance of it"
    kind = type(backend)
    if not isinstance(backend, Backend):
        return f"got {kind.__name__}, which is no subclass of ingot_devices.Backend"
    name = getattr(backend, "name", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _RESERVED:
        allowed = f"lower-case letters, digits and underscores, and not {' or '.join(_RESERVED)}"
        return f"{kind.__name__}.name is {name!r}; allowed are {allowed}"
    if check_contract(backend.contract, plugin):
        return ""  # refused with a reason of its own; another contract may want other things
    if type(backend.priority) is not int:
        return f"{kind.__name__}.priority is {backend.priority!r}, not an integer"
    missing = [m for m in ("probe", "open") if getattr(kind, m) is getattr(Backend, m)]
    return f"{kind.__name__} does not define {' and '.join(missing)}" if missing else ""


def checked_allocator(plugin: Plugin, kind: Any, allocator: Any) -> tuple[str, RawAllocator]:
    """The pair if it is well declared; ContractError otherwise."""
    faults = []
    if not (isinstance(kind, str) and _NAME.fullmatch(kind)):
        faults.append(f"kind is {kind!r}, not the name of a backend")
    missing = [m for m in ("allocate", "release") if not callable(getattr(allocator, m, None))]
    if missing:
        faults.append(f"{type(allocator).__name__} does not define {' and '.join(missing)}")
    if faults:
        said = "; ".join(faults)
        where = f"plugin {plugin.name!r}, hook ingot_allocators, register(kind, allocator)"
        raise ContractError(f"{where}: {said}")
    return kind, allocator


def checked_kernel(plugin: Plugin, kernel: Any) -> Kernel:
    """``kernel`` if it is one; ContractError otherwise."""
    from .registry import Kernel

    if isinstance(kernel, Kernel):
        return kernel
    where = f"plugin {plugin.name!r}, hook ingot_kernels, register(kernel)"
    raise ContractError(f"{where}: got {kernel!r:.80}, which is no ingot_devices.registry.Kernel")


def doubts(kernel: Kernel, backends: Iterable[str]) -> list[str]:
    """What looks like a slip: the names of an op and of a kind of device that nobody knows."""
    from .opset import OPS
    from .opset.op import op_named

    found = []
    if op_named(kernel.op) is None:
        found.append(f"it has a kernel for {kernel.op!r}, and no op is called so by now{_near(kernel.op, OPS)}")
    alike = _near(kernel.device, backends)  # else it may well be for devices that are elsewhere
    if kernel.device not in backends and alike:
        found.append(f"it has a kernel for {kernel.op} on devices of kind {kernel.device!r}, which no plugin here has{alike}")
    return found


def _near(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), 1, 0.7)
    return f". Did you mean {near[0]!r}?" if near else ""
