"""What is the memory pool worth on large elementwise work? Ingot beside plain NumPy, which takes fresh pages each time."""

from __future__ import annotations

import ingot
import numpy as np
from common import parser, report, rounds


def main() -> int:
    """Run and report: 4096² float32, 64 MiB an array."""
    options = parser(__doc__ or "").parse_args()
    n = 4096
    x, y = np.ones((n, n), np.float32), np.ones((n, n), np.float32)
    out = np.empty_like(x)
    a, b = ingot.tensor(x), ingot.tensor(y)
    cases = {
        "copy": (lambda: np.copyto(out, x), 3),
        "numpy add": (lambda: x + y, 3),
        "numpy add into out=": (lambda: np.add(x, y, out=out), 3),
        "ingot add": (lambda: a + b, 3),
    }
    found = rounds(cases, options.rounds)
    ratios = {
        "add beside numpy": ("numpy add", "ingot add", 1.0, 3.0),
        "add beside out=": ("numpy add into out=", "ingot add", 0.9, 1.0),
    }
    return report("Pooled memory on large elementwise work", found, ratios, "copy", options, {"numpy": np.__version__})


if __name__ == "__main__":
    raise SystemExit(main())
