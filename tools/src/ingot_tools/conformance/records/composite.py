"""Composites: softmax and losses, normalisation, attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .record import ASIDE, Domain, Record, S, V, functional, ix

CLASSES = ix([2, 0, 1], (3,))
PICTURE = ix([[0, 1], [2, 2]], (2, 2))
CHANCE = Domain(0.05, 0.95)
WEIGHT = Domain(0.5, 2.0)


def P(name: str, reference: Callable[..., Any], **options: Any) -> Record:
    """A row of ``nn.functional``: several roundings, so some ulp at the size of the terms."""
    options.setdefault("call", functional(name))
    options.setdefault("ulp", 16)
    options.setdefault("half_ulp", 4)
    options.setdefault("scale", 1.0)
    call = options.pop("call")
    return Record(name, call, reference, group="composite", **options)


def softmax(x: Any, dim: int) -> Any:
    shifted = np.exp(x - x.max(axis=dim, keepdims=True, initial=-np.inf)) if x.ndim else np.exp(x - x)
    return shifted / shifted.sum(axis=dim, keepdims=True) if x.ndim else shifted


def log_softmax(x: Any, dim: int) -> Any:
    if x.ndim == 0:
        return x - x
    shifted = x - x.max(axis=dim, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.exp(shifted).sum(axis=dim, keepdims=True))


def layer_norm(x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    centred = x - x.mean(axis=axes, keepdims=True)
    y = centred / np.sqrt((centred**2).mean(axis=axes, keepdims=True) + eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def reduce(loss: Any, reduction: str, total: Any = None) -> Any:
    if reduction == "none":
        return loss
    return loss.sum() if reduction == "sum" else loss.sum() / (loss.size if total is None else total)


def nll_loss(x: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """Classes lie on axis 1 (axis 0 of a vector)."""
    if x.ndim == 1:
        inner = "sum" if reduction == "none" else reduction
        return nll_loss(x[None], target[None], weight, ignore_index, inner)
    kept = target != ignore_index
    index = np.where(kept, target, 0)
    weight = np.ones(x.shape[1]) if weight is None else weight
    factor = weight[index] * kept
    picked = np.take_along_axis(x, np.expand_dims(index, 1), 1).squeeze(1)
    return reduce(np.where(kept, -factor * picked, 0.0), reduction, factor.sum())


def cross_entropy(
    x: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """By class index or by probabilities, smoothed towards the uniform distribution."""
    axis = 0 if x.ndim == 1 else 1
    logs = log_softmax(x, axis)
    shape = [-1 if k == axis else 1 for k in range(x.ndim)]
    scale = np.ones(x.shape[axis]) if weight is None else weight
    weighted = logs * scale.reshape(shape)
    if target.shape == x.shape and target.dtype.kind == "f":
        smooth = target * (1 - label_smoothing) + label_smoothing / x.shape[axis]
        loss = -(smooth * weighted).sum(axis=axis)
        return reduce(loss, reduction, max(loss.size, 1))
    kept = target != ignore_index
    hard = nll_loss(logs, target, scale, ignore_index, "none" if x.ndim > 1 else "sum")
    if label_smoothing == 0:
        return reduce(np.asarray(hard), reduction, (scale[np.where(kept, target, 0)] * kept).sum())
    even = np.where(kept, -weighted.sum(axis=axis), 0.0) / x.shape[axis]
    loss = (1 - label_smoothing) * hard + label_smoothing * even
    return reduce(np.asarray(loss), reduction, (scale[np.where(kept, target, 0)] * kept).sum())


def mse_loss(x: Any, y: Any, reduction: str = "mean") -> Any:
    return reduce((x - y) ** 2, reduction)


def bce_with_logits(x: Any, y: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> Any:
    positive = 1.0 if pos_weight is None else pos_weight
    loss = positive * y * np.logaddexp(0, -x) + (1 - y) * np.logaddexp(0, x)
    return reduce(loss if weight is None else loss * weight, reduction)


def attention(q: Any, k: Any, v: Any, attn_mask: Any = None, is_causal: bool = False, scale: Any = None) -> Any:
    scores = q @ np.swapaxes(k, -1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = np.tril(np.ones(scores.shape[-2:], bool))
    if attn_mask is not None and attn_mask.dtype == np.bool_:
        scores = np.where(attn_mask, scores, -np.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    attended = ~np.isneginf(scores).all(axis=-1, keepdims=True)  # a row without a key gives zeros
    return np.where(attended, softmax(scores, -1), 0) @ v


LOGITS = (
    S(V(3, 4), CLASSES), S(V(3, 4), CLASSES, reduction="sum"),
    S(V(3, 4), CLASSES, reduction="none"),
    S(V(3, 4), CLASSES, weight=V(4, domain=WEIGHT, grad=False)), S(V(3, 4), ix([2, -100, 1], (3,))),
    S(V(3, 4), ix([2, 0, 1], (3,)), ignore_index=0, weight=V(4, domain=WEIGHT, grad=False)),
    S(V(4), ix(2, ())),
    S(V(2, 3, 2), PICTURE), S(V(0, 3), ix([], (0,)), reduction="sum"),
    S(V(65, 129), ix(list(range(65)), (65,)), big=True),
)  # fmt: skip
SMOOTH = (
    S(V(3, 4), CLASSES, label_smoothing=0.1), S(V(3, 4), V(3, 4, domain=CHANCE)),
    S(V(3, 4), CLASSES, label_smoothing=0.2, weight=V(4,
    domain=WEIGHT, grad=False), reduction="sum"),
    S(V(3, 4), V(3, 4, domain=CHANCE), label_smoothing=0.1, weight=V(4, domain=WEIGHT, grad=False)),
)  # fmt: skip
SOFT = (
    S(V(3, 4), dim=1), S(V(3, 4), dim=0), S(V(2, 3, 4), dim=-2), S(V(5), dim=-1), S(V(), dim=0),
    S(V(0, 3), dim=1),
    S(V(33, 257), dim=1, big=True), S(V(257, 33), dim=0, big=True),
)  # fmt: skip
PAIR = (S(V(3, 4), V(3, 4)), S(V(3, 4), V(3, 4), reduction="sum"),
S(V(3, 4), V(3, 4), reduction="none"),
        S(V(), V()), S(V(0, 3), V(0, 3), reduction="sum"))  # fmt: skip
CAUSAL = ix([[True, False, False], [True, True, False], [False, True, True]], (3, 3), "bool")

# fmt: off
RECORDS = (
    P("softmax", softmax, samples=SOFT),
    P("log_softmax", log_softmax, samples=SOFT),
    P("softmin", lambda x, dim: softmax(-x, dim), samples=SOFT),
    P("layer_norm", layer_norm, half_ulp=6, no_zero_dim="an axis is needed", samples=(
        S(V(3, 4, domain=ASIDE), (4,)), S(V(3, 4), (4,), V(4), V(4)), S(V(2, 3, 4, domain=ASIDE), (3, 4), V(3, 4), V(3, 4)),
        S(V(3, 4), (4,), V(4)), S(V(3, 4), (4,), eps=0.1), S(V(0, 4), (4,), V(4), V(4)),
        S(V(33, 257), (257,), V(257), V(257), big=True))),
    P("nll_loss", nll_loss, samples=LOGITS, no_zero_dim="classes lie on an axis"),
    P("cross_entropy", cross_entropy, no_zero_dim="classes lie on an axis",
      samples=LOGITS + SMOOTH),
    P("mse_loss", mse_loss, samples=PAIR, scale=8.0),
    P("binary_cross_entropy_with_logits", bce_with_logits,
      domain=(Domain(avoid=(0.0,)), CHANCE, WEIGHT, WEIGHT), samples=(
        *PAIR, S(V(3, 4), V(3, 4), weight=V(3, 4, domain=WEIGHT, grad=False)),
        S(V(3, 4), V(3, 4), pos_weight=V(4, domain=WEIGHT, grad=False)))),
    P("scaled_dot_product_attention", attention, half_ulp=10, no_zero_dim="matrices only", samples=(
        S(V(3, 2), V(3, 2), V(3, 2)), S(V(2, 3, 2), V(2, 3, 2), V(2, 3, 2), is_causal=True),
        S(V(2, 3, 2), V(2, 4, 2), V(2, 4, 3)), S(V(3, 2), V(3, 2), V(3, 2), attn_mask=CAUSAL),
        S(V(3, 2), V(3, 2), V(3, 2), attn_mask=V(3, 3)),
        S(V(2, 2, 3, 2), V(2, 2, 3, 2), V(2, 2, 3, 2), scale=0.3),
        S(V(0, 3, 2), V(0, 3, 2), V(0, 3, 2)),
        S(V(2, 5, 16), V(2, 7, 16), V(2, 7, 16), is_causal=True),  # what kernels that fuse it take
        S(V(2, 33, 16), V(2, 65, 16), V(2, 65, 24), big=True))),
)
# fmt: on
