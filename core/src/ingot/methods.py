"""The methods that Tensor gets by name: operators from dispatch's fast paths, functions from `ops`.

`tensor` calls `install` once its class exists; rows here say which op stands behind which operator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.opset.op import OPS

from . import dispatch
from .inplace import make_inplace
from .ops import catalog, pointwise
from .ops.common import run

_FAST = {
    "__add__": "add", "__sub__": "sub", "__mul__": "mul", "__truediv__": "div", "__floordiv__": "floor_divide",
    "__mod__": "remainder", "__eq__": "eq", "__ne__": "ne", "__lt__": "lt", "__le__": "le", "__gt__": "gt",
    "__ge__": "ge", "__and__": "bitwise_and", "__or__": "bitwise_or", "__xor__": "bitwise_xor",
    "__lshift__": "bitwise_left_shift", "__rshift__": "bitwise_right_shift",
}  # fmt: skip
_MIRRORED = {
    "__radd__": "add",
    "__rmul__": "mul",
    "__rand__": "bitwise_and",
    "__ror__": "bitwise_or",
    "__rxor__": "bitwise_xor",
}
_INPLACE = {
    "__iadd__": "add", "__isub__": "sub", "__imul__": "mul", "__itruediv__": "div", "__ifloordiv__": "floor_divide",
    "__imod__": "remainder", "__iand__": "bitwise_and", "__ior__": "bitwise_or", "__ixor__": "bitwise_xor",
    "__ilshift__": "bitwise_left_shift", "__irshift__": "bitwise_right_shift",
}  # fmt: skip


def install(tensor: Any) -> None:
    """Put the methods into the class ``tensor``."""
    for method, name in (*_FAST.items(), *_MIRRORED.items()):
        setattr(tensor, method, dispatch.make_binary(OPS[name]))
    tensor.__pow__, tensor.__ipow__ = pointwise.pow, pointwise.pow_
    for method, name in _INPLACE.items():
        setattr(tensor, method, make_inplace(OPS[name]))
    for method, name in (("__neg__", "neg"), ("__abs__", "abs"), ("__invert__", "bitwise_not")):
        setattr(tensor, method, dispatch.make_unary(OPS[name]))
    for module in catalog.MODULES:
        for name, function in module.FUNCTIONS.items():
            if name not in module.ALONE and name not in tensor.__dict__:
                setattr(tensor, name, function)
    for module in catalog.MODULES:
        for name, function in module.METHODS.items():
            setattr(tensor, name, function)
    tensor.where = lambda self, condition, other: pointwise.where(condition, self, other)
    for name, dtype in (("float", dt.float32), ("half", dt.float16), ("bfloat16", dt.bfloat16), ("double", dt.float64),
                        ("int", dt.int32), ("long", dt.int64), ("bool", dt.bool_), ("short", dt.int16), ("char", dt.int8),
                        ("byte", dt.uint8)):  # fmt: skip
        setattr(tensor, name, _converter(dtype))


def _converter(dtype: dt.DType) -> Callable[[Any], Any]:
    def convert(self: Any) -> Any:
        return self if self._layout.dtype is dtype else run("cast", self, dtype=dtype)

    convert.__doc__ = f"In {dtype.name}."
    return convert
