"""LLVM, opened once in a process: the target machine of this processor, and machine code by its IR.

Called by `kernel` for every text it has not seen. Machine code is kept on disk (`ingot_devices.cache`) by text, processor and
LLVM's version, so a second process links it in a tenth of a millisecond. ``INGOT_CPU_ISA`` forces a narrower instruction
set than the processor has; results are the same bits, because no kernel's arithmetic depends on it.
"""

from __future__ import annotations

import ctypes
import os
import platform
import threading
from dataclasses import dataclass
from functools import cache
from typing import Any

from ingot_devices.cache import Cache, key

FORMAT = "1"
"""Raise when machine code made before cannot be used any more though the text is the same."""

_LEVELS = {"sse2": "x86-64", "avx2": "x86-64-v3", "avx512": "x86-64-v4"}
_NEEDS = {"sse2": (), "avx2": ("avx2", "fma", "f16c"), "avx512": ("avx512f", "avx512bw", "avx512vl", "avx512dq")}


@dataclass(frozen=True)
class Target:
    """What code is made for. ``masked``: sizes in bytes of elements that a load or store under a mask takes at once."""

    name: str
    cpu: str
    features: str
    masked: frozenset[int]
    halves: bool  # converts float16 by an instruction
    wide: bool  # has AVX-512: 32 registers of 64 bytes
    streams: bool  # has stores past the caches, and the fence behind them, under x86's names


class NoLLVM(Exception):
    """llvmlite is missing, switched off or of no use here; the text is the reason."""


def _host(binding: Any) -> tuple[str, dict[str, bool]]:
    return binding.get_host_cpu_name(), dict(binding.get_host_cpu_features())


def _target(binding: Any) -> Target:
    """The host's instruction set, or the one that ``INGOT_CPU_ISA`` asks for; ValueError where that cannot be had."""
    asked = os.environ.get("INGOT_CPU_ISA", "native")
    name, has = _host(binding)
    if platform.machine().lower() not in ("x86_64", "amd64"):
        if asked != "native":
            raise ValueError(f"INGOT_CPU_ISA={asked} is a level of x86-64; this machine is {platform.machine()}")
        return Target("native", name, binding.get_host_cpu_features().flatten(), frozenset(), False, False, False)
    if asked not in ("native", *_LEVELS):
        raise ValueError(f"INGOT_CPU_ISA={asked} is not known; it may be native, {', '.join(_LEVELS)}")
    missing = [f for f in _NEEDS.get(asked, ()) if not has.get(f)]
    if missing:
        raise ValueError(f"INGOT_CPU_ISA={asked} needs {', '.join(missing)}, which this processor has not")
    levels = [level for level, needs in _NEEDS.items() if all(has.get(f) for f in needs)]
    level = levels[-1] if asked == "native" else asked
    masked = {"sse2": frozenset[int](), "avx2": frozenset({4, 8}), "avx512": frozenset({1, 2, 4, 8})}[level]
    cpu, features = (name, binding.get_host_cpu_features().flatten()) if asked == "native" else (_LEVELS[asked], "")
    return Target(asked, cpu, features, masked, level != "sse2", level == "avx512", True)


class Jit:
    """Machine code by text. One for each process: see `jit`."""

    def __init__(self) -> None:
        if os.environ.get("INGOT_CPU_LLVM", "1") == "0":
            raise NoLLVM("INGOT_CPU_LLVM=0")
        try:
            import llvmlite
            from llvmlite import binding
        except (ImportError, OSError) as e:
            raise NoLLVM(f"llvmlite cannot be imported: {e}") from e
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        self.binding: Any = binding
        self.target = _target(binding)
        self.version = f"{llvmlite.__version__}/{'.'.join(map(str, binding.llvm_version_info))}"
        self._machine = binding.Target.from_default_triple().create_target_machine(
            cpu=self.target.cpu, features=self.target.features, opt=2, jit=True
        )
        self._engine = binding.create_mcjit_compiler(binding.parse_assembly(""), self._machine)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._engine))  # never unmapped: parked threads lie in its code
        self._cache = Cache("cpu")
        self._lock = threading.RLock()
        self._loaded: dict[str, int] = {}
        self.built = 0
        self.linked = 0

    def fingerprint(self) -> str:
        """What machine code depends on beside its text."""
        return key(FORMAT, self.version, self.target.cpu, self.target.features, platform.machine())

    def symbol(self, name: str, address: int) -> None:
        """Make ``address`` known to code by name."""
        self.binding.add_symbol(name, address)

    def address(self, text: str, name: str) -> int:
        """The address of the function ``name`` that ``text`` defines under the name ``@NAME``.

        The name in the text is replaced by one of its own, so that texts need not know of each other.
        """
        digest = key(text, self.fingerprint())
        found = self._loaded.get(digest)
        if found is not None:
            return found
        with self._lock:
            if digest not in self._loaded:
                unique = f"ingot_{digest[:40]}"
                self._link(self._object(text.replace("@NAME", f"@{unique}"), digest))
                made = self._engine.get_function_address(unique)
                if not made:
                    raise RuntimeError(f"LLVM built {name}, and its code has no entry")
                self._loaded[digest] = made
            return self._loaded[digest]

    def module(self, text: str) -> Any:
        """A function that finds the addresses of what ``text`` defines, under the names that it has."""
        with self._lock:
            self._link(self._object(text, key("module", text, self.fingerprint())))
        return self._engine.get_function_address

    def assembly(self, text: str) -> str:
        """The assembly of ``text``, for people and tests."""
        made: str = self._machine.emit_assembly(self.binding.parse_assembly(text.replace("@NAME", "@kernel")))
        return made

    def _object(self, text: str, digest: str) -> bytes:
        data = self._cache.get(digest)
        if data is None:
            module = self.binding.parse_assembly(text)
            data = self._machine.emit_object(module)
            self._cache.put(digest, data)
            self.built += 1
        return data

    def _link(self, data: bytes) -> None:
        self._engine.add_object_file(self.binding.ObjectFileRef.from_data(data))
        self._engine.finalize_object()
        self.linked += 1


_lock = threading.Lock()


@cache
def _opened() -> Jit | str:
    """The reason why there is none as text: an exception that is kept keeps all that was on the stack."""
    try:
        return Jit()
    except NoLLVM as e:
        return str(e)


def jit() -> Jit:
    """The process's; `NoLLVM` says why there is none."""
    with _lock:
        found = _opened()
    if isinstance(found, str):
        raise NoLLVM(found)
    return found
