"""Which ops a mixed-precision program runs in a short dtype, and which in float32: rows for the core's autocast.

What is in neither set takes its operands as they come, and promotion decides. The choice is PyTorch's for GPUs (the lists in the
documentation of its amp package), for all devices alike: products gain most and accumulate in float32
anyway; sums, powers and losses overflow or lose small terms in a short dtype.
"""

from __future__ import annotations

LOWER = frozenset("matmul linear addmm convolution convolution_input scaled_dot_product_attention lstm_gates gru_gates".split())

FLOAT32 = frozenset((
    # functions that overflow, or whose value hangs on the last bits of what they are given
    "pow square cube reciprocal rsqrt exp expm1 log log2 log10 log1p sinh cosh tan asin acos erfinv softplus "
    # sums and products of many terms
    "sum prod norm cumsum cumprod softmax log_softmax layer_norm "
    # losses
    "mse_loss huber nll_loss nll_loss_rows cross_entropy cross_entropy_rows soft_cross_entropy binary_cross_entropy "
    "binary_cross_entropy_with_logits"
).split())  # fmt: skip
