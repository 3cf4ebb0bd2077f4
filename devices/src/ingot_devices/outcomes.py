"""What became of each plugin and backend: one `Record` per outcome, and nothing is left out.

`plugins` writes records of plugins that could not be loaded, `probe` and `probing` those of
backends that were asked, `published` those of backends that are not installed. `discovery` keeps
them; users see them in ``ingot devices`` and in every `DeviceUnavailable`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import PurePath
from traceback import extract_tb, format_exception
from typing import Any, Literal, get_args

from .backend import DeviceInfo

State = Literal["ready", "no hardware", "broken", "refused", "disabled", "not installed"]
STATES: tuple[str, ...] = get_args(State)


@dataclass(frozen=True)
class Record:
    """One outcome of discovery.

    ``name`` is the backend's name, or the plugin's where it never got as far as declaring one.
    ``reason`` is one line, ``remedy`` the command or step that mends it, ``detail`` a traceback for
    those who ask. ``devices`` are in index order, those with a fault included. ``notes`` are faults
    that cost no device (a kernel that was refused).
    """

    name: str
    state: State
    reason: str = ""
    remedy: str = ""
    devices: tuple[DeviceInfo, ...] = ()
    distribution: str = ""
    version: str = ""
    plugin: str = ""
    vendor: str = ""
    priority: int = 0
    detail: str = ""
    notes: tuple[str, ...] = ()

    @property
    def ready_indices(self) -> tuple[int, ...]:
        """Indices of the usable devices."""
        if self.state != "ready":
            return ()
        return tuple(i for i, d in enumerate(self.devices) if d.usable)

    @property
    def ready(self) -> tuple[str, ...]:
        """Names of the usable devices (``"acme:0"``), in index order."""
        return tuple(f"{self.name}:{i}" for i in self.ready_indices)

    @property
    def top_priority(self) -> int:
        """The highest priority of any device, or the backend's where there is none."""
        return max((self.priority_of(i) for i in range(len(self.devices))), default=self.priority)

    def priority_of(self, index: int) -> int:
        """The priority of one device: its own, else its backend's."""
        own = self.devices[index].priority
        return self.priority if own is None else own

    def sentence(self) -> str:
        """State, reason and remedy as one line."""
        # "not installed" says it already: its reasons begin with the distribution that is missing
        alone = not self.reason or self.state == "not installed"
        why = (self.reason or self.state) if alone else f"{self.state}: {self.reason}"
        return f"{why}. Remedy: {self.remedy}" if self.remedy else why

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; the shape is part of the schema of ``ingot devices --json``."""
        plain = asdict(replace(self, devices=()))
        plain["notes"] = list(self.notes)
        plain["devices"] = [
            {
                "device": f"{self.name}:{i}",
                "ready": f"{self.name}:{i}" in self.ready,
                **info_to_dict(d),
            }
            for i, d in enumerate(self.devices)
        ]
        return plain


def info_to_dict(info: DeviceInfo) -> dict[str, Any]:
    """A DeviceInfo as plain data."""
    return {**asdict(replace(info, details={})), "details": dict(info.details)}


def info_from_dict(plain: Mapping[str, Any]) -> DeviceInfo:
    """The inverse of `info_to_dict`."""
    return DeviceInfo(**plain)


def one_line(error: BaseException) -> str:
    """``TypeName: first line of the message (file.py:12)``, the place being where it was raised."""
    text = str(error).strip().split("\n")[0]
    frames = extract_tb(error.__traceback__)
    place = f" ({PurePath(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}{': ' if text else ''}{text}{place}"


def traceback_text(error: BaseException) -> str:
    """The whole traceback, for ``detail``."""
    return "".join(format_exception(error))


def mend(distribution: str, name: str) -> str:
    """The remedy for a plugin that is at fault itself."""
    upgrade = f"`pip install --upgrade {distribution}`" if distribution else "upgrade the plugin"
    return f"{upgrade}, or set INGOT_DISABLE={name} to do without it"
