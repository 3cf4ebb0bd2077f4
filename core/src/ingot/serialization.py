"""Saving and loading: any nest of plain data and tensors, as one safetensors file.

The flow: `archive.Encoder` → arrays and a JSON tree → a file written beside its final name and
renamed; back: the header and every checksum are read before anything is built. A plain
``state_dict`` is an ordinary safetensors file that any other library reads, and any safetensors
file loads as a dict of tensors.
"""

from __future__ import annotations

import json
import os
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from ingot_devices.errors import DeviceUnavailable, IngotError

import ingot
from ingot.archive import Array, Decoder, Encoder
from ingot.cpu import KIND as CPU
from ingot.tensor import Tensor

FileLike = str | os.PathLike[str] | IO[bytes]
MapLocation = (
    Any  # None, a device or its name, a dict from name to name, or f(tensor, name) -> tensor
)
_VERSION = 1
_FOREIGN = {
    b"PK\x03\x04": "a zip archive, as torch.save writes it",
    b"\x80\x02": "a Python pickle",
    b"\x80\x03": "a Python pickle",
    b"\x80\x04": "a Python pickle",
    b"\x80\x05": "a Python pickle",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array file",
}


class FileFormatError(IngotError):
    """A file that `load` cannot read: another format, truncated or corrupt. Nothing was loaded."""


# ---- saving --------------------------------------------------------------------------------------


def save(obj: Any, f: FileLike) -> None:
    """Write ``obj`` to a path or a binary file object.

    ``obj`` is made of tensors (any dtype and device), None, bool, int, float, str, dtypes, and
    dicts, lists and tuples of them; TypeError names anything else. Tensors that share memory are
    stored once and share it again when loaded. A path is written atomically: whatever happens, it
    holds the old file or the new one.
    """
    encoder = Encoder(obj)
    metadata = _metadata(encoder)
    if not isinstance(f, (str, os.PathLike)):
        f.write(_safetensors().serialize(_specs(encoder.arrays), metadata=metadata))
        return
    with _replacing(Path(f)) as temporary:
        _safetensors().serialize_file(_specs(encoder.arrays), temporary, metadata=metadata)


def _metadata(encoder: Encoder) -> dict[str, str]:
    checksums = {name: _checksum(array) for name, array in encoder.arrays.items()}
    tree = json.dumps({"root": encoder.tree, "crc32": checksums}, allow_nan=False)
    return {
        "format": "ingot",
        "version": str(_VERSION),
        "tree": tree,
        "crc32": str(zlib.crc32(tree.encode())),
    }


def _checksum(array: Array) -> int:
    head = f"{array.dtype.name} {list(array.shape)}".encode()
    return zlib.crc32(array.reshape(-1).view(np.uint8).data, zlib.crc32(head))


def _specs(arrays: dict[str, Array]) -> dict[str, Any]:
    """What safetensors takes: pointers into the arrays, which the caller keeps alive."""
    spec = _safetensors().TensorSpec
    return {
        name: spec(
            dtype=array.dtype.name,
            shape=list(array.shape),
            data_ptr=array.ctypes.data,
            data_len=array.nbytes,
        )
        for name, array in arrays.items()
    }


