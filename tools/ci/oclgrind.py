"""Run OpenCL kernels of every schedule under oclgrind: races, bounds, uninitialised reads, divergent barriers.

oclgrind interprets kernels (about five million operations a second), so the shapes are tiny. Its exit status says nothing: the
log is read. Needs oclgrind's runtime as an OpenCL implementation (Debian package ``oclgrind``).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ICD = ("/usr/lib/oclgrind/liboclgrind-rt-icd.so", "/usr/lib/x86_64-linux-gnu/oclgrind/liboclgrind-rt-icd.so")
FINDINGS = re.compile(r"^(Invalid (read|write)|.*data race at|Uninitialized value|Work-group divergence).*", re.MULTILINE)

PROGRAM = """
import ingot as t
import sys
d = "opencl:0"
numbers = t.tensor([(k * 37 % 101) / 50 - 1 for k in range(64)], device=d)
h = lambda *shape: numbers[: t.Size(shape).numel()].reshape(*shape).clone()
x, w, v = h(5, 7).requires_grad_(), h(3, 7).requires_grad_(), h(33)
runs = {
    "pointwise": lambda: (x * 2 + x.T.T).exp(),
    "strided": lambda: x[:, 1:6:2] + x.T[1:6:2].T,
    "broadcast": lambda: x + x[0],
    "rows": lambda: t.softmax(x, -1),
    "norm": lambda: t.layer_norm(x, (7,)),
    "reduce": lambda: (x.sum(), x.sum(0), x.amax(1), x.argmax(1), x.var()),
    "scan": lambda: (x.cumsum(1), v.cummax(0)),
    "matmul": lambda: x @ w.T,
    "linear": lambda: t.linear(x, w),
    "copy": lambda: (t.cat([x, x]), t.pad(x, (1, 2)), x.flip(0), x.half(), x.bfloat16(), x > 0),
    "index": lambda: (x[t.tensor([1, 0], device=d)], x.gather(1, t.zeros(5, 2, dtype=t.int64, device=d)),
                      t.zeros(4, device=d).scatter_add(0, t.tensor([1, 1, 3], device=d), t.ones(3, device=d))),
    "sort": lambda: (v.sort(), v.topk(3)),
    "loss": lambda: t.cross_entropy(x, t.tensor([0, 1, 2, 3, 4], device=d)),
    "training": lambda: (t.linear(t.relu(x), w).pow(2).mean()).backward(),
}
if sys.argv[1] == "random":
    runs = {"random": lambda: (t.rand(9, device=d), t.randn(9, device=d), t.randint(0, 5, (9,), device=d), t.dropout(v, 0.5))}
for name, run in runs.items():
    made = run()
    t.accelerator.synchronize(d)
    print("ran", name, flush=True)
"""

PLANTED = """
import pyopencl as cl
c = cl.create_some_context(interactive=False)
q = cl.CommandQueue(c)
b = cl.Buffer(c, cl.mem_flags.READ_WRITE, 64)
k = cl.Kernel(cl.Program(c, "__kernel void k(__global float* a) { a[99] = 1; }").build(), "k")
k(q, (1,), None, b)
q.finish()
print("ran a write past the end")
"""


def check(icd: str, which: str, uninitialized: str, program: str = PROGRAM) -> int:
    """Run a program and read its log: the number of findings, or -1 where it failed."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "oclgrind.log"
        env = {**os.environ, "OCL_ICD_VENDORS": icd, "PYOPENCL_NO_CACHE": "1", "INGOT_CACHE_DIR": folder,
               "OCLGRIND_DATA_RACES": "1",
               "OCLGRIND_UNINITIALIZED": uninitialized, "OCLGRIND_MAX_ERRORS": "1000", "OCLGRIND_LOG": str(log),
               "INGOT_FALLBACK": "error", "INGOT_PROBE_TIMEOUT": "60"}  # fmt: skip
        done = subprocess.run([sys.executable, "-c", program, which], env=env, capture_output=True, text=True, check=False)
        text = log.read_text(errors="replace") if log.exists() else ""
    print(done.stdout, end="", flush=True)
    if done.returncode or "ran " not in done.stdout:
        print(done.stderr[-4000:], file=sys.stderr)
        return -1
    found = len(FINDINGS.findall(text))
    if found and program is PROGRAM:
        print(text[:6000], file=sys.stderr)
    return found


def main() -> int:
    """Both halves; 0 when the logs name nothing. oclgrind's check of reads does not know LLVM's ``freeze``, which the
    compiler makes of the random words' arithmetic: that group runs with races and bounds checked only."""
    icd = next((p for p in ICD if Path(p).exists()), None)
    if icd is None:
        print("oclgrind is not installed (looked for " + ", ".join(ICD) + "): apt-get install oclgrind", file=sys.stderr)
        return 1
    if check(icd, "planted", "1", PLANTED) < 1:
        print("oclgrind did not find the fault that was planted for it", file=sys.stderr)
        return 1
    found = [check(icd, "kernels", "1"), check(icd, "random", "0")]
    if any(found):
        print(f"oclgrind: {sum(found)} findings" if min(found) > 0 else "oclgrind: the program failed", file=sys.stderr)
        return 1
    print("oclgrind: no findings")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
