"""Activations with arguments of their own: those in the main namespace, where `nn.functional` has the rest.

PyTorch's names become numbers of a few ops: elu, selu and celu are one, and so are leaky_relu, prelu and rrelu.
``inplace`` writes over the input, in one launch where that is all there is to do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.context import state

from ..dispatch import make_binary, make_unary
from ..inplace import call_, number_in
from .common import inplace as inplace_method
from .common import op, over, run
from .random import uniform_like

SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def activated(name: str, input: Any, *numbers: Any, inplace: bool = False) -> Any:
    """The op ``name`` of each element, over the input itself if ``inplace``."""
    if inplace:
        return over(name, input, *numbers)
    return _short_way(name)(input, *numbers) if len(numbers) < 2 else run(name, input, *numbers)


@cache
def _short_way(name: str) -> Callable[..., Any]:
    """Dispatch's, for one operand or two."""
    row = op(name)
    return make_unary(row) if len(row.operands) == 1 else make_binary(row)


# ---- smooth ----------------------------------------------------------------------------------------------------------
def gelu(input: Any, approximate: str = "none") -> Any:
    """x·Φ(x) (Hendrycks and Gimpel, 2016); ``approximate="tanh"`` uses their tanh form."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"approximate argument must be either none or tanh, not {approximate!r}")
    return activated("gelu" if approximate == "none" else "gelu_tanh", input)


def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """log(1 + exp(beta·x)) / beta, linear above ``threshold``."""
    return run("softplus", input, float(beta), float(threshold))


def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """x where positive, else alpha·(exp(x) − 1) (Clevert et al., 2016)."""
    return activated("elu", input, float(alpha), None, None, inplace=inplace)


def selu(input: Any, inplace: bool = False) -> Any:
    """scale·elu(x, alpha), with the two numbers that keep mean and variance (Klambauer et al., 2017)."""
    return activated("elu", input, SELU_ALPHA * SELU_SCALE, SELU_SCALE, None, inplace=inplace)


def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """x where positive, else alpha·(exp(x / alpha) − 1), whose slope is continuous (Barron, 2017)."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return activated("elu", input, float(alpha), None, 1.0 / float(alpha), inplace=inplace)


# ---- with kinks ------------------------------------------------------------------------------------------------------
def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """x where positive, else negative_slope·x."""
    return activated("leaky_relu", input, float(negative_slope), inplace=inplace)


def prelu(input: Any, weight: Any) -> Any:
    """x where positive, else weight·x (He et al., 2015); ``weight`` has one element, or one for each channel of (N, C, …)."""
    shape = input._layout.shape
    if weight.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}")
    if weight.dtype is not input.dtype and state.context.autocast:
        weight = run("cast", weight, dtype=input.dtype)
    if weight.dtype is not input.dtype:
        raise RuntimeError(f"prelu: Type promoting not supported. Got {input.dtype.name} and {weight.dtype.name}")
    if weight.numel() == 1:
        return activated("leaky_relu", input, weight.view(()))
    if not shape:
        raise RuntimeError("Not allow zero-dim input tensor.")
    channels = shape[1] if len(shape) > 1 else 1
    if weight.numel() != channels:
        raise RuntimeError(f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {weight.numel()} "
                           f"and channel size = {channels}.")
    return activated("leaky_relu", input, weight.view((channels, *(1,) * (len(shape) - 2))))


def rrelu(
    input: Any, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Any:
    """x where positive, else slope·x (Xu et al., 2015): a slope of [lower, upper) drawn for each element in ``training``, else
    the mean of the two.
    """
    if lower > upper:
        raise RuntimeError(f"Lower bound should be less than or equal to the upper bound, but they are {lower} and {upper}")
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    return activated("leaky_relu", input, uniform_like(input, lower, upper), inplace=inplace)


def hardshrink(input: Any, lambd: float = 0.5) -> Any:
    """0 within [−lambd, lambd], else x."""
    return activated("hardshrink", input, float(lambd))


def threshold(input: Any, threshold: float, value: float, inplace: bool = False) -> Any:
    """x where it is more than ``threshold``, else ``value``."""
    if input.dtype is dt.bool_:
        raise RuntimeError("threshold is not implemented for bool")
    low = run("le", input, number_in(threshold, input.dtype))  # NaN is not low, and stays
    operands = (low, number_in(value, input.dtype), input)
    return call_(op("where"), operands, at=2) if inplace else run("where", *operands)


FUNCTIONS = {
    f.__name__: f for f in (gelu, softplus, elu, selu, celu, leaky_relu, prelu, rrelu, hardshrink, threshold)
}
ALONE = frozenset({"celu", "rrelu", "selu", "threshold"})
METHODS = {f"{f.__name__}_": inplace_method(f) for f in (gelu, softplus, elu, leaky_relu)}
