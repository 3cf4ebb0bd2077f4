"""`ingot.compile`: a whole training step, or a module, as one program. Results are those of the eager call, to the bit, but
for what ``mode="max-autotune"`` lists.

The compiled flow, file by file: `compiled` (warm up, record, replay) → `watch` (which code ran) and `world` (what it depends
on) → `recorder` (what dispatch did) → `capture` (inputs, outputs, effects) → `ingot_devices.program` (simplify, epilogues,
fuse, attach, gather, plan, lower) → `replaying` (one Python function) behind a `guard`. `joined` joins a forward and a backward
program to the tape; `sizes` says which sizes have recordings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .compiled import MODES, Compiled, CompileError, CompileWarning
from .verify import CompileMismatch


def compile(
    model: Callable[..., Any] | None = None, *, fullgraph: bool = False, dynamic: bool | None = None, mode: str | None = None
) -> Any:
    """``model`` (a function or module) compiled; without it, a decorator.

    Its first call runs eagerly, its second is recorded, later ones are replayed where everything that the recording depends
    on is as it was. What cannot be recorded runs eagerly, and a `CompileWarning` says why (``fullgraph=True``: `CompileError`).
    ``mode``: "default"; "reduce-overhead" replays as one graph of the device; "max-autotune" does so, and lets a vendor's
    kernel do the activation behind a product, which rounds once less (`Compiled.explain` lists it). ``dynamic`` is accepted:
    sizes are never baked in unseen, and each has a recording of its own (`sizes`).
    """
    chosen = mode or "default"
    if chosen not in MODES:
        raise ValueError(f"mode is {mode!r}; it can be {', '.join(map(repr, MODES))}")
    if model is None:
        return lambda function: compile(function, fullgraph=fullgraph, dynamic=dynamic, mode=mode)
    if not callable(model):
        raise TypeError(f"compile() takes a function or a module, not {type(model).__name__}")
    return Compiled(model, fullgraph, chosen)


__all__ = ["MODES", "CompileError", "CompileMismatch", "CompileWarning", "Compiled", "compile"]
