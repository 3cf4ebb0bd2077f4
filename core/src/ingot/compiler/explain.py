"""What a compiled function became, as text: stages, bytes, memory, and each kernel's time against its floor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingot_devices.plan import Ref
from ingot_devices.program import measure
from ingot_devices.program.memory import lifetimes
from ingot_devices.program.workspaces import workspaces

if TYPE_CHECKING:
    from ingot_devices.program.graph import Graph
    from ingot_devices.program.stages import Built

    from .compiled import Compiled
    from .replaying import Replayer


NO_REASSOCIATIONS = ("none: results are the eager ones, bit for bit",)


def explain(compiled: Compiled, times: bool) -> str:
    """See `Compiled.explain`."""
    lines = [f"{compiled.label}: mode {compiled.mode}"]
    if compiled.eager:
        lines.append(f"  runs eagerly: {compiled.eager}")
    if not compiled.replays and not compiled.eager:
        lines.append("  not recorded yet: the first call warms up, the second is recorded")
    shown: list[Replayer] = []
    for number, replayer in enumerate(compiled.replays):
        alike = next((r for r in shown if r.kind == replayer.kind and r.size != replayer.size), None)
        if alike is not None:
            differs = alike.capture.arguments.differs(replayer.capture.arguments)
            kernels = len(replayer.made.built.program.graph.nodes)
            lines.append(f"  recording {number}: {kernels} kernels for other sizes: {differs}")
            continue
        shown.append(replayer)
        guarded, changed = replayer.guard.places(), len(replayer.capture.effects)
        lines.append(f"  recording {number}: {guarded} places guarded, {changed} places changed, "
                     f"{replayer.recorder.inputs} numbers read at each call")  # fmt: skip
        programs = {"": replayer.made.built, **replayer.history.programs()}
        for name, built in programs.items():
            lines += [f"    {line}" for line in program(name, built, replayer.captured_ops, times)]
    return "\n".join(lines)


def program(name: str, built: Built, ops: int, times: bool) -> list[str]:
    """One program."""
    lifted, made = built.after["lift"], built.program
    graph = made.graph
    before, after = sum(n.nbytes for n in lifted.nodes), sum(n.nbytes for n in graph.nodes)
    kept = sum(b.nbytes for b in graph.buffers.values() if b.kind == "output")
    planned = made.plan.nbytes + kept
    lines = [
        f"{name or 'program'} on {graph.device.name}",
        f"  ops captured       {ops if not name else len(lifted.nodes)}",
        f"  kernels            {len(lifted.nodes)} recorded, {len(graph.nodes)} after fusion",
        f"  bytes moved        {before:,} recorded, {after:,} after fusion",
        f"  peak memory        {peak(workspaces(lifted)):,} bytes eagerly, {planned:,} planned: {kept:,} of results and",
        f"                     {made.plan}",
        f"  replay             {replay(built)}",
        *(f"  reassociations     {text}" for text in graph.reassociations or NO_REASSOCIATIONS),
    ]
    measured = measure.times(graph) if times else [None] * len(graph.nodes)
    floor = measure.bandwidth(graph.device) if times else 0.0
    for node, seconds in zip(graph.nodes, measured, strict=True):
        shown = f"  {node.op:<40.40} {node.nbytes:>12,} bytes"
        if seconds is not None and floor:
            least = node.nbytes / floor
            shown += f"  {seconds * 1e6:9.1f} µs, {least * 1e6:8.2f} µs at memory's speed"
        lines.append(shown)
    return lines


def replay(built: Built) -> str:
    """How a program is replayed."""
    captured, launches = built.captured, built.program.launches
    if captured is not None and not captured.reason:
        kept = sum(g is not None for g in captured.graphs.values())
        return f"as one graph of {launches} launches; {captured.replays} so far, from {kept} graphs"
    reason = built.refused if captured is None else captured.reason
    return f"{launches} launches, one by one" + (f": {reason}" if reason else "")


def peak(graph: Graph) -> int:
    """Most bytes of temporaries and outputs at one time where each is allocated by the kernel that first has it, as eagerly; a
    temporary goes with its last use, an output stays."""
    lives = {number: last for number, (_, last) in lifetimes(graph).items()}
    change = [0] * (len(graph.nodes) + 1)
    born: set[int] = set()
    for place, node in enumerate(graph.nodes):
        for number in {o.slot for o in node.operands if isinstance(o, Ref)} - born:
            born.add(number)
            buffer = graph.buffers[number]
            if buffer.kind != "input":
                change[place] += buffer.nbytes
                change[lives.get(number, len(graph.nodes) - 1) + 1] -= buffer.nbytes
    most = now = 0
    for step in change:
        now += step
        most = max(most, now)
    return most
