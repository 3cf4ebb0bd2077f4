"""A pretend driver: boards with memory of their own and a vector unit. Replace it by your vendor's library.

The vector unit runs a kernel for all work-items at once: a value is a NumPy array with an element for each of them,
and a mask says which of them take part. Its compiler takes Python source.
"""

import itertools
import struct

import numpy as np


def boards():
    """(name, bytes of memory) of every board."""
    return [("Acme One", 1 << 30)]


class Board:
    """One open board. Memory is reached by handle and offset only."""

    def __init__(self, index):
        self.name, self.size = boards()[index]
        self.memory = {}
        self.handles = itertools.count(0x1000)

    def malloc(self, nbytes):
        if nbytes + sum(m.nbytes for m in self.memory.values()) > self.size:
            raise MemoryError(f"{self.name} has {self.size} bytes")
        handle = next(self.handles)
        self.memory[handle] = np.zeros(nbytes, np.uint8)
        return handle

    def free(self, handle):
        del self.memory[handle]

    def write(self, handle, offset, data):
        self.memory[handle][offset : offset + len(data)] = np.frombuffer(data, np.uint8)

    def read(self, handle, offset, nbytes):
        return self.memory[handle][offset : offset + nbytes].tobytes()

    def wait(self):
        """Nothing is queued on this board."""

    def compile(self, source, name):
        """The kernel ``name`` of a source; SyntaxError where it is none."""
        names = {"np": np, "struct": struct, "inf": np.inf, "nan": np.nan, **FUNCTIONS}
        exec(compile(source, f"<{name}>", "exec"), names)
        return names[name]

    def launch(self, kernel, grid, handles, scalars):
        """Run a kernel on ``grid`` work-items in a row."""
        with np.errstate(all="ignore"):
            kernel([self.memory[h] for h in handles], scalars, np.arange(grid))


def load(memory, offset, mask):
    """An element for each work-item that takes part."""
    return memory[np.where(mask, offset, 0)]


def store(memory, offset, value, mask):
    """The same the other way."""
    mask, offset, value = np.broadcast_arrays(mask, offset, value)
    memory[offset[mask]] = value[mask]


def mulhi(a, b):
    """The high half of a product."""
    bits = 8 * a.dtype.itemsize
    wide = object if bits == 64 else np.dtype(f"{a.dtype.kind}8")
    return ((np.asarray(a, wide) * np.asarray(b, wide)) >> bits).astype(a.dtype)


def precise(function):
    """A function of floats, computed in 64 bits and rounded once."""
    return lambda x: function(np.asarray(x, np.float64)).astype(x.dtype)


FUNCTIONS = {"load": load, "store": store, "mulhi": mulhi}
FUNCTIONS |= {f.__name__: precise(f) for f in (np.exp, np.log, np.sin, np.cos)}
