"""Arguments as PyTorch takes them, turned into what the ops take: axes, shapes, dtypes, devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from ingot_devices.context import state
from ingot_devices.dtypes import DType
from ingot_devices.opset.op import OPS, Op

from .. import dispatch
from ..base import TensorBase
from ..inplace import assign, call_
from ..views import apply_view


def op(name: str) -> Op:
    """The row called ``name``."""
    return OPS[name]


def run(name: str, *operands: Any, **attributes: Any) -> Any:
    """An op by name on tensors and numbers."""
    row = OPS[name]
    missing = len(row.operands) - len(operands)
    if missing > 0 and not row.variadic:
        operands = (*operands, *(None,) * missing)
    return dispatch.call(row, operands, row.bind(attributes))


def over(name: str, x: Any, *operands: Any, **attributes: Any) -> Any:
    """`run` in place: the result is written over ``x``, which is returned."""
    row = OPS[name]
    return call_(row, (x, *operands), row.bind(attributes))


def look(name: str, x: Any, **attributes: Any) -> Any:
    """A view op by name."""
    row = OPS[name]
    return apply_view(row, x, row.bind(attributes))


def tensor_of(x: Any, where: str) -> Any:
    """``x`` if it is a tensor; TypeError names the function otherwise."""
    if not isinstance(x, TensorBase):
        raise TypeError(f"{where}(): argument 'input' must be a Tensor, not {type(x).__name__}")
    return x


def axis_of(dim: int, ndim: int) -> int:
    """``dim`` (PyTorch's, from either end) counted from the right; a zero-dim tensor takes 0 and -1."""
    n = max(ndim, 1)
    if not isinstance(dim, int):
        dim = whole(dim)
    if not -n <= dim < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    return dim - n if dim >= 0 else dim


def whole(dim: Any) -> int:
    """A number of Python, NumPy or a tensor as an int; TypeError for one that is no whole number, as 4.0 is not."""
    try:
        return int(dim.__index__())
    except AttributeError:
        raise TypeError(f"a dimension must be an int, not {type(dim).__name__}") from None


def axes_of(dim: Any, ndim: int) -> tuple[int, ...] | None:
    """``dim`` as sorted negative axes; None or () for all of them."""
    if dim is None:
        return None
    if isinstance(dim, (tuple, list)):
        if not dim:
            return None
        found = tuple(sorted(axis_of(d, ndim) for d in dim))
        if len(set(found)) != len(found):
            raise RuntimeError(f"dim {list(dim)} appears multiple times in the list of dims")
    else:
        found = (axis_of(dim, ndim),)
    return found if ndim else None


def shape_of(size: Sequence[Any]) -> tuple[int, ...]:
    """``(2, 3)`` from ``f(2, 3)``, ``f((2, 3))`` or ``f([2, 3])``; a negative size is an error."""
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = size[0]
    for n in size:
        if type(n) is not int or n < 0:
            break
    else:
        return tuple(size)  # nearly always
    shape = tuple(map(whole, size))
    if any(n < 0 for n in shape):
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")
    return shape


def into(out: Any, value: Any) -> Any:
    """``out=``: the result copied there, or the result itself."""
    if out is None:
        return value
    assign(out, value)
    return out


def check_dtype(dtype: Any) -> DType | None:
    """A dtype argument; Python's ``float``, ``int`` and ``bool`` are taken, too."""
    if dtype is None or isinstance(dtype, DType):
        return dtype
    from ingot_devices import dtypes as dt
    from ingot_devices.opset.op import Defaults

    named = {float: Defaults.float, int: dt.int64, bool: dt.bool_}
    if dtype in named:
        return named[dtype]
    raise TypeError(f"dtype must be an ingot dtype such as ingot.float32, not {dtype!r}")


def document(function: Callable[..., Any], name: str, text: str) -> Callable[..., Any]:
    """``function`` under a public name with a docstring."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


def inplace(function: Callable[..., Any]) -> Callable[..., Any]:
    """A method that does ``function`` in place: computed apart, then assigned."""

    @wraps(function)  # whose signature it has
    def method(input: Any, *args: Any, **kwargs: Any) -> Any:
        assign(input, function(input, *args, **kwargs))
        return input

    return document(method, f"{function.__name__}_", f"``{function.__name__}`` in place.")


def with_inplace(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` with ``inplace=True``."""

    @wraps(function)
    def call(input: Any, *args: Any, **kwargs: Any) -> Any:
        return function(input, *args, **kwargs, inplace=True)

    return document(call, f"{function.__name__}_", f"``{function.__name__}`` in place.")


def recorded(*tensors: Any) -> bool:
    """True where a gradient of one of ``tensors`` is wanted."""
    return state.context.grad and any(x._edge is not None for x in tensors)


def with_slope(value: Any, slope: Any) -> Any:
    """``value`` with the gradients of ``slope``, which is equal to it but for rounding; none where that is not finite."""
    rest = run("sub", slope, slope.detach())
    return run("add", value.detach(), run("where", run("isfinite", rest), rest, 0.0))
