"""Kernels of acme for Ingot. The entry point names this module, so it imports nothing heavy."""

from ingot_devices import hookimpl

INGOT_CONTRACT = (1, 0)


@hookimpl
def ingot_kernels(register):
    """Called by Ingot when the first device is opened."""
    from .kernels import KERNELS

    for kernel in KERNELS:
        register(kernel)
