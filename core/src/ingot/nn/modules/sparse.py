"""Embedding: a table looked up by index."""

from __future__ import annotations

from typing import Any

import ingot
from ingot.nn import init
from ingot.nn.modules.module import Module
from ingot.nn.parameter import Parameter
from ingot.tensor import Tensor


class Embedding(Module):
    """Row ``i`` of ``weight`` (num_embeddings, embedding_dim) for every index: shape (…) → (…,
    embedding_dim).

    ``padding_idx`` names a row that starts at zero and gets no gradient (negative counts from the
    end). The rest starts standard normal. An index out of range raises IndexError, at the next
    synchronisation.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = _row(padding_idx, num_embeddings)
        shape = (num_embeddings, embedding_dim)
        self.weight = Parameter(ingot.empty(shape, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with ingot.no_grad():
                self.weight[self.padding_idx].fill_(0)

    @classmethod
    def from_pretrained(
        cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None
    ) -> Embedding:
        """An Embedding over the given table (rows, dim), which is not trained if ``freeze``."""
        if embeddings.dim() != 2:
            raise ValueError("Embeddings parameter is expected to be 2-dimensional")
        # The table is filed after the constructor, so that no random numbers are drawn for nothing.
        made = cls(0, embeddings.shape[1], device=embeddings.device, dtype=embeddings.dtype)
        made.num_embeddings = embeddings.shape[0]
        made.padding_idx = _row(padding_idx, made.num_embeddings)
        made.weight = Parameter(embeddings, requires_grad=not freeze)
        return made

    def forward(self, input: Tensor) -> Tensor:
        return ingot.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        return text if self.padding_idx is None else f"{text}, padding_idx={self.padding_idx}"


def _row(padding_idx: int | None, rows: int) -> int | None:
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise ValueError(
            f"padding_idx must be within num_embeddings: {padding_idx} is not in [{-rows}, {rows})"
        )
    return padding_idx % rows
