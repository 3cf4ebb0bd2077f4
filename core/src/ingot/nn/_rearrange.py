"""Elements moved between channels and space: windows as columns and back, pixels, groups; `nn.functional` exports these."""

from __future__ import annotations

import math
from collections.abc import Sequence

import ingot
from ingot.nn._convolution import Each, batched, each
from ingot.ops.common import run
from ingot.tensor import Tensor


def _factor(name: str, input: Tensor, factor: int) -> tuple[list[int], int, int, int]:
    """The leading sizes, channels, height and width of (…, C, H, W)."""
    if input.dim() < 3:
        raise RuntimeError(f"{name} expects input to have at least 3 dimensions, but got input with {input.dim()} dimension(s)")
    if factor < 1:
        raise RuntimeError(f"{name} expects a positive factor, but got {factor}")
    *lead, channels, height, width = input.shape
    return lead, channels, height, width


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(…, C·r², H, W) → (…, C, H·r, W·r): r² channels become a square of pixels (Shi et al., 2016)."""
    r = upscale_factor
    lead, channels, height, width = _factor("pixel_shuffle", input, r)
    if channels % (r * r):
        raise RuntimeError("pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of "
                           f"upscale_factor, but input.size(-3)={channels} is not divisible by {r * r}")
    n = len(lead)
    parts = input.reshape(*lead, channels // (r * r), r, r, height, width)
    made: Tensor = parts.permute(*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return made.reshape(*lead, channels // (r * r), height * r, width * r)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(…, C, H·r, W·r) → (…, C·r², H, W): the inverse of `pixel_shuffle`."""
    r = downscale_factor
    lead, channels, height, width = _factor("pixel_unshuffle", input, r)
    for name, n, place in (("height", height, -2), ("width", width, -1)):
        if n % r:
            raise RuntimeError(f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but "
                               f"input.size({place})={n} is not divisible by {r}")
    n = len(lead)
    parts = input.reshape(*lead, channels, height // r, r, width // r, r)
    made: Tensor = parts.permute(*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return made.reshape(*lead, channels * r * r, height // r, width // r)


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Channels of (N, C, …) dealt out: the first of each of ``groups`` groups, then the second (Zhang et al., 2018)."""
    if input.dim() < 3:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(input.shape)}")
    if groups < 1 or input.shape[1] % groups:
        raise RuntimeError("Number of channels must be divisible by groups. Got "
                           f"{input.shape[1]} channels and {groups} groups.")
    batch, channels, *space = input.shape
    made: Tensor = input.reshape(batch, groups, channels // groups, *space).transpose(1, 2)
    return made.reshape(batch, channels, *space)


# ---- windows as columns ------------------------------------------------------------------------------------------------
class _Windows:
    """The numbers of two axes seen through windows: taps, reach of a window, and how many there are."""

    def __init__(
        self, name: str, sizes: Sequence[int], kernel: Each, dilation: Each, padding: Each, stride: Each
    ) -> None:
        self.kernel, self.dilation = each("kernel_size", kernel, 2, 1), each("dilation", dilation, 2, 1)
        self.padding, self.stride = each("padding", padding, 2, 0), each("stride", stride, 2, 1)
        self.reach = [d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True)]
        self.padded = [n + 2 * p for n, p in zip(sizes, self.padding, strict=True)]
        self.counts = [(n - r) // s + 1 for n, r, s in zip(self.padded, self.reach, self.stride, strict=True)]
        if min(self.counts) < 1:
            raise RuntimeError(f"{name}: windows of {list(self.kernel)}, {list(self.dilation)} apart, do not fit spatial sizes "
                               f"{list(sizes)} with padding={list(self.padding)}; there would be {self.counts} of them")


def unfold(input: Tensor, kernel_size: Each, dilation: Each = 1, padding: Each = 0, stride: Each = 1) -> Tensor:
    """Windows as columns: (N, C, H, W) → (N, C·kh·kw, windows), row by row; also without N."""
    x, alone = batched("unfold", input, 2)
    w = _Windows("unfold", x.shape[2:], kernel_size, dilation, padding, stride)
    (ph, pw), (sh, sw), (dh, dw) = w.padding, w.stride, w.dilation
    x = ingot.pad(x, (pw, pw, ph, ph)) if ph or pw else x
    seen = x.unfold(2, w.reach[0], sh).unfold(3, w.reach[1], sw)[..., ::dh, ::dw]
    made: Tensor = seen.permute(0, 1, 4, 5, 2, 3)
    made = made.reshape(len(x), x.shape[1] * math.prod(w.kernel), math.prod(w.counts))
    return made.squeeze(0) if alone else made


def fold(
    input: Tensor, output_size: Each, kernel_size: Each, dilation: Each = 1, padding: Each = 0, stride: Each = 1
) -> Tensor:
    """The sum of columns where their windows lie: (N, C·kh·kw, windows) → (N, C, H, W); the adjoint of `unfold`."""
    if input.dim() not in (2, 3):
        raise RuntimeError("Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions "
                           f"for input, but got: {list(input.shape)}")
    sizes = each("output_size", output_size, 2, 1)
    w = _Windows("fold", sizes, kernel_size, dilation, padding, stride)
    x = input.unsqueeze(0) if input.dim() == 2 else input
    taps, count = math.prod(w.kernel), math.prod(w.counts)
    if x.shape[1] % taps or x.shape[2] != count:
        raise RuntimeError(f"fold: windows of {list(w.kernel)} over {list(sizes)} are {taps} elements and {count} windows, so "
                           f"input.size(1) must be a multiple of the one and input.size(2) the other, but got {list(x.shape)}")
    lead, (lh, lw), (eh, ew) = (len(x), x.shape[1] // taps), w.counts, w.reach
    x = x.reshape(*lead, *w.kernel, lh, lw).permute(0, 1, 4, 5, 2, 3)
    for axis, (k, d, e) in enumerate(zip(w.kernel, w.dilation, w.reach, strict=True), -2):  # taps, laid apart
        if d > 1 and k > 1:
            shape = tuple(e if n == axis else m for n, m in enumerate(x.shape, -6))
            x = run("slice_backward", x, shape=shape, axis=axis, start=0, stop=e, step=d)
    x = run("unfold_backward", x, shape=(*lead, lh, w.padded[1], eh), axis=-2, size=ew, step=w.stride[1])
    x = run("unfold_backward", x, shape=(*lead, *w.padded), axis=-2, size=eh, step=w.stride[0])
    made: Tensor = x[:, :, w.padding[0] : w.padding[0] + sizes[0], w.padding[1] : w.padding[1] + sizes[1]]
    made = made.contiguous()  # without what was folded into the padding
    return made.squeeze(0) if input.dim() == 2 else made
