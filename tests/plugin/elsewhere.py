"""Native kernels of the CPU: whether there are any here; and their digests by another process, with another instruction set or
number of threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ingot_cpu.native.codegen import CpuCodegen

CHANGES = ({"INGOT_CPU_ISA": "sse2"}, {"INGOT_CPU_ISA": "avx2"}, {"INGOT_CPU_THREADS": "1"}, {"INGOT_CPU_THREADS": "3"})
NOT_HERE = "which this processor has not", "is a level of x86-64"
"""What is said where an instruction set cannot be had."""


def native() -> pytest.MarkDecorator:
    """For tests of native kernels: skipped where they are turned off, or cannot be had on this kind of machine.

    The plugin requires llvmlite: a run that requires the CPU (``INGOT_REQUIRE``) fails without them.
    """
    reason = CpuCodegen().available()
    required = "cpu" in os.environ.get("INGOT_REQUIRE", "").split(",") and os.environ.get("INGOT_CPU_LLVM") != "0"
    assert not (reason and required), f"INGOT_REQUIRE asks for cpu, whose native kernels cannot be made: {reason}"
    return pytest.mark.skipif(bool(reason), reason=f"no native kernels here: {reason}")


def digests(script: str, change: dict[str, str]) -> Any:
    """What ``script`` prints, as JSON; skips where this processor has no such instructions."""
    done = subprocess.run([sys.executable, str(Path(script))], env={**os.environ, **change}, capture_output=True, text=True,
                          timeout=300, check=False)  # fmt: skip
    if any(text in done.stderr for text in NOT_HERE):
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
