"""Plants plugins as pip would install them: a module and its ``dist-info``, on a path of their own.

`importlib.metadata` finds them like any other, in this process and in the children that it starts.
"""

from __future__ import annotations

from pathlib import Path

HEAD = """
import os, sys, time
from pathlib import Path
from ingot_devices import Backend, DeviceInfo, Unavailable, hookimpl
HERE = Path(__file__).parent
"""

BACKEND = """
class Planted(Backend):
    name = "{name}"
    vendor = "Planted Silicon"
    priority = {priority}
    def probe_key(self):
        return os.environ.get("PLANTED_KEY", "")
    def probe(self):
        with open(HERE / "probed", "a") as file:
            file.write("x")
        {probe}
    def open(self, index):
        {open}

@hookimpl
def ingot_backends(register):
    register(Planted())
"""

DEVICE = """
from ingot_devices import Device

class PlantedDevice(Device):
    opened = 0
    def __init__(self):
        type(self).opened += 1
        self.closed = 0
    def allocate(self, nbytes): return bytearray(nbytes)
    def release(self, handle): pass
    def copy_in(self, handle, offset, data): handle[offset:offset + len(data)] = data
    def copy_out(self, handle, offset, data): data[:] = handle[offset:offset + len(data)]
    def copy(self, dst, dst_offset, src, src_offset, nbytes):
        dst[dst_offset:dst_offset + nbytes] = src[src_offset:src_offset + nbytes]
    def synchronize(self): pass
    def close(self): self.closed += 1
"""

READY = 'return [DeviceInfo("board", memory=1 << 20)]'
OPENS = "from planted_{name}.device import PlantedDevice; return PlantedDevice()"


def plant(folder: Path, name: str, source: str, module: str = "", **files: str) -> Path:
    """Install a distribution ``planted-NAME`` whose entry point NAME is the module ``source``."""
    module = module or f"planted_{name}"
    package = folder / module
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(HEAD + source)
    for stem, text in {"device": DEVICE, **files}.items():
        (package / f"{stem}.py").write_text(text)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text(f"[ingot]\n{name} = {module}\n")
    return package


def backend(name: str, probe: str = READY, open: str = "", priority: int = 10) -> str:
    """The source of a plugin with one backend; ``probe`` and ``open`` are bodies of methods."""
    body = (open or OPENS).format(name=name)
    return BACKEND.format(name=name, probe=probe, open=body, priority=priority)


HANG_IN_C = """
        import ctypes
        ctypes.PyDLL(None).sleep(600)  # PyDLL keeps the interpreter lock: no Python thread can run
"""

BAD = {
    "badimport": 'raise RuntimeError("no license file")',
    "badloop": backend("badloop", "while True: pass"),
    "badhang": backend("badhang", HANG_IN_C.strip()),
    "badabort": backend("badabort", 'print("fatal: firmware", file=sys.stderr); os.abort()'),
    "badcontract": "INGOT_CONTRACT = (9, 0)\n" + backend("badcontract"),
    "badhook": "@hookimpl\ndef ingot_backends(register):\n    raise KeyError('board')\n",
}
