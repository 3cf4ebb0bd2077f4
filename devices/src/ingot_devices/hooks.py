"""The hooks of Ingot: everything that a plugin can add, and the reference page for it.

First stop of discovery. A plugin is a distribution with an entry point in the group ``ingot`` that
names a light module; the module implements the hooks that it needs and says which contract it was
written for::

    # acme/__init__.py, declared in pyproject.toml as  [project.entry-points.ingot]  acme = "acme"
    from ingot_devices import Backend, DeviceInfo, Unavailable, hookimpl

    INGOT_CONTRACT = (1, 0)

    class Acme(Backend):
        name, vendor, contract = "acme", "Acme Silicon", (1, 0)

        def probe(self):
            from .driver import boards          # imported here, never by the module itself
            found = [DeviceInfo(b.name, memory=b.memory) for b in boards()]
            return found or Unavailable("no board on the bus", "plug one in")

        def open(self, index):
            from .device import AcmeDevice
            return AcmeDevice(index)

    @hookimpl
    def ingot_backends(register):
        register(Acme())

Every hook gets one argument, ``register``, and calls it once per thing that it brings. `plugins`
calls each plugin's hooks alone and guarded, checks what is registered, and files it in plain dicts:
no hook runs while an op does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

if TYPE_CHECKING:
    from .backend import Backend

PROJECT = "ingot"
GROUP = "ingot"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class RawAllocator(Protocol):
    """What ``ingot_allocators`` registers: raw memory of a device, without a pool."""

    def allocate(self, nbytes: int) -> Any:
        """A handle to ``nbytes`` bytes; MemoryError when there are none."""
        ...

    def release(self, handle: Any) -> None:
        """Give back what ``allocate`` returned."""
        ...


@hookspec
def ingot_backends(register: Callable[[Backend], None]) -> None:
    """Declare families of devices: ``register(Acme())`` for each.

    Runs at the first question about devices, in the user's process: import nothing heavy and touch
    no driver here. A backend's name is what users type (``"acme"``, ``"acme:0"``): lower-case
    letters, digits and underscores.

    Example::

        @hookimpl
        def ingot_backends(register):
            register(Acme())
    """


@hookspec
def ingot_kernels(register: Callable[[Any], None]) -> None:
    """Add kernels, for devices of one's own or of somebody else: ``register(Kernel(…))`` for each.

    Runs when the first device is opened, so kernels may be defined in a module that is imported
    here, and ops be declared (`ingot_devices.custom.declare`). A distribution may bring kernels only.
    See `ingot_devices.custom` for the three ways to write one, `ingot_devices.registry.Kernel` for
    what a kernel declares.

    Example::

        @hookimpl
        def ingot_kernels(register):
            from .kernels import softmax
            register(softmax)
    """


@hookspec
def ingot_allocators(register: Callable[[str, RawAllocator], None]) -> None:
    """Replace the raw allocator of a device kind: ``register("acme", allocator)``.

    The pool of each device of that kind takes its memory from ``allocator.allocate(nbytes)`` and
    gives it back with ``allocator.release(handle)``; handles must be what the device's own copies
    and launches take. Runs at the first question about devices. A second allocator for the same
    kind is refused.

    Example::

        @hookimpl
        def ingot_allocators(register):
            register("acme", SharedArena(1 << 30))
    """


@hookspec
def ingot_commands(app: Any) -> None:
    """Add commands to the ``ingot`` command line; ``app`` is its `typer.Typer`.

    Runs only in the command, before it reads its arguments.

    Example::

        @hookimpl
        def ingot_commands(app):
            @app.command("acme-flash")
            def flash(image: str) -> None:
                "Write IMAGE to the board."
    """