@contextmanager
def _replacing(path: Path) -> Iterator[str]:
    """A new file beside ``path`` that takes its place once it is wholly on the disk; gone after a
    failure.
    """
    path = Path(os.path.realpath(path))  # a link stays a link
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.tmp")
    # Made here for its permissions: those of the file it replaces, else the user's default.
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        mode = (path.stat() if path.exists() else os.fstat(handle)).st_mode
        os.close(handle)
        yield str(temporary)
        os.chmod(temporary, mode & 0o777)
        _flush(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        _flush(path.parent)  # so that the new name lasts too


def _flush(path: Path) -> None:
    flags = os.O_RDONLY if os.name == "posix" else os.O_RDWR
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _safetensors() -> Any:
    import safetensors

    return safetensors


# ---- loading -------------------------------------------------------------------------------------


def load(
    f: FileLike,
    map_location: MapLocation = None,
    *,
    weights_only: bool = True,
    mmap: bool | None = None,
) -> Any:
    """Read what `save` wrote, or any safetensors file (as a dict of tensors), from a path or file
    object.

    Tensors go to the device they were saved from, or where ``map_location`` says: a device or its
    name, a dict from saved name to name, or a function of (tensor on the host, saved name).
    `FileFormatError` when the file is of another format, truncated or corrupt; nothing is loaded
    then. Nothing is ever unpickled, whatever ``weights_only`` says; ``mmap`` changes nothing.
    """
    name = f"{os.fspath(f)!r}" if isinstance(f, (str, os.PathLike)) else "the file object"
    arrays, metadata = _read(f, name)
    place = _Placer(arrays, map_location)
    if "tree" not in metadata and metadata.get("format") != "ingot":
        return {key: place(key, CPU) for key in arrays}
    try:
        return Decoder(place).decode(_checked_tree(arrays, metadata))
    except IngotError:
        raise
    except KeyError as error:
        raise FileFormatError(f"{name} is corrupt: it lacks {error}; nothing was loaded") from error
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{name} is corrupt: {error}; nothing was loaded") from error


def _read(f: FileLike, name: str) -> tuple[dict[str, Array], dict[str, str]]:
    """All arrays of a file, and its metadata."""
    library = _safetensors()
    try:
        if isinstance(f, (str, os.PathLike)):
            with library.safe_open(os.fspath(f), "np") as file:
                return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
        data = f.read()
        from safetensors.numpy import load as load_arrays

        arrays = load_arrays(data)
        head = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        return arrays, head.get("__metadata__", {})
    except OSError:
        raise
    except Exception as error:
        start = _start(f) if isinstance(f, (str, os.PathLike)) else data[:8]
        raise FileFormatError(_why(name, start, error)) from error


def _start(path: str | os.PathLike[str]) -> bytes:
    with open(path, "rb") as file:
        return file.read(8)


def _why(name: str, start: bytes, error: Exception) -> str:
    for magic, what in _FOREIGN.items():
        if start.startswith(magic):
            return (
                f"{name} is {what}. Ingot reads safetensors files only and never unpickles, because "
                "a pickle can run any code. Convert it once with the library that wrote it: "
                "safetensors.torch.save_file(torch.load(path, weights_only=True), new_path)"
            )
    return f"{name} is truncated, corrupt or no safetensors file ({error}); nothing was loaded"


def _checked_tree(arrays: dict[str, Array], metadata: dict[str, str]) -> Any:
    """The JSON tree, after every checksum was compared. ValueError when one differs."""
    if int(metadata["version"]) > _VERSION:
        raise ValueError(
            f"it has version {metadata['version']}, this ingot reads up to {_VERSION}; update ingot"
        )
    if zlib.crc32(metadata["tree"].encode()) != int(metadata["crc32"]):
        raise ValueError("the description of its content does not match its checksum")
    head = json.loads(metadata["tree"])
    if head["crc32"].keys() != arrays.keys():
        raise ValueError("its arrays are not those that were saved")
    for name, checksum in head["crc32"].items():
        if _checksum(arrays[name]) != checksum:
            raise ValueError(f"the values of {name!r} do not match their checksum")
    return head["root"]


class _Placer:
    """Makes tensors of arrays, on the device that ``map_location`` says."""

    def __init__(self, arrays: dict[str, Array], map_location: MapLocation) -> None:
        self.arrays = arrays
        self.where = map_location

    def __call__(self, name: str, saved: str) -> Tensor:
        array = self.arrays[name]
        if callable(self.where):
            host = ingot.tensor(array, device=CPU)
            placed = self.where(host, saved)
            return host.to(saved) if placed is None else placed
        wanted = self.where
        if wanted is None or isinstance(wanted, dict):
            wanted = (wanted or {}).get(saved, saved)
        try:
            return ingot.tensor(array, device=wanted)
        except DeviceUnavailable as error:
            raise DeviceUnavailable(
                f"{name!r} was saved on {saved!r} and would be loaded to {wanted!r}: {error} "
                'To load it elsewhere, give map_location, for example map_location="auto".',
                error.record,
            ) from error
