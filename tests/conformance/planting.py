"""A package acme with planted faults, installed for a command that is run in a process of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from ingot_tools.scaffold import new
from installed import install, run

DEVICE = "acme:0"
LAUNCH = "    def launch(self, entry, grid, block, arguments, stream=None):\n"
ABORT = "        if entry.__name__ == 'ingot_exp':\n            import os\n            os.abort()\n"
HANG = "        while entry.__name__ == 'ingot_exp':\n            pass\n"
PRODUCT = "        if entry.__name__ == 'ingot_matmul':\n            import os, time\n            "
NOTED = "open('hung', 'w').write(str(os.getpid()))\n            time.sleep(600)\n"
RUNS = "        self.board.launch(entry, grid[0], [b.handle for b in arguments.bindings], arguments.scalars)\n"
SPOILS = "        for b in arguments.bindings:\n            self.board.memory[b.handle][:1] ^= b.access == 'r'\n"
STORES = "    memory[offset[mask]] = value[mask]\n"
BEYOND = "    memory[min(int(np.max(offset)) + 1, len(memory) - 1)] = 1\n"
DECLINES = """    class Declines(ScheduleCodegen):
        def compile(self, definition, *given, **more):
            if "add_scaled" in definition.name:
                from ingot_devices.codegen import Unsupported
                raise Unsupported("no such kernel")
            return super().compile(definition, *given, **more)
    codegen = Declines(Renderer())
"""
NO_DOUBLES = "HALVES = {\n    dt.float64: DTypeClass('refused', dt.float64, dt.float64, 'no doubles'),"
FAULTY = {
    "crash": ("device.py", LAUNCH, LAUNCH + ABORT),
    "hang": ("device.py", LAUNCH, LAUNCH + HANG),
    "no product": ("device.py", LAUNCH, LAUNCH + PRODUCT + "os._exit(139)\n"),
    "endless product": ("device.py", LAUNCH, LAUNCH + PRODUCT + NOTED),
    "no board": ("device.py", "        self.board = Board(index)\n", "        import os; os._exit(3)\n"),
    "gap": ("device.py", "    codegen =", "    gaps = {'value/exp/float32': 'three digits'}\n    codegen ="),
    "pattern": ("device.py", "    codegen =", "    gaps = {'value/ex*/float16': 'none of it'}\n    codegen ="),
    "wrong": ("dialect.py", '"exp({0})"', '"(exp({0}) + exp({0}) * {type}(0.01))"'),
    "outside": ("driver.py", STORES, STORES + BEYOND),
    "spoils": ("device.py", RUNS, RUNS + SPOILS),
    "no kernel": ("device.py", "    codegen = ScheduleCodegen(Renderer())\n", DECLINES),
    "refuses": ("device.py", "HALVES = {", NO_DOUBLES),
}  # fmt: skip
"""name → (file, what is there, what is put there)."""


class Planted:
    """A package acme with some of `FAULTY`, installed on a path of its own."""

    def __init__(self, place: Path, *faults: str) -> None:
        self.place = place
        self.site = place / "site"
        self.site.mkdir()
        home = new.backend("acme", place / "ingot-acme", native=True)
        for name in faults:
            file, found, put = FAULTY[name]
            path = home / "src/ingot_acme" / file
            assert found in path.read_text()
            path.write_text(path.read_text().replace(found, put))
        install(home, self.site)

    def conformance(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        quiet = {"INGOT_DISABLE": "opencl,cuda,webgpu", **environment}
        return run(self.site, "ingot", "conformance", DEVICE, *arguments, cwd=self.place, **quiet)

    def report(self, *only: str, code: int, **environment: str) -> dict[str, Any]:
        chosen = [a for pattern in only for a in ("--only", pattern)]
        done = self.conformance("--json", "report.json", *chosen, **environment)
        assert done.returncode == code, done.stdout + done.stderr
        made: dict[str, Any] = json.loads((self.place / "report.json").read_text())
        return made
