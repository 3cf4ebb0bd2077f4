"""The ops that have no gradient, and why: a test holds that every other op has one or is a decomposition."""

from __future__ import annotations

CREATED = "full arange linspace eye"  # out of numbers
TESTED = "eq ne lt le gt ge isnan isinf isfinite isposinf isneginf signbit any all"  # the result is a truth value
LOGICAL = (
    "logical_not logical_and logical_or logical_xor bitwise_not bitwise_and bitwise_or bitwise_xor "
    "bitwise_left_shift bitwise_right_shift"
)
COUNTED = "count_nonzero argmax argmin floor_divide heaviside"  # whole numbers: flat wherever a derivative exists

PLACED = (  # positions and ranks, and what moves elements by them only on the way to an op that has a gradient
    "one_hot bincount class_mask compact coordinates searchsorted sort_ranks arrange sort_merge run_starts unpermute"
)
DRAWN = "random_bits uniform normal randint"
UPDATED = (  # written in place by a step
    "sgd_step sgd_momentum_step asgd_step rprop_step adagrad_step adadelta_step rmsprop_step rmsprop_momentum_step "
    "rmsprop_centered_step rmsprop_centered_momentum_step adam_step adamw_step adam_amsgrad_step adamw_amsgrad_step "
    "adamax_step nadam_step nadamw_step radam_step radamw_step batch_norm_update"
)

NO_GRADIENT = frozenset(f"{CREATED} {TESTED} {LOGICAL} {COUNTED} {PLACED} {DRAWN} {UPDATED}".split())
