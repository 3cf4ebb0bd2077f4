"""Builds pycuda and the simulated driver into the user's cache folder; what is there already is taken.

    python tools/ci/cuda_sim.py build

prints the folder. Four things are made, each keyed by what it is made of:

- ``headers``: CUDA's headers, from NVIDIA's wheels;
- ``stub``: a ``libcuda`` that has every symbol and no device, to link pycuda with (and a state that users meet);
- ``site``: pycuda, unmodified, for this Python, and what it and the plugin import, for ``sys.path``;
- ``driver``: the simulated ``libcuda.so.1`` and ``libnvrtc.so.13``, for `use`.

g++ (Debian: ``apt-get install g++``) and uv are needed, and the package index the first time.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
HEADERS = ("nvidia-cuda-runtime==13.0.*", "nvidia-cuda-crt==13.0.*", "nvidia-cuda-profiler-api==13.0.*")
PYCUDA = "pycuda==2026.1"
BESIDE = ("cuda-bindings==13.0.*", "cuda-pathfinder", "mako", "markupsafe", "platformdirs", "pytools", "siphash24",
          "typing-extensions")  # fmt: skip
TOOLS = ("pip", "setuptools", "wheel", "numpy")
FLAGS = ("-std=c++17", "-O2", "-g1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-fvisibility=hidden")
PARALLEL = """
import runpy, sys
from concurrent.futures import ThreadPoolExecutor
import setuptools
from distutils.ccompiler import CCompiler
jobs, out = int(sys.argv[1]), sys.argv[2]
def compile(self, sources, output_dir=None, macros=None, include_dirs=None, debug=0, extra_preargs=None,
            extra_postargs=None, depends=None):
    _, objects, extra, pp, build = self._setup_compile(output_dir, macros, include_dirs, sources, depends, extra_postargs)
    flags = self._get_cc_args(pp, debug, extra_preargs)
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda o: self._compile(o, *build[o], flags, extra, pp), [o for o in objects if o in build]))
    return objects
CCompiler.compile = compile
sys.path.insert(0, ".")
sys.argv = ["setup.py", "bdist_wheel", "-d", out]
runpy.run_path("setup.py", run_name="__main__")
"""


class BuildFailed(Exception):
    """What could not be made, with the end of what the failing command said."""


@dataclass(frozen=True)
class Built:
    """Where everything is. ``driver`` holds libcuda.so.1 and libnvrtc.so.13, ``site`` is for ``sys.path``."""

    headers: Path
    stub: Path
    site: Path
    driver: Path


def build(say: Callable[[str], object] = lambda _: None, may_make: bool = True) -> Built:
    """Make what is missing; ``say`` is told what is being made. BuildFailed says what is wrong and what to do.

    Without ``may_make`` something missing is a BuildFailed, with the command that makes it.
    """
    if shutil.which("g++") is None:
        raise BuildFailed("the simulated CUDA driver is compiled, and compiles kernels, with g++, which is not here: "
                          "`apt-get install g++`")  # fmt: skip
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        raise BuildFailed("pycuda is built from its source, and Python's headers are not here: `apt-get install python3-dev`")
    if not may_make:
        say = _refuse
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    headers = _made("headers", HEADERS, say, lambda out: _install(HEADERS, out))
    include = next(headers.glob("nvidia/*/include"))
    stub = _made("stub", (*HEADERS, STUB, _source(functions)), say, lambda out: _stub(include, out))
    site = _made("site", (python, PYCUDA, *BESIDE, *HEADERS, PARALLEL), say, lambda out: _site(include.parent, stub, out))
    sources = sorted([*HERE.glob("driver/*"), *HERE.glob("include/*")])
    key = [str(FLAGS), _source(_rest), *(f"{p.name}\0{p.read_text()}" for p in sources)]
    driver = _made("driver", key, say, lambda out: _driver(include, out))
    return Built(include, stub, site, driver)


def _refuse(what: str) -> None:
    raise BuildFailed(f"the simulated CUDA driver is not built ({what}): `python tools/ci/cuda_sim.py build` does that")


def cache() -> Path:
    """The folder that all of it lies in."""
    given = os.environ.get("INGOT_CUDA_SIM_DIR")
    if given:
        return Path(given)
    from platformdirs import user_cache_path

    return user_cache_path("ingot") / "cuda-sim"


def _made(name: str, key: Iterable[str], say: Callable[[str], object], make: Callable[[Path], None]) -> Path:
    """The folder ``name`` for ``key``: made beside and moved into its place, so that it is whole or not there."""
    digest = hashlib.sha256("\0".join(key).encode()).hexdigest()[:16]
    target = cache() / f"{name}-{digest}"
    if not target.exists():
        say(f"{name}: making {target.name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            part = Path(folder, name)
            part.mkdir()
            make(part)
            try:
                part.rename(target)
            except OSError:  # another process was faster
                if not target.exists():
                    raise
    return target


def _run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    done = subprocess.run(
        [str(c) for c in command], cwd=cwd, env={**os.environ, "LD_PRELOAD": "", **environment}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        shown = " ".join(Path(str(c)).name for c in command[:6])
        raise BuildFailed(f"`{shown} …` failed with {done.returncode}:\n{done.stdout[-3000:]}")
    return done.stdout


def _install(requirements: Iterable[str], out: Path) -> None:
    """Packages without what they require, in a folder of their own; the workspace's pins hold."""
    _run("uv", "pip", "install", "--quiet", "--python", sys.executable, "--no-deps", "--target", out, *requirements)


