"""Padding as a function, with a number or with the input's own elements; `nn.functional` exports it."""

from __future__ import annotations

from collections.abc import Sequence

import ingot
from ingot.ops.common import run
from ingot.tensor import Tensor

MODES = ("reflect", "replicate", "circular")


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """Pad; ``pad`` is (before, after) pairs from the last axis on.

    ``mode``: "constant" (with ``value``, or 0), "reflect" (mirrored at the edge, which is not repeated), "replicate" (the edge
    again) or "circular" (from the other end).
    """
    if mode == "constant":
        return ingot.pad(input, tuple(pad), value=0.0 if value is None else value)
    if mode not in MODES:
        raise ValueError(f"pad mode {mode!r} is not available; the modes are 'constant', {', '.join(map(repr, MODES))}")
    if value is not None:
        raise ValueError(f"Padding mode {mode!r} doesn't take in value argument")
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise ValueError(f"pad={list(pad)} must be (before, after) for each of the last axes of an input of shape "
                         f"{input.shape}")
    pairs = tuple(zip(pad[::2], pad[1::2], strict=True))
    for k, (before, after) in enumerate(pairs, 1):
        size = input.shape[-k]
        most = size - 1 if mode == "reflect" else size
        if mode != "replicate" and max(before, after) > most:
            raise RuntimeError(f"Padding size should be at most {most} in mode {mode!r} for an axis of size {size}, but got "
                               f"padding ({before}, {after}) at dimension {input.ndim - k}")
        if mode == "circular" and min(before, after) < 0:  # what is cut off is not there to come in at the other end
            input = input.narrow(-k, max(-before, 0), size + min(before, 0) + min(after, 0))
    pairs = tuple((max(a, 0), max(b, 0)) for a, b in pairs) if mode == "circular" else pairs
    return run("border", input, pads=pairs[::-1], mode=mode) if any(map(any, pairs)) else input
