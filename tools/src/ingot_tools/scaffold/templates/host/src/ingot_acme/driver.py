"""A pretend driver: boards whose memory the host cannot touch. Replace it by your vendor's library."""

import itertools


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
        if nbytes + sum(map(len, self.memory.values())) > self.size:
            raise MemoryError(f"{self.name} has {self.size} bytes")
        handle = next(self.handles)
        self.memory[handle] = bytearray(nbytes)
        return handle

    def free(self, handle):
        del self.memory[handle]

    def write(self, handle, offset, data):
        self.memory[handle][offset : offset + len(data)] = data

    def read(self, handle, offset, nbytes):
        return self.memory[handle][offset : offset + nbytes]

    def wait(self):
        """Nothing is queued on this board."""
