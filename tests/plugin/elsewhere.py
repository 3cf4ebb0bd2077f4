"""The digests of native kernels by another process, with another instruction set or number of threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHANGES = ({"INGOT_CPU_ISA": "sse2"}, {"INGOT_CPU_ISA": "avx2"}, {"INGOT_CPU_THREADS": "1"}, {"INGOT_CPU_THREADS": "3"})
NOT_HERE = "which this processor has not", "is a level of x86-64"
"""What is said where an instruction set cannot be had."""


def digests(script: str, change: dict[str, str]) -> Any:
    """What ``script`` prints, as JSON; skips where this processor has no such instructions."""
    done = subprocess.run([sys.executable, str(Path(script))], env={**os.environ, **change}, capture_output=True, text=True,
                          timeout=300, check=False)  # fmt: skip
    if any(text in done.stderr for text in NOT_HERE):
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
