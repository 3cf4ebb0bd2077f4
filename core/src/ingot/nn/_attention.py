"""Attention with several heads as a function of its parameters: what `nn.MultiheadAttention` runs.

Queries are (L, N, E), keys and values (S, N, …). A bool mask says True where a key is *not* looked at, as PyTorch's layer has
it (`scaled_dot_product_attention` has it the other way round); a mask of floats is added to the scores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import ingot
from ingot.nn import functional as F
from ingot.ops.named import warn
from ingot.tensor import Tensor


def check(query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, mask: Tensor | None) -> bool:
    """Whether there is a batch axis; AssertionError, as PyTorch's, for operands whose axes do not fit."""
    axes = query.dim()
    if axes not in (2, 3):
        raise AssertionError("query should be unbatched 2D or batched 3D tensor but received "
                             f"{axes}-D query tensor")
    said = f"For {'batched (3-D)' if axes == 3 else 'unbatched (2-D)'} `query`, expected"
    if key.dim() != axes or value.dim() != axes:
        raise AssertionError(f"{said} `key` and `value` to be {axes}-D but found {key.dim()}-D and {value.dim()}-D tensors "
                             "respectively")
    if padding is not None and padding.dim() != axes - 1:
        raise AssertionError(f"{said} `key_padding_mask` to be `None` or {axes - 1}-D but found {padding.dim()}-D tensor "
                             "instead")
    if mask is not None and mask.dim() not in (2, 3):
        raise AssertionError(f"{said} `attn_mask` to be `None`, 2-D or 3-D but found {mask.dim()}-D tensor instead")
    for name, given in (("key_padding_mask", padding), ("attn_mask", mask)):
        if given is not None and given.dtype is not ingot.bool and not given.is_floating_point():
            raise AssertionError(f"only bool and floating types of {name} are supported, not {given.dtype}")
    return axes == 3


def merged(
    padding: Tensor | None, mask: Tensor | None, query: Tensor, batch: int, heads: int, source: int
) -> Tensor | None:
    """Both masks as one that broadcasts to (N, heads, L, S): of bools while both are, else of floats."""
    if mask is not None:
        target = len(query)
        wanted = (target, source) if mask.dim() == 2 else (batch * heads, target, source)
        if tuple(mask.shape) != wanted:
            raise RuntimeError(f"The shape of the {mask.dim()}D attn_mask is {mask.shape}, but should be {wanted}.")
        mask = mask if mask.dim() == 2 else mask.view(batch, heads, target, source)
    if padding is None:
        return mask
    if tuple(padding.shape) != (batch, source):
        raise AssertionError(f"key_padding_mask shape: got {padding.shape}, expected {(batch, source)}")
    padding = padding.view(batch, 1, 1, source)
    if mask is None:
        return padding
    if mask.dtype is padding.dtype is ingot.bool:
        return mask | padding
    if mask.dtype is not padding.dtype:
        warn("Support for mismatched key_padding_mask and attn_mask is deprecated. Use same type for both instead.")
    return added(mask, query) + added(padding, query)


def added(mask: Tensor, like: Tensor) -> Tensor:
    """A mask as what is added to scores."""
    if mask.dtype is not ingot.bool:
        return mask
    zero = ingot.zeros((), dtype=like.dtype, device=like.device)
    return zero.masked_fill(mask, -math.inf)


def projections(
    query: Tensor, key: Tensor, value: Tensor, weight: Tensor | Sequence[Tensor], bias: Tensor | None
) -> Sequence[Tensor]:
    """Queries, keys and values times their weights, in as few products as there are different tensors."""
    size = query.shape[-1]
    if not isinstance(weight, Tensor):
        biases = (None,) * 3 if bias is None else bias.chunk(3)
        return [ingot.linear(x, w, b) for x, w, b in zip((query, key, value), weight, biases, strict=True)]
    if query is key is value:
        return ingot.linear(query, weight, bias).chunk(3, -1)
    sizes = [size, 2 * size] if key is value else [size] * 3
    given = (query, key) if key is value else (query, key, value)
    biases = (None,) * len(sizes) if bias is None else bias.split(sizes)
    made = [ingot.linear(x, w, b) for x, w, b in zip(given, weight.split(sizes), biases, strict=True)]
    return [made[0], *made[1].chunk(2, -1)] if key is value else made


def attend(
    q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None, dropout: float, is_causal: bool, need_weights: bool
) -> tuple[Tensor, Tensor | None]:
    """What each query makes of the values, (L, N, E); and if wanted, the weights (N, heads, L, S) that it gave them."""
    target, batch, size = q.shape
    q, k, v = (x.view(len(x), batch, heads, size // heads).permute(1, 2, 0, 3) for x in (q, k, v))
    weights = None
    if need_weights:
        scores = (q * math.sqrt(heads / size)) @ k.transpose(-2, -1)
        if mask is not None:
            scores = scores.masked_fill(mask, -math.inf) if mask.dtype is ingot.bool else scores + mask
        weights = F.dropout(F.softmax(scores, -1), dropout)
        made = weights @ v
    else:
        kept = mask.logical_not() if mask is not None and mask.dtype is ingot.bool else mask
        made = F.scaled_dot_product_attention(q, k, v, kept, dropout, is_causal)
    return made.permute(2, 0, 1, 3).reshape(target, batch, size), weights
