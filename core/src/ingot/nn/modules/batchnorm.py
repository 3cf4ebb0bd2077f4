"""BatchNorm1d, BatchNorm2d and BatchNorm3d: each channel by the batch's statistics, or by the running ones in evaluation."""

from __future__ import annotations

from typing import Any, ClassVar

import ingot
from ingot.nn import functional as F
from ingot.nn import init
from ingot.nn.modules.module import Module
from ingot.nn.parameter import Parameter
from ingot.tensor import Tensor


class _BatchNorm(Module):
    """``weight`` starts at one and ``bias`` at zero (``affine=False`` leaves out both, ``bias=False`` the second).

    ``running_mean`` and ``running_var`` are buffers, which move by ``momentum`` towards each batch's (None: they are the
    mean over all batches). ``track_running_stats=False`` leaves them out: the batch's own are used in evaluation, too.
    """

    ranks: ClassVar[tuple[int, ...]]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        made = {"device": device, "dtype": dtype}
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            self.register_parameter(name, Parameter(ingot.empty(num_features, **made)) if wanted else None)
        self.register_buffer("running_mean", ingot.zeros(num_features, **made) if track_running_stats else None)
        self.register_buffer("running_var", ingot.ones(num_features, **made) if track_running_stats else None)
        tracked = ingot.tensor(0, dtype=ingot.long, device=device) if track_running_stats else None
        self.register_buffer("num_batches_tracked", tracked)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Mean 0, variance 1, no batch seen."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """The running statistics as at first, weight to one, bias to zero."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in self.ranks:
            raise ValueError(f"expected {' or '.join(f'{n}D' for n in self.ranks)} input (got {input.ndim}D input)")
        training = self.training or self.running_mean is None
        moves = self.training and self.track_running_stats
        share = self._count() if moves else 0.0
        mean, var = (self.running_mean, self.running_var) if moves or not training else (None, None)
        return F.batch_norm(input, mean, var, self.weight, self.bias, training, share, self.eps)

    def _count(self) -> float:
        """One batch more; the share of it in the running statistics."""
        self.num_batches_tracked.add_(1)
        return 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum

    def extra_repr(self) -> str:
        return (f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
                f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}")  # fmt: skip


class BatchNorm1d(_BatchNorm):
    """Over (N, C) or (N, C, L): each channel to mean 0 and variance 1, times weight, plus bias; see
    `functional.batch_norm`.
    """

    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Over (N, C, H, W); see `functional.batch_norm`."""

    ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """Over (N, C, D, H, W); see `functional.batch_norm`."""

    ranks = (5,)
