"""InstanceNorm1d, InstanceNorm2d and InstanceNorm3d: each channel of each sample by its own statistics, or by running ones."""

from __future__ import annotations

from typing import Any

from ingot.nn import functional as F
from ingot.nn.modules.batchnorm import _BatchNorm
from ingot.ops.named import warn
from ingot.tensor import Tensor


class _InstanceNorm(_BatchNorm):
    """Parameters and buffers as `BatchNorm2d` has them, all of them left out unless ``affine`` or ``track_running_stats`` ask
    for them. The running statistics are used in evaluation. A batch axis is not needed.
    """

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False,
        track_running_stats: bool = False, device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in self.ranks:
            raise ValueError(f"expected {' or '.join(f'{n}D' for n in self.ranks)} input (got {input.ndim}D input)")
        alone = input.ndim == min(self.ranks)
        axis = 0 if alone else 1
        if input.shape[axis] != self.num_features:
            said = f"input's size at dim={axis}"
            if self.affine:
                raise ValueError(f"expected {said} to match num_features ({self.num_features}), but got: "
                                 f"{input.shape[axis]}.")
            warn(f"{said} does not match num_features. You can silence this warning by not passing in num_features, which is "
                 "not used because affine=False")
        own = self.training or not self.track_running_stats
        x = input.unsqueeze(0) if alone else input
        made = F.instance_norm(x, self.running_mean, self.running_var, self.weight, self.bias, own, self.momentum or 0.0,
                               self.eps)  # fmt: skip
        return made.squeeze(0) if alone else made


class InstanceNorm1d(_InstanceNorm):
    """Over (N, C, L) or (C, L); see `functional.instance_norm`."""

    ranks = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Over (N, C, H, W) or (C, H, W); see `functional.instance_norm`."""

    ranks = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Over (N, C, D, H, W) or (C, D, H, W); see `functional.instance_norm`."""

    ranks = (4, 5)
