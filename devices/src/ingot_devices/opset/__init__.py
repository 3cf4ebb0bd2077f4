"""The opset: every op that a device can be asked for, in groups, on one screen.

pointwise    neg abs sign square reciprocal · add sub mul div floor_divide remainder fmod pow maximum minimum lerp
             addcmul addcdiv · exp exp2 expm1 log log2 log10 log1p sqrt rsqrt hypot · sin cos tan asin acos atan atan2
             sinh cosh tanh erf erfc · sigmoid softplus relu gelu gelu_tanh silu elu leaky_relu · floor ceil round trunc
             frac clamp nan_to_num · eq ne lt le gt ge isnan isinf isfinite · logical_not logical_and logical_or
             logical_xor bitwise_not bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift · where
view         view permute expand slice select diagonal unfold as_strided
copy         copy cast flip roll · cat stack repeat · pad tril triu fill_diagonal · slice_backward select_backward
             diagonal_backward unfold_backward as_strided_backward
creation     full arange linspace eye
reduce       sum mean prod count_nonzero var std norm logsumexp · amax amin argmax argmin max_with_index
             min_with_index · any all
scan         cumsum cumprod cummax cummin · cumprod_backward
contraction  matmul linear addmm
index        take_along put_along

A group is a module, an op is a row of it (`op.Op`): operands, attributes, result rule, meaning, gradient. Importing this
package fills the table `OPS`; plugins may add rows. Ops without a gradient are listed in `no_gradient`.
"""

from __future__ import annotations

from . import along, contraction, copy, creation, pointwise, reduce, scan, view
from .no_gradient import NO_GRADIENT
from .op import OPS, Op, Spec, add_op

__all__ = ["NO_GRADIENT", "OPS", "Op", "Spec", "add_op"]
_GROUPS = (pointwise, view, copy, creation, reduce, scan, contraction, along)
