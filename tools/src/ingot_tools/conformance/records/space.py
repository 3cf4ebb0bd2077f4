"""Space resized and rearranged: interpolation, windows as columns and back, pixels, channels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .record import FLOAT, Record, S, V, functional

NO_SCALAR = "axes for channels and space are needed"
LEFT = "PyTorch leaves what is empty as it is"
MOVED = ("float32", "float16", "int64", "uint8", "bool")


def F(name: str, reference: Callable[..., Any], **options: Any) -> Record:
    """A row of ``nn.functional``."""
    call = options.pop("call", functional(name))
    return Record(name, call, reference, no_zero_dim=NO_SCALAR, group="window", **options)


# ---- interpolation -----------------------------------------------------------------------------------------------------
def keys(x: float, a: float = -0.75) -> float:
    """Keys' cubic kernel."""
    x = abs(x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def matrix(n: int, m: int, mode: str, corners: bool, factor: float | None) -> Any:
    """What an axis of n elements, resized to m, is multiplied by."""
    scale = n / m if factor is None else 1 / factor
    made = np.zeros((m, n))
    for o in range(m):
        at = (o + 0.5) * scale - 0.5
        if corners:
            at = o * (n - 1) / (m - 1) if m > 1 else 0.0
        if mode == "nearest":
            made[o, min(int(o * scale), n - 1)] = 1
        elif mode == "nearest-exact":
            made[o, min(int((o + 0.5) * scale), n - 1)] = 1
        elif mode == "bicubic":
            for i in range(math.floor(at) - 1, math.floor(at) + 3):
                made[o, min(max(i, 0), n - 1)] += keys(at - i)
        else:
            at = min(max(at, 0.0), n - 1)
            for i in range(n):
                made[o, i] = max(0.0, 1 - abs(at - i))
    return made


def interpolate(x: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: Any = None) -> Any:
    """Axis by axis, as a product with a matrix; what has no weight is not looked at."""
    rank = x.ndim - 2
    if size is None:
        factors: list[float | None] = [scale_factor] * rank if isinstance(scale_factor, float) else list(scale_factor)
        sizes = [math.floor(n * (f or 0)) for n, f in zip(x.shape[2:], factors, strict=True)]
    else:
        factors, sizes = [None] * rank, [size] * rank if isinstance(size, int) else list(size)
    for axis, (n, m, f) in enumerate(zip(x.shape[2:], sizes, factors, strict=True), 2):
        rows, moved = matrix(n, m, mode, bool(align_corners), f), np.moveaxis(x, axis, -1)
        parts = [(moved[..., row != 0] * row[row != 0]).sum(-1) for row in rows]
        x = np.moveaxis(np.stack(parts, -1), -1, axis)
    return x


def pad(x: Any, pads: Any, mode: str) -> Any:
    """From the last axis on; what is negative is cut off beforehand."""
    also: Any = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    pairs = [(0, 0)] * (x.ndim - len(pads) // 2) + list(zip(pads[::2], pads[1::2], strict=True))[::-1]
    x = x[tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, pairs, strict=True))]
    return np.pad(x, [(max(a, 0), max(b, 0)) for a, b in pairs], also)


