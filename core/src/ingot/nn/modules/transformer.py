"""Transformers (Vaswani et al., 2017): layers that attend and feed forward, encoders and decoders of them, and both as one.

Sequences are (time, N, d_model), with N first if ``batch_first``, or without N. Masks are those of `MultiheadAttention`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import ingot
from ingot.nn import functional as F
from ingot.nn import init
from ingot.nn.modules.attention import MultiheadAttention
from ingot.nn.modules.container import ModuleList
from ingot.nn.modules.dropout import Dropout
from ingot.nn.modules.linear import Linear
from ingot.nn.modules.module import Module
from ingot.nn.modules.normalization import LayerNorm
from ingot.tensor import Tensor

Activation = str | Callable[[Tensor], Tensor]
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}


def _activation(given: Activation) -> Callable[[Tensor], Tensor]:
    if not isinstance(given, str):
        return given
    if given not in _ACTIVATIONS:
        raise RuntimeError(f"activation should be {'/'.join(_ACTIVATIONS)}, or a function, not {given!r}")
    return _ACTIVATIONS[given]


class _Layer(Module):
    """What layers of encoders and decoders share: blocks whose result is added to what they were given.

    Each is behind a `LayerNorm` if ``norm_first`` (Xiong et al., 2020), else before one.
    """

    attentions: tuple[str, ...]

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1, activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5, batch_first: bool = False, norm_first: bool = False, bias: bool = True,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        made = {"device": device, "dtype": dtype}
        for name in self.attentions:
            self.add_module(name, MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **made))
        self.linear1 = Linear(d_model, dim_feedforward, bias, **made)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **made)
        self.norm_first = norm_first
        blocks = range(1, len(self.attentions) + 2)
        for n in blocks:
            self.add_module(f"norm{n}", LayerNorm(d_model, layer_norm_eps, bias=bias, **made))
        for n in blocks:
            self.add_module(f"dropout{n}", Dropout(dropout))
        self.activation = _activation(activation)

    def _block(self, n: int, x: Tensor, block: Callable[[Tensor], Tensor]) -> Tensor:
        """The ``n``-th block (from 1)."""
        norm, dropout = getattr(self, f"norm{n}"), getattr(self, f"dropout{n}")
        made: Tensor = x + dropout(block(norm(x))) if self.norm_first else norm(x + dropout(block(x)))
        return made

    def _feed_forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.linear2(self.dropout(self.activation(self.linear1(x))))
        return made


def _attend(
    attention: MultiheadAttention, memory: Tensor | None, mask: Tensor | None, padding: Tensor | None, is_causal: bool
) -> Callable[[Tensor], Tensor]:
    """The block in which a sequence looks at ``memory``, or at itself."""
    def block(x: Tensor) -> Tensor:
        seen = x if memory is None else memory
        made: Tensor = attention(x, seen, seen, padding, need_weights=False, attn_mask=mask, is_causal=is_causal)[0]
        return made

    return block


class TransformerEncoderLayer(_Layer):
    """Self-attention, then a net of two `Linear` s with ``activation`` ("relu", "gelu" or a function) between them."""

    attentions = ("self_attn",)

    def forward(
        self, src: Tensor, src_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None, is_causal: bool = False
    ) -> Tensor:
        x = self._block(1, src, _attend(self.self_attn, None, src_mask, src_key_padding_mask, is_causal))
        return self._block(2, x, self._feed_forward)


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to a memory (what an encoder gave), then a net of two `Linear` s."""

    attentions = ("self_attn", "multihead_attn")

    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None, memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None, tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        x = self._block(1, tgt, _attend(self.self_attn, None, tgt_mask, tgt_key_padding_mask, tgt_is_causal))
        look = _attend(self.multihead_attn, memory, memory_mask, memory_key_padding_mask, memory_is_causal)
        return self._block(3, self._block(2, x, look), self._feed_forward)


def _copies(layer: Module, count: int) -> ModuleList:
    return ModuleList(copy.deepcopy(layer) for _ in range(count))


class TransformerEncoder(Module):
    """``num_layers`` copies of a layer in turn, then ``norm``.

    ``enable_nested_tensor`` and ``mask_check`` are PyTorch's, for a way to skip padding that is not here: they change nothing.
    A causal mask is used as it is given; ``is_causal=True`` spares reading it.
    """

    def __init__(
        self, encoder_layer: TransformerEncoderLayer, num_layers: int, norm: Module | None = None,
        enable_nested_tensor: bool = True, mask_check: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.layers = _copies(encoder_layer, num_layers)
        self.num_layers, self.norm = num_layers, norm
        self.enable_nested_tensor, self.mask_check = enable_nested_tensor, mask_check

    def forward(
        self, src: Tensor, mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None, is_causal: bool | None = None
    ) -> Tensor:
        for layer in self.layers:
            src = layer(src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=bool(is_causal))
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """``num_layers`` copies of a layer in turn, each with the same memory, then ``norm``; see `TransformerEncoder`."""

    def __init__(self, decoder_layer: TransformerDecoderLayer, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = _copies(decoder_layer, num_layers)
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None, memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None, memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        for layer in self.layers:
            tgt = layer(
                tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=bool(tgt_is_causal),
                memory_is_causal=memory_is_causal,
            )  # fmt: skip
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """An encoder of ``src``, and a decoder of ``tgt`` that attends to it; all matrices start by Xavier's rule.

    ``custom_encoder`` and ``custom_decoder`` take the place of either.
    """

    def __init__(
        self, d_model: int = 512, nhead: int = 8, num_encoder_layers: int = 6, num_decoder_layers: int = 6,
        dim_feedforward: int = 2048, dropout: float = 0.1, activation: Activation = F.relu, custom_encoder: Any = None,
        custom_decoder: Any = None, layer_norm_eps: float = 1e-5, batch_first: bool = False, norm_first: bool = False,
        bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        made = {"device": device, "dtype": dtype}
        options = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, **made)

        self.encoder: Any = custom_encoder
        if custom_encoder is None:
            self.encoder = TransformerEncoder(TransformerEncoderLayer(*options, **made), num_encoder_layers, norm())
        self.decoder: Any = custom_decoder
        if custom_decoder is None:
            self.decoder = TransformerDecoder(TransformerDecoderLayer(*options, **made), num_decoder_layers, norm())
        for parameter in self.parameters():
            if parameter.dim() > 1:
                init.xavier_uniform_(parameter)
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

    def forward(
        self, src: Tensor, tgt: Tensor, src_mask: Tensor | None = None, tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None, tgt_is_causal: bool | None = None, memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        batch = 0 if self.batch_first else 1
        if src.dim() == 3 and src.shape[batch] != tgt.shape[batch]:
            raise RuntimeError("the batch number of src and tgt must be equal, but they are "
                               f"{src.shape[batch]} and {tgt.shape[batch]}")
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise RuntimeError(f"the feature number of src and tgt must be equal to d_model={self.d_model}, but they are "
                               f"{src.shape[-1]} and {tgt.shape[-1]}")
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        made: Tensor = self.decoder(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal, memory_is_causal=memory_is_causal,
        )  # fmt: skip
        return made

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """(sz, sz): 0 on and below the diagonal, -inf above, so that nothing looks ahead."""
        made: Tensor = ingot.full((sz, sz), -math.inf, device=device, dtype=dtype).triu(1)
        return made
