"""Runs op tests on OpenCL under Oclgrind, a checker of kernels, and reads its log: races, bounds, uninitialised reads.

    .venv/bin/python tools/ci/oclgrind.py [--budget SECONDS | --full]

Oclgrind's exit status says nothing, so the log decides; and a checker that finds nothing wrong with a wrong kernel is no
checker, so two wrong ones go first. Kernels are compiled without optimisation: this version knows no ``freeze``
and no integer ``abs`` of LLVM, and a line of the log should be a line of the kernel.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ICD = "/usr/lib/oclgrind/liboclgrind-rt-icd.so"
FINDING = re.compile(
    r"^(Invalid (?:read|write).*|.*data race at.*|Uninitialized .*|Controlflow depends on uninitialized.*"
    r"|Work-group divergence.*|OCLGRIND FATAL ERROR.*)"
)
TESTS = "value or stepped or overlapping or inplace"
ADDRESS = re.compile(r"0x[0-9a-f]+")

WRONG = """
import os
import numpy, pyopencl as cl
context = cl.Context(cl.get_platforms()[0].get_devices())
queue = cl.CommandQueue(context)
buffer = cl.Buffer(context, cl.mem_flags.READ_WRITE, 16)
source = '''
kernel void beyond(global int* x) { x[get_global_id(0) + 1] = 1; }
kernel void racing(global int* x) { local int y; y = get_local_id(0); barrier(1); x[y] = y; y = get_local_id(0) + x[y]; }
'''
program = cl.Program(context, source).build()
program.beyond(queue, (4,), (4,), buffer)
program.racing(queue, (4,), (4,), buffer)
queue.finish()
print(context.devices[0].platform.name, flush=True)
os._exit(0)
"""


def environment(log: Path, cache: str) -> dict[str, str]:
    """What makes OpenCL mean Oclgrind, and nothing be taken from a cache."""
    return {
        **os.environ, "OCL_ICD_VENDORS": ICD, "OCLGRIND_LOG": str(log), "OCLGRIND_DATA_RACES": "1",
        "OCLGRIND_UNINITIALIZED": "1", "OCLGRIND_MAX_ERRORS": "1000", "OCLGRIND_BUILD_OPTIONS": "-cl-opt-disable",
        "PYTHONPATH": str(Path(__file__).parent), "PYOPENCL_NO_CACHE": "1", "INGOT_CACHE_DIR": cache,
        "INGOT_REQUIRE": "opencl", "INGOT_TEST_SMALL": "1",
    }  # fmt: skip


def findings(log: Path) -> Counter[str]:
    """What the log reports, addresses left out, with the kernel that did it."""
    found: Counter[str] = Counter()
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    for k, line in enumerate(lines):
        if FINDING.match(line):
            kernel = next((n.strip() for n in lines[k + 1 : k + 4] if "Kernel:" in n), "")
            found[f"{ADDRESS.sub('…', line)}  {kernel}".strip()] += 1
    return found


def sees_what_is_wrong(folder: Path) -> bool:
    """Two wrong kernels must be found, and by Oclgrind."""
    log = folder / "wrong"
    done = subprocess.run(
        [sys.executable, "-c", WRONG], env=environment(log, str(folder)), capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    found = " ".join(findings(log))
    good = "Oclgrind" in done.stdout and "Invalid write" in found and "data race" in found
    if not good:
        print(f"the checker does not see what is wrong: {done.stdout}{done.stderr}{found}")
    return good


def main() -> int:
    """1 if a test failed or the log has a finding."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--budget", type=float, default=120, help="seconds for the tests")
    parser.add_argument("--full", action="store_true", help="every test, however long it takes")
    given = parser.parse_args()
    if not Path(ICD).exists():
        print(f"{ICD} is not there: apt-get install oclgrind")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        if not sees_what_is_wrong(Path(folder)):
            return 1
        log = Path(folder, "log")
        sample = ["--full"] if given.full else ["--budget", str(given.budget)]
        tests = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "whole_writes", "-W",
             "ignore:Non-empty compiler output", "tests/device/test_ops.py", "--device", "opencl:0", "-k", TESTS,
             *sample], env=environment(log, folder), check=False,
        )  # fmt: skip
        found = findings(log)
    for text, count in found.most_common():
        print(f"{count:6} x {text}")
    print(f"oclgrind: {sum(found.values())} findings in {len(found)} places; tests ended with {tests.returncode}")
    return 1 if found or tests.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
