"""The opset: every op that a device can be asked for, in groups, on one screen.

pointwise    neg abs sign square cube reciprocal · add sub mul div floor_divide remainder fmod pow maximum minimum lerp
             addcmul addcdiv add_scaled · exp exp2 expm1 log log2 log10 log1p sqrt rsqrt hypot · sin cos tan asin acos
             atan atan2 sinh cosh tanh erf erfc · sigmoid softplus gelu gelu_tanh silu mish glu elu softsign relu leaky_relu
             hardtanh hardsigmoid hardswish hardshrink softshrink · floor ceil round trunc frac clamp nan_to_num
             · eq ne lt le gt ge isnan isinf isfinite · logical_not logical_and logical_or
             logical_xor bitwise_not bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift · where ·
             asinh acosh atanh sinc erfinv logit logaddexp logaddexp2 xlogy ldexp · copysign signbit heaviside isposinf
             isneginf · fmax fmin · huber
view         view permute expand slice select diagonal unfold as_strided
copy         copy cast flip roll · cat stack repeat · pad border border_backward tril triu fill_diagonal · slice_backward
             diagonal_backward unfold_backward as_strided_backward
creation     full arange linspace eye
reduce       sum mean prod count_nonzero var std norm logsumexp · amax amin argmax argmin max_with_index
             min_with_index · any all
scan         cumsum cumprod logcumsumexp cummax cummin · cumprod_backward
contraction  matmul linear addmm
window       convolution convolution_input convolution_weight · max_pool max_pool_with_indices max_pool_backward
             adaptive_max_pool adaptive_max_pool_backward ·
             avg_pool avg_pool_backward adaptive_avg_pool adaptive_avg_pool_backward · resize resize_backward
index        gather gather_backward scatter scatter_add · index index_backward index_put index_select index_add ·
             embedding embedding_backward one_hot bincount · compact coordinates nonzero masked_select
sort         sort argsort topk searchsorted unique · sort_ranks arrange sort_merge run_starts unpermute unique_runs
random       random_bits uniform normal randint bernoulli multinomial · dropout dropped
composite    softmax softmax_backward log_softmax log_softmax_backward · layer_norm layer_norm_backward
             layer_norm_weight_backward · batch_norm batch_norm_backward batch_norm_weight_backward
             batch_norm_inference batch_norm_update · mse_loss mse_loss_backward binary_cross_entropy_with_logits
             bce_with_logits_backward binary_cross_entropy bce_backward floored nll_loss nll_loss_rows
             nll_loss_rows_backward cross_entropy cross_entropy_rows cross_entropy_backward class_mask soft_cross_entropy ·
             scaled_dot_product_attention attention_backward attention_mask_backward causal_mask · lstm_gates gru_gates
optimizer    sgd_step sgd_momentum_step asgd_step rprop_step adagrad_step adadelta_step rmsprop_step rmsprop_momentum_step
             rmsprop_centered_step rmsprop_centered_momentum_step · adam_step adamw_step adam_amsgrad_step
             adamw_amsgrad_step adamax_step nadam_step nadamw_step radam_step radamw_step

An op is a row of its group's module (activations, losses, normalisation, attention, gates and kinds of optimizers have their own): operands,
attributes, result rule, meaning, gradient
(see `op.Op`). The table `OPS` fills itself when it is first asked (`groups`); plugins may add rows. `no_gradient` lists what has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .no_gradient import NO_GRADIENT
    from .op import OPS, Op, Spec, add_op

__all__ = ["NO_GRADIENT", "OPS", "Op", "Spec", "add_op"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import groups, no_gradient, op

    assert groups.GROUPS
    return getattr(no_gradient if name == "NO_GRADIENT" else op, name)
