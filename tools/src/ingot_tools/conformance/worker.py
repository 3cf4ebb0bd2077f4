"""Runs cases in a process of its own: ``python -m ingot_tools.conformance.worker DEVICE OPTIONS``, for `conduct`.

Reads case names from standard input, one a line; writes ``{"begin": name}`` and then the result, one JSON object a line.
A driver that crashes or hangs ends this process and costs the one case that was begun. `PACE` is a name like others: how
fast the device is, which is an option of the workers that come after.
"""

from __future__ import annotations

import json
import os
import sys

from .harness.pace import Pace, measured
from .levels import cases
from .runner import Runner

PACE = "pace"


def main() -> None:
    """Run what is asked for, in that order."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # drivers print, too
    device, options = sys.argv[1], json.loads(sys.argv[2])
    wanted = sys.stdin.read().split("\n")
    known = {case.name: case for case in cases()}
    with Runner(device, options["alone"], Pace(*options["pace"])) as runner:
        answers.write(json.dumps({"ready": runner.device.name, "facts": facts(runner)}) + "\n")
        for name in filter(None, wanted):
            answers.write(json.dumps({"begin": name}) + "\n")
            answers.write(json.dumps(measure(runner) if name == PACE else runner.run(known[name]).to_dict()) + "\n")
    answers.flush()
    sys.stderr.flush()
    os._exit(0)  # a driver's own exit handlers have no say in the verdict


def measure(runner: Runner) -> dict[str, object]:
    """How fast the device is; it is asked accordingly from now on."""
    pace = measured(runner.subject)
    runner.subject.goes_at(pace)
    return {"pace": pace, "facts": {"interprets": runner.subject.is_slow, "has_room": runner.subject.has_room}}


def facts(runner: Runner) -> dict[str, object]:
    """What a report says of the device beside its results."""
    device = runner.device
    refused = {d.name: kept.reason for d, kept in device.limits.dtypes.items() if kept.kind == "refused"}
    return {
        "fingerprint": device.fingerprint(),
        "native": device.codegen is not None,
        "refused": refused,
        "gaps": runner.gaps,
    }


if __name__ == "__main__":
    main()
