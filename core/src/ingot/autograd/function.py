"""Custom differentiable functions: subclass `Function`, write ``forward`` and ``backward`` as static methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import ref

from ingot_devices.context import state

from ..base import REBOUND, TensorBase
from .node import Node, next_seq


class FunctionCtx:
    """What ``forward`` hands to ``backward``. Attributes of your own can be set on it.

    ``needs_input_grad``: a bool for each argument. ``saved_tensors``: what `save_for_backward` kept.
    """

    needs_input_grad: tuple[bool, ...] = ()

    def __init__(self) -> None:
        self._saved: list[Any] = []
        self._node: ref[FunctionNode] | None = None  # weak: the node holds this
        self._outputs: tuple[Any, ...] = ()
        self._blind: set[int] = set()
        self._dirty: tuple[Any, ...] = ()
        self._zeros = True

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors for ``backward``; writing into one before then is an error there."""
        self._saved = list(tensors)

    def mark_dirty(self, *tensors: Any) -> None:
        """Say which inputs ``forward`` wrote into (they must be returned)."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Say which results have no gradient."""
        self._blind = {id(t) for t in tensors}

    def set_materialize_grads(self, value: bool) -> None:
        """False: ``backward`` gets None for a result that nothing depends on, instead of zeros."""
        self._zeros = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The saved tensors; RuntimeError where one was overwritten, or the graph was freed."""
        if self._node is None:
            return tuple(self._saved)
        node = self._node()
        if node is None:
            raise RuntimeError("the graph that this ctx belongs to is gone: read saved_tensors in backward")
        return node.unpack()


class FunctionNode(Node):
    """The node of one call of a `Function`."""

    def __init__(self, function: type[Function], ctx: FunctionCtx, inputs: Sequence[Any]) -> None:
        self.function, self.ctx = function, ctx
        self.edges = tuple(o._edge if isinstance(o, TensorBase) else None for o in inputs)
        self.seq = next_seq()
        self.layouts: list[Any] = []
        self.saved: list[Any] | None = None

    @property
    def name(self) -> str:
        return f"{self.function.__name__}Backward"

    def keep(self, tensors: Sequence[Any], results: Sequence[Any]) -> None:
        """Hold what was saved without holding the tensors (a result would be a cycle)."""
        mine = {id(r): k for k, r in enumerate(results)}
        self.saved = [
            None if t is None else (t._block, t._layout, t._offset, t._block.version, mine.get(id(t)), t._edge)
            for t in tensors
        ]

    def unpack(self) -> tuple[Any, ...]:
        """The saved tensors."""
        if self.saved is None:
            raise RuntimeError(
                f"trying to backward through the graph a second time: the saved tensors of {self.name} were "
                "freed. Use backward(retain_graph=True) the first time"
            )
        made: list[Any] = []
        for held in self.saved:
            if held is None:
                made.append(None)
                continue
            block, layout, offset, version, own, edge = held
            if block.version != version:
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an inplace "
                    f"operation: a saved tensor ({layout!r}) of {self.name} is at version {block.version}, "
                    f"expected version {version}"
                )
            t = TensorBase.kind.make(block, layout, offset)
            t._edge = edge if own is None else (self, own)
            made.append(t)
        return tuple(made)

    def apply(self, grads: list[Any], builder: Any, keep: bool) -> Sequence[Any]:
        if self.ctx._zeros:
            grads = [builder.zeros(layout) if g is None else g for g, layout in zip(grads, self.layouts, strict=True)]
        found = self.function.backward(self.ctx, *grads)
        found = found if isinstance(found, tuple) else (found,)
        count = len(self.edges)
        if len(found) > count and all(g is None for g in found[count:]):
            found = found[:count]
        if len(found) != count:
            raise RuntimeError(f"function {self.name} returned an incorrect number of gradients "
                               f"(expected {count}, got {len(found)})")
        if not keep:
            self.saved = None
        return found


class Function:
    """A differentiable function of your own. Call it by ``YourFunction.apply(…)``.

    ``forward(ctx, *args)`` computes (nothing inside is recorded); ``backward(ctx, *grads)`` returns one gradient, or
    None, for each argument of forward. Written in tensor ops, it can be differentiated again.
    """

    @staticmethod
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("a Function must define forward(ctx, …) as a static method")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise NotImplementedError("a Function must define backward(ctx, …) as a static method")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run ``forward`` and record ``backward``."""
        ctx = FunctionCtx()
        ctx.needs_input_grad = tuple(isinstance(a, TensorBase) and a._edge is not None for a in args)
        node = FunctionNode(cls, ctx, args)
        before = state.context
        state.context = before.change(grad=False)
        try:
            made = cls.forward(ctx, *args, **kwargs)
        finally:
            state.context = before
        results = made if isinstance(made, tuple) else (made,)
        if before.grad and any(ctx.needs_input_grad):
            results = _record(ctx, node, args, results)
        return results if isinstance(made, tuple) else results[0]


def _record(ctx: FunctionCtx, node: FunctionNode, args: Sequence[Any], results: Sequence[Any]) -> tuple[Any, ...]:
    inputs = {id(a) for a in args if isinstance(a, TensorBase)}
    dirty = {id(t) for t in ctx._dirty}
    made = []
    for r in results:
        if isinstance(r, TensorBase) and id(r) in inputs and id(r) not in dirty:
            r = r.view_as(r)
        made.append(r)
    node.width = len(made)
    node.layouts = [r._layout if isinstance(r, TensorBase) else None for r in made]
    ctx._node = ref(node)
    node.keep(ctx._saved, results)
    ctx._saved = []
    for k, r in enumerate(made):
        if isinstance(r, TensorBase) and id(results[k]) not in ctx._blind and r._layout.dtype.kind == "f":
            r._edge = (node, k)
            REBOUND[0] += 1  # it may be an operand that was written to
    if state.context.anomaly:
        node.note_site()
    return tuple(made)


class once_differentiable:
    """Marks a ``backward`` whose result cannot be differentiated again."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self

    def __call__(self, ctx: Any, *grads: Any) -> Any:
        before = state.context
        state.context = before.change(grad=False)
        try:
            return self.function(ctx, *grads)
        finally:
            state.context = before
