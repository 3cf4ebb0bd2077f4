"""A device that builds and launches nothing: planning and rendering are tested on it, with anybody's limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.codegen.c_family import CRenderer
from ingot_devices.codegen.schedule import ScheduleCodegen
from ingot_devices.device import Arguments, Device
from ingot_devices.dtypes import DType
from ingot_devices.ir.definition import Definition
from ingot_devices.layout import Layout
from ingot_devices.limits import DTypeClass, Limits, refused
from ingot_devices.memory import Pool
from ingot_devices.opset import OPS, Spec
from ingot_opencl.dialect import DIALECT

KEPT = {
    dt.bool_: DTypeClass("stored", dt.uint8, dt.bool_),
    dt.float16: DTypeClass("stored", dt.float16, dt.float32),
    dt.bfloat16: DTypeClass("stored", dt.uint16, dt.float32),
    dt.float64: refused(dt.float64, "this device has no float64"),
}
CPU = Limits(lanes=1, compute_units=4, dtypes=KEPT)
GPU = Limits(lanes=32, compute_units=16, dtypes=KEPT)


class NullDevice(Device):
    """Keeps the sources that it is asked to build and the launches that it is asked to make."""

    def __init__(self, limits: Limits = CPU, renderer: Any = None, **changes: Any) -> None:
        self.name, self.kind = "null:0", "null"
        self.limits = dataclasses.replace(limits, **changes)
        self.codegen = ScheduleCodegen(renderer or CRenderer(DIALECT))  # type: ignore[misc]  # one for each device, not for the class
        self.sources: list[str] = []
        self.launches: list[tuple[str, tuple[int, int, int], tuple[int, int, int], Arguments]] = []
        self.pool = Pool(self)

    def allocate(self, nbytes: int) -> Any:
        return bytearray(nbytes)

    def release(self, handle: Any) -> None:
        handle.clear()

    def copy_in(self, handle: Any, offset: int, data: memoryview) -> None:
        handle[offset : offset + data.nbytes] = bytes(data)

    def copy_out(self, handle: Any, offset: int, data: memoryview) -> None:
        data.cast("B")[:] = handle[offset : offset + data.nbytes]

    def synchronize(self) -> None:
        return

    def build(self, source: str, name: str) -> str:
        self.sources.append(source)
        return source

    def launch(self, entry: str, grid: Any, block: Any, arguments: Arguments, stream: Any = None) -> None:
        self.launches.append((entry, grid, block, arguments))


def shaped(*shape: int, dtype: DType = dt.float32) -> Spec:
    """The spec of a tensor operand."""
    return Spec.of(shape, dtype)


def defined(name: str, specs: Sequence[Spec | None], **attrs: Any) -> tuple[Definition, ...]:
    """The definitions of an op for these operands."""
    op = OPS[name]
    given = op.bind(attrs)
    return op.definitions(specs, given, op.infer(specs, given))


def dense(definition: Definition, device: Device) -> dict[int, Layout]:
    """Row-major layouts for all operands."""
    return {o.number: Layout.dense(o.shape, o.dtype, device) for o in definition.operands}


def compiled(device: NullDevice, name: str, specs: Sequence[Spec | None], **attrs: Any) -> list[Any]:
    """The op compiled for dense operands, one `Compiled` for each definition."""
    return [device.codegen.compile(d, dense(d, device), device) for d in defined(name, specs, **attrs)]
