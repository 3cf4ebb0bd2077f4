"""MultiheadAttention: each element of a sequence looks at another sequence, through several heads (Vaswani et al., 2017)."""

from __future__ import annotations

from typing import Any

import ingot
from ingot.nn import _attention, init
from ingot.nn import functional as F
from ingot.nn.modules.linear import Linear
from ingot.nn.modules.module import Module
from ingot.nn.parameter import Parameter
from ingot.tensor import Tensor


class NonDynamicallyQuantizableLinear(Linear):
    """A `Linear`, under the name that PyTorch's attention prints for its ``out_proj``."""


class MultiheadAttention(Module):
    """softmax(Q Kᵀ / √d + mask) V for each of ``num_heads`` projections of query, key and value, joined and projected again.

    ``query`` is (L, N, embed_dim), ``key`` (S, N, kdim), ``value`` (S, N, vdim), with N first if ``batch_first``, or without
    N. Gives the output, shaped as the query, and the weights (N, L, S) averaged over the heads, or (N, num_heads, L, S), or
    None without ``need_weights``, which is faster. Masks: ``key_padding_mask`` (N, S), ``attn_mask`` (L, S) or
    (N · num_heads, L, S); True says that a key is not looked at, floats are added to the scores. ``is_causal`` says that
    ``attn_mask`` is the causal one, which is then not read. ``add_bias_kv`` adds a learned key and value, ``add_zero_attn`` one
    of zeros.

    ``in_proj_weight`` holds the three projections, or ``q_proj_weight``, ``k_proj_weight``, ``v_proj_weight`` where their
    sizes differ; they start by Xavier's rule, biases at zero.
    """

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, add_bias_kv: bool = False,
        add_zero_attn: bool = False, kdim: int | None = None, vdim: int | None = None, batch_first: bool = False,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError("embed_dim and num_heads must be greater than 0, got "
                             f"embed_dim={embed_dim} and num_heads={num_heads} instead")
        if embed_dim % num_heads:
            raise AssertionError(f"embed_dim must be divisible by num_heads: {embed_dim} is not by {num_heads}")
        super().__init__()
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        made = {"device": device, "dtype": dtype}
        together = self.kdim == self.vdim == embed_dim
        shapes: dict[str, tuple[tuple[int, ...], bool]] = {
            "q_proj_weight": ((embed_dim, embed_dim), not together),
            "k_proj_weight": ((embed_dim, self.kdim), not together),
            "v_proj_weight": ((embed_dim, self.vdim), not together),
            "in_proj_weight": ((3 * embed_dim, embed_dim), together),
            "in_proj_bias": ((3 * embed_dim,), bias),
            "bias_k": ((1, 1, embed_dim), add_bias_kv),
            "bias_v": ((1, 1, embed_dim), add_bias_kv),
        }
        for name, (shape, wanted) in shapes.items():
            self.register_parameter(name, Parameter(ingot.empty(shape, **made)) if wanted else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, **made)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for name, parameter in self.named_parameters(recurse=False):
            if name.endswith("proj_weight"):
                init.xavier_uniform_(parameter)
            elif name.startswith("bias"):
                init.xavier_normal_(parameter)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None, need_weights: bool = True,
        attn_mask: Tensor | None = None, average_attn_weights: bool = True, is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        batched = _attention.check(query, key, value, key_padding_mask, attn_mask)
        if is_causal and attn_mask is None:
            raise RuntimeError("Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
                               "`generate_square_subsequent_mask` to create this mask.")
        q, k, v = self._time_first(query, key, value, batched)
        self._check_sizes(q, k, v)
        padding = key_padding_mask if batched or key_padding_mask is None else key_padding_mask.unsqueeze(0)
        causal = is_causal and padding is None and not need_weights and not self._adds
        x, y, z = _attention.projections(q, k, v, self._weight(), self.in_proj_bias)
        y, z, padding, mask = self._with_more(y, z, padding, None if causal else attn_mask)
        mask = _attention.merged(padding, mask, q, q.shape[1], self.num_heads, len(y))
        dropout = self.dropout if self.training else 0.0
        made, weights = _attention.attend(x, y, z, self.num_heads, mask, dropout, causal, need_weights)
        made = self.out_proj(made)
        made = made.transpose(0, 1) if batched and self.batch_first else made if batched else made.squeeze(1)
        if weights is not None:
            weights = weights.mean(1) if average_attn_weights else weights
            weights = weights if batched else weights.squeeze(0)
        return made, weights

    @property
    def _adds(self) -> bool:
        return self.bias_k is not None or self.add_zero_attn

    def _weight(self) -> Any:
        if self.in_proj_weight is not None:
            return self.in_proj_weight
        return self.q_proj_weight, self.k_proj_weight, self.v_proj_weight

    def _time_first(self, query: Tensor, key: Tensor, value: Tensor, batched: bool) -> tuple[Tensor, Tensor, Tensor]:
        """All three as (time, N, …): what was one tensor stays one."""
        found: dict[int, Tensor] = {}
        for x in (query, key, value):
            if id(x) not in found:
                found[id(x)] = x.unsqueeze(1) if not batched else x.transpose(0, 1) if self.batch_first else x
        return found[id(query)], found[id(key)], found[id(value)]

    def _check_sizes(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        if query.shape[-1] != self.embed_dim:
            raise AssertionError(f"was expecting embedding dimension of {self.embed_dim}, but got {query.shape[-1]}")
        if key.shape[:2] != value.shape[:2]:
            raise AssertionError(f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}")
        if self.in_proj_weight is not None and key.shape != value.shape:
            raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")

    def _with_more(
        self, key: Tensor, value: Tensor, padding: Tensor | None, mask: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """With the learned key and value, and the zero ones, where there are such; no mask hides them."""
        batch, size = key.shape[1:]
        more: list[tuple[Tensor, Tensor]] = []
        if self.bias_k is not None:
            more.append((self.bias_k.expand(1, batch, size), self.bias_v.expand(1, batch, size)))
        if self.add_zero_attn:
            nothing = ingot.zeros((1, batch, size), dtype=key.dtype, device=key.device)
            more.append((nothing, nothing))
        if more:
            key, value = (ingot.cat([x, *(pair[n] for pair in more)]) for n, x in enumerate((key, value)))
            padding, mask = (None if m is None else F.pad(m, (0, len(more))) for m in (padding, mask))
        return key, value, padding, mask
