"""Layers as functions: PyTorch's signatures over the ops of the core.

`nn.modules` calls these; they check what a user can get wrong and hand on to the composites of the
core, which carry fused kernels and gradients. The options that PyTorch has deprecated are left out,
and options after the operands are keyword-only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

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
from ingot.nn._normalization import batch_norm, group_norm, instance_norm, rms_norm
from ingot.nn._padding import pad
from ingot.nn._pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
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
from ingot.ops.named import named, warn
from ingot.tensor import Tensor

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
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
    "log_softmax",
    "logsigmoid",
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


def check_probability(p: float) -> None:
    """ValueError unless ``p`` is within [0, 1]."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
# ---- activations ---------------------------------------------------------------------------------


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0); ``inplace`` writes over the input."""
    return input.relu_() if inplace else input.relu()


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x · sigmoid(x)."""
    return _into(input, ingot.silu(input), inplace)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x · Φ(x), exactly or (``approximate="tanh"``) by the tanh formula."""
    return ingot.gelu(input, approximate=approximate)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha · (exp(x) - 1)."""
    return _into(input, ingot.elu(input, alpha), inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, else negative_slope · x."""
    return _into(input, ingot.leaky_relu(input, negative_slope), inplace)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta · x)) / beta; x itself where beta · x > threshold."""
    return ingot.softplus(input, beta, threshold)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return input.sigmoid()


def tanh(input: Tensor) -> Tensor:
    """tanh(x)."""
    return input.tanh()


def _into(input: Tensor, result: Tensor, inplace: bool) -> Tensor:
    return input.copy_(result) if inplace else result


def softmax(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """exp(x) over its sum along ``dim``; computed in ``dtype`` if that is given."""
    return ingot.softmax(_cast(input, dtype), _axis("softmax", input, dim))


def log_softmax(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """log of `softmax`, stable; computed in ``dtype`` if that is given."""
    return ingot.log_softmax(_cast(input, dtype), _axis("log_softmax", input, dim))


def _cast(input: Tensor, dtype: Any) -> Tensor:
    return input if dtype is None else input.to(dtype)


def _axis(name: str, input: Tensor, dim: int | None) -> int:
    if dim is not None:
        return dim
    warn(
        f"Implicit dimension choice for {name} has been deprecated. "
        "Change the call to include dim=X as an argument."
    )
    return 0 if input.dim() in (0, 1, 3) else 1


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


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """Pad; ``pad`` is (before, after) pairs from the last axis on.

    ``mode``: "constant" (with ``value``, or 0), "reflect" (mirrored at the edge, which is not repeated), "replicate" (the edge
    again) or "circular" (from the other end).
    """
    if mode == "constant":
        return ingot.pad(input, tuple(pad), value=0.0 if value is None else value)
    if mode not in _PLACES:
        raise ValueError(f"pad mode {mode!r} is not available; the modes are 'constant', {', '.join(map(repr, _PLACES))}")
    if value is not None:
        raise ValueError(f"Padding mode {mode!r} doesn't take in value argument")
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise ValueError(f"pad={list(pad)} must be (before, after) for each of the last axes of an input of shape "
                         f"{input.shape}")
    for k, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True), 1):
        size = input.shape[-k]
        most = size - 1 if mode == "reflect" else size
        if mode != "replicate" and max(before, after) > most:
            raise RuntimeError(f"Padding size should be at most {most} in mode {mode!r} for an axis of size {size}, but got "
                               f"padding ({before}, {after}) at dimension {input.ndim - k}")
        places = [_PLACES[mode](i, size) for i in range(-before, size + after)]
        if before or after:
            input = input.index_select(-k, ingot.tensor(places, dtype=ingot.long, device=input.device))
    return input


_PLACES: dict[str, Callable[[int, int], int]] = {
    "reflect": lambda i, n: n - 1 - abs(n - 1 - abs(i)),
    "replicate": lambda i, n: min(max(i, 0), n - 1),
    "circular": lambda i, n: i % n,
}
"""Which element stands at position i, counted from the first of n."""
# ---- losses --------------------------------------------------------------------------------------


def mse_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """(input - target)², reduced."""
    return ingot.mse_loss(input, target, reduction=reduction)


def l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """|input - target|, reduced."""
    if input.shape != target.shape:
        _warn_sizes(input, target)
    return _reduce((input - target).abs(), reduction)


def smooth_l1_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """0.5 d² / beta where d = |input - target| < beta, else d - 0.5 beta, reduced."""
    if beta < 0:
        raise ValueError(f"smooth_l1_loss does not support negative values for beta, got {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    if input.shape != target.shape:
        _warn_sizes(input, target)
    distance = (input - target).abs()
    near = distance * distance * (0.5 / beta)
    return _reduce(ingot.where(distance < beta, near, distance - 0.5 * beta), reduction)


def _warn_sizes(input: Tensor, target: Tensor) -> None:
    warn(
        f"Using a target size ({target.shape}) that is different to the input size "
        f"({input.shape}). This will likely lead to incorrect results due to broadcasting. "
        "Please ensure they have the same size."
    )


def _reduce(values: Tensor, reduction: str) -> Tensor:
    check_reduction(reduction)
    if reduction == "none":
        return values
    return values.mean() if reduction == "mean" else values.sum()


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """-input[class] for log-probabilities (N, C, …) and class indices (N, …), reduced."""
    return ingot.nll_loss(
        input, target, weight=weight, ignore_index=ignore_index, reduction=reduction
    )


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross entropy of logits (N, C, …) with indices (N, …) or probabilities (N, C, …), reduced."""
    return ingot.cross_entropy(
        input,
        target,
        weight=weight,
        ignore_index=ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Binary cross entropy of logits with targets in [0, 1] of the same shape, reduced."""
    if input.shape != target.shape:
        raise ValueError(
            f"Target size ({target.shape}) must be the same as input size ({input.shape})"
        )
    return ingot.binary_cross_entropy_with_logits(
        input, target, weight=weight, reduction=reduction, pos_weight=pos_weight
    )


globals().update({name: named(globals()[name]) for name in __all__})
