"""Nodes of the tape that stand behind the results of a compiled call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ingot_devices.context import state

from ..autograd.engine import fit
from ..autograd.node import Node, next_seq


class SpentNode(Node):
    """Behind a result whose backward pass was part of the compiled call: it cannot be walked a second time."""

    edges = ()

    def __init__(self, name: str) -> None:
        self.seq, self._name = next_seq(), name

    @property
    def name(self) -> str:
        return self._name

    def apply(self, grads: list[Any], builder: Any, keep: bool) -> Sequence[Any]:
        raise RuntimeError(
            "trying to backward through the graph a second time: the compiled function has run backward() already. Take "
            "backward() out of it, or use backward(retain_graph=True) there"
        )


class CompiledNode(Node):
    """Behind the results of a compiled forward pass: its backward is a program, too.

    Edges lead to what gradients were recorded for; ``saved`` are (view, version) of what the program reads. ``again(grads)``
    is for a backward pass that is itself recorded: the function runs eagerly once more, and is differentiated there.
    ``run(grads, views, begun)`` calls ``begun`` when it has memory for what it makes, and then writes over what is saved; where
    that is to be kept, ``begun`` is None.
    """

    def __init__(self, name: str, edges: Sequence[Any], width: int, saved: Sequence[tuple[Any, int]],
                 run: Callable[[list[Any], Sequence[Any], Any], Sequence[Any]], layouts: Sequence[Any],
                 again: Callable[[list[Any]], Sequence[Any]], fresh: Sequence[bool]) -> None:  # fmt: skip
        self._name, self.edges, self.width, self.fresh = name, tuple(edges), width, fresh
        self.saved: Sequence[tuple[Any, int]] | None = saved
        self.run, self.layouts, self.again = run, layouts, again
        self.seq = next_seq()

    @property
    def name(self) -> str:
        return self._name

    def apply(self, grads: list[Any], builder: Any, keep: bool) -> Sequence[Any]:
        if self.saved is None:
            raise RuntimeError(
                f"trying to backward through the graph a second time: the saved values of {self.name} were freed "
                "after the first. Use backward(retain_graph=True) the first time if you need a second"
            )
        for view, version in self.saved:
            if view._block.version != version:
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an inplace operation: a "
                    f"tensor ({view._layout!r}) saved by {self.name} is at version {view._block.version}, expected version "
                    f"{version}"
                )
        seeds = [self._seed(g, layout, builder) for g, layout in zip(grads, self.layouts, strict=True)]
        if state.context.grad:
            return self.again(seeds)
        return self.run(seeds, [view for view, _ in self.saved], None if keep else self._free)

    def _free(self) -> None:
        self.saved = None

    def _seed(self, grad: Any, layout: Any, builder: Any) -> Any:
        """A gradient as the program takes it: dense, and of the result's shape and dtype, whatever the caller gave."""
        if grad is None:
            return builder.zeros(layout)
        grad = fit(grad, layout)
        return grad if grad._layout is layout or state.context.grad else builder.copy(grad)
