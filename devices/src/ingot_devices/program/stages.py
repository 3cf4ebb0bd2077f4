"""The stages of a program, in order and by name: each can be printed, checked and replaced.

    lift → simplify → fuse → plan → lower, and then `Program.run`

``INGOT_DUMP=simplify,fuse,plan,lower`` prints the program after each stage named to standard error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..view import View
from .fuse import fuse
from .graph import Graph, check
from .lower import Program
from .simplify import simplify

Stage = Callable[[Graph], Graph]
STAGES: dict[str, Stage] = {"simplify": simplify, "fuse": fuse}
"""Rewritings of the graph. A tool may put another function under a name, or a new name behind."""
NAMES = ("lift", *STAGES, "plan", "lower")


@dataclass(frozen=True)
class Built:
    """A program and what it was after each stage, as text for people is made from it."""

    program: Program
    after: Mapping[str, Graph]

    def text(self, stage: str) -> str:
        """The program after ``stage``; KeyError for one that does not exist."""
        if stage == "plan":
            return str(self.program.plan)
        if stage == "lower":
            return "\n".join(self.program.sources)
        return str(self.after[stage])


def build(graph: Graph, pinned: Mapping[int, View]) -> Built:
    """The program of ``graph``; ``pinned`` are the inputs whose views are the same at each run."""
    check(graph, "lift")
    after = {"lift": graph}
    for name, stage in STAGES.items():
        graph = stage(graph)
        check(graph, name)
        after[name] = graph
    built = Built(Program(graph, pinned), after)
    for name in dumped():
        print(f"---- {name}\n{built.text(name)}", file=sys.stderr)
    return built


def dumped() -> list[str]:
    """The stages that ``INGOT_DUMP`` names; ValueError for one that does not exist."""
    asked = [n.strip() for n in os.environ.get("INGOT_DUMP", "").split(",") if n.strip()]
    for name in asked:
        if name not in NAMES:
            raise ValueError(f"INGOT_DUMP names the stage {name!r}; the stages are {', '.join(NAMES)}")
    return asked
