"""The disk cache: what is read is whole and one's own, and nothing about it is ever an error."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from ingot_devices import cache
from ingot_devices.cache import Cache, CacheWarning, Usage


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


def test_no_byte_of_an_entry_can_be_another(folder: Path) -> None:
    kept = Cache("kernels")
    kept.put("a", bytes(range(100)))
    path = entry(folder)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        assert kept.get("a") is None, f"byte {place}"
        assert not path.exists(), f"byte {place}"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert kept.get("a") is None, f"{length} bytes"


def test_a_whole_entry_in_the_place_of_another_is_refused(folder: Path) -> None:
    kept, other = Cache("kernels"), Cache("others")
    kept.put("a", b"of a")
    first = entry(folder)
    content = first.read_bytes()
    kept.remove("a")
    kept.put("b", b"of b")
    entry(folder).write_bytes(content)
    assert kept.get("b") is None
    other.put("a", b"of another namespace")
    entry(folder, "others").write_bytes(content)
    assert other.get("a") is None


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


def test_what_others_may_have_written_is_not_used(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Cache("kernels")
    kept.put("a", b"1")
    path = entry(folder)
    for mode in (0o620, 0o602):
        kept.put("a", b"1")
        path.chmod(mode)
        assert kept.get("a") is None, oct(mode)
        assert not path.exists()
    kept.put("a", b"1")
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert kept.get("a") is None
    path.unlink()
    os.mkfifo(path)  # opening one would wait for a writer
    assert kept.get("a") is None
    kept.put("a", b"1")
    uid = os.getuid()
    of_folder = os.lstat(folder / "kernels")
    real = os.fstat
    monkeypatch.setattr(os, "fstat", lambda handle: os.stat_result((*real(handle)[:4], uid + 1, *real(handle)[5:])))
    assert of_folder.st_uid == uid
    assert kept.get("a") is None, "a file that another user put there while the folder was open"


def test_a_folder_of_somebody_else_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Cache("kernels")
    kept.put("a", b"1")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.warns(CacheWarning, match="kernels, nor taken from it: it belongs to another user. Name a folder of your own"):
        assert kept.get("a") is None
    assert not kept.put("b", b"2")  # told once


def test_a_link_in_place_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "planted").mkdir()
    folder.mkdir()
    (folder / "kernels").symlink_to(tmp_path / "planted")
    with pytest.warns(CacheWarning, match="it is no folder"):
        assert not Cache("kernels").put("a", b"1")
    assert list((tmp_path / "planted").iterdir()) == []


def test_a_root_where_anyone_may_rename_is_refused(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.warns(CacheWarning, match="anybody may rename what is in .*kept, and put another in its place"):
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


ENDED = """
import os, resource, signal, sys
from ingot_devices.cache import Cache
kept, how, when = Cache("kernels"), sys.argv[1], int(sys.argv[2])
assert kept.get("a") == b"old" * 3000
if how == "byte":  # the system ends the process when its file is that long
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (when, when))
elif how == "full":  # nothing longer can be written
    resource.setrlimit(resource.RLIMIT_FSIZE, (when, when))
else:
    seen = []
    def step(event, args):
        seen.append(event)
        if len(seen) == when + 1:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(step)
said = kept.put("a", b"new" * 3000)
os.write(1, b"kept" if said else b"not kept")
"""
MOMENTS = [*(("byte", n) for n in (0, 1, 50, 4096, 8999, 9045)), *(("step", n) for n in range(12)), ("full", 4096)]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither SIGKILL nor RLIMIT_FSIZE")
def test_a_process_that_ends_while_it_writes(folder: Path) -> None:
    """By SIGKILL before each of its calls of the system, or in the midst of its bytes: the old entry or the new one."""
    kept, ended = Cache("kernels"), []
    for how, when in MOMENTS:
        kept.put("a", b"old" * 3000)
        done = subprocess.run([sys.executable, "-c", ENDED, how, str(when)], capture_output=True, check=False, timeout=60)
        found = kept.get("a")
        allowed = (b"new",) if done.stdout == b"kept" else (b"old", b"new") if done.returncode < 0 else (b"old",)
        assert found in [one * 3000 for one in allowed]
        assert done.returncode <= 0, done.stderr.decode()
        assert how == "step" or done.returncode < 0 or done.stdout == b"not kept"
        ended.append(done.returncode)
        assert kept.put("a", b"after") and kept.get("a") == b"after"
    assert sum(e < 0 for e in ended) > len(MOMENTS) / 2


def test_files_of_writers_that_were_killed_are_swept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Cache("kernels")
    kept.put("a", b"1")
    old, new = folder / "kernels" / "old.partial", folder / "kernels" / "new.partial"
    for path in (old, new):
        path.write_bytes(b"half of")
    os.utime(old, (1, 1))
    monkeypatch.setattr(cache, "_swept", set())  # as in the next process
    kept.put("b", b"2")
    assert not old.exists()
    assert new.exists(), "its writer may be at work"


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
