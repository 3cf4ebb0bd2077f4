"""The disk cache: what is read is whole and one's own, and nothing about it is ever an error."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from ingot_devices import cache
from ingot_devices.cache import Cache, Usage


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INGOT_CACHE_DIR", str(tmp_path / "kept"))
    return tmp_path / "kept"


def entry(folder: Path, namespace: str = "kernels") -> Path:
    """The one file of a namespace."""
    (found,) = (folder / namespace).iterdir()
    return found


def test_what_is_put_is_got(folder: Path) -> None:
    kept = Cache("kernels")
    assert kept.get("a") is None
    assert kept.put("a", b"\x00binary\xff")
    assert kept.put("b", b"")
    assert (kept.get("a"), kept.get("b")) == (b"\x00binary\xff", b"")
    assert Cache("others").get("a") is None
    assert kept.put("a", b"newer")
    assert kept.get("a") == b"newer"
    kept.remove("a")
    assert kept.get("a") is None


def test_a_key_may_be_any_text(folder: Path) -> None:
    kept = Cache("kernels")
    for key in ("../../escape", "a/b", "ü" * 500, ""):
        assert kept.put(key, key.encode())
        assert kept.get(key) == key.encode()
    assert {p.parent for p in folder.rglob("*.entry")} == {folder / "kernels"}


@pytest.mark.parametrize("namespace", ["", "..", "a/b", "a b"])
def test_a_namespace_is_one_folder_name(namespace: str) -> None:
    with pytest.raises(ValueError, match="a cache's namespace is letters"):
        Cache(namespace)


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "foreign"])
def test_a_damaged_entry_is_removed(folder: Path, damage: str) -> None:
    kept = Cache("kernels")
    kept.put("a", b"x" * 1000)
    path = entry(folder)
    whole = path.read_bytes()
    path.write_bytes({
        "truncate": whole[:-1],
        "flip": whole[:-1] + bytes([whole[-1] ^ 1]),
        "empty": b"",
        "foreign": b"#!/bin/sh\n" * 100,
    }[damage])  # fmt: skip
    assert kept.get("a") is None
    assert not path.exists()


def test_key_tells_parts_apart() -> None:
    keys = {cache.key(*parts) for parts in (("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""))}
    assert len(keys) == 4
    assert cache.key("a", b"b") == cache.key(b"a", "b")


def test_folders_are_private(folder: Path) -> None:
    Cache("kernels").put("a", b"1")
    for path, mode in ((folder, 0o700), (folder / "kernels", 0o700), (entry(folder), 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    (folder / "kernels").chmod(0o777)
    assert Cache("kernels").get("a") == b"1"
    assert stat.S_IMODE((folder / "kernels").stat().st_mode) == 0o700


def test_a_folder_of_somebody_else_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Cache("kernels")
    kept.put("a", b"1")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert kept.get("a") is None
    assert not kept.put("b", b"2")


def test_a_link_in_place_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "planted").mkdir()
    folder.mkdir()
    (folder / "kernels").symlink_to(tmp_path / "planted")
    assert not Cache("kernels").put("a", b"1")
    assert list((tmp_path / "planted").iterdir()) == []


def test_a_root_where_anyone_may_rename_is_refused(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    assert not Cache("kernels").put("a", b"1")
    folder.chmod(0o1777)  # with the sticky bit, as /tmp has it
    assert Cache("kernels").put("a", b"1")


def test_a_full_disk_is_no_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Cache("kernels")
    kept.put("a", b"1")

    def full(source: str, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert not kept.put("a", b"2")
    assert kept.get("a") == b"1"
    assert len(list((folder / "kernels").iterdir())) == 1  # no temporary file stays


def test_a_root_that_cannot_be_made_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("INGOT_CACHE_DIR", str(tmp_path / "file" / "below"))
    assert not Cache("kernels").put("a", b"1")
    assert Cache("kernels").get("a") is None
    assert cache.usage() == []


def test_usage_and_clear(folder: Path) -> None:
    for namespace, key, size in (("a", "1", 10), ("a", "2", 20), ("b", "1", 30)):
        Cache(namespace).put(key, b"x" * size)
    stranger = folder / "a" / "notes.txt"
    stranger.write_text("mine")
    header = 14 + 32
    assert cache.usage() == [Usage("a", 2, 30 + 2 * header), Usage("b", 1, 30 + header)]
    assert cache.clear() == Usage("", 3, 60 + 3 * header)
    assert cache.usage() == []
    assert stranger.exists()
    assert not (folder / "b").exists()


WRITER = """
import sys
from ingot_devices.cache import Cache
kept = Cache("kernels")
for n in range(200):
    kept.put("shared", sys.argv[1].encode() * 5000)
    found = kept.get("shared")
    assert found is None or len(set(found)) == 1 and len(found) == 5000, found
"""


def test_processes_write_at_once(folder: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, letter]) for letter in "abc"]
    assert [w.wait(60) for w in writers] == [0, 0, 0]
    found = Cache("kernels").get("shared")
    assert found is not None
    assert len(list((folder / "kernels").iterdir())) == 1


def test_the_default_folder_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("INGOT_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert cache.root() == tmp_path / "ingot"
    assert cache.root().name == "ingot" or "ingot" in cache.root().parts
