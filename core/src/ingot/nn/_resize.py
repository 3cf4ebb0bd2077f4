"""Interpolation as a function: PyTorch's arguments, turned into what the op ``resize`` takes; `nn.functional` exports it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ingot.nn._pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from ingot.ops.common import run
from ingot.tensor import Tensor

MODES = {"linear": (1, "linear"), "bilinear": (2, "linear"), "trilinear": (3, "linear"), "bicubic": (2, "cubic")}
"""Modes that mix elements: the number of axes that each is for, and the op's name for it."""
PLAIN = ("nearest", "nearest-exact", "area")


def interpolate(
    input: Tensor, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest", align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:  # fmt: skip
    """The spatial axes of (N, C, …) resized to ``size``, or by ``scale_factor`` (rounded down).

    ``mode``: "nearest" (PyTorch's, which is off by half an element: "nearest-exact" is not), "linear", "bilinear", "trilinear"
    (by the number of axes), "bicubic" (Keys, 1981, with a = -0.75) or "area" (means). ``align_corners``: the middles of the
    first and the last elements lie upon each other, not their edges. ``recompute_scale_factor``: places follow from the sizes,
    not from the factor.
    """
    rank = input.dim() - 2
    if align_corners is not None and mode in PLAIN:
        raise ValueError("align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | "
                         f"trilinear, not with {mode!r}")
    counts, factors = _counts(input, rank, size, scale_factor, recompute_scale_factor, mode)
    if antialias:
        raise NotImplementedError("interpolate: antialias=True is not available; for a factor of 1/k, avg_pool of windows of k "
                                  "is a filter before it")
    if rank not in (1, 2, 3) or mode not in (*PLAIN, *MODES):
        raise NotImplementedError("Input Error: Only 3D, 4D and 5D input Tensors supported (got "
                                  f"{input.dim()}D) for the modes: {' | '.join((*PLAIN, *MODES))} (got {mode})")
    if mode in MODES and MODES[mode][0] != rank:
        raise NotImplementedError(f"Got {input.dim()}D input, but {mode} mode needs {MODES[mode][0] + 2}D input")
    sizes = tuple(input.shape[2:])
    if min((*sizes, *counts)) < 1:
        raise RuntimeError(f"Input and output sizes should be greater than 0, but got input {list(sizes)} and output "
                           f"{list(counts)}")
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[rank - 1](input, counts)
    kind = MODES[mode][1] if mode in MODES else mode
    corners = bool(align_corners)
    scales = tuple(_scale(*of, corners, kind) for of in zip(sizes, counts, factors, strict=True))
    made: Tensor = run("resize", input, sizes=counts, scales=scales, kind=kind, corners=corners)
    return made


def _counts(
    input: Tensor, rank: int, size: Any, factor: Any, recompute: bool | None, mode: str
) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """The sizes of the result, and the factors that places follow from, None where they follow from the sizes."""
    if (size is None) == (factor is None):
        raise ValueError("only one of size or scale_factor should be defined" if size is not None else
                         "either size or scale_factor should be defined")
    if recompute and size is not None:
        raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    name, given = ("size", size) if size is not None else ("scale_factor", factor)
    each = tuple(given) if isinstance(given, (tuple, list)) else (given,) * rank
    if len(each) != rank:
        raise ValueError(f"Input and {'output' if size is not None else 'scale_factor'} must have the same number of spatial "
                         f"dimensions, but got input with spatial dimensions of {list(input.shape[2:])} and {name} of {given}. "
                         "Please provide input tensor in (N, C, d1, d2, ...,dK) format.")
    if size is not None:
        if not all(isinstance(n, int) for n in each):
            raise TypeError(f"expected size to be one int, or one for each axis, but got {size!r}")
        return each, (None,) * rank
    counts = tuple(math.floor(n * f) for n, f in zip(input.shape[2:], each, strict=True))
    return counts, (None,) * rank if recompute or mode == "area" else tuple(map(float, each))


def _scale(size: int, count: int, factor: float | None, corners: bool, kind: str) -> float:
    """How many input elements lie from one output element to the next."""
    if corners:
        return (size - 1) / (count - 1) if count > 1 else 0.0
    if size == count and kind == "linear":  # PyTorch then copies, whatever the factor
        return 1.0
    return size / count if factor is None else 1.0 / factor
