"""Batch normalisation (Ioffe and Szegedy, 2015): each channel (axis 1) over all other axes, in training and inference.

As layer_norm in `composite`: training gives mean, variance and rstd as residuals, and its gradient calls composites that
have a decomposition for the second order. The running statistics are a row of their own, which writes them in place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import dtypes as dt
from ..ir import scalar as s
from ..ir.definition import Define, Operand
from ..ir.expr import Expr
from .composite import composite, need_float, wide
from .convolution import over_channels
from .op import Op, Spec, add_op


def _split(at: Sequence[Expr]) -> tuple[Expr, list[Expr]]:
    """The channel's index, and the others."""
    return at[1], [at[0], *at[2:]]


def _count(shape: Sequence[int]) -> float:
    """How many elements a channel has."""
    return float(math.prod(shape) // max(shape[1], 1))


def _scaled(normal: Expr, weight: Operand | None, bias: Operand | None, c: Expr) -> Expr:
    made = normal if weight is None else normal * weight[c].cast(normal.dtype)
    return made if bias is None else made + bias[c].cast(normal.dtype)


def _spec(x: Spec, **channel: Spec | None) -> None:
    need_float("batch_norm", x, *channel.values())
    if x.ndim < 2:
        raise ValueError(f"batch_norm takes (N, C, …), shape {list(x.shape)} was given")
    for name, spec in channel.items():
        if spec is not None and spec.shape != x.shape[1:2]:
            raise ValueError(f"{name} of shape {list(spec.shape)} must have one element for each of {x.shape[1]} channels")


# ---- training --------------------------------------------------------------------------------------------------------
def _train_spec(x: Spec, weight: Spec | None, bias: Spec | None, eps: Spec) -> tuple[Spec, ...]:
    _spec(x, weight=weight, bias=bias)
    channel = Spec.of(x.shape[1:2], dt.compute_dtype(x.dtype))
    return Spec.of(x.shape, x.dtype), channel, channel, channel


def _train(d: Define, x: Operand, weight: Operand | None, bias: Operand | None, eps: Expr) -> None:
    at = d.axes(x.shape)
    c, others = _split(at)
    v = wide(x[at])
    mean = d.reduce("welford", v, over=others)
    var = d.component(mean, 1) / _count(x.shape)
    rstd = s.rsqrt(var + eps.cast(v.dtype))
    d.store(0, at, _scaled((v - mean) * rstd, weight, bias, c))
    for output, value in enumerate((mean, var, rstd), 1):
        d.store(output, [c], value, over=[c])


def _backward(
    d: Define, grad: Operand, x: Operand, weight: Operand | None, mean: Operand, rstd: Operand, eps: Expr
) -> None:
    at = d.axes(x.shape)
    c, others = _split(at)
    g, n = wide(grad[at]), _count(x.shape)
    normal = (wide(x[at]) - mean[c]) * rstd[c]
    plain, tilted = d.reduce("sum", g, over=others), d.reduce("sum", g * normal, over=others)
    slope = rstd[c] if weight is None else rstd[c] * weight[c].cast(g.dtype)
    d.store(0, at, (g - plain / n - normal * (tilted / n)) * slope)


def _normalised(b: Any, x: Any, eps: Any) -> tuple[Any, Any, tuple[int, ...]]:
    """(x - mean)·rstd and rstd, differentiable; and the axes that a channel runs over."""
    axes = tuple(a for a in range(-x.ndim, 0) if a != 1 - x.ndim)
    x = b.cast(x, dtype=dt.compute_dtype(x.dtype))
    centred = b.sub(x, b.mean(x, axes=axes, keepdim=True))
    rstd = b.rsqrt(b.add(b.mean(b.square(centred), axes=axes, keepdim=True), eps))
    return b.mul(centred, rstd), rstd, axes


def _per_channel(b: Any, value: Any, ndim: int) -> Any:
    """A value for each channel, standing where it broadcasts to (N, C, …)."""
    return b.view(value, shape=(*value.shape, *(1,) * (ndim - 2)))


def _backward_by_parts(b: Any, grad: Any, x: Any, weight: Any, eps: Any) -> Any:
    normal, rstd, axes = _normalised(b, x, eps)
    g = grad if weight is None else b.mul(grad, _per_channel(b, weight, x.ndim))
    plain = b.mean(g, axes=axes, keepdim=True)
    tilted = b.mean(b.mul(g, normal), axes=axes, keepdim=True)
    return b.cast(b.mul(b.sub(b.sub(g, plain), b.mul(normal, tilted)), rstd), dtype=x.dtype)


def _weight(d: Define, grad: Operand, x: Operand, mean: Operand, rstd: Operand, eps: Expr) -> None:
    at = d.axes(x.shape)
    c, others = _split(at)
    d.store(0, [c], d.reduce("sum", wide(grad[at]) * ((wide(x[at]) - mean[c]) * rstd[c]), over=others), over=[c])


def _weight_by_parts(b: Any, grad: Any, x: Any, eps: Any) -> Any:
    normal, _, axes = _normalised(b, x, eps)
    return b.sum(b.mul(grad, normal), axes=axes, keepdim=False)


# ---- inference -------------------------------------------------------------------------------------------------------
def _infer_spec(x: Spec, mean: Spec, var: Spec, weight: Spec | None, bias: Spec | None, eps: Spec) -> tuple[Spec, ...]:
    _spec(x, mean=mean, var=var, weight=weight, bias=bias)
    return (Spec.of(x.shape, x.dtype),)


def _infer(
    d: Define, x: Operand, mean: Operand, var: Operand, weight: Operand | None, bias: Operand | None, eps: Expr
) -> None:
    at = d.axes(x.shape)
    v, (c, _) = wide(x[at]), _split(at)
    rstd = s.rsqrt(var[c].cast(v.dtype) + eps.cast(v.dtype))
    d.store(0, at, _scaled((v - mean[c].cast(v.dtype)) * rstd, weight, bias, c))


def _infer_x(b: Any, g: Any, var: Any, weight: Any, eps: Any) -> Any:
    rstd = b.rsqrt(b.add(b.cast(var, dtype=dt.compute_dtype(g.dtype)), eps))
    scale = rstd if weight is None else b.mul(rstd, weight)
    return b.mul(g, _per_channel(b, scale, g.ndim))


def _infer_weight(b: Any, g: Any, x: Any, mean: Any, var: Any, eps: Any) -> Any:
    work = dt.compute_dtype(x.dtype)
    centred = b.sub(b.cast(x, dtype=work), _per_channel(b, b.cast(mean, dtype=work), x.ndim))
    return b.mul(over_channels(b, b.mul(g, centred)), b.rsqrt(b.add(b.cast(var, dtype=work), eps)))


# ---- running statistics ----------------------------------------------------------------------------------------------
def _update(
    d: Define, running_mean: Operand, running_var: Operand, mean: Operand, var: Operand, share: Expr, unbiased: Expr
) -> None:
    """Held values move by ``share`` of the way to the batch's; its variance counts ``unbiased``, n / (n - 1), times."""
    at = d.axes(running_mean.shape)
    for output, (held, new) in enumerate(((running_mean, mean), (running_var, var))):
        work = dt.compute_dtype(held.dtype)
        value = new[at].cast(work) if output == 0 else new[at].cast(work) * unbiased.cast(work)
        d.store(output, at, held[at].cast(work) * (1 - share.cast(work)) + value * share.cast(work))


def _update_spec(running_mean: Spec, running_var: Spec, mean: Spec, var: Spec, *numbers: Spec) -> tuple[Spec, Spec]:
    need_float("batch_norm_update", running_mean, running_var)
    shapes = {s.shape for s in (running_mean, running_var, mean, var)}
    if len(shapes) > 1:
        raise ValueError("running statistics and those of the batch have one element for each channel; shapes "
                         f"{list(running_mean.shape)}, {list(running_var.shape)} and {list(mean.shape)} were given")
    return running_mean, running_var


# fmt: off
composite("batch_norm", "x weight? bias? eps", _train_spec, {}, "(x - mean)·rstd·weight + bias, each channel (axis 1) over the others; rstd is 1/√(var + eps).",
          "out mean var rstd", define=_train,
          x=lambda b, g, x, weight, mean, rstd, eps: b.batch_norm_backward(g, x, weight, mean, rstd, eps),
          weight=lambda b, g, x, mean, rstd, eps: b.batch_norm_weight_backward(g, x, mean, rstd, eps),
          bias=over_channels)
composite("batch_norm_backward", "grad x weight? mean rstd eps", lambda grad, x, *others: (Spec.of(x.shape, x.dtype),), {}, "The gradient of batch_norm's x.",
          define=_backward, decompose=_backward_by_parts)
composite("batch_norm_weight_backward", "grad x mean rstd eps", lambda grad, x, *others: (Spec.of(x.shape[1:2], dt.compute_dtype(x.dtype)),), {}, "The gradient of batch_norm's weight.",
          define=_weight, decompose=_weight_by_parts)
composite("batch_norm_inference", "x mean var weight? bias? eps", _infer_spec, {}, "(x - mean)/√(var + eps)·weight + bias with given statistics of each channel.", define=_infer,
          x=_infer_x, weight=_infer_weight, bias=over_channels)
add_op(Op("batch_norm_update", "composite", tuple("running_mean running_var mean var share unbiased".split()), _update_spec, {}, ("new_mean", "new_var"),
          define=_update, differentiable=(), mutates={0: 0, 1: 1}, doc="The running statistics, moved by a share towards the batch's."))
# fmt: on
