"""What a definition means, element by element: the mode that specifies.

`compile_definition` turns a `Definition` into one Python function of plain loops and Python numbers
(`nest` writes them) and wraps it as a kernel that `SimDevice` can queue. Nothing is vectorised, so
nothing is reordered:

- operands are read before anything is stored; a load outside its operand's shape is an error;
- a stage of float32 is carried in float64 and rounded once, the value that every order of adding
  approximates; integers wrap at the end;
- combining stores act one by one in row-major order of their axes, rounded each time (halves once,
  at the end); without combining, an element written twice is an error;
- a check that fails writes its ticket to the status word, where the next synchronisation finds it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ingot_devices import dtypes as dt
from ingot_devices import status
from ingot_devices.codegen import Compiled, Unsupported
from ingot_devices.device import Arguments, Binding
from ingot_devices.errors import LaunchError
from ingot_devices.transfer import decode

from .emit import number
from .nest import Writer

if TYPE_CHECKING:
    from ingot_devices.dtypes import DType
    from ingot_devices.ir.definition import Definition, Operand
    from ingot_devices.layout import Layout
    from ingot_devices.limits import DTypeClass

    from .device import SimDevice

ONE = (1, 1, 1)


@dataclass(frozen=True)
class Held:
    """How one operand lies in memory: its layout, and the form in which the device keeps it."""

    operand: Operand
    layout: Layout
    kept: DTypeClass

    def load(self, buffer: memoryview, offset: int) -> list[Any]:
        """The values from the first to the last element, gaps included, as Python numbers."""
        stored = np.frombuffer(self._window(buffer, offset), self.kept.storage.numpy)
        logical = decode(stored, self.operand.dtype, self.kept)
        return list((logical.astype(np.float64) if self.operand.dtype.kind == "f" else logical).tolist())

    def memory(self, buffer: memoryview, offset: int) -> Any:
        """The same range as elements that can be stored to, in their storage form."""
        return typed(self._window(buffer, offset), self.kept.storage)

    def _window(self, buffer: memoryview, offset: int) -> memoryview:
        item = self.kept.storage.itemsize
        start, end = offset * item, (offset + self.layout.span) * item
        if start < 0 or end > len(buffer):
            raise LaunchError(
                f"sim: {self.operand.name} ({self.layout}) at element {offset} reaches byte {end} of a "
                f"buffer of {len(buffer)} bytes"
            )
        return buffer[start:end]


def typed(memory: Any, d: DType) -> Any:
    """Bytes as a memoryview of elements of the storage type ``d``; halves are kept as their bits."""
    letter = "H" if d in (dt.float16, dt.bfloat16) else d.numpy.char
    return memory.cast({"l": "q", "L": "Q"}.get(letter, letter))


class DefinitionKernel:
    """One definition for operands of given layouts, as a kernel."""

    local_bytes = 0

    def __init__(self, definition: Definition, held: Sequence[Held]) -> None:
        self.name = definition.name
        self.held = tuple(held)
        self.codes = tuple(c.code for c in definition.checks)
        writer = Writer(definition, {h.operand.number: h for h in held})
        self.params = tuple(writer.numbers.items())
        self.source, names = writer.finish()
        exec(compile(self.source, f"<sim {definition.name}>", "exec"), names)
        self._function: Callable[..., None] = names["kernel"]
        packed = "qq" * len(held) + "".join(_packed(d) for _, d in self.params)
        self._scalars = struct.Struct("=" + packed + ("qq" if self.codes else ""))

    def arguments(self, device: SimDevice, operands: Sequence[Any]) -> Arguments:
        """The launch's arguments for native views (handle, offset) and numbers at their operands.

        Scalars are (number of the binding, offset) of each tensor, the params, and where there are
        checks the status word's binding and the launch's ticket.
        """
        access: dict[int, str] = {}
        places: list[int] = []
        for h in self.held:
            handle, offset = operands[h.operand.number]
            access[handle] = _join(access.get(handle, ""), _access(h.operand))
            places += [list(access).index(handle), offset]
        values = [number(operands[n], _widest(d)) for n, d in self.params]
        if self.codes:
            access[status.word(device)] = "rw"
            values += [len(access) - 1, status.ticket(device, self.name, self.codes)]
        bindings = tuple(Binding(handle, how) for handle, how in access.items())
        return Arguments(bindings, self._scalars.pack(*places, *values))

    def run(self, device: SimDevice, grid: Any, block: Any, buffers: list[memoryview], scalars: bytes) -> None:
        """Compute all of it on the buffers of the bindings."""
        values = self._scalars.unpack(scalars)
        loads: list[Any] = []
        memories: list[Any] = []
        for k, h in enumerate(self.held):
            buffer, offset = buffers[values[2 * k]], values[2 * k + 1]
            loads.append(h.load(buffer, offset) if h.operand.input else None)
            memories.append(h.memory(buffer, offset) if h.operand.output else None)
        failed: list[int] = []
        self._function(loads, memories, values[2 * len(self.held) :], failed)
        if failed:
            word = buffers[values[-2]].cast("i")
            word[0] = word[0] or values[-1] + failed[0]  # the first failure is the one that is told


def _widest(d: DType) -> DType:
    """A Python float keeps its digits: what is cast to float64 was never rounded to float32."""
    return dt.float64 if d.kind == "f" else d


def _packed(d: DType) -> str:
    return {"f": "d", "b": "?", "u": "Q"}.get(d.kind, "q")


def _access(operand: Operand) -> str:
    return ("r" if operand.input else "") + ("w" if operand.output else "")


def _join(a: str, b: str) -> str:
    return "".join(c for c in "rw" if c in a + b)


def compile_definition(definition: Definition, layouts: Mapping[int, Layout], device: SimDevice) -> Compiled:
    """A launch of ``definition``; Unsupported where the device's limits forbid it."""
    limits = device.limits
    held = [Held(o, layouts[o.number], limits.dtype_class(o.dtype)) for o in definition.operands]
    for h in held:
        if h.kept.kind == "refused":
            raise Unsupported(f"{h.operand.name} is {h.operand.dtype.name}: {h.kept.reason}")
    count = len(held) + bool(definition.checks)
    if count > limits.max_bindings:
        raise Unsupported(f"{count} buffers, and max_bindings is {limits.max_bindings}")
    kernel = DefinitionKernel(definition, held)
    entry = device.build(kernel, definition.name)

    def call(*operands: Any) -> None:
        device.launch(entry, ONE, ONE, kernel.arguments(device, operands))

    return Compiled(call, f"{definition}\n\n{kernel.source}")
