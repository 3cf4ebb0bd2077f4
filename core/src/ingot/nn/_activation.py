"""Activations that the main namespace has not, as functions, and the softmax family.

`nn.functional` exports these beside those of `ingot.ops.activation`. The formulas are rows of the opset
(`ingot_devices.opset.activation`).
"""

from __future__ import annotations

from typing import Any

import ingot
from ingot.inplace import number_in
from ingot.ops.activation import activated
from ingot.ops.common import axis_of
from ingot.ops.named import warn
from ingot.ops.random import uniform_like
from ingot.tensor import Tensor


def _each(name: str, input: Tensor, *numbers: float, inplace: bool = False) -> Tensor:
    made: Tensor = activated(name, input, *numbers, inplace=inplace)
    return made


# ---- smooth --------------------------------------------------------------------------------------


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return input.sigmoid()


def tanh(input: Tensor) -> Tensor:
    """tanh(x)."""
    return input.tanh()


def logsigmoid(input: Tensor) -> Tensor:
    """log(1 / (1 + exp(-x))), finite wherever x is."""
    return _each("softplus", input, -1.0, 40.0)  # below -40 even float64 sees no difference to x


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x · sigmoid(x) (Hendrycks and Gimpel, 2016)."""
    return _each("silu", input, inplace=inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x · tanh(log(1 + exp(x))) (Misra, 2019)."""
    return _each("mish", input, inplace=inplace)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return _each("softsign", input)


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)."""
    return input - input.tanh()


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a · sigmoid(b), where a and b are the halves of the input along ``dim`` (Dauphin et al., 2017)."""
    if not input.ndim:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    axis = axis_of(dim, input.ndim)
    size = input.shape[axis]
    if size % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {axis % input.ndim} is size {size}")
    made: Tensor = activated("glu", input.narrow(axis, 0, size // 2), input.narrow(axis, size // 2, size // 2))
    return made


# ---- with kinks ----------------------------------------------------------------------------------


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0); ``inplace`` writes over the input."""
    return input.relu_() if inplace else input.relu()


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x, but no less than ``min_val`` and no more than ``max_val``; no gradient there and beyond."""
    if min_val > max_val:
        raise ValueError(f"min_val cannot be greater than max_val, but they are {min_val} and {max_val}")
    low, high = (number_in(bound, input.dtype) for bound in (min_val, max_val))
    if input.dtype.kind == "u" and low < 0:
        raise RuntimeError(f"cannot do hardtanh on an unsigned type with negative limits, which {low} is")
    return _each("hardtanh", input, low, high, inplace=inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6)."""
    return hardtanh(input, 0.0, 6.0, inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x + 3, 0), 6) / 6."""
    return _each("hardsigmoid", input, inplace=inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x · min(max(x + 3, 0), 6) / 6 (Howard et al., 2019)."""
    return _each("hardswish", input, inplace=inplace)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved towards 0 by ``lambd``, as far as 0."""
    if not 0 <= lambd < float("inf"):
        raise RuntimeError(f"lambda must be a number of 0 or more, but found {lambd}")
    return _each("softshrink", input, float(lambd))


# ---- the softmax family --------------------------------------------------------------------------


def softmax(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """exp(x) over its sum along ``dim``; computed in ``dtype`` if that is given."""
    return ingot.softmax(_cast(input, dtype), _axis("softmax", input, dim))


def softmin(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """`softmax` of -x."""
    return ingot.softmax(_cast(-input, dtype), _axis("softmin", input, dim))


def log_softmax(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """log of `softmax`, stable; computed in ``dtype`` if that is given."""
    return ingot.log_softmax(_cast(input, dtype), _axis("log_softmax", input, dim))


def _cast(input: Tensor, dtype: Any) -> Tensor:
    return input if dtype is None else input.to(dtype)


def _axis(name: str, input: Tensor, dim: int | None) -> int:
    if dim is not None:
        return dim
    warn(
        f"Implicit dimension choice for {name} has been deprecated. "
        "Change the call to include dim=X as an argument."
    )
    return 0 if input.dim() in (0, 1, 3) else 1


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """A draw by ``logits`` along ``dim`` that has a gradient: softmax((logits + noise) / tau) with Gumbel's noise (Jang et al.;
    Maddison et al., 2017).

    ``hard``: a one at the greatest, zeros elsewhere, with the gradient of the soft draw. ``eps`` does nothing, as in PyTorch.
    """
    if eps != 1e-10:
        warn("`eps` parameter is deprecated and has no effect.")
    like = logits.float() if logits.dtype in (ingot.float16, ingot.bfloat16) else logits
    noise = -(-uniform_like(like.detach(), 2.0**-26, 1.0).log()).log()
    soft = ingot.softmax((logits + noise.to(logits.dtype)) / tau, dim)
    if not hard:
        return soft
    ones = ingot.zeros_like(soft).scatter(dim, soft.argmax(dim, keepdim=True), 1.0)
    return ones - soft.detach() + soft
