"""Acme for Ingot: which devices there are. The entry point names this module, so it imports nothing heavy."""

from ingot_devices import Backend, DeviceInfo, Unavailable, hookimpl

INGOT_CONTRACT = (1, 0)


class Acme(Backend):
    """A family of devices. Users write ``acme`` or ``acme:0``."""

    name = "acme"
    vendor = "Acme Silicon"

    def probe(self):
        """The devices of this machine, or why there is none. Runs in a process of its own, so it may call the driver."""
        from .driver import boards

        found = [DeviceInfo(name, memory=memory) for name, memory in boards()]
        return found or Unavailable("no board was found", "plug one in")

    def open(self, index):
        """A device for work. `device` is imported only now."""
        from .device import AcmeDevice

        return AcmeDevice(index)


@hookimpl
def ingot_backends(register):
    """Called by Ingot at the first question about devices."""
    register(Acme())
