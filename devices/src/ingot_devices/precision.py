"""How exactly float32 is multiplied: a process-wide switch that kernels of contractions read when a plan is made.

Beside `resolve`: a registered kernel may compute products of float32 in a narrower format that the hardware is faster in
(TF32 has 10 bits of mantissa, bfloat16 has 7) where the switch allows it. Generated kernels always multiply in float32.
Changing it drops every plan. The names are PyTorch's (``torch.set_float32_matmul_precision``).
"""

from __future__ import annotations

from .context import changed

LEVELS = ("highest", "high", "medium")
"""Of float32 products: all 24 bits, TF32 or better, bfloat16 or better."""

_chosen = [LEVELS[0]]


def float32_matmul() -> str:
    """The level that is set; "highest" unless somebody changed it."""
    return _chosen[0]


def set_float32_matmul(level: str) -> None:
    """Set the level; ValueError if it is none of `LEVELS`."""
    if level not in LEVELS:
        raise ValueError(f"a precision of float32 products is one of {', '.join(LEVELS)}; {level!r} was given")
    if level != _chosen[0]:
        _chosen[0] = level
        changed()
