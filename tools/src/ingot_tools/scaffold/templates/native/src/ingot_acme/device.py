"""An open Acme board: memory, copies, synchronize; and kernels that are generated for it."""

from ingot_devices import Device, Limits
from ingot_devices import dtypes as dt
from ingot_devices.codegen.schedule import ScheduleCodegen
from ingot_devices.errors import KernelBuildError
from ingot_devices.limits import DTypeClass

from .dialect import Renderer
from .driver import Board

HALVES = {
    dt.float16: DTypeClass("stored", dt.float16, dt.float32),
    dt.bfloat16: DTypeClass("stored", dt.uint16, dt.float32),
}


class AcmeDevice(Device):
    """Memory and vector unit of one board. A handle is whatever the driver calls its memory by."""

    codegen = ScheduleCodegen(Renderer())

    def __init__(self, index):
        self.board = Board(index)
        self.limits = Limits(
            memory=self.board.size,
            max_buffer=self.board.size,
            max_workgroup=1,
            max_grid=(1 << 31, 1, 1),
            workgroup_memory=0,
            lanes=1 << 16,
            vector_bytes=1,
            compute_units=64,
            dtypes=HALVES,
        )

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

    def build(self, source, name):
        try:
            return self.board.compile(source, name)
        except SyntaxError as error:
            raise KernelBuildError(f"{name} could not be built: {error}", source) from error

    def launch(self, entry, grid, block, arguments, stream=None):
        self.board.launch(entry, grid[0], [b.handle for b in arguments.bindings], arguments.scalars)
