"""Generated OpenCL kernels under oclgrind, which sees races, invalid accesses and uninitialised reads.

Runs where oclgrind is installed. Its exit status stays 0 whatever it finds: the log is read.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import generated
import pytest

DRIVER = Path("/usr/lib/oclgrind/liboclgrind-rt-icd.so")
FAULT = re.compile(
    r"^(Invalid (read|write)|.*data race at|Uninitialized value|Work-group divergence|OCLGRIND FATAL).*", re.MULTILINE
)


NEEDED = pytest.mark.skipif(not DRIVER.exists(), reason="oclgrind is not installed (Debian: apt install oclgrind)")
BEYOND = """
import pyopencl as cl
context = cl.Context([cl.get_platforms()[0].get_devices()[0]])
queue = cl.CommandQueue(context)
source = "__kernel void beyond(__global int *x) { x[get_global_id(0) + 100] = 1; }"
kernel = cl.Kernel(cl.Program(context, source).build(), "beyond")
kernel(queue, (1,), None, cl.Buffer(context, cl.mem_flags.READ_WRITE, 64))
queue.finish()
"""


def faults(tmp_path: Path, *command: str) -> tuple[str, str]:
    """What Python printed under oclgrind, and the log from its first fault on."""
    pytest.importorskip("pyopencl", reason="pyopencl is not installed")
    log = tmp_path / "log"
    environment = os.environ | {
        "OCL_ICD_VENDORS": str(DRIVER), "OCLGRIND_LOG": str(log), "OCLGRIND_DATA_RACES": "1", "OCLGRIND_UNINITIALIZED": "1",
        "OCLGRIND_MAX_ERRORS": "1000", "PYOPENCL_NO_CACHE": "1", "INGOT_CACHE_DIR": str(tmp_path),
        "PYOPENCL_BUILD_OPTIONS": "-cl-opt-disable",  # LLVM's optimiser makes instructions that oclgrind does not know
    }  # fmt: skip
    done = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    text = log.read_text() if log.exists() else ""
    found = FAULT.search(text)
    return done.stdout, text[found.start() :][:4000] if found else ""


@pytest.mark.slow
@NEEDED
def test_samples_have_no_fault(tmp_path: Path) -> None:
    printed, found = faults(tmp_path, str(Path(__file__).with_name("generated.py")))
    assert printed.count(": right") == 2 * len(generated.samples())
    assert not found


@pytest.mark.slow
@NEEDED
def test_a_fault_would_be_seen(tmp_path: Path) -> None:
    _, found = faults(tmp_path, "-c", BEYOND)
    assert found.startswith("Invalid write")
