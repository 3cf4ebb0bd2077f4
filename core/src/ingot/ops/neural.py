"""Composites of neural networks: one op each, with residuals and a backward of its own; and the optimizers' fused steps."""

from __future__ import annotations

import math
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.context import state

from .. import dispatch
from ..lazy import LazyModule
from .common import axis_of, check_dtype, op, run
from .named import warn


def softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    """exp(x) over its sum along ``dim``."""
    x = input if dtype is None else run("cast", input, dtype=check_dtype(dtype))
    return run("softmax", x, axis=axis_of(dim, x.ndim))


def log_softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    """x − log Σ exp(x) along ``dim``."""
    x = input if dtype is None else run("cast", input, dtype=check_dtype(dtype))
    return run("log_softmax", x, axis=axis_of(dim, x.ndim))


def layer_norm(input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-05) -> Any:
    """(x − mean) / √(var + eps) · weight + bias over the last axes (Ba, Kiros and Hinton, 2016)."""
    shape = tuple(normalized_shape)
    if tuple(input._layout.shape[input.ndim - len(shape) :]) != shape or not shape:
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*, {', '.join(map(str, shape))}], but got "
            f"input of size {list(input._layout.shape)}"
        )
    return run("layer_norm", input, weight, bias, float(eps), count=len(shape))[0]


def _class_axis(input: Any) -> int:
    return -1 if input.ndim < 2 else 1 - input.ndim


def _reduction(name: str) -> str:
    if name not in ("none", "mean", "sum"):
        raise ValueError(f"{name} is not a valid value for reduction; use 'none', 'mean' or 'sum'")
    return name


def cross_entropy(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, ignore_index: int = -100, reduce: Any = None,
    reduction: str = "mean", label_smoothing: float = 0.0,
) -> Any:  # fmt: skip
    """The loss of logits (N, C, …) for class indices (N, …), or for a probability of each class (shaped as the logits)."""
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    smoothing = float(label_smoothing) if label_smoothing else None
    axis = _class_axis(input)
    if target.dtype.kind == "f":
        if target._layout.shape != input._layout.shape:
            raise RuntimeError(
                f"Expected floating point type for target with class probabilities to have the input's shape "
                f"{list(input._layout.shape)}, got {list(target._layout.shape)}"
            )
        return run("soft_cross_entropy", input, target, weight, smoothing, axis=axis, reduction=_reduction(reduction))
    target = _targets(input, target, axis)
    row = "cross_entropy_rows" if reduction == "none" else "cross_entropy"
    attrs = {"axis": axis, "ignore_index": int(ignore_index)}
    if reduction == "none":
        return run(row, input, target, weight, smoothing, **attrs)[0]
    return run(row, input, target, weight, smoothing, reduction=_reduction(reduction), **attrs)[0]


def _targets(input: Any, target: Any, axis: int) -> Any:
    shape = list(input._layout.shape)
    del shape[axis]
    if list(target._layout.shape) != shape:
        if input.ndim > 1 and target.ndim and target._layout.shape[0] != input._layout.shape[0]:
            raise ValueError(f"Expected input batch_size ({input._layout.shape[0]}) to match target batch_size "
                             f"({target._layout.shape[0]}).")
        raise RuntimeError(f"Expected target size {shape}, got {list(target._layout.shape)}")
    if target.dtype not in (dt.int64, dt.int32, dt.uint8):
        raise RuntimeError(f"expected scalar type Long for the target, found {target.dtype!r}")
    return target if target.dtype in (dt.int64, dt.int32) else run("cast", target, dtype=dt.int64)


def nll_loss(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, ignore_index: int = -100, reduce: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """The negative log likelihood of log probabilities (N, C, …) at class indices."""
    axis = _class_axis(input)
    target = _targets(input, target, axis)
    return run(
        "nll_loss", input, target, weight, axis=axis, ignore_index=int(ignore_index), reduction=_reduction(reduction)
    )


def _same_size(input: Any, target: Any, name: str) -> None:
    if input._layout.shape != target._layout.shape:
        warn(
            f"Using a target size ({list(target._layout.shape)}) that is different to the input size "
            f"({list(input._layout.shape)}) in {name}. This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size."
        )


def mse_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean", weight: Any = None
) -> Any:
    """The mean (or sum) of (input − target)²."""
    if input._layout.shape != target._layout.shape:
        _same_size(input, target, "mse_loss")
    return run("mse_loss", input, target, reduction=_reduction(reduction))


def l1_loss(input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> Any:
    """The mean (or sum) of |input − target|."""
    _same_size(input, target, "l1_loss")
    made = (input - target).abs()
    return {"none": lambda: made, "mean": made.mean, "sum": made.sum}[_reduction(reduction)]()


def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None, reduction: str = "mean",
    pos_weight: Any = None,
) -> Any:  # fmt: skip
    """The log loss of sigmoid(input) for targets of [0, 1], from the logits so that nothing overflows."""
    if input._layout.shape != target._layout.shape:
        raise ValueError(
            f"Target size ({list(target._layout.shape)}) must be the same as input size ({list(input._layout.shape)})"
        )
    return run("binary_cross_entropy_with_logits", input, target, weight, pos_weight, reduction=_reduction(reduction))


def scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    """softmax(q·kᵀ·scale + mask)·v (Vaswani et al., 2017); a bool mask keeps where it is true."""
    if is_causal and attn_mask is not None:
        raise RuntimeError("scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True")
    if enable_gqa:
        raise RuntimeError("scaled_dot_product_attention: enable_gqa is not supported; repeat the keys and values")
    factor = 1.0 / math.sqrt(query._layout.shape[-1]) if scale is None else float(scale)
    if dropout_p:
        from .random import dropout

        scores = (query @ key.transpose(-2, -1)) * factor
        if is_causal:
            scores = run("causal_mask", scores, fill=-math.inf)
        elif attn_mask is not None:
            scores = (
                scores.masked_fill(attn_mask.logical_not(), -math.inf)
                if attn_mask.dtype is dt.bool_
                else scores + attn_mask
            )
        return dropout(softmax(scores, -1), dropout_p, True) @ value
    return run("scaled_dot_product_attention", query, key, value, attn_mask, factor, is_causal=is_causal)[0]


rows = LazyModule("ingot_devices.opset.adam")


# ---- optimizers' steps -----------------------------------------------------------------------------------------------
def _step(
    name: str, tensors: tuple[Any, ...], numbers: tuple[Any, ...], written: tuple[Any, ...], attrs: tuple[Any, ...]
) -> None:
    """Launch a step that updates ``written`` in place, without the tape."""
    before = state.context
    state.context = before.change(grad=False)
    try:
        dispatch.call(op(name), (*tensors, *numbers), attrs)
    finally:
        state.context = before
    for t in written:
        t._block.version += 1


def sgd_numbers(
    lr: float, momentum: float, dampening: float, weight_decay: float, *, has_buffer: bool
) -> tuple[float | None, ...]:
    """The number operands of a step, with a momentum buffer or without."""
    decay = float(weight_decay) if weight_decay else None
    return (float(lr), float(momentum), 1.0 - dampening, decay) if has_buffer else (float(lr), decay)


def sgd_step_(
    param: Any, grad: Any, momentum_buffer: Any = None, *, lr: float, momentum: float = 0.0, dampening: float = 0.0,
    weight_decay: float = 0.0, nesterov: bool = False, first: bool = False, maximize: bool = False,
) -> None:  # fmt: skip
    """One step of stochastic gradient descent, in place."""
    has_buffer = momentum_buffer is not None
    numbers = sgd_numbers(lr, momentum, dampening, weight_decay, has_buffer=has_buffer)
    if not has_buffer:
        _step("sgd_step", (param, grad), numbers, (param,), (maximize,))
        return
    _step(
        "sgd_momentum_step",
        (param, grad, momentum_buffer),
        numbers,
        (param, momentum_buffer),
        (nesterov, first, maximize),
    )


def _adam(
    name: str,
    decoupled: bool,
    param: Any,
    grad: Any,
    exp_avg: Any,
    exp_avg_sq: Any,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    numbers = rows.adam_numbers(step, float(lr), beta1, beta2, eps, weight_decay, decoupled=decoupled)
    _step(name, (param, grad, exp_avg, exp_avg_sq), numbers, (param, exp_avg, exp_avg_sq), (maximize,))


def adam_step_(
    param: Any, grad: Any, exp_avg: Any, exp_avg_sq: Any, *, step: int, lr: float, beta1: float = 0.9, beta2: float = 0.999,
    eps: float = 1e-8, weight_decay: float = 0.0, maximize: bool = False,
) -> None:  # fmt: skip
    """One step of Adam (Kingma and Ba, 2015), in place; the decay is added to the gradient."""
    _adam("adam_step", False, param, grad, exp_avg, exp_avg_sq, step, lr, beta1, beta2, eps, weight_decay, maximize)


def adamw_step_(
    param: Any, grad: Any, exp_avg: Any, exp_avg_sq: Any, *, step: int, lr: float, beta1: float = 0.9, beta2: float = 0.999,
    eps: float = 1e-8, weight_decay: float = 1e-2, maximize: bool = False,
) -> None:  # fmt: skip
    """One step of AdamW (Loshchilov and Hutter, 2019), in place; the decay shrinks the parameter."""
    _adam("adamw_step", True, param, grad, exp_avg, exp_avg_sq, step, lr, beta1, beta2, eps, weight_decay, maximize)


# ---- running statistics ----------------------------------------------------------------------------------------------
def update_running_(running_mean: Any, running_var: Any, mean: Any, var: Any, *, share: float, unbiased: float) -> None:
    """Move the statistics of batch_norm by ``share`` towards the batch's, in place; its variance counts ``unbiased`` times."""
    _step("batch_norm_update", (running_mean, running_var, mean, var), (share, unbiased), (running_mean, running_var), ())


FUNCTIONS = {
    f.__name__: f
    for f in (softmax, log_softmax, layer_norm, cross_entropy, nll_loss, mse_loss, l1_loss, binary_cross_entropy_with_logits,
              scaled_dot_product_attention)
}  # fmt: skip
ALONE: frozenset[str] = frozenset()
METHODS: dict[str, Any] = {}
