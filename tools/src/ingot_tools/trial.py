"""The child process of ``ingot tune``: builds and runs each variant once, and says a line of JSON about each.

    python -m ingot_tools.trial OP DEVICE NUMBER DTYPES SHAPES FIRST
"""

from __future__ import annotations

import json
import sys

from ingot_devices import open_device

from .tune import Work, tunable


def main() -> None:
    """Try the variants from FIRST on."""
    op, name, number, dtypes, shapes, first = sys.argv[1:]
    device = open_device(name)
    work = Work(op, device, tunable(op, device)[int(number)], dtypes.split(","), shapes.split(","))
    for k in range(int(first), len(work.variants)):
        print(json.dumps({"variant": k, "fault": work.fault(work.variants[k])}), flush=True)


if __name__ == "__main__":
    main()
