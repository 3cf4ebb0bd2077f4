"""The stages of a program, in order and by name: each can be printed, checked and replaced.

    lift → simplify → epilogues → fuse → attach → gather → workspaces → plan → lower, and then `Program.run`

``INGOT_DUMP=simplify,epilogues,fuse,attach,gather,workspaces,plan,lower`` prints the program after each stage named to
standard error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..codegen import Unsupported
from ..memory.arena import Arena
from ..view import View
from .attach import attach
from .captured import Captured, refusal
from .epilogues import epilogues
from .fuse import fuse
from .gather import gather
from .graph import Graph, check
from .lower import Program
from .numbers import in_memory
from .simplify import simplify
from .workspaces import workspaces

Stage = Callable[[Graph], Graph]
STAGES: dict[str, Stage] = {
    "simplify": simplify, "epilogues": epilogues, "fuse": fuse, "attach": attach, "gather": gather, "workspaces": workspaces,
}  # fmt: skip
"""Rewritings of the graph. A tool may put another function under a name, or a new name behind."""
NAMES = ("lift", *STAGES, "plan", "lower")


@dataclass(frozen=True)
class Built:
    """A program and what it was after each stage, as text for people is made from it."""

    program: Program
    after: Mapping[str, Graph]
    captured: Captured | None = None  # where it is replayed as one graph
    refused: str = ""  # why it is not, where that was asked for

    @property
    def run(self) -> Callable[[Sequence[Any], Sequence[Any]], None]:
        """``run(slots, numbers)`` queues the whole program; see `Program.run`."""
        return self.program.run if self.captured is None else self.captured.run

    def text(self, stage: str) -> str:
        """The program after ``stage``; KeyError for one that does not exist."""
        if stage == "plan":
            return str(self.program.plan)
        if stage == "lower":
            return "\n".join(self.program.sources)
        return str(self.after[stage])


def build(
    graph: Graph, pinned: Mapping[int, View], loose: Collection[int] | None = None, shared: Arena | None = None,
    lasting: bool = True,
) -> Built:  # fmt: skip
    """The program of ``graph``; ``pinned`` are the inputs whose views are the same at each run.

    ``loose``: it is to be replayed as one graph of the device, and these are its arguments and results (`captured`).
    ``shared``: the arena of another program, never run at the same time, whose memory may serve for this one.
    ``lasting``: see `Program`; a program that is replayed as one graph keeps its memory anyway.
    """
    check(graph, "lift")
    after = {"lift": graph}
    for name, stage in STAGES.items():
        graph = stage(graph)
        check(graph, name)
        after[name] = graph
    built = _built(graph, pinned, after, loose, shared, lasting)
    for name in dumped():
        print(f"---- {name}\n{built.text(name)}", file=sys.stderr)
    return built


def _built(
    graph: Graph, pinned: Mapping[int, View], after: Mapping[str, Graph], loose: Collection[int] | None,
    shared: Arena | None, lasting: bool,
) -> Built:  # fmt: skip
    refused = "" if loose is None else refusal(graph)
    if loose is None or refused:
        return Built(Program(graph, pinned, shared, lasting), after, refused=refused)
    try:
        rewritten, numbers = in_memory(graph)
        program = Program(rewritten, {**pinned, **numbers.views}, shared)
        captured = Captured(program, numbers, loose)
        program.arena.turn.blocks.update([] if numbers.block is None else [numbers.block])
    except Unsupported as error:
        return Built(Program(graph, pinned, shared, lasting), after, refused=str(error))
    return Built(program, after, captured)


def dumped() -> list[str]:
    """The stages that ``INGOT_DUMP`` names; ValueError for one that does not exist."""
    asked = [n.strip() for n in os.environ.get("INGOT_DUMP", "").split(",") if n.strip()]
    for name in asked:
        if name not in NAMES:
            raise ValueError(f"INGOT_DUMP names the stage {name!r}; the stages are {', '.join(NAMES)}")
    return asked
