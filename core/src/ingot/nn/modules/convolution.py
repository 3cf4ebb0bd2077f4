"""Conv1d, Conv2d, Conv3d and the transposed ones: windows of the input times a learned kernel."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import ingot
from ingot.nn import functional as F
from ingot.nn import init
from ingot.nn._convolution import PADDINGS, Each, each, padded
from ingot.nn.modules.module import Module
from ingot.nn.parameter import Parameter
from ingot.tensor import Tensor

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """What all of them hold. ``weight`` and ``bias`` start uniform within ±1/sqrt(fan-in)."""

    rank: ClassVar[int]
    transposed: ClassVar[bool] = False

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Each, stride: Each, padding: str | Each, dilation: Each,
        output_padding: Each, groups: int, bias: bool, padding_mode: str, device: Any, dtype: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        if groups <= 0:
            raise ValueError(f"groups must be a positive integer, {groups} was given")
        if in_channels % groups:
            raise ValueError(f"in_channels must be divisible by groups: {in_channels} is not by {groups}")
        if out_channels % groups:
            raise ValueError(f"out_channels must be divisible by groups: {out_channels} is not by {groups}")
        if padding_mode not in PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {PADDING_MODES}, but got padding_mode={padding_mode!r}")
        if isinstance(padding, str) and padding not in PADDINGS:
            raise ValueError(f"Invalid padding string {padding!r}, should be one of {PADDINGS}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = each("kernel_size", kernel_size, self.rank, 1)
        self.stride = each("stride", stride, self.rank, 1)
        self.dilation = each("dilation", dilation, self.rank, 1)
        self.output_padding = each("output_padding", output_padding, self.rank, 0)
        if padding == "same" and any(s != 1 for s in self.stride):
            raise ValueError("padding='same' is not supported for strided convolutions")
        self.padding = padding if isinstance(padding, str) else each("padding", padding, self.rank, 0)
        self.padding_mode = padding_mode
        outer, inner = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        made = {"device": device, "dtype": dtype}
        self.weight = Parameter(ingot.empty((outer, inner // groups, *self.kernel_size), **made))
        self.register_parameter("bias", Parameter(ingot.empty(out_channels, **made)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # which is ±1/sqrt(fan-in)
        if self.bias is not None:
            fan_in = math.prod(self.weight.shape[1:])
            bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def _padded(self, input: Tensor) -> tuple[Tensor, str | tuple[int, ...]]:
        """The input, padded where that is not with zeros, and what padding is left for the op."""
        if self.padding_mode == "zeros":
            return input, self.padding
        pairs = padded(self.padding, self.kernel_size, self.stride, self.dilation)
        return F.pad(input, [n for pair in reversed(pairs) for n in pair], mode=self.padding_mode), (0,) * self.rank

    def extra_repr(self) -> str:
        said = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        none, ones = (0,) * self.rank, (1,) * self.rank
        rows = (("padding", none), ("dilation", ones), ("output_padding", none), ("groups", 1))
        said += "".join(f", {name}={getattr(self, name)}" for name, usual in rows if getattr(self, name) != usual)
        said += "" if self.bias is not None else ", bias=False"
        return said + ("" if self.padding_mode == "zeros" else f", padding_mode={self.padding_mode}")


class _Conv(_ConvNd):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Each, stride: Each = 1, padding: str | Each = 0,
        dilation: Each = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias, padding_mode,
                         device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        x, padding = self._padded(input)
        convolve = (F.conv1d, F.conv2d, F.conv3d)[self.rank - 1]
        return convolve(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv1d(_Conv):
    """(N, C, L) → (N, out_channels, L'); see `Conv2d`."""

    rank = 1


class Conv2d(_Conv):
    """(N, in_channels, H, W) → (N, out_channels, H', W'), with H' as `functional.conv2d` says; a batch axis is not needed.

    ``weight`` is (out_channels, in_channels / groups, kh, kw), ``bias`` (out_channels,) or None. Both start uniform within
    ±1/sqrt(in_channels / groups · kh · kw). ``padding_mode``: what stands around the input, as `functional.pad` has it.
    """

    rank = 2


class Conv3d(_Conv):
    """(N, C, D, H, W) → (N, out_channels, D', H', W'); see `Conv2d`."""

    rank = 3


class _ConvTranspose(_ConvNd):
    transposed = True

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Each, stride: Each = 1, padding: Each = 0,
        output_padding: Each = 0, groups: int = 1, bias: bool = True, dilation: Each = 1, padding_mode: str = "zeros",
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}, {padding_mode!r} was given')
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups, bias,
                         padding_mode, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        convolve: Any = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self.rank - 1]
        made: Tensor = convolve(input, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups,
                                self.dilation)
        return made


class ConvTranspose1d(_ConvTranspose):
    """(N, C, L) → (N, out_channels, L'); see `ConvTranspose2d`."""

    rank = 1


class ConvTranspose2d(_ConvTranspose):
    """(N, in_channels, H, W) → (N, out_channels, H', W'), with H' as `functional.conv_transpose2d` says.

    ``weight`` is (in_channels, out_channels / groups, kh, kw), ``bias`` (out_channels,) or None.
    """

    rank = 2


class ConvTranspose3d(_ConvTranspose):
    """(N, C, D, H, W) → (N, out_channels, D', H', W'); see `ConvTranspose2d`."""

    rank = 3
