"""Dropout: zeroes elements at random while training."""

from __future__ import annotations

from ingot.nn import functional as F
from ingot.nn.modules.module import Module
from ingot.tensor import Tensor


class Dropout(Module):
    """Zeroes each element with probability ``p`` and scales the rest by 1/(1-p); in eval mode, the
    identity.

    ValueError when ``p`` is not within [0, 1].
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        F.check_probability(p)
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"
