"""The disk cache: built kernels, and answers of probes, in the user's own cache folder.

Beside both flows: a device's ``build`` looks here before it calls a compiler, and `probing` before
it asks a driver. A cache is never a reason to fail: a full disk, a read-only folder or a folder
that cannot be trusted only means that nothing is kept. What is read was written by this user and
matches its checksum, or it is not used.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"ingot-cache-1\n"
_SUFFIX = ".entry"
_TEMPORARY = ".partial"
_PRIVATE = 0o700
_HEADER = len(_MAGIC) + hashlib.sha256().digest_size


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
        """What ``put`` kept, or None. A damaged entry is removed."""
        folder = self._folder(make=False)
        if folder is None:
            return None
        path = folder / _file_name(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        data = content[_HEADER:]
        if content[:_HEADER] == _MAGIC + hashlib.sha256(data).digest():
            return data
        _remove(path)
        return None

    def put(self, key: str, data: bytes) -> bool:
        """Keep ``data``; False when it could not be kept, which is no error."""
        folder = self._folder(make=True)
        if folder is None:
            return False
        temporary = None
        try:
            handle, temporary = tempfile.mkstemp(suffix=_TEMPORARY, dir=folder)
            with os.fdopen(handle, "wb") as file:
                file.write(_MAGIC + hashlib.sha256(data).digest() + data)
            os.replace(temporary, folder / _file_name(key))
        except OSError:  # a full disk or a read-only folder: build again next time
            if temporary is not None:
                _remove(Path(temporary))
            return False
        return True

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
            return folder if _private(folder) else None
        except OSError:
            return None


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
        size += path.stat().st_size
        files += _remove(path)
        folders.add(path.parent)
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


def _private(folder: Path) -> bool:
    """True for a folder of this user; kernels in anybody else's could be planted. Closes it to
    others."""
    if not hasattr(os, "getuid"):  # Windows: the user's cache folder is private by its ACL
        return folder.is_dir()
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        return False
    above = folder.parent.stat()
    anyone = above.st_mode & stat.S_IWOTH and not above.st_mode & stat.S_ISVTX
    if anyone:  # whoever can rename our folder can put another in its place
        return False
    if stat.S_IMODE(found.st_mode) != _PRIVATE:
        folder.chmod(_PRIVATE)
    return True


def _file_name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest() + _SUFFIX


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True
