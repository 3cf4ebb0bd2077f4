"""Messages between a DataLoader and its workers: tensors travel as NumPy arrays, outside the pickle
stream.

Only a loader and the processes that it started itself talk this way; no file is ever read by it.
"""

from __future__ import annotations

import io
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
from ingot_devices.errors import DeviceUnavailable
from ingot_devices.transfer import read

import ingot
from ingot.nn.parameter import Parameter
from ingot.tensor import Tensor


def _rebuild(array: np.ndarray[Any, Any], requires_grad: bool, parameter: bool) -> Tensor:
    tensor = _on_host(array)
    if parameter:
        return Parameter(tensor, requires_grad)
    return tensor.requires_grad_() if requires_grad else tensor


def _on_host(array: np.ndarray[Any, Any]) -> Tensor:
    try:
        return ingot.from_numpy(array)
    except DeviceUnavailable:  # the CPU is switched off: the default device, then
        return ingot.tensor(array)


class _Pickler(pickle.Pickler):
    """Reduces a tensor, wherever it is within an object, to the NumPy array of its values."""

    def reducer_override(self, obj: Any) -> Any:
        if not isinstance(obj, Tensor):
            return NotImplemented
        array = np.ascontiguousarray(read(obj)).reshape(tuple(obj.shape))
        return _rebuild, (array, bool(obj.requires_grad), isinstance(obj, Parameter))


class Packed:
    """An object as bytes: the pickle stream, and the arrays' own buffers, which are not copied."""

    def __init__(self, value: Any) -> None:
        stream = io.BytesIO()
        self.buffers: list[pickle.PickleBuffer] = []
        _Pickler(stream, 5, buffer_callback=self.buffers.append).dump(value)
        self.stream = stream.getbuffer()

    def send(self, connection: Any) -> None:
        """Write it to a `multiprocessing` connection."""
        buffers = [buffer.raw() for buffer in self.buffers]
        connection.send_bytes(np.array([b.nbytes for b in buffers], np.int64).tobytes())
        connection.send_bytes(self.stream)
        for buffer in buffers:
            connection.send_bytes(buffer)


def receive(connection: Any) -> Any:
    """The next object that `Packed.send` wrote; EOFError when the other end is gone."""
    sizes = np.frombuffer(connection.recv_bytes(), np.int64).tolist()
    stream = connection.recv_bytes()
    buffers = []
    for size in sizes:
        buffer = bytearray(size)
        connection.recv_bytes_into(buffer)
        buffers.append(buffer)
    return pickle.loads(stream, buffers=buffers)


class Failure:
    """An exception on its way from a worker: its class and the text of its traceback."""

    def __init__(self, error: BaseException, where: str) -> None:
        self.kind: Callable[[str], BaseException] = type(error)
        self.text = (
            f"Caught {type(error).__name__} {where}.\n"
            f"Original {''.join(traceback.format_exception(error))}"
        )
        try:
            pickle.loads(pickle.dumps(self.kind))
        except Exception:  # a class that the main process cannot name
            self.kind = RuntimeError

    def reraise(self) -> None:
        """Raise it here, as its own class where that takes a message, else as RuntimeError."""
        if self.kind is KeyError:  # whose str() would show the text as one quoted line
            raise KeyError(_Text(self.text))
        if self.kind is StopIteration:  # which would end the loop without a word
            raise RuntimeError(self.text)
        try:
            error = self.kind(self.text)
        except Exception:
            raise RuntimeError(self.text) from None
        raise error


class _Text(str):
    """A string that is its own repr."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)
