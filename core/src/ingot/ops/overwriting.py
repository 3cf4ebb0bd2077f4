"""In-place names beside each module's methods: PyTorch's functions (``torch.relu_(x)``), and views of the tensor itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..becoming import become
from . import activation, pointwise, random, shape, special, subscript
from .common import with_inplace

_WRITE: dict[str, Callable[..., Any]] = {**pointwise.METHODS, **special.METHODS}


def clamp_min_(input: Any, min: Any) -> Any:
    """`clamp_min` in place."""
    return pointwise.clamp_(input, min=min)


def clamp_max_(input: Any, max: Any) -> Any:
    """`clamp_max` in place."""
    return pointwise.clamp_(input, max=max)


VIEWS = "squeeze swapaxes swapdims t transpose unsqueeze".split()
METHODS: dict[str, Callable[..., Any]] = {f"{n}_": become(shape.FUNCTIONS[n], n) for n in VIEWS}
METHODS |= {"clamp_max_": clamp_max_, "clamp_min_": clamp_min_}
_WRITE |= METHODS

NAMES = (
    "abs acos acosh arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh ceil clamp clamp_max clamp_min clip "
    "cos cosh deg2rad erf erfc exp exp2 expm1 fix floor frac ldexp log log10 log1p log2 logit nan_to_num neg negative "
    "rad2deg reciprocal relu round rsqrt sigmoid sin sinc sinh sqrt square tan tanh trunc xlogy"
).split()
"""What PyTorch has as a function of the namespace, too."""


def fill_(input: Any, value: Any) -> Any:
    """One number written everywhere."""
    return input.fill_(value)


def zero_(input: Any) -> Any:
    """Zeros written everywhere."""
    return input.zero_()


def detach_(input: Any) -> Any:
    """A tensor that forgets its history."""
    return input.detach_()


def index_put_(input: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    """``values`` written, or added, at index tensors."""
    return subscript.index_put_(input, indices, values, accumulate)


FUNCTIONS = {f"{n}_": _WRITE[f"{n}_"] for n in NAMES}
FUNCTIONS |= {
    f"{f.__name__}_": with_inplace(f)
    for f in (activation.celu, random.dropout, activation.rrelu, activation.selu, activation.threshold)
}
FUNCTIONS |= {f.__name__: f for f in (detach_, fill_, index_put_, zero_)}
ALONE = frozenset(FUNCTIONS)
