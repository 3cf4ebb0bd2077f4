"""Layers as functions: PyTorch's signatures over the ops of the core.

`nn.modules` calls these; they check what a user can get wrong and hand on to the composites of the
core, which carry fused kernels and gradients. The options that PyTorch has deprecated are left out,
and options after the operands are keyword-only.
"""

from __future__ import annotations

from collections.abc import Sequence

import ingot
from ingot.nn._activation import (
    glu,
    gumbel_softmax,
    hardsigmoid,
    hardswish,
    hardtanh,
    log_softmax,
    logsigmoid,
    mish,
    relu,
    relu6,
    sigmoid,
    silu,
    softmax,
    softmin,
    softshrink,
    softsign,
    tanh,
    tanhshrink,
)
from ingot.nn._convolution import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from ingot.nn._distance import (
    cosine_embedding_loss,
    cosine_similarity,
    pairwise_distance,
    pdist,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from ingot.nn._dropout import check_probability, dropout1d, dropout2d, dropout3d
from ingot.nn._losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    gaussian_nll_loss,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
    poisson_nll_loss,
    smooth_l1_loss,
)
from ingot.nn._margin_losses import (
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_soft_margin_loss,
    soft_margin_loss,
)
from ingot.nn._normalization import batch_norm, group_norm, instance_norm, local_response_norm, rms_norm
from ingot.nn._padding import pad
from ingot.nn._pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from ingot.nn._power_pooling import lp_pool1d, lp_pool2d, lp_pool3d
from ingot.nn._rearrange import channel_shuffle, fold, pixel_shuffle, pixel_unshuffle, unfold
from ingot.nn._resize import interpolate
from ingot.ops.activation import (
    celu,
    elu,
    gelu,
    hardshrink,
    leaky_relu,
    prelu,
    rrelu,
    selu,
    softplus,
    threshold,
)
from ingot.ops.common import with_inplace
from ingot.ops.named import named
from ingot.tensor import Tensor

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "channel_shuffle",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "elu",
    "embedding",
    "fold",
    "gaussian_nll_loss",
    "gelu",
    "glu",
    "group_norm",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hinge_embedding_loss",
    "huber_loss",
    "instance_norm",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "local_response_norm",
    "log_softmax",
    "logsigmoid",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "margin_ranking_loss",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "mish",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "pdist",
    "pixel_shuffle",
    "pixel_unshuffle",
    "poisson_nll_loss",
    "prelu",
    "relu",
    "relu6",
    "rms_norm",
    "rrelu",
    "scaled_dot_product_attention",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
    "unfold",
]


# ---- layers --------------------------------------------------------------------------------------


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input @ weight.T + bias``: (…, in) with (out, in) and (out,) → (…, out)."""
    return ingot.linear(input, weight, bias)


def bilinear(
    input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """x₁ᵀ·W·x₂ + b for each output: (…, m), (…, n), (out, m, n) and (out,) → (…, out)."""
    if input1.shape[:-1] != input2.shape[:-1]:
        raise RuntimeError(
            f"bilinear(): input batch dimensions do not match: got {input1.shape} and {input2.shape}"
        )
    outputs, m, n = weight.shape
    if (input1.shape[-1], input2.shape[-1]) != (m, n):
        raise RuntimeError(
            f"bilinear(): inputs with {input1.shape[-1]} and {input2.shape[-1]} features do not fit a "
            f"weight of shape {weight.shape}: it needs {m} and {n}"
        )
    first = ingot.linear(input1, weight.transpose(1, 2).reshape(outputs * n, m))
    made: Tensor = first.view(*input1.shape[:-1], outputs, n) @ input2.unsqueeze(-1)
    return made.squeeze(-1) if bias is None else made.squeeze(-1) + bias


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each element with probability ``p`` and scale the rest by 1/(1-p), if ``training``."""
    if not training:
        return input
    check_probability(p)
    return ingot.dropout(input, p, training, inplace)


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) · weight + bias over the last axes, whose sizes are
    ``normalized_shape``.
    """
    return ingot.layer_norm(input, tuple(normalized_shape), weight, bias, eps)


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Rows of ``weight`` (rows, dim) at the indices ``input`` (…): (…, dim). No gradient for
    ``padding_idx``.
    """
    if padding_idx is not None:
        rows = weight.shape[0]
        if not -rows <= padding_idx < rows:
            raise ValueError(
                "padding_idx must be within num_embeddings: "
                f"{padding_idx} is not in [{-rows}, {rows})"
            )
        padding_idx %= rows
    return ingot.embedding(input, weight, padding_idx)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 (…, num_classes) with a one at each index of ``tensor`` (…)."""
    return ingot.one_hot(tensor, num_classes)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """softmax(q @ k.T · scale + mask) @ v: (…, L, E), (…, S, E), (…, S, V) → (…, L, V)."""
    return ingot.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=attn_mask,
        dropout_p=dropout_p,
        is_causal=is_causal,
        scale=scale,
    )


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """``input`` over its ``p``-norm along ``dim``, which is taken as at least ``eps``."""
    return input / input.norm(p, dim, keepdim=True).clamp_min(eps)


_OVER = ("celu", "elu", "hardtanh", "leaky_relu", "relu", "rrelu", "selu", "threshold")
globals().update({f"{name}_": with_inplace(globals()[name]) for name in _OVER})
__all__ += [f"{name}_" for name in _OVER]
globals().update({name: named(globals()[name]) for name in __all__})
