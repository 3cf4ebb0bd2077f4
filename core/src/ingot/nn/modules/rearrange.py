"""Layers that move elements between channels and space: each holds its options and calls the function of its name."""

from __future__ import annotations

from ingot.nn import functional as F
from ingot.nn._convolution import Each
from ingot.nn.modules.module import Module
from ingot.tensor import Tensor


class _Named(Module):
    """Prints its options by name."""

    options: tuple[str, ...]

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.options)


class PixelShuffle(_Named):
    """(…, C·r², H, W) → (…, C, H·r, W·r); see `functional.pixel_shuffle`."""

    options = ("upscale_factor",)

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(input, self.upscale_factor)


class PixelUnshuffle(_Named):
    """(…, C, H·r, W·r) → (…, C·r², H, W): the inverse of `PixelShuffle`."""

    options = ("downscale_factor",)

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_unshuffle(input, self.downscale_factor)


class ChannelShuffle(_Named):
    """Channels of (N, C, …) dealt out to ``groups``; see `functional.channel_shuffle`."""

    options = ("groups",)

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)


class Unfold(_Named):
    """Windows as columns: (N, C, H, W) → (N, C·kh·kw, windows); see `functional.unfold`."""

    options = ("kernel_size", "dilation", "padding", "stride")

    def __init__(self, kernel_size: Each, dilation: Each = 1, padding: Each = 0, stride: Each = 1) -> None:
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(_Named):
    """The sum of columns where their windows lie: (N, C·kh·kw, windows) → (N, C, H, W); see `functional.fold`."""

    options = ("output_size", "kernel_size", "dilation", "padding", "stride")

    def __init__(
        self, output_size: Each, kernel_size: Each, dilation: Each = 1, padding: Each = 0, stride: Each = 1
    ) -> None:
        super().__init__()
        self.output_size, self.kernel_size, self.dilation = output_size, kernel_size, dilation
        self.padding, self.stride = padding, stride

    def forward(self, input: Tensor) -> Tensor:
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)
