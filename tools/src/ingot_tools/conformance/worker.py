"""Runs cases in a process of its own: ``python -m ingot_tools.conformance.worker DEVICE [alone]``, for `conduct`.

Reads case names from standard input, one a line; writes ``{"begin": name}`` and then the result, one JSON object a line.
A driver that crashes or hangs ends this process and costs the one case that was begun.
"""

from __future__ import annotations

import json
import os
import sys

from .levels import cases
from .runner import Runner


def main() -> None:
    """Run what is asked for, in that order."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # drivers print, too
    device, alone = sys.argv[1], "alone" in sys.argv[2:]
    wanted = sys.stdin.read().split("\n")
    known = {case.name: case for case in cases()}
    with Runner(device, alone) as runner:
        answers.write(json.dumps({"ready": runner.device.name, "facts": facts(runner)}) + "\n")
        for name in filter(None, wanted):
            answers.write(json.dumps({"begin": name}) + "\n")
            answers.write(json.dumps(runner.run(known[name]).to_dict()) + "\n")
    answers.flush()
    sys.stderr.flush()
    os._exit(0)  # a driver's own exit handlers have no say in the verdict


def facts(runner: Runner) -> dict[str, object]:
    """What a report says of the device beside its results."""
    device = runner.device
    refused = {d.name: kept.reason for d, kept in device.limits.dtypes.items() if kept.kind == "refused"}
    return {
        "fingerprint": device.fingerprint(),
        "interprets": runner.subject.is_slow,
        "native": device.codegen is not None,
        "refused": refused,
        "gaps": runner.gaps,
    }


if __name__ == "__main__":
    main()
