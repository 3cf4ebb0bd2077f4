"""Losses that compare element with element or vector with vector, and distances. Kinks are avoided; `tests/parity` looks at
them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .binary import APART
from .composite import CHANCE, PAIR, WEIGHT, P, reduce
from .record import Domain, Operand, Record, S, Sample, V, ix

LOGS = Domain(-3.0, -0.1)
INNER = Domain(0.3, 0.7)
"""Probabilities far enough from 0 and 1 for numeric derivatives of their logarithms."""
STEPS = Domain(step=0.4)
"""Differences that no margin below equals."""
SIGNS = (1.0, -1.0, -1.0, 1.0, 1.0, -1.0)


def signs(*shape: int) -> Operand:
    """A target of 1 and -1."""
    return V(*shape, values=np.resize(SIGNS, shape).tolist(), grad=False)


def reductions(*args: Any, **kwargs: Any) -> tuple[Sample, ...]:
    """A call with each reduction."""
    return tuple(S(*args, reduction=how, **kwargs) for how in ("mean", "sum", "none"))


def L(name: str, each: Callable[..., Any], **options: Any) -> Record:
    """A row whose reference is reduced; ``each`` gives one loss for each element, or for each vector."""

    def reference(*args: Any, reduction: str = "mean", **kwargs: Any) -> Any:
        return reduce(each(*args, **kwargs), reduction)

    return P(name, reference, **options)


# ---- between elements ----------------------------------------------------------------------------
def bce(x: Any, y: Any, weight: Any = 1.0) -> Any:
    return -weight * (y * np.log(x) + (1 - y) * np.log(1 - x))


def huber(x: Any, y: Any, delta: float = 1.0, weight: Any = 1.0) -> Any:
    d = np.abs(x - y)
    return weight * np.where(d < delta, 0.5 * d**2, delta * (d - 0.5 * delta))


def smooth_l1(x: Any, y: Any, beta: float = 1.0) -> Any:
    return huber(x, y, beta) / beta if beta else np.abs(x - y)


def kl_div(x: Any, y: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    loss = np.exp(y) * (y - x) if log_target else np.where(y > 0, y * np.log(np.where(y > 0, y, 1)), 0) - y * x
    if reduction == "batchmean":
        return loss.sum() / (x.shape[0] if x.ndim else 1)
    return reduce(loss, reduction)


def poisson(x: Any, y: Any, log_input: bool = True, full: bool = False, eps: float = 1e-8) -> Any:
    loss = np.exp(x) - y * x if log_input else x - y * np.log(x + eps)
    return loss + np.where(y > 1, y * np.log(y) - y + 0.5 * np.log(2 * np.pi * y), 0) if full else loss


def gaussian(x: Any, y: Any, var: Any, full: bool = False, eps: float = 1e-6) -> Any:
    var = np.asarray(var)
    var = np.maximum(var[..., None] if 0 < var.ndim < x.ndim else var, eps)
    return 0.5 * (np.log(var) + (x - y) ** 2 / var + full * np.log(2 * np.pi))


# ---- with a margin -------------------------------------------------------------------------------
def margin_ranking(a: Any, b: Any, y: Any, margin: float = 0) -> Any:
    return np.maximum(margin - y * (a - b), 0)


def hinge_embedding(x: Any, y: Any, margin: float = 1.0) -> Any:
    return np.where(y != 1, np.maximum(margin - x, 0), 0) + np.where(y != -1, x, 0)


def multi_margin(x: Any, y: Any, p: int = 1, margin: float = 1.0, weight: Any = None) -> Any:
    rows, places = np.atleast_2d(x), np.atleast_1d(y)
    short = np.maximum(margin - np.take_along_axis(rows, places[:, None], 1) + rows, 0) ** p
    short = short if weight is None else short * weight[places][:, None]
    short = np.where(np.arange(rows.shape[1]) == places[:, None], 0, short)
    return short.mean(axis=1).reshape(y.shape)


def multilabel(x: Any, y: Any, weight: Any = 1.0) -> Any:
    return (weight * (y * np.logaddexp(0, -x) + (1 - y) * np.logaddexp(0, x))).mean(axis=-1)


# ---- between vectors -----------------------------------------------------------------------------
def cosine_similarity(x: Any, y: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    if x.ndim == 0:
        return np.sign(x) * np.sign(y)
    x, y = np.broadcast_arrays(x, y)
    lengths = (np.maximum(np.sqrt((v**2).sum(axis=dim, keepdims=True)), eps) for v in (x, y))
    a, b = (v / n for v, n in zip((x, y), lengths, strict=True))
    return (a * b).sum(axis=dim)


def cosine_embedding(x: Any, y: Any, target: Any, margin: float = 0) -> Any:
    cos = (x * y).sum(axis=-1) / np.sqrt(((x * x).sum(axis=-1) + 1e-12) * ((y * y).sum(axis=-1) + 1e-12))
    return np.where(target == 1, 1 - cos, np.maximum(cos - margin, 0))


def pairwise_distance(x: Any, y: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    d = np.abs(x - y + eps)
    if d.ndim == 0:
        return d
    if np.isinf(p):
        return d.max(axis=-1, keepdims=keepdim)
    return (d**p).sum(axis=-1, keepdims=keepdim) ** (1 / p)


def pdist(x: Any, p: float = 2.0) -> Any:
    first, second = np.triu_indices(len(x), 1)
    return pairwise_distance(x[first], x[second], p, 0.0)


def triplet(a: Any, near: Any, far: Any, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False) -> Any:
    apart = pairwise_distance(a, far, p, eps)
    apart = np.minimum(apart, pairwise_distance(near, far, p, eps)) if swap else apart
    return np.maximum(pairwise_distance(a, near, p, eps) - apart + margin, 0)


TRIPLE = (V(3, 4), V(3, 4), V(3, 4))
COUNTED = "PyTorch's kernel counts what is NaN as no loss"

# fmt: off
RECORDS = (
    L("l1_loss", lambda x, y: np.abs(x - y), domain=APART, samples=PAIR),
    L("smooth_l1_loss", smooth_l1, domain=APART, samples=(*PAIR, S(V(3, 4), V(3, 4), beta=0.5), S(V(3, 4), V(3, 4), beta=0))),
    L("huber_loss", huber, domain=(*APART, WEIGHT), samples=(
        *PAIR, S(V(3, 4), V(3, 4), reduction="none", delta=0.5), S(V(3, 4), V(3, 4), delta=2.0, weight=V(3, 4)))),
    L("binary_cross_entropy", bce, domain=(INNER, CHANCE, WEIGHT), nonfinite="what is no probability is refused", samples=(
        *PAIR, S(V(3, 4), V(3, 4), V(4, grad=False)), S(V(3, 4), V(3, 4), weight=V(3, 4, grad=False), reduction="sum"),
        S(V(65, 129), V(65, 129), big=True))),
    P("kl_div", kl_div, domain=(LOGS, INNER), samples=(
        *(S(V(3, 4), V(3, 4), reduction=how) for how in ("batchmean", "sum", "none")),
        S(V(3, 4), V(3, 4, domain=LOGS), reduction="batchmean", log_target=True), S(V(), V(), reduction="batchmean"),
        S(V(2, 3), V(2, 3, values=[[0, 1, 0], [0.5, 0.5, 0]], grad=False), reduction="batchmean"),
        S(V(0, 3), V(0, 3), reduction="sum"))),
    L("poisson_nll_loss", poisson, domain=(Domain(-2.0, 2.0), Domain(0.5, 4.0, avoid=(1.0,))), scale=4.0, samples=(
        *PAIR, *reductions(V(3, 4), V(3, 4), full=True), S(V(3, 4, domain=WEIGHT), V(3, 4), False),
        S(V(3, 4, domain=WEIGHT), V(3, 4), log_input=False, full=True, eps=0.5))),
    L("gaussian_nll_loss", gaussian, domain=(Domain(), Domain(), WEIGHT), scale=8.0, samples=(
        *reductions(*TRIPLE), S(*TRIPLE, full=True, reduction="sum"), S(V(3, 4), V(3, 4), V(3)), S(V(3, 4), V(3, 4), V(3, 1)),
        S(V(3, 4), V(3, 4), 2.0), S(V(3, 4), V(3, 4), V(3, 4, grad=False), eps=1.0), S(V(), V(), V()),
        S(V(0, 3), V(0, 3), V(0), reduction="sum"))),
    # ---- with a margin ---------------------------------------------------------------------------
    L("margin_ranking_loss", margin_ranking, domain=APART, samples=(
        *reductions(V(3, 4), V(3, 4), signs(3, 4)), S(V(3, 4), V(3, 4), signs(3, 4), 0.5), S(V(), V(), signs()),
        S(V(0, 3), V(0, 3), signs(0, 3), reduction="sum"))),
    L("hinge_embedding_loss", hinge_embedding, domain=Domain(avoid=(1.0, 2.0)), samples=(
        *reductions(V(3, 4), signs(3, 4)), S(V(3, 4), signs(3, 4), 2.0), S(V(), signs()),
        S(V(0, 3), signs(0, 3), reduction="sum"))),
    L("soft_margin_loss", lambda x, y: np.logaddexp(0, -x * y), samples=(
        *reductions(V(3, 4), signs(3, 4)), S(V(3, 4), signs(4)), S(V(), signs()), S(V(0, 3), signs(0, 3), reduction="sum"))),
    L("multilabel_soft_margin_loss", multilabel, no_zero_dim="an axis of classes", domain=(Domain(), CHANCE, WEIGHT), samples=(
        *reductions(V(3, 4), V(3, 4)), S(V(3, 4), V(3, 4), V(4, grad=False)), S(V(4), V(4)),
        S(V(0, 3), V(0, 3), reduction="sum"))),
    L("multi_margin_loss", multi_margin, domain=(STEPS, WEIGHT), nonfinite=COUNTED, no_zero_dim="an axis of classes", samples=(
        *reductions(V(3, 4), ix([2, 0, 1], (3,))), S(V(3, 4), ix([2, 0, 3], (3,)), 2, 0.6), S(V(4), ix(2, ())),
        S(V(3, 4), ix([2, 0, 1], (3,)), weight=V(4, domain=WEIGHT, grad=False)), S(V(0, 3), ix([], (0,)), reduction="none"))),
    # ---- between vectors -------------------------------------------------------------------------
    P("cosine_similarity", cosine_similarity, samples=(
        S(V(3, 4), V(3, 4)), S(V(3, 4), V(3, 4), 0), S(V(2, 3, 4), V(3, 4), dim=-1, eps=1e-3), S(V(2, 3, 1), V(1, 3, 4)),
        S(V(), V(), dim=0), S(V(0, 3), V(0, 3)), S(V(65, 129), V(129), big=True))),
    L("cosine_embedding_loss", cosine_embedding, no_zero_dim="vectors only", samples=(
        *reductions(V(3, 4), V(3, 4), signs(3)), S(V(3, 4), V(3, 4), signs(3), margin=0.1), S(V(4), V(4), signs()),
        S(V(0, 3), V(0, 3), signs(0), reduction="sum"))),
    P("pairwise_distance", pairwise_distance, domain=APART, scale=4.0, samples=(
        S(V(3, 4), V(3, 4)), S(V(3, 4), V(3, 4), 1), S(V(3, 4), V(3, 4), p=3, keepdim=True), S(V(2, 3, 4), V(4), eps=0.1),
        S(V(3, 4), V(4), float("inf")), S(V(), V()), S(V(0, 3), V(0, 3)), S(V(65, 129), V(65, 129), big=True))),
    P("pdist", pdist, domain=APART, scale=4.0, no_zero_dim="rows only", no_empty="PyTorch takes no empty rows", samples=(
        S(V(4, 3)), S(V(3, 2), 1.0), S(V(4, 3), p=3.0), S(V(3, 3), float("inf")), S(V(1, 3)), S(V(30, 33), big=True))),
    L("triplet_margin_loss", triplet, scale=8.0, no_zero_dim="vectors only", samples=(
        *reductions(*TRIPLE), S(*TRIPLE, margin=2.0, p=3, swap=True), S(V(4), V(4), V(4)), S(V(3, 4), V(3, 4), V(1, 4)),
        S(V(0, 3), V(0, 3), V(0, 3), reduction="sum"))),
)
# fmt: on
