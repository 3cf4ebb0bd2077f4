"""Launches on their way to the queue: encoded one by one, submitted together.

A submission costs ten times what a dispatch in it does, so `device` encodes into one command buffer until something has to
happen: a copy, a wait, a buffer given back, or no slot left for scalars. The scalars of a launch lie in a slot of the
uniform buffer, which is written before the command buffer runs; a slot is used once in a batch.
"""

from __future__ import annotations

from typing import Any

import wgpu

from .limits import GRANULE, SCALARS

_SLOTS = 1 << 18  # bytes of the uniform buffer
_LONGEST = 64  # dispatches: the device is not left waiting for more


class Batch:
    """What is encoded and not yet submitted. Its caller holds the device's lock."""

    slot_bytes = SCALARS  # what a bind group shows of the uniform buffer from a slot on

    def __init__(self, device: Any) -> None:
        self.device = device
        usage = wgpu.BufferUsage.UNIFORM | wgpu.BufferUsage.COPY_DST | wgpu.BufferUsage.COPY_SRC
        self.uniform = device.create_buffer(size=_SLOTS + SCALARS, usage=usage)
        self.encoder: Any = None
        self.work: Any = None  # the open compute pass
        self.pipeline: Any = None  # what is set in it
        self.scalars = bytearray()
        self.count = 0

    def slot(self, scalars: bytes) -> int:
        """Where ``scalars``, and a word of zeros, will lie in the uniform buffer."""
        if len(self.scalars) + len(scalars) + GRANULE > _SLOTS:
            self.submit()
        start = len(self.scalars)
        self.scalars += scalars
        self.scalars += bytes(-(len(scalars) + 16) % GRANULE + 16)
        return start

    def dispatch(self, pipeline: Any, group: Any, slot: int | None, grid: tuple[int, int, int]) -> None:
        """Encode one launch."""
        if self.work is None:
            self.encoder = self.encoder or self.device.create_command_encoder()
            self.work, self.pipeline = self.encoder.begin_compute_pass(), None
        if pipeline is not self.pipeline:
            self.work.set_pipeline(pipeline)
            self.pipeline = pipeline
        self.work.set_bind_group(0, group, [] if slot is None else [slot])
        self.work.dispatch_workgroups(*grid)
        self.count += 1
        if self.count >= _LONGEST:
            self.submit()

    def copy(self, src: Any, start: int, dst: Any, to: int, nbytes: int) -> None:
        """Encode a copy between two buffers."""
        self._end()
        self.encoder = self.encoder or self.device.create_command_encoder()
        self.encoder.copy_buffer_to_buffer(src, start, dst, to, nbytes)

    def submit(self) -> None:
        """Send what is encoded to the queue."""
        if self.encoder is None:
            return
        try:
            self._end()
            if self.scalars:
                self.device.queue.write_buffer(self.uniform, 0, self.scalars)
            self.device.queue.submit([self.encoder.finish()])
        finally:
            self.drop()

    def drop(self) -> None:
        """Forget what is encoded."""
        self.encoder = self.work = self.pipeline = None
        self.scalars = bytearray()
        self.count = 0

    def _end(self) -> None:
        if self.work is not None:
            self.work.end()
            self.work = None
