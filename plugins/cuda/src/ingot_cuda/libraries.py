"""NVIDIA's libraries of kernels through ctypes: found by ``cuda.pathfinder`` (a wheel, or a toolkit), and never required.

`cublaslt` and `cudnn` each name theirs with the signatures that they call, as a `Library`; `find` gives it, or says why it
is not there, and then the plugin's own kernels are used.
"""

from __future__ import annotations

import ctypes as c
from typing import Any, ClassVar, TypeVar

from ingot_devices.codegen import Unsupported
from ingot_devices.errors import LaunchError


class Library:
    """The loaded library; it has one handle for each device, whose context is current when it is used."""

    name: ClassVar[str]
    finding: ClassVar[str]  # its name for the pathfinder
    create: ClassVar[str]  # what makes a handle
    versions: ClassVar[str]  # what tells the version
    signatures: ClassVar[dict[str, list[Any]]]

    def __init__(self, path: str) -> None:
        self.path = path
        self._loaded = c.CDLL(path)
        for name, arguments in self.signatures.items():
            function = getattr(self._loaded, name)
            function.argtypes, function.restype = arguments, c.c_int
        version = getattr(self._loaded, self.versions)
        version.restype = c.c_size_t
        self.version = int(version())
        self._handles: dict[Any, c.c_void_p] = {}

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function; LaunchError with its status if it fails."""
        status = getattr(self._loaded, name)(*arguments)
        if status:
            raise LaunchError(f"{name} failed with {self.name} status {self.told(status)}")

    def told(self, status: int) -> str:
        """A status in words, where the library has some."""
        return str(status)

    def make(self, name: str, *arguments: Any) -> c.c_void_p:
        """What a ``…Create`` function makes."""
        made = c.c_void_p()
        self.call(name, c.byref(made), *arguments)
        return made

    def handle(self, device: Any) -> c.c_void_p:
        """The handle for a device; its context is current."""
        found = self._handles.get(device.context.handle)
        if found is None:
            found = self._handles[device.context.handle] = self.make(self.create)
        return found


L = TypeVar("L", bound=Library)


def find(kind: type[L]) -> L | str:
    """The library of a kind, or why there is none."""
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        found = load_nvidia_dynamic_lib(kind.finding)
        if found.abs_path is None:
            return f"{kind.name} was found at no path"
        return kind(found.abs_path)
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        return f"{kind.name} is not found ({str(error).strip().splitlines()[0]:.90})"


def required(found: L | str) -> L:
    """What `find` gave; `Unsupported` with the reason where that is no library."""
    if isinstance(found, str):
        raise Unsupported(found)
    return found
