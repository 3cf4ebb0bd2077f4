"""The disk cache: built kernels, and answers of probes, in the user's own cache folder.

Beside both flows: a device's ``build`` looks here before it calls a compiler, and `probing` before
it asks a driver. A cache is never a reason to fail: a full disk, a read-only folder or a folder
that cannot be trusted only means that nothing is kept (the last is told once, as a `CacheWarning`).

What is read was written whole, by this user, under this very key, or it is not used: an entry is a regular file of this
user's that nobody else may write to, and its checksum covers namespace and key beside the data. It is written beside its
place and renamed into it, so a process that is killed leaves the old entry or the new one, and at most a file that the next
writer sweeps away.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"ingot-cache-2\n"
_SUFFIX = ".entry"
_TEMPORARY = ".partial"
_PRIVATE = 0o700
_READ = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_HEADER = len(_MAGIC) + hashlib.sha256().digest_size
_ABANDONED = 3600.0
"""Seconds after which a file that somebody began to write is nobody's any more."""
_told: set[Path] = set()
_swept: set[Path] = set()


class CacheWarning(UserWarning):
    """Nothing is kept in a folder, or taken from it, because it is not this user's alone."""


@dataclass(frozen=True)
class Usage:
    """What one namespace holds."""

    namespace: str
    files: int
    bytes: int


def root() -> Path:
    """The folder of all namespaces: ``INGOT_CACHE_DIR``, else the platform's folder for caches."""
    given = os.environ.get("INGOT_CACHE_DIR")
    if given:
        return Path(given).expanduser()
    from platformdirs import user_cache_path  # late: only the first use of a cache needs it

    return user_cache_path("ingot")


def key(*parts: str | bytes) -> str:
    """A name for what depends on ``parts``, in order: source, target fingerprint, versions."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))  # so that ("ab", "c") is not ("a", "bc")
        digest.update(data)
    return digest.hexdigest()


class Cache:
    """Bytes by key, in a namespace of its own (``"opencl"``). Safe from threads and processes."""

    def __init__(self, namespace: str) -> None:
        if not namespace.replace("_", "").replace("-", "").isalnum():
            raise ValueError(f"a cache's namespace is letters, digits, - and _; got {namespace!r}")
        self.namespace = namespace

    def get(self, key: str) -> bytes | None:
        """What ``put`` kept, or None. A damaged entry is removed, and so is one that somebody else may have written."""
        folder = self._folder(make=False)
        if folder is None:
            return None
        path = folder / _file_name(key)
        try:
            content = _own_content(path)
        except OSError:
            return None
        if content is not None:
            data = content[_HEADER:]
            if content[:_HEADER] == self._header(key, data):
                return data
        _remove(path)
        return None

    def put(self, key: str, data: bytes) -> bool:
        """Keep ``data``; False when it could not be kept, which is no error."""
        folder = self._folder(make=True)
        if folder is None:
            return False
        _sweep(folder)
        temporary = None
        try:
            handle, temporary = tempfile.mkstemp(suffix=_TEMPORARY, dir=folder)
            with os.fdopen(handle, "wb") as file:
                file.write(self._header(key, data) + data)
            os.replace(temporary, folder / _file_name(key))
        except OSError:  # a full disk or a read-only folder: build again next time
            if temporary is not None:
                _remove(Path(temporary))
            return False
        return True

    def _header(self, key: str, data: bytes) -> bytes:
        """What stands before ``data``: also a whole entry is none in the place of another."""
        name = f"{self.namespace}/{_file_name(key)}".encode()
        return _MAGIC + hashlib.sha256(name + b"\n" + data).digest()

    def remove(self, key: str) -> None:
        """Forget one entry."""
        folder = self._folder(make=False)
        if folder is not None:
            _remove(folder / _file_name(key))

    def _folder(self, make: bool) -> Path | None:
        """The namespace's folder, if nobody but this user can write there."""
        folder = root() / self.namespace
        try:
            if make:
                folder.parent.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
                folder.mkdir(mode=_PRIVATE, exist_ok=True)
            fault = _fault(folder)
        except OSError:
            return None
        if fault and folder not in _told:
            _told.add(folder)
            warnings.warn(f"nothing is kept in the cache folder {folder}, nor taken from it: {fault}. Name a folder of your "
                          "own in INGOT_CACHE_DIR", CacheWarning, stacklevel=4)  # fmt: skip
        return None if fault else folder


def usage() -> list[Usage]:
    """What each namespace holds, sorted by name."""
    found: dict[str, list[int]] = {}
    for path in _entries():
        try:
            size = path.stat().st_size
        except OSError:  # removed meanwhile by another process
            continue
        found.setdefault(path.parent.name, []).append(size)
    return [Usage(name, len(sizes), sum(sizes)) for name, sizes in sorted(found.items())]


def clear() -> Usage:
    """Remove every entry, and say how many and how large they were. Other files stay."""
    files = size = 0
    folders = set()
    for path in _entries():
        folders.add(path.parent)
        try:
            found = path.stat().st_size
            path.unlink()
        except OSError:  # removed meanwhile by another process
            continue
        files, size = files + 1, size + found
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:  # somebody keeps a file of their own there
            continue
    return Usage("", files, size)


def _entries() -> list[Path]:
    """Only files that `Cache` wrote: INGOT_CACHE_DIR may be a folder with other things in it."""
    try:
        return sorted(p for end in (_SUFFIX, _TEMPORARY) for p in root().glob(f"*/*{end}"))
    except OSError:
        return []


def _fault(folder: Path) -> str:
    """Why a folder is not this user's alone; empty for one that is. Closes it to others."""
    if not hasattr(os, "getuid"):  # Windows: the user's cache folder is private by its ACL
        return "" if folder.is_dir() else "it is no folder"
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        return "it is no folder"
    if found.st_uid != os.getuid():
        return "it belongs to another user"
    above = folder.parent.stat()
    if above.st_mode & stat.S_IWOTH and not above.st_mode & stat.S_ISVTX:
        return f"anybody may rename what is in {folder.parent}, and put another in its place"
    if stat.S_IMODE(found.st_mode) != _PRIVATE:
        folder.chmod(_PRIVATE)  # what others have put there before is told by its owner
    return ""


def _own_content(path: Path) -> bytes | None:
    """The content of a file of this user's that nobody else may write to; None for any other file."""
    handle = os.open(path, _READ)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            return None
        if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & _OTHERS):
            return None
        return file.read()


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed have begun to write; once for each folder and process."""
    if folder in _swept:
        return
    _swept.add(folder)
    for path in folder.glob(f"*{_TEMPORARY}"):
        try:
            old = time.time() - path.stat().st_mtime > _ABANDONED
        except OSError:  # its writer was quicker
            continue
        if old:
            _remove(path)


def _file_name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest() + _SUFFIX


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True
