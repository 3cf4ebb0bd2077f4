"""An open Acme board: memory, copies, synchronize. Every op works with that alone, through the host."""

from ingot_devices import Device, Limits

from .driver import Board


class AcmeDevice(Device):
    """Memory of one board. A handle is whatever the driver calls its memory by."""

    def __init__(self, index):
        self.board = Board(index)
        self.limits = Limits(memory=self.board.size, max_buffer=self.board.size)

    def allocate(self, nbytes):
        return self.board.malloc(nbytes)

    def release(self, handle):
        self.board.free(handle)

    def copy_in(self, handle, offset, data):
        self.board.write(handle, offset, data)

    def copy_out(self, handle, offset, data):
        data[:] = self.board.read(handle, offset, len(data))

    def copy(self, dst, dst_offset, src, src_offset, nbytes):
        self.board.write(dst, dst_offset, self.board.read(src, src_offset, nbytes))

    def synchronize(self):
        self.board.wait()
