"""Whether a device keeps the contract, proved op by op: the machinery of Ingot's own device tests, for any backend.

    records/     what is known of each op: how to call it, on what, what the answer must be (imports nothing of ours)
    harness/     each check on each record
    probes/      checks that belong to no op: memory, streams, random bits, faults, trainings
    levels       which of them belong to which level: every case has a name
    guard        poisoned and fenced memory under the device that is judged; leaks: what does not come back
    runner       runs cases in this process; conduct has it done in a child that may crash, by a worker
    reproduce    a failing call as a program, made smaller (shrink) and written down (written, laid)
    report       results → grid and grade → text, JSON, HTML

``ingot conformance DEVICE`` runs all of it; ``pytest --pyargs ingot_tools.conformance --ingot-device DEVICE`` too.
"""

from __future__ import annotations


def replay(device: str, case: str, slow: bool = False) -> None:
    """Run the one case of that name on ``device`` in this process; AssertionError with its message where it is wrong.

    ``slow``: with the samples that a slow device gets. Nothing else runs, so that nothing else can go wrong.
    ValueError for a name that no case has.
    """
    from .harness.pace import FAST, SLOW
    from .levels import cases
    from .result import BAD
    from .runner import Runner

    found = next((c for c in cases() if c.name == case), None)
    if found is None:
        raise ValueError(f"no case is called {case!r}; `ingot conformance DEVICE --list` names them all")
    with Runner(device, pace=SLOW if slow else FAST) as runner:
        result = runner.run(found)
    if result.status in BAD:
        raise AssertionError(f"{result.case} on {device}: {result.message}")
    print(f"{result.case} on {device}: {result.status}")


__all__ = ["replay"]
