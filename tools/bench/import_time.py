"""How long does ``import ingot`` take beside ``import numpy``? Fresh processes in turn."""

from __future__ import annotations

import subprocess
import sys
import time

from common import parser, report


def seconds(code: str) -> float:
    """Microseconds of a fresh process that runs ``code``."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - start) * 1e6


def main() -> int:
    """Run and report; the figure that counts is the difference of the medians."""
    options = parser(__doc__ or "").parse_args()
    codes = {"numpy": "import numpy", "ingot": "import numpy; import ingot"}
    found: dict[str, list[float]] = {name: [] for name in codes}
    for code in codes.values():
        seconds(code)
    for _ in range(options.rounds):
        for name, code in codes.items():
            found[name].append(seconds(code))
    added = sorted(i - n for i, n in zip(found["ingot"], found["numpy"], strict=True))[options.rounds // 2] / 1e3
    print(f"import ingot adds {added:.0f} ms to import numpy (must: at most 150: {'met' if added <= 150 else 'not met'})")
    extra = {"added_ms": added, "must_ms": 150, "met": added <= 150}
    return report("Import time", found, {}, "numpy", options, extra)


if __name__ == "__main__":
    raise SystemExit(main())
