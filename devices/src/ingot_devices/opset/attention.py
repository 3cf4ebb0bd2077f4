"""Scaled dot-product attention, by decomposition into matrix products; kernels that fuse it register themselves.

Its residual is the log of each row's sum of exponentials. A row whose every key is masked gives zeros, as PyTorch's does.
The backward composite computes the probabilities again from the operands, so the second order can differentiate it.
"""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes as dt
from ..ir.definition import Define, Operand
from ..ir.expr import const, where
from ..layout import broadcast_shapes
from .composite import composite, need_float
from .op import Spec
from .shared import swap


def _causal_mask(d: Define, x: Operand, fill: float) -> None:
    at = d.axes(x.shape)
    d.store(0, at, where(at[-1] <= at[-2], x[at], const(fill, x.dtype)), over=at)


def _scores(b: Any, q: Any, k: Any, mask: Any, scale: Any, is_causal: bool) -> Any:
    """q·kᵀ·scale, -inf where masked."""
    scores = b.matmul(b.mul(q, scale), swap(b, k))
    if is_causal:
        scores = b.causal_mask(scores, fill=-math.inf)
    if mask is None:
        return scores
    if mask.dtype is dt.bool_:
        return b.where(mask, scores, -math.inf)
    return b.add(scores, mask if mask.dtype is scores.dtype else b.cast(mask, dtype=scores.dtype))


def _probabilities(b: Any, scores: Any) -> tuple[Any, Any]:
    """exp(scores - lse), zero in rows that are masked whole, and lse (with the last axis at size 1)."""
    lse = b.logsumexp(scores, axes=(-1,), keepdim=True)
    return b.exp(b.sub(scores, b.where(b.eq(lse, -math.inf), 0, lse))), lse


def _attention(b: Any, q: Any, k: Any, v: Any, mask: Any, scale: Any, is_causal: bool) -> tuple[Any, Any]:
    p, lse = _probabilities(b, _scores(b, q, k, mask, scale, is_causal))
    return b.matmul(p, v), b.cast(b.view(lse, shape=lse.shape[:-1]), dtype=dt.compute_dtype(q.dtype))


def _spec(q: Spec, k: Spec, v: Spec, mask: Spec | None, scale: Any, is_causal: bool) -> tuple[Spec, Spec]:
    need_float("attention", q, k, v)
    if min(q.ndim, k.ndim, v.ndim) < 2 or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ValueError("attention takes queries (…, l, e), keys (…, s, e) and values (…, s, v); shapes "
                         f"{list(q.shape)}, {list(k.shape)} and {list(v.shape)} were given")
    rows = (*broadcast_shapes(q.shape[:-2], k.shape[:-2]), q.shape[-2])
    if mask is not None:
        rows = broadcast_shapes((*rows, k.shape[-2]), mask.shape)[:-1]
    batch = broadcast_shapes(rows[:-1], v.shape[:-2])
    return Spec.of((*batch, q.shape[-2], v.shape[-1]), q.dtype), Spec.of(rows, dt.compute_dtype(q.dtype))


def _slope(b: Any, grad: Any, q: Any, k: Any, v: Any, mask: Any, scale: Any, is_causal: bool) -> tuple[Any, Any]:
    """The probabilities, and the gradient of the scores."""
    p, _ = _probabilities(b, _scores(b, q, k, mask, scale, is_causal))
    up = b.matmul(grad, swap(b, v))
    return p, b.mul(p, b.sub(up, b.sum(b.mul(up, p), axes=(-1,), keepdim=True)))


def _backward(
    b: Any, grad: Any, q: Any, k: Any, v: Any, mask: Any, scale: Any, is_causal: bool
) -> tuple[Any, ...]:
    """Gradients of q, k and v; batch axes are those of the scores, the engine sums them."""
    p, slope = _slope(b, grad, q, k, v, mask, scale, is_causal)
    scaled = b.mul(slope, scale)
    return b.matmul(scaled, k), b.matmul(swap(b, scaled), q), b.matmul(swap(b, p), grad)


def _backward_spec(
    grad: Spec, q: Spec, k: Spec, v: Spec, mask: Spec | None, out: Spec, lse: Spec, scale: Any, is_causal: bool
) -> tuple[Spec, ...]:
    return tuple(Spec.of((*grad.shape[:-2], *x.shape[-2:]), q.dtype) for x in (q, k, v))


def _mask_spec(grad: Spec, q: Spec, k: Spec, v: Spec, mask: Spec, scale: Any, is_causal: bool) -> tuple[Spec, ...]:
    return (Spec.of((*grad.shape[:-2], q.shape[-2], k.shape[-2]), q.dtype),)


def _rule(position: int) -> Any:
    def rule(b: Any, g: Any, q: Any, k: Any, v: Any, mask: Any, out: Any, lse: Any, scale: Any, is_causal: bool) -> Any:
        return b.attention_backward(g, q, k, v, mask, out, lse, scale, is_causal=is_causal)[position]

    return rule


def _mask_rule(b: Any, g: Any, q: Any, k: Any, v: Any, mask: Any, scale: Any, is_causal: bool) -> Any:
    return b.attention_mask_backward(g, q, k, v, mask, scale, is_causal=is_causal)


# fmt: off
composite("scaled_dot_product_attention", "q k v mask? scale", _spec, {"is_causal": False}, "softmax(q·kᵀ·scale + mask)·v; a bool mask keeps where it is true.", "out lse",
          decompose=_attention, q=_rule(0), k=_rule(1), v=_rule(2), mask=_mask_rule)
composite("attention_backward", "grad q k v mask? out lse scale", _backward_spec, {"is_causal": False}, "The gradients of attention's queries, keys and values.",
          "grad_q grad_k grad_v", decompose=_backward)
composite("attention_mask_backward", "grad q k v mask scale", _mask_spec, {"is_causal": False}, "The gradient of attention's scores, as of what is added to them.",
          decompose=lambda b, grad, q, k, v, mask, scale, is_causal: _slope(b, grad, q, k, v, mask, scale, is_causal)[1])
composite("causal_mask", "x", lambda x, fill: (Spec.of(x.shape, x.dtype),), {"fill": 0.0}, "x on and below the diagonal of the last two axes, `fill` above.", define=_causal_mask,
          x=lambda b, g: b.causal_mask(g, fill=0.0))
# fmt: on
