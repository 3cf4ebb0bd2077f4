"""The node of a move between devices: the gradient goes back to where the tensor came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .autograd.node import Node
from .devices import device_of


class MoveNode(Node):
    """One edge, and the open device that it leads to."""

    def __init__(self, edge: Any, home: Any, seq: int) -> None:
        self.edges, self.home, self.seq = (edge,), home, seq

    @property
    def name(self) -> str:
        return "ToCopyBackward"

    def apply(self, grads: list[Any], builder: Any, keep: bool) -> Sequence[Any]:
        return (grads[0].to(device_of(self.home)),)
