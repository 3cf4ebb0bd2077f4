"""Weights from a file: safetensors through `ingot.load`, or the zip archive that ``torch.save`` writes of a state dict.

Such an archive names its tensors in a pickle. It is read with a table of the six names that a state dict uses; any other is
refused, so nothing in a file is ever run. A tensor is a piece of a storage, which is a file of the archive.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

import ingot
from ingot.serialization import FileFormatError

Array = np.ndarray[Any, Any]
_STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool",
}  # fmt: skip


class _Kind(NamedTuple):
    """A storage's class, by its dtype."""

    dtype: str


def read_weights(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    """The state dict at ``path``; `FileFormatError` for a file that holds none."""
    with Path(path).open("rb") as file:
        head = file.read(4)
    state = _from_archive(path) if head == b"PK\x03\x04" else ingot.load(path)
    if not isinstance(state, Mapping) or not all(isinstance(v, ingot.Tensor) for v in state.values()):
        raise FileFormatError(f"{path} holds no state dict (names and tensors); save model.state_dict()")
    return state


def _from_archive(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            listed = [n for n in archive.namelist() if n.endswith("/data.pkl")]
            if len(listed) != 1:
                raise FileFormatError(f"{path} is a zip archive, but not of torch.save: it has no data.pkl")
            found = _Reader(archive, listed[0].removesuffix("data.pkl")).load()
    except FileFormatError:
        raise
    except Exception as error:  # whatever a damaged archive or pickle makes of the readers
        raise FileFormatError(f"{path} cannot be read as a state dict of torch.save: {error}") from error
    if not isinstance(found, Mapping):
        raise FileFormatError(f"{path} holds no state dict; save model.state_dict()")
    return {name: ingot.from_numpy(v) if isinstance(v, np.ndarray) else v for name, v in found.items()}


class _Reader(pickle.Unpickler):
    """Builds arrays, and nothing else."""

    def __init__(self, archive: zipfile.ZipFile, prefix: str) -> None:
        super().__init__(io.BytesIO(archive.read(prefix + "data.pkl")))
        self.archive, self.prefix = archive, prefix
        order = prefix + "byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise FileFormatError("its numbers are big-endian; save it again on a little-endian machine")

    def find_class(self, module: str, name: str) -> Any:
        """The few names of a state dict."""
        if module == "torch" and name in _STORAGES:
            return _Kind(_STORAGES[name])
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): _parameter,
        }
        if (module, name) not in known:
            raise FileFormatError(f"it names {module}.{name}, which no state dict needs; nothing of it was run. Save "
                                  "model.state_dict(), or convert the file with safetensors")
        return known[module, name]

    def persistent_load(self, pid: Any) -> Array:
        """A storage: ("storage", class, its file, the device it was on, how many elements)."""
        kind, storage, key, _, count = pid
        if kind != "storage" or not isinstance(storage, _Kind):
            raise FileFormatError(f"it refers to {kind!r}, which no state dict has")
        dtype = np.dtype(ml_dtypes.bfloat16 if storage.dtype == "bfloat16" else storage.dtype)
        return np.frombuffer(self.archive.read(f"{self.prefix}data/{key}"), dtype, count)


def _tensor(storage: Array, offset: int, size: Sequence[int], stride: Sequence[int], *rest: Any) -> Array:
    """The elements of a storage that a tensor saw."""
    reach = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if math.prod(size) and not 0 <= offset <= reach < storage.size:
        raise FileFormatError(f"a tensor of {list(size)} reaches element {reach} of a storage of {storage.size}")
    strides = tuple(s * storage.itemsize for s in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], tuple(size), strides).copy()


def _parameter(data: Array, *rest: Any) -> Array:
    return data
