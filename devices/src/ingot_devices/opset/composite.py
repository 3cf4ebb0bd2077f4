"""The composite group: softmax, log_softmax and layer_norm, each one kernel of several stages.

A composite's residuals (mean, rstd) are auxiliary outputs that every kernel of it produces, and its gradient rule calls a
second composite, ``…_backward``. That has a definition, which kernels are made of, and a decomposition into ops with
gradients of their own, which the second order differentiates. Residuals carry no gradient, so such a decomposition
computes what depends on the operands again instead of reading it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import dtypes as dt
from ..ir import scalar as s
from ..ir.definition import Define, Operand
from ..ir.expr import Expr
from .op import Op, Spec, add_op
from .shared import Shape, one_axis, places


def composite(
    name: str, operands: str, result: Callable[..., Sequence[Spec]], attributes: Mapping[str, Any], doc: str,
    outputs: str = "out", define: Any = None, decompose: Callable[..., Any] | None = None, **gradient: Callable[..., Any],
) -> Op:  # fmt: skip
    """Add a row; ``gradient`` maps an operand to its rule."""
    return add_op(Op(name, "composite", tuple(operands.split()), result, attributes, tuple(outputs.split()), define=define,
                     decompose=decompose, gradient=gradient or None, doc=doc))


def wide(x: Expr) -> Expr:
    """``x`` in its computing type."""
    return x.cast(dt.compute_dtype(x.dtype))


def need_float(name: str, *specs: Spec | None) -> None:
    """TypeError unless all of ``specs`` are floating point."""
    for x in specs:
        if x is not None and x.dtype.kind != "f":
            raise TypeError(f"{name} takes floating point, {x.dtype.name} was given; convert it with .float()")


# ---- softmax ---------------------------------------------------------------------------------------------------------
def _exponentials(d: Define, x: Operand, axis: int) -> tuple[tuple[Expr, ...], Expr, Expr]:
    """Axes, x - max, and the sum of its exponentials, along the axis."""
    at = d.axes(x.shape)
    over = [at[axis]] if at else []
    shifted = wide(x[at]) - d.reduce("max", wide(x[at]), over=over)
    return at, shifted, d.reduce("sum", s.exp(shifted), over=over)


def _softmax(d: Define, x: Operand, axis: int) -> None:
    at, shifted, total = _exponentials(d, x, axis)
    d.store(0, at, s.exp(shifted) * (1 / total))  # one division for a row


def _log_softmax(d: Define, x: Operand, axis: int) -> None:
    at, shifted, total = _exponentials(d, x, axis)
    d.store(0, at, shifted - s.log(total))


def _along(name: str) -> Callable[..., tuple[Spec]]:
    def result(x: Spec, *others: Spec, axis: int) -> tuple[Spec]:
        need_float(name, x)
        places(x.ndim, one_axis(x, axis))
        return (Spec.of(x.shape, x.dtype),)

    return result


def _backward(share: Callable[[Expr, Expr], Expr], slope: Callable[[Expr, Expr, Expr], Expr]) -> Callable[..., None]:
    """``slope(grad, y, Σ share(grad, y))`` along the axis."""

    def define(d: Define, grad: Operand, y: Operand, axis: int) -> None:
        at = d.axes(y.shape)
        over = [at[axis]] if at else []
        g, v = wide(grad[at]), wide(y[at])
        d.store(0, at, slope(g, v, d.reduce("sum", share(g, v), over=over)))

    return define


def _along_sum(b: Any, x: Any, axis: int) -> Any:
    return b.sum(x, axes=(axis,), keepdim=True) if x.ndim else x


# ---- layer_norm ------------------------------------------------------------------------------------------------------
def _layer_norm(
    d: Define, x: Operand, weight: Operand | None, bias: Operand | None, eps: Expr, count: int
) -> None:
    at = d.axes(x.shape)
    rows, inner = at[: len(at) - count], at[len(at) - count :]
    v = wide(x[at])
    n = math.prod(x.shape[len(rows) :])
    mean = d.reduce("welford", v, over=inner)
    rstd = s.rsqrt(d.component(mean, 1) / float(n) + eps.cast(v.dtype))
    made = (v - mean) * rstd
    made = made if weight is None else made * weight[inner].cast(v.dtype)
    d.store(0, at, made if bias is None else made + bias[inner].cast(v.dtype))
    spot = _spot(rows, count)
    d.store(1, spot, mean, over=rows)
    d.store(2, spot, rstd, over=rows)


def _spot(rows: Sequence[Expr], count: int) -> tuple[Expr | int, ...]:
    """Where a value of a row lies: the normalised axes have size 1."""
    return (*rows, *(0,) * count)


def _layer_norm_spec(x: Spec, weight: Spec | None, bias: Spec | None, eps: Spec, count: int) -> tuple[Spec, ...]:
    need_float("layer_norm", x, weight, bias)
    places(x.ndim, tuple(range(-count, 0)))
    inner = x.shape[x.ndim - count :]
    for name, spec in (("weight", weight), ("bias", bias)):
        if spec is not None and spec.shape != inner:
            raise ValueError(f"{name} of shape {list(spec.shape)} must have the shape of the normalised axes, {list(inner)}")
    row = Spec.of((*x.shape[: x.ndim - count], *(1 for _ in inner)), dt.compute_dtype(x.dtype))
    return Spec.of(x.shape, x.dtype), row, row


def _layer_norm_backward(
    d: Define, grad: Operand, x: Operand, weight: Operand | None, mean: Operand, rstd: Operand, eps: Expr, count: int
) -> None:
    at = d.axes(x.shape)
    rows, inner = at[: len(at) - count], at[len(at) - count :]
    g = wide(grad[at])
    g = g if weight is None else g * weight[inner].cast(g.dtype)
    spot = _spot(rows, count)
    n = float(math.prod(x.shape[len(rows) :]))
    normal = (wide(x[at]) - mean[spot]) * rstd[spot]
    plain, tilted = d.reduce("sum", g, over=inner), d.reduce("sum", g * normal, over=inner)
    d.store(0, at, (g - plain / n - normal * (tilted / n)) * rstd[spot])


def _normalised(b: Any, x: Any, eps: Any, count: int) -> tuple[Any, Any]:
    """(x - mean)·rstd and rstd, differentiable."""
    inner = tuple(range(-count, 0))
    x = b.cast(x, dtype=dt.compute_dtype(x.dtype))
    centred = b.sub(x, b.mean(x, axes=inner, keepdim=True))
    rstd = b.rsqrt(b.add(b.mean(b.square(centred), axes=inner, keepdim=True), eps))
    return b.mul(centred, rstd), rstd


def _layer_norm_backward_by_parts(b: Any, grad: Any, x: Any, weight: Any, eps: Any, count: int) -> Any:
    inner = tuple(range(-count, 0))
    normal, rstd = _normalised(b, x, eps, count)
    g = grad if weight is None else b.mul(grad, weight)
    plain = b.mean(g, axes=inner, keepdim=True)
    tilted = b.mean(b.mul(g, normal), axes=inner, keepdim=True)
    return b.cast(b.mul(b.sub(b.sub(g, plain), b.mul(normal, tilted)), rstd), dtype=x.dtype)


def _layer_norm_weight(
    d: Define, grad: Operand, x: Operand, mean: Operand, rstd: Operand, eps: Expr, count: int
) -> None:
    at = d.axes(x.shape)
    rows, inner = at[: len(at) - count], at[len(at) - count :]
    spot = _spot(rows, count)
    term = wide(grad[at]) * ((wide(x[at]) - mean[spot]) * rstd[spot])
    d.store(0, inner, d.reduce("sum", term, over=rows) if rows else term, over=inner)


def _layer_norm_weight_by_parts(b: Any, grad: Any, x: Any, eps: Any, count: int) -> Any:
    normal, _ = _normalised(b, x, eps, count)
    rows = tuple(range(-x.ndim, -count))
    term = b.mul(grad, normal)
    return b.sum(term, axes=rows, keepdim=False) if rows else term


def _inner_spec(grad: Spec, x: Spec, *others: Any, count: int) -> tuple[Spec]:
    shape: Shape = x.shape[x.ndim - count :]
    return (Spec.of(shape, dt.compute_dtype(x.dtype)),)


AXIS, COUNT = {"axis": -1}, {"count": 1}
# fmt: off
composite("softmax", "x", _along("softmax"), AXIS, "exp(x) over its sum along an axis.", define=_softmax,
          x=lambda b, g, out, axis: b.softmax_backward(g, out, axis=axis))
composite("softmax_backward", "grad y", _along("softmax_backward"), AXIS, "y·(grad - Σ grad·y).",
          define=_backward(lambda g, y: g * y, lambda g, y, total: y * (g - total)),
          decompose=lambda b, grad, y, axis: b.mul(y, b.sub(grad, _along_sum(b, b.mul(grad, y), axis))))
composite("log_softmax", "x", _along("log_softmax"), AXIS, "x less the log of the sum of exp(x) along an axis.", define=_log_softmax,
          x=lambda b, g, out, axis: b.log_softmax_backward(g, out, axis=axis))
composite("log_softmax_backward", "grad y", _along("log_softmax_backward"), AXIS, "grad - exp(y)·Σ grad.",
          define=_backward(lambda g, y: g, lambda g, y, total: g - s.exp(y) * total),
          decompose=lambda b, grad, y, axis: b.sub(grad, b.mul(b.exp(y), _along_sum(b, grad, axis))))
composite("layer_norm", "x weight? bias? eps", _layer_norm_spec, COUNT, "(x - mean)·rstd·weight + bias over the last `count` axes; rstd is 1/√(var + eps).",
          "out mean rstd", define=_layer_norm,
          x=lambda b, g, x, weight, mean, rstd, eps, count: b.layer_norm_backward(g, x, weight, mean, rstd, eps, count=count),
          weight=lambda b, g, x, mean, rstd, eps, count: b.layer_norm_weight_backward(g, x, mean, rstd, eps, count=count),
          bias=lambda b, g: g)
composite("layer_norm_backward", "grad x weight? mean rstd eps", lambda grad, x, *others, count: (Spec.of(x.shape, x.dtype),), COUNT, "The gradient of layer_norm's x.",
          define=_layer_norm_backward, decompose=_layer_norm_backward_by_parts)
composite("layer_norm_weight_backward", "grad x mean rstd eps", _inner_spec, COUNT, "The gradient of layer_norm's weight.",
          define=_layer_norm_weight, decompose=_layer_norm_weight_by_parts)
# fmt: on
