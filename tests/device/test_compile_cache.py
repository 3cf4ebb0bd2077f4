"""The disk cache under trouble, with real processes: killed writers, damaged files, many at once, another processor's.

Each test compares the results of processes with those of one that keeps nothing on disk.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "cached_step.py"
KEEPING = ("cpu", "opencl", "cuda")
"""Backends that keep built kernels on disk."""
LIMIT = 300


def command(device: str, *options: str) -> list[str]:
    return [sys.executable, str(SCRIPT), device, *options]


def environment(cache: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "INGOT_CACHE_DIR": str(cache), "PYOPENCL_NO_CACHE": "1", **more}


def digest(device: str, cache: Path, *options: str, **more: str) -> str:
    done = subprocess.run(command(device, *options), env=environment(cache, **more), capture_output=True, text=True,
                          timeout=LIMIT, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def entries(cache: Path, device: str) -> list[Path]:
    return sorted((cache / device.split(":", maxsplit=1)[0]).glob("*.entry"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(scope="module", autouse=True)
def simulated(device: str, request: pytest.FixtureRequest) -> Generator[None, None, None]:
    """``--cuda-driver simulated``: for the processes that are started here, too."""
    with pytest.MonkeyPatch.context() as patch:
        if device.startswith("cuda") and request.config.getoption("--cuda-driver") == "simulated":
            from cuda_sim import build, use

            for name, value in use.environment(build.build()).items():
                patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def wanted(device: str, folder: Path, simulated: None) -> str:
    """The digest of a process that can keep nothing."""
    kind = device.split(":", maxsplit=1)[0]
    if kind not in KEEPING:
        digest(device, folder / kind)
        assert not entries(folder / kind, device), f"{kind} keeps kernels: it belongs to KEEPING"
        pytest.skip(f"{kind} keeps no kernels on disk, so there is nothing to damage")
    (folder / "file").touch()
    return digest(device, folder / "file" / "below")


@pytest.fixture(scope="module")
def filled(device: str, folder: Path, wanted: str) -> Path:
    cache = folder / f"filled-{device.replace(':', '-')}"
    assert digest(device, cache) == wanted
    from ingot_cpu.native.kernel import usable

    if device.startswith("cpu") and not usable():
        pytest.skip("NumPy computes on the CPU here, and makes no kernels to keep")
    assert entries(cache, device), "the kernels that were made are kept"
    return cache


def test_flipped_bytes_are_never_run(device: str, wanted: str, filled: Path, commit: str) -> None:
    """A byte of each file, anywhere in it; then each file cut short; the next process makes them anew."""
    draw = random.Random(f"flips {commit} {device}")
    for damage in ("flip", "flip", "cut") if device.startswith("cpu") else ("flip", "cut"):
        paths = entries(filled, device)
        good = {path: path.read_bytes() for path in paths}
        for path, content in good.items():
            place = draw.randrange(len(content))
            flipped = content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]
            path.write_bytes(flipped if damage == "flip" else content[:place])
        assert digest(device, filled) == wanted
        assert {p: len(p.read_bytes()) for p in entries(filled, device)}.keys() == good.keys()
        assert sum(p.read_bytes()[:46] == good[p][:46] for p in good) > 0.5 * len(good), "they are written again"
    assert digest(device, filled) == wanted


def test_eight_processes_on_a_cold_cache(device: str, wanted: str, folder: Path) -> None:
    cache = folder / f"cold-{device.replace(':', '-')}"
    started = [subprocess.Popen(command(device, "--together"), env=environment(cache), stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(8)]  # fmt: skip
    try:
        for process in started:
            assert process.stdout is not None and process.stderr is not None
            assert process.stdout.readline() == "ready\n", process.stderr.read()
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.communicate(timeout=LIMIT) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert [out.strip() for out, _ in said] == [wanted] * 8, said
    assert digest(device, cache) == wanted
    assert not list(cache.rglob("*.partial"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_while_kernels_are_written(device: str, wanted: str, filled: Path, folder: Path, commit: str) -> None:
    draw = random.Random(f"kills {commit} {device}")
    most = len(entries(filled, device))
    cache = folder / f"killed-{device.replace(':', '-')}"
    for moment in sorted({draw.randint(1, most) for _ in range(3 if device.startswith("cpu") else 2)}):
        done = subprocess.run(command(device, "--end", str(moment)), env=environment(cache), capture_output=True, text=True,
                              timeout=LIMIT, check=False)  # fmt: skip
        assert done.returncode == -9 or done.stdout.strip() == wanted, done.stderr
    assert digest(device, cache) == wanted
    assert digest(device, cache) == wanted


def test_a_full_disk_only_keeps_nothing(device: str, wanted: str, folder: Path) -> None:
    cache = folder / f"full-{device.replace(':', '-')}"
    assert digest(device, cache, "--full") == wanted
    assert not entries(cache, device)


def test_a_folder_that_others_may_change_is_not_used_and_told(device: str, wanted: str, folder: Path, filled: Path) -> None:
    cache = folder / f"open-{device.replace(':', '-')}"
    cache.mkdir()
    cache.chmod(0o777)
    done = subprocess.run(command(device), env=environment(cache), capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.stdout.strip() == wanted, done.stderr
    assert "CacheWarning: nothing is kept in the cache folder" in done.stderr
    assert not entries(cache, device)


def test_another_processors_kernels_are_not_run(device: str, wanted: str, filled: Path) -> None:
    """A home folder that machines share: each has entries of its own, and all have the same bits."""
    if not device.startswith("cpu"):
        pytest.skip("it is the CPU whose instruction set can be chosen, by INGOT_CPU_ISA")
    before = set(entries(filled, device))
    other = "avx2" if os.environ.get("INGOT_CPU_ISA") == "sse2" else "sse2"
    assert digest(device, filled, INGOT_CPU_ISA=other) == wanted
    assert len(set(entries(filled, device)) - before) >= 0.5 * len(before)
    assert digest(device, filled) == wanted
