"""Running a definition on sim or on the host: what the tests of definitions and of scalar operators share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ingot_devices import dtypes as dt
from ingot_devices import status
from ingot_devices.codegen.host import HostCodegen
from ingot_devices.ir.definition import Define, Definition, Operand
from ingot_devices.layout import Layout
from ingot_devices.memory import Pool
from ingot_sim.config import LIMITS, SimConfig
from ingot_sim.device import SimDevice

Array = Any


def opened(mode: str = "definition", limits: str = "default") -> SimDevice:
    device = SimDevice(SimConfig(limits=LIMITS[limits], mode=mode, seed=5))
    device.name = "sim:0"
    device.pool = Pool(device)  # where the status word comes from
    return device


def on_sim(device: SimDevice, definition: Definition, operands: Sequence[Any], outputs: Sequence[Array]) -> None:
    """Run on ``device``; operands are arrays (maybe strided views) or numbers, outputs are written in place."""
    layouts: dict[int, Layout] = {}
    given: list[Any] = []
    handles: dict[int, int] = {}
    for n, x in enumerate([*operands, *outputs]):
        if not isinstance(x, np.ndarray):
            given.append(x)
            continue
        base = _base(x)
        if id(base) not in handles:
            handles[id(base)] = device.allocate(-(-max(base.nbytes, 1) // 256) * 256)
            if base.nbytes:
                device.copy_in(handles[id(base)], 0, base.reshape(-1).view(np.uint8).data)
        strides = tuple(s // x.itemsize for s in x.strides)
        layouts[n] = Layout.of(x.shape, strides, dt.from_numpy(x.dtype), device)
        given.append((handles[id(base)], (_address(x) - _address(base)) // x.itemsize))
    device.codegen.compile(definition, layouts, device).call(*given)
    for x in outputs:
        base = _base(x)
        if base.nbytes:
            device.copy_out(handles[id(base)], 0, base.reshape(-1).view(np.uint8).data)
    status.check(device)
    device.synchronize()


def _base(x: Array) -> Array:
    while isinstance(x.base, np.ndarray):
        x = x.base
    return x


def _address(x: Array) -> int:
    return int(x.__array_interface__["data"][0])


def on_host(definition: Definition, operands: Sequence[Any], outputs: Sequence[Array]) -> None:
    arrays = [*operands, *outputs]
    layouts = {
        n: Layout.of(x.shape, tuple(s // x.itemsize for s in x.strides), dt.from_numpy(x.dtype), None)
        for n, x in enumerate(arrays)
        if isinstance(x, np.ndarray)
    }
    HostCodegen().compile(definition, layouts, None).call(*arrays)


Runner = Callable[[Definition, Sequence[Any], Sequence[Array]], None]


def operands(inputs: Sequence[Array], outputs: Sequence[Array]) -> list[Operand]:
    """The operands of arrays: inputs, then outputs."""
    made = [Operand(n, f"x{n}", dt.from_numpy(x.dtype), x.shape) for n, x in enumerate(inputs)]
    for k, x in enumerate(outputs, len(made)):
        made.append(Operand(k, f"out{k}", dt.from_numpy(x.dtype), x.shape, output=True, input=False))
    return made


Write = Callable[..., None]


def define(write: Write, inputs: Sequence[Array], outputs: Sequence[Array], **kwargs: Any) -> Definition:
    """``write(d, *inputs)`` as a definition over the arrays' shapes."""
    made = operands(inputs, outputs)
    d = Define(write.__name__, made)
    write(d, *made[: len(inputs)], **kwargs)
    return d.finish()


def computed(run: Runner, write: Write, inputs: Sequence[Array], out: Array, **kwargs: Any) -> Array:
    """What ``write`` stores into an array like ``out``."""
    run(define(write, inputs, [out], **kwargs), inputs, [out])
    return out
