"""A trace of a training step: every op, launch and copy with the device's own times, for chrome://tracing and Perfetto."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import ingot
from ingot.profiler import profile


def main() -> int:
    """Write the trace beside the JSON; 1 if nothing was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    ingot.manual_seed(0)
    model = ingot.nn.Sequential(ingot.nn.Linear(64, 128), ingot.nn.GELU(), ingot.nn.Linear(128, 10)).to("cuda")
    optimizer = ingot.optim.AdamW(model.parameters(), lr=1e-3)
    x, target = ingot.randn(256, 64, device="cuda"), ingot.zeros(256, dtype=ingot.int64, device="cuda")

    def step() -> None:
        optimizer.zero_grad()
        ingot.nn.functional.cross_entropy(model(x), target).backward()
        optimizer.step()

    for _ in range(3):
        step()
    ingot.cuda.synchronize()
    with profile() as seen:
        step()
    path = given.out.with_name("trace.chrome.json")
    seen.export_chrome_trace(str(path))
    table = seen.key_averages().table()
    print(table)
    given.out.write_text(json.dumps({"events": len(seen.events), "trace": path.name, "table": table.splitlines()}, indent=1))
    return 0 if seen.events else 1


if __name__ == "__main__":
    sys.exit(main())
