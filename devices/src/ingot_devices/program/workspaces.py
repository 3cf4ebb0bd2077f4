"""A stage behind `gather`: what kernels want while they run becomes temporaries of the program, and shares their memory.

Otherwise each launch of such a kernel would take memory from the pool beside what is planned for all the others.
"""

from __future__ import annotations

from dataclasses import replace

from ..codegen import InWorkspace
from ..plan import Ref
from .graph import Graph, Node


def workspaces(graph: Graph) -> Graph:
    """The program with the workspaces of its kernels as operands."""
    made = graph.copy([])
    made.nodes = [_given(made, node) if isinstance(node.call, InWorkspace) else node for node in graph.nodes]
    return made


def _given(graph: Graph, node: Node) -> Node:
    call = node.call
    assert isinstance(call, InWorkspace)
    space = Ref(graph.buffer("temp", call.layout, "workspace").number, call.layout)
    return replace(node, operands=(*node.operands, space), call=call.given)  # neither read nor written by anybody else
