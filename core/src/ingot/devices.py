"""Devices as users name them: ``device("opencl:0")``, ``device("auto")``, the default device.

Beside the contract's `Device` (an open incarnation): this is a name, comparable and printable as PyTorch's.
"""

from __future__ import annotations

import threading
from typing import Any

from .cpu import KIND as CPU
from .lazy import discovery


class device:
    """The name of a device: ``type`` ("cpu", "opencl" …) and ``index`` (None: the first, or the CPU).

    ``device("auto")`` is the ready device of highest priority, or what ``INGOT_DEVICE`` says. As a context manager it
    is the default device of the block. Naming a device does not open it; using it does.
    """

    __slots__ = ("_outer", "index", "type")
    type: str
    index: int | None

    def __init__(self, spec: str | int | device, index: int | None = None) -> None:
        if isinstance(spec, device):
            self.type, self.index = spec.type, spec.index
            return
        if isinstance(spec, int):
            index, spec = spec, discovery.best().partition(":")[0]
        if spec == "auto":
            spec = discovery.best()
        kind, given = discovery.parse(spec)
        if given is not None and index is not None:
            raise RuntimeError(f"device({spec!r}, {index}) names two indices; give one")
        found = index if index is not None else given
        self.type, self.index = kind, None if kind == CPU and found in (None, 0) else found

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        tail = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{tail})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __reduce__(self) -> Any:
        return device, (str(self),)

    def __enter__(self) -> device:
        self._outer = _default.chosen
        _default.chosen = self
        return self

    def __exit__(self, *exc: object) -> None:
        _default.chosen = self._outer


class _Default(threading.local):
    chosen: device | None = None


_default = _Default()
_process_default: list[device] = []


def set_default_device(spec: str | device | None) -> None:
    """New tensors without ``device=`` are made there (None: the CPU again)."""
    _process_default.clear()
    if spec is not None:
        _process_default.append(device(spec))


def get_default_device() -> device:
    """Where new tensors are made: the innermost ``with device(…)``, `set_default_device`, else the CPU.

    Where the CPU plugin is switched off, the best device that is ready.
    """
    if _default.chosen is not None:
        return _default.chosen
    if not _process_default:
        usable = discovery.is_available(CPU)
        _process_default.append(device(CPU) if usable else device(discovery.best()))
    return _process_default[0]


_open: dict[str, Any] = {}


def open_device(spec: Any) -> Any:
    """The open contract Device of a name (or of a `device`); None is the default one. `DeviceUnavailable` says why not.

    One that stands on another has no name: it is given itself."""
    name = str(get_default_device() if spec is None else spec)
    found = _open.get(name)
    if found is None or found.lost:
        if getattr(spec, "beneath", None) is not None:
            return spec
        found = discovery.open_device(name)
        _open[name] = found
    return found


def default_device() -> Any:
    """The open default device."""
    return open_device(None)


def device_of(opened: Any) -> device:
    """The name of an open device."""
    found = _names.get(opened)
    if found is None:
        found = _names[opened] = device(opened.kind, opened.index)
    return found


_names: dict[Any, device] = {}


def forget(dead: Any) -> None:
    """Keep nothing of an open device that was closed."""
    _names.pop(dead, None)
    for name in [n for n, d in _open.items() if d is dead]:
        del _open[name]