# ---- windows as columns ------------------------------------------------------------------------------------------------
def pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def windows(sizes: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> list[list[int]]:
    """Where each window begins, along each axis of the padded input."""
    rows = zip(sizes, pair(kernel), pair(dilation), pair(padding), pair(stride), strict=True)
    return [list(range(0, n + 2 * p - d * (k - 1), s)) for n, k, d, p, s in rows]


def unfold(x: Any, kernel: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    if x.ndim == 3:
        return unfold(x[None], kernel, dilation, padding, stride)[0]
    (kh, kw), (dh, dw), (ph, pw) = pair(kernel), pair(dilation), pair(padding)
    firsts = itertools.product(*windows(x.shape[2:], kernel, dilation, padding, stride))
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    parts = [x[:, :, i : i + dh * (kh - 1) + 1 : dh, j : j + dw * (kw - 1) + 1 : dw] for i, j in firsts]
    return np.stack([p.reshape(len(x), -1) if len(x) else p.reshape(0, x.shape[1] * kh * kw) for p in parts], -1)


def fold(x: Any, size: Any, kernel: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    if x.ndim == 2:
        return fold(x[None], size, kernel, dilation, padding, stride)[0]
    (kh, kw), (dh, dw), (ph, pw), (height, width) = pair(kernel), pair(dilation), pair(padding), pair(size)
    channels = x.shape[1] // (kh * kw)
    made = np.zeros((len(x), channels, height + 2 * ph, width + 2 * pw))
    for n, (i, j) in enumerate(itertools.product(*windows((height, width), kernel, dilation, padding, stride))):
        part = x[:, :, n].reshape(len(x), channels, kh, kw)
        made[:, :, i : i + dh * (kh - 1) + 1 : dh, j : j + dw * (kw - 1) + 1 : dw] += part
    return made[:, :, ph : ph + height, pw : pw + width]


# ---- pixels and channels -----------------------------------------------------------------------------------------------
def pixel_shuffle(x: Any, r: int) -> Any:
    *lead, channels, height, width = x.shape
    made = np.zeros((*lead, channels // r**2, height * r, width * r), x.dtype)
    for c, (i, j) in enumerate(itertools.product(range(r), range(r))):
        made[..., i::r, j::r] = x[..., c :: r * r, :, :]
    return made


def pixel_unshuffle(x: Any, r: int) -> Any:
    *lead, channels, height, width = x.shape
    made = np.zeros((*lead, channels * r**2, height // r, width // r), x.dtype)
    for c, (i, j) in enumerate(itertools.product(range(r), range(r))):
        made[..., c :: r * r, :, :] = x[..., i::r, j::r]
    return made


def channel_shuffle(x: Any, groups: int) -> Any:
    each = x.shape[1] // groups
    return x[:, [g * each + k for k in range(each) for g in range(groups)]]


def bilinear(x: Any, y: Any, weight: Any, bias: Any = 0.0) -> Any:
    return np.einsum("...i,oij,...j->...o", x, weight, y) + bias


MIXED = (
    S(V(2, 2, 3), size=5, mode="linear"), S(V(1, 2, 3, 4), size=(5, 2), mode="bilinear"),
    S(V(1, 2, 3, 2), scale_factor=2.0, mode="bilinear", align_corners=True),
    S(V(1, 1, 4, 3), scale_factor=(0.5, 1.7), mode="bilinear"), S(V(1, 1, 2, 2, 3), size=(3, 1, 4), mode="trilinear"),
    S(V(1, 1, 2, 3, 2), size=(1, 4, 3), mode="trilinear", align_corners=True),
    S(V(1, 1, 4, 3), size=(5, 7), mode="bicubic"), S(V(1, 2, 4, 5), size=(3, 2), mode="bicubic", align_corners=True),
    S(V(1, 1, 4), scale_factor=8.0, mode="linear"), S(V(1, 1, 4), size=27, mode="linear"),
    S(V(1, 1, 2, 6), scale_factor=(1.0, 7.0), mode="bicubic"), S(V(1, 1, 1, 6), size=(1, 41), mode="bicubic"),
    S(V(0, 2, 3), size=4, mode="linear"), S(V(2, 3, 17, 20), size=(33, 9), mode="bilinear", big=True),
    S(V(2, 3, 9, 8), scale_factor=3.0, mode="bicubic", big=True),
)  # fmt: skip
PICKED = (
    S(V(2, 2, 3), size=5), S(V(1, 2, 3, 4), size=(5, 2)), S(V(1, 2, 2, 3), scale_factor=2.0),
    S(V(1, 1, 5, 3), scale_factor=(0.7, 1.7)), S(V(1, 1, 2, 2, 3), size=(3, 1, 4)),
    S(V(1, 2, 5, 3), size=(3, 7), mode="nearest-exact"), S(V(1, 3, 2), scale_factor=2.5, mode="nearest-exact"),
    S(V(1, 1, 5), scale_factor=4.0), S(V(1, 1, 5), size=33), S(V(1, 1, 5), size=33, mode="nearest-exact"),
    S(V(0, 2, 3), size=4), S(V(2, 3, 17, 20), size=(33, 9), big=True),
)  # fmt: skip
BORDERS = (
    ((2, 2, 4), (1, 3)), ((1, 2, 4, 3), (2, 1, 0, 3)), ((2, 3, 1, 2), (1, 1, 0, 0)), ((1, 2, 4, 5), (-1, 2, 1, -2)),
    ((1, 1, 2, 3, 2), (1, 1, 0, 2, 1, 0)), ((0, 2, 3), (1, 2)), ((2, 3, 19, 22), (7, 2, 3, 5)),
)  # fmt: skip
# fmt: off
RECORDS = (
    F("interpolate", interpolate, samples=MIXED, ulp=16, half_ulp=4, scale=8.0,
      nonfinite="a neighbour that has the weight zero makes NaN of infinity"),
    F("interpolate_nearest", interpolate, call=functional("interpolate"), samples=PICKED, dtypes=(*FLOAT, "uint8"), ulp=0,
      half_ulp=0),
    F("border", pad, call=functional("pad"), ulp=0, half_ulp=0, samples=tuple(
        S(V(*shape), pads, mode=mode, big=shape[-1] > 9)
        for mode in ("reflect", "replicate", "circular") for shape, pads in BORDERS)),
    F("unfold_windows", unfold, call=functional("unfold"), ulp=0, half_ulp=0, samples=(
        S(V(1, 2, 3, 3), 2), S(V(2, 1, 4, 5), (2, 3), padding=(1, 0), stride=(1, 2)), S(V(2, 4, 4), 2, dilation=(2, 1)),
        S(V(1, 1, 5, 5), 3, stride=2, padding=1, dilation=2), S(V(0, 2, 3, 3), 2), S(V(2, 3, 13, 17), 3, padding=1, big=True))),
    F("fold_windows", fold, call=functional("fold"), ulp=4, half_ulp=2, scale=8.0, samples=(
        S(V(1, 8, 4), 3, 2), S(V(2, 6, 10), (4, 5), (2, 3), padding=(1, 0), stride=(1, 2)),
        S(V(8, 6), 4, 2, dilation=(2, 1)),
        S(V(1, 9, 9), 7, 3, stride=2, padding=1, dilation=2), S(V(0, 8, 4), 3, 2),
        S(V(2, 27, 221), (13, 17), 3, padding=1, big=True))),
    F("pixel_shuffle", pixel_shuffle, dtypes=MOVED, ulp=0, half_ulp=0, no_empty=LEFT, samples=(
        S(V(1, 4, 2, 3), 2), S(V(9, 1, 2), 3), S(V(2, 1, 4, 2, 1), 2), S(V(2, 12, 13, 17), 2, big=True))),
    F("pixel_unshuffle", pixel_unshuffle, dtypes=MOVED, ulp=0, half_ulp=0, no_empty=LEFT, samples=(
        S(V(1, 2, 2, 4), 2), S(V(1, 3, 6), 3), S(V(2, 3, 26, 34), 2, big=True))),
    F("channel_shuffle", channel_shuffle, dtypes=MOVED, ulp=0, half_ulp=0, samples=(
        S(V(1, 4, 2, 3), 2), S(V(2, 6, 2), 3), S(V(0, 4, 2), 2), S(V(2, 12, 13, 17), 4, big=True))),
    F("bilinear", bilinear, ulp=8, scale="terms", samples=(
        S(V(2, 3), V(2, 2), V(2, 3, 2), V(2)), S(V(3), V(2), V(1, 3, 2)), S(V(2, 2, 2), V(2, 2, 1), V(3, 2, 1), V(3)),
        S(V(0, 3), V(0, 2), V(2, 3, 2)), S(V(17, 20), V(17, 33), V(5, 20, 33), V(5), big=True))),
)
# fmt: on