# ---- libcuda: its symbols -----------------------------------------------------------------------------------------------
def functions(include: Path) -> tuple[set[str], dict[str, str]]:
    """Every function that the headers declare, by its symbol; and for a name with versions, the newest symbol."""
    text = "".join((include / name).read_text() for name in ("cuda.h", "cudaProfiler.h"))
    newest = dict(re.findall(r"^\s*#\s*define\s+(cu[A-Z]\w+)\s+(?:__CUDA_API_\w+\()?(cu[A-Z]\w+)\)?\s*$", text, re.MULTILINE))
    newest = {k: v for k, v in newest.items() if not v.endswith(("_ptds", "_ptsz"))}
    declared = set(re.findall(r"\bCUDAAPI\s+(cu[A-Z]\w+)\s*\(", text))
    return {newest.get(name, name) for name in declared} | declared | set(newest.values()), newest


STUB = """
typedef const char *Text;
int cuGetErrorString(int code, Text *text) { *text = code ? "no CUDA-capable device is detected" : "no error"; return 0; }
int cuGetErrorName(int code, Text *name) { *name = code ? "CUDA_ERROR_NO_DEVICE" : "CUDA_SUCCESS"; return 0; }
int cuDriverGetVersion(int *version) { *version = 0; return 0; }
"""


def _stub(include: Path, out: Path) -> None:
    """A driver without a device. It has to define every symbol: the link to an empty one is dropped."""
    names = functions(include)[0] - set(re.findall(r"\bcu[A-Z]\w+(?=\()", STUB))
    rows = "".join(f"int {name}(void) {{ return 100; }}\n" for name in sorted(names))
    (out / "stub.c").write_text(STUB + rows)
    flags = ("-O1", "-shared", "-fPIC", "-fno-builtin", "-w", "-Wl,-soname,libcuda.so.1")
    _run("gcc", *flags, "-o", out / "libcuda.so", out / "stub.c")
    (out / "libcuda.so.1").symlink_to("libcuda.so")


def _site(toolkit: Path, stub: Path, out: Path) -> None:
    """pycuda, from its source, against the headers in ``toolkit`` and the stub; and what goes with it."""
    _install(BESIDE, out)
    work = out.parent / "pycuda"
    _run("uv", "venv", "--quiet", "--python", sys.executable, work / "venv")
    python = work / "venv/bin/python"
    _run("uv", "pip", "install", "--quiet", "--python", python, *TOOLS)
    _run(python, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", PYCUDA,
         cwd=work, CUDA_ROOT=str(toolkit))  # fmt: skip
    with tarfile.open(next(work.glob("pycuda-*.tar.gz"))) as archive:
        archive.extractall(work, filter="data")
    source = next(p for p in work.glob("pycuda-*") if p.is_dir())
    _run(python, "configure.py", f"--cuda-root={toolkit}", f"--cudadrv-lib-dir={stub}", "--no-cuda-enable-curand", cwd=source)
    (work / "parallel.py").write_text(PARALLEL)
    _run(python, work / "parallel.py", str(os.cpu_count() or 1), work / "wheel", cwd=source, CFLAGS="-g0 -O1", LDFLAGS="-s")
    _install([str(next((work / "wheel").glob("*.whl")))], out)


# ---- the simulator --------------------------------------------------------------------------------------------------------
def _rest(include: Path, objects: Iterable[Path], out: Path) -> None:
    """Every function that the simulator does not have answers "not supported"; and the newest symbol of each name."""
    have = set(re.findall(r" [TB] (cu[A-Z]\w+)", _run("nm", "--defined-only", *objects)))
    names, newest = functions(include)
    rows = "".join(f"EXPORTED int {name}() {{ return 801; }}\n" for name in sorted(names - have))
    table = "".join(f'  {{"{name}", "{symbol}"}},\n' for name, symbol in sorted(newest.items()))
    head = '#define EXPORTED __attribute__((visibility("default")))\nextern "C" {\n'
    names_are = f"EXPORTED extern const struct {{ const char *a, *b; }} cuda_sim_names[] = {{\n{table}  {{0, 0}}}};"
    out.write_text(f"{head}{rows}{names_are}\n}}\n")


def _source(function: Callable[..., object]) -> str:
    import inspect

    return inspect.getsource(function)


def _driver(include: Path, out: Path) -> None:
    sources = sorted(HERE.glob("driver/*.cpp"))
    objects = [out / f"{source.stem}.o" for source in sources]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda s, o: _run("g++", *FLAGS, "-I", include, "-c", s, "-o", o), sources, objects))
    compiler = out / "nvrtc.o"
    driver = [o for o in objects if o != compiler]
    _rest(include, driver, out / "rest.cpp")
    _run("g++", "-w", *FLAGS[:-1], "-c", out / "rest.cpp", "-o", out / "rest.o")
    _run("g++", "-shared", "-Wl,-soname,libcuda.so.1", "-o", out / "libcuda.so.1", *driver, out / "rest.o", "-ldl",
         "-lpthread")  # fmt: skip
    _run("g++", "-shared", "-Wl,-soname,libnvrtc.so.13", "-Wl,-rpath,$ORIGIN", "-Wl,-z,defs", "-o", out / "libnvrtc.so.13",
         compiler, out / "libcuda.so.1")  # fmt: skip
    for file in out.glob("*.o"):
        file.unlink()
    shutil.copytree(HERE / "include", out / "include")
