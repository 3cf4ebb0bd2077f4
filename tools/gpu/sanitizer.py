"""About twenty representative kernels under NVIDIA's compute-sanitizer: memcheck and racecheck.

Without ``--out`` it runs the kernels alone; that is the program which the sanitizer watches. Where the machine has no
sanitizer, or the sanitizer refuses the machine, the JSON says so, and the part is no failure.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

TOOLS = ("memcheck", "racecheck")
REFUSED = ("Device not supported", "not supported on", "LibraryNotLoaded", "Unable to find", "Internal Sanitizer Error")


def kernels(t: Any) -> list[str]:
    """Run them; the names of what was run."""
    t.manual_seed(0)
    f = t.nn.functional
    x, y = t.randn(33, 70, device="cuda"), t.randn(70, 35, device="cuda")
    rows, half = t.randn(40, 1000, device="cuda"), t.randn(33, 70, device="cuda").to(t.float16)
    ids = t.tensor([0, 3, 3, 31], device="cuda")
    long = t.randn(300_001, device="cuda")
    weight = t.randn(1000, device="cuda")
    p, g, m, v = (t.rand(5001, device="cuda") for _ in range(4))
    heads = rows.reshape(1, 8, 50, 100)
    made = {
        "attention": lambda: f.scaled_dot_product_attention(heads, heads, heads),
        "add": lambda: x + x, "broadcast": lambda: x + x[0], "odd offset": lambda: x.reshape(-1)[1:] * 2,
        "transposed": lambda: x.T + 1, "float16": lambda: half * 2, "bfloat16": lambda: x.to(t.bfloat16) + 1,
        "compare": lambda: x > 0, "where": lambda: t.where(x > 0, x, -x), "row sum": lambda: rows.sum(-1),
        "column sum": lambda: rows.sum(0), "long sum": long.sum, "argmax": lambda: rows.argmax(-1),
        "softmax": lambda: rows.softmax(-1), "layer_norm": lambda: f.layer_norm(rows, (1000,), weight),
        "matmul": lambda: x @ y, "linear": lambda: f.linear(x, y.T.contiguous()), "cumsum": lambda: rows.cumsum(-1),
        "gather": lambda: x[ids], "scatter_add": lambda: x.clone().index_add_(0, ids, t.ones(4, 70, device="cuda")),
        "sort": lambda: rows.sort(-1), "random": lambda: t.rand(1001, device="cuda"), "cat": lambda: t.cat([x, x]),
        "pad": lambda: f.pad(x, (1, 2)), "optimizer": lambda: p.mul_(0.9).add_(g).sub_(m * v),
    }  # fmt: skip
    for call in made.values():
        call()
    t.cuda.synchronize()
    return list(made)


def watch(tool: str) -> dict[str, Any]:
    """One tool over all kernels."""
    command = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", sys.executable, __file__]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    except subprocess.TimeoutExpired:
        return {"tool": tool, "state": "did not end within 200 s"}
    said = done.stdout + done.stderr
    reason = next((r for r in REFUSED if r in said), "")
    if reason:
        return {"tool": tool, "state": f"refused by the machine: {reason}"}
    summary = re.findall(r"(?:ERROR|RACECHECK) SUMMARY: .*", said)
    state = "clean" if done.returncode == 0 else "findings"
    return {"tool": tool, "state": state, "summary": summary, "findings": "" if state == "clean" else said[-8000:]}


def main() -> int:
    """1 if a tool found something."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    import ingot

    if given.out is None:
        print(f"ran {len(kernels(ingot))} kernels")
        return 0
    names = kernels(ingot)  # also fills the cache of built kernels
    if shutil.which("compute-sanitizer") is None:
        found = [{"tool": tool, "state": "not installed"} for tool in TOOLS]
    else:
        found = [watch(tool) for tool in TOOLS]
    given.out.write_text(json.dumps({"kernels": names, "tools": found}, indent=1))
    print(json.dumps(found, indent=1))
    return 1 if any(f["state"] == "findings" for f in found) else 0


if __name__ == "__main__":
    sys.exit(main())
