"""Pointwise functions: most are made from a table of names; those with arguments of their own follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.opset.op import OPS, Defaults

from .. import dispatch
from ..base import TensorBase
from ..dispatch import number_of
from ..inplace import call_, make_inplace, number_in
from .common import document, inplace, into, run

UNARY = (
    "neg abs sign exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal square sin cos tan asin acos atan sinh cosh tanh "
    "erf erfc sigmoid relu silu floor ceil trunc frac isnan isinf isfinite logical_not bitwise_not"
).split()
BINARY = (
    "mul floor_divide remainder fmod pow maximum minimum atan2 hypot eq ne lt le gt ge logical_and logical_or logical_xor "
    "bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift"
).split()
ALIASES = {
    "absolute": "abs", "negative": "neg", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2",
    "multiply": "mul", "not_equal": "ne", "less": "lt", "less_equal": "le", "greater": "gt", "greater_equal": "ge",
    "fix": "trunc", "sgn": "sign",
}  # fmt: skip


def _unary(name: str) -> Callable[..., Any]:
    fast = dispatch.make_unary(OPS[name])

    def function(input: Any, *, out: Any = None) -> Any:
        if not isinstance(input, TensorBase):
            raise TypeError(f"{name}(): argument 'input' must be a Tensor, not {type(input).__name__}")
        return fast(input) if out is None else into(out, fast(input))

    return document(function, name, f"The op ``{name}`` of each element.")


def _binary(name: str) -> Callable[..., Any]:
    fast = dispatch.make_binary(OPS[name])
    op = OPS[name]

    def function(input: Any, other: Any, *, out: Any = None) -> Any:
        if isinstance(input, TensorBase):
            made = fast(input, other)
            if made is NotImplemented:
                raise TypeError(f"{name}(): argument 'other' must be a Tensor or a number, not {type(other).__name__}")
        elif isinstance(other, TensorBase):
            made = dispatch.call(op, (input, other))
        else:
            raise TypeError(f"{name}(): one of the arguments must be a Tensor, got {type(input).__name__} and "
                            f"{type(other).__name__}")
        return made if out is None else into(out, made)

    return document(function, name, f"The op ``{name}`` of each pair of elements, broadcast.")


FUNCTIONS: dict[str, Callable[..., Any]] = {n: _unary(n) for n in UNARY} | {n: _binary(n) for n in BINARY}
FUNCTIONS |= {alias: FUNCTIONS[name] for alias, name in ALIASES.items()}
CHECKED = dict(FUNCTIONS)
"""Those that look at what they are given."""



_POWERS = {2.0: "square", 3.0: "cube", 0.5: "sqrt", -0.5: "rsqrt", -1.0: "reciprocal"}
"""Powers of floats that are ops of their own: exact, or rounded once, where a power is off by some ulp."""


def pow(input: Any, exponent: Any, *, out: Any = None) -> Any:
    """input to the power of ``exponent``; a negative number is refused for integers, which cannot hold the result."""
    if isinstance(input, TensorBase) and type(exponent) in (int, float):
        if input._layout.dtype.kind == "f":
            row = _POWERS.get(exponent)
            if row is not None:
                return into(out, run(row, input))
        elif type(exponent) is int and exponent < 0:
            raise RuntimeError("Integers to negative integer powers are not allowed.")
    return _pow(input, exponent, out=out)


_pow = FUNCTIONS["pow"]
FUNCTIONS["pow"] = pow
_add = _binary("add")
_sub = _binary("sub")
_div = _binary("div")


def _factor(alpha: Any, *values: Any) -> Any:
    """``alpha``, if it is of a kind that the operands' dtype can take."""
    if isinstance(alpha, float) and _result_type(*values).kind != "f":
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    return alpha


def add(input: Any, other: Any, *, alpha: Any = 1, out: Any = None) -> Any:
    """input + alpha·other."""
    if alpha == 1:
        return _add(input, other, out=out)
    return into(out, run("add_scaled", input, other, _factor(alpha, input, other)))


def sub(input: Any, other: Any, *, alpha: Any = 1, out: Any = None) -> Any:
    """input − alpha·other."""
    if alpha == 1:
        return _sub(input, other, out=out)
    if dt.bool_ in (getattr(input, "dtype", None), getattr(other, "dtype", None)):
        raise RuntimeError("Subtraction, the `-` operator, with a bool tensor is not supported. "
                           "Use the `^` or `logical_xor()` operator")
    return into(out, run("add_scaled", input, other, -_factor(alpha, input, other)))


def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """other − alpha·input."""
    return sub(other, input, alpha=alpha)


def div(input: Any, other: Any, *, rounding_mode: str | None = None, out: Any = None) -> Any:
    """input / other; ``rounding_mode``: None, "trunc" or "floor"."""
    if rounding_mode is None:
        return _div(input, other, out=out)
    if rounding_mode == "floor":
        return FUNCTIONS["floor_divide"](input, other, out=out)
    if rounding_mode == "trunc":
        made = _div(input, other)
        made = FUNCTIONS["trunc"](made)
        wanted = _result_type(input, other)
        return into(out, made if wanted.kind == "f" else run("cast", made, dtype=wanted))
    raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found {rounding_mode!r}")


def _result_type(*values: Any) -> dt.DType:
    from ingot_devices.opset.op import promote_specs
    from ingot_devices.resolve import specs_of

    return promote_specs(specs_of([dispatch.key_of(v) for v in values]))


def result_type(tensor1: Any, tensor2: Any) -> dt.DType:
    """The dtype that an op on these two (tensors or numbers) computes in."""
    return _result_type(*(x if isinstance(x, TensorBase) else number_of("result_type", x) for x in (tensor1, tensor2)))


def clamp(input: Any, min: Any = None, max: Any = None, *, out: Any = None) -> Any:
    """Values below ``min`` or above ``max`` (numbers or tensors) replaced by them."""
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if input._layout.dtype.kind in "iu":
        min, max = _reached(min, input), _reached(max, input)
    return into(out, run("clamp", input, min, max))


def _reached(value: Any, input: Any) -> Any:
    """A number that ``input``'s dtype has, where they meet in that; RuntimeError where it does not reach so far."""
    return number_in(value, input.dtype) if type(value) is int and input.dtype.kind in "iu" else value


def lerp(input: Any, end: Any, weight: Any, *, out: Any = None) -> Any:
    """input + weight·(end − input)."""
    return into(out, run("lerp", input, end, weight))


def addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1, out: Any = None) -> Any:
    """input + value·tensor1·tensor2."""
    return into(out, run("addcmul", input, tensor1, tensor2, value))


def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1, out: Any = None) -> Any:
    """input + value·tensor1 / tensor2."""
    return into(out, run("addcdiv", input, tensor1, tensor2, value))


def nan_to_num(input: Any, nan: float | None = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """NaN and infinities replaced: by 0 and the dtype's extremes unless given."""
    if input.dtype.kind != "f":
        return input.clone()
    import ml_dtypes

    info: Any = ml_dtypes.finfo(input.dtype.numpy)
    high = float(info.max) if posinf is None else posinf
    low = float(info.min) if neginf is None else neginf
    return run("nan_to_num", input, 0.0 if nan is None else nan, high, low)


def where(condition: Any, input: Any = None, other: Any = None, *, out: Any = None) -> Any:
    """``input`` where ``condition`` holds, else ``other``; with the condition alone, where it holds (`nonzero`)."""
    if input is None and other is None:
        from .index import nonzero

        return nonzero(condition, as_tuple=True)
    if isinstance(input, TensorBase):
        other = _reached(other, input)
    elif isinstance(other, TensorBase):
        input = _reached(input, other)
    return into(out, run("where", condition, input, other))


def round(input: Any, *, decimals: int = 0, out: Any = None) -> Any:
    """To the nearest whole number (ties to even), or to ``decimals`` places."""
    if decimals == 0 or input.dtype.kind != "f":
        return into(out, run("round", input))
    scale = 10.0**decimals
    return into(
        out,
        run("round", input * scale) / scale
        if decimals > 0
        else run("round", input / 10.0**-decimals) * 10.0**-decimals,
    )


def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """``value`` where ``mask`` (bool) holds; the result keeps the input's dtype."""
    made = run("where", _bool_mask(mask), _reached(value, input), input)
    if made.dtype is not input.dtype:
        made = run("cast", made, dtype=input.dtype)
    return made


def _bool_mask(mask: Any) -> Any:
    if mask.dtype is not dt.bool_:
        raise RuntimeError(f"masked_fill expects a bool mask, but got mask with dtype {mask.dtype!r}")
    return mask


def isclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    """|input − other| ≤ atol + rtol·|other|, element by element; integers are compared as numbers of the default dtype.

    Infinities are close to themselves, NaN with ``equal_nan`` too. RuntimeError for operands of two dtypes, and for
    tolerances below zero.
    """
    for name, bound in (("rtol", rtol), ("atol", atol)):
        if not bound >= 0:
            raise RuntimeError(f"isclose: {name} is {bound}, but must be 0 or more")
    if input.dtype is not other.dtype:
        both = f"{input.dtype!r} and {other.dtype!r}"
        raise RuntimeError(f"isclose: operands are of one dtype, not {both}; convert one of them with .to()")
    same = input == other
    if equal_nan:
        same = same | (input.isnan() & other.isnan())
    if rtol == atol == 0:
        return same
    if input.dtype.kind != "f":
        input, other = (run("cast", x, dtype=Defaults.float) for x in (input, other))
    error = (input - other).abs()
    return same | ((error <= atol + (rtol * other).abs()) & error.isfinite())


def allclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """True when all elements are close (`isclose`, whose errors are its errors)."""
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


def equal(input: Any, other: Any) -> bool:
    """True when shapes and all elements are the same."""
    return input._layout.shape == other._layout.shape and bool(FUNCTIONS["eq"](input, other).all())


FUNCTIONS |= {
    f.__name__: f
    for f in (add, sub, rsub, div, clamp, lerp, addcmul, addcdiv, nan_to_num, where, round, masked_fill, isclose, allclose,
              equal, result_type)
}  # fmt: skip
FUNCTIONS |= {"subtract": sub, "divide": div, "true_divide": div, "clip": clamp}


def clamp_min(input: Any, min: Any) -> Any:
    """Values below ``min`` replaced by it."""
    return clamp(input, min=min)


def clamp_max(input: Any, max: Any) -> Any:
    """Values above ``max`` replaced by it."""
    return clamp(input, max=max)


FUNCTIONS |= {"clamp_min": clamp_min, "clamp_max": clamp_max}


# ---- in place --------------------------------------------------------------------------------------------------------
def _unary_(name: str) -> Callable[..., Any]:
    op = OPS[name]
    return document(lambda input: call_(op, (input,)), f"{name}_", f"``{name}`` in place.")


def _binary_(name: str) -> Callable[..., Any]:
    op = OPS[name]
    apply = make_inplace(op)

    def method(input: Any, other: Any) -> Any:  # `apply` is shared by methods and operators, so it keeps its own name
        return apply(input, other)

    return document(method, f"{name}_", f"``{name}`` in place.")


def add_(self: Any, other: Any, *, alpha: Any = 1) -> Any:
    """self += alpha·other."""
    if alpha == 1:
        return make_inplace(OPS["add"])(self, other)
    return call_(OPS["add_scaled"], (self, other, _factor(alpha, self, other)))


def sub_(self: Any, other: Any, *, alpha: Any = 1) -> Any:
    """self −= alpha·other."""
    if alpha == 1:
        return make_inplace(OPS["sub"])(self, other)
    return call_(OPS["add_scaled"], (self, other, -_factor(alpha, self, other)))


def div_(self: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """self /= other."""
    if rounding_mode is None:
        return make_inplace(OPS["div"])(self, other)
    from ..inplace import assign

    assign(self, div(self, other, rounding_mode=rounding_mode))
    return self


def clamp_(input: Any, min: Any = None, max: Any = None) -> Any:
    """`clamp` in place."""
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    return call_(OPS["clamp"], (input, _reached(min, input), _reached(max, input)))


def pow_(self: Any, exponent: Any) -> Any:
    """`pow` in place."""
    row = _POWERS.get(exponent) if type(exponent) in (int, float) and self._layout.dtype.kind == "f" else None
    return _write_pow(self, exponent) if row is None else call_(OPS[row], (self,))


_write_pow = make_inplace(OPS["pow"])


def lerp_(self: Any, end: Any, weight: Any) -> Any:
    """`lerp` in place."""
    return call_(OPS["lerp"], (self, end, weight))


def addcmul_(self: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    """`addcmul` in place."""
    return call_(OPS["addcmul"], (self, tensor1, tensor2, value))


def addcdiv_(self: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    """`addcdiv` in place."""
    return call_(OPS["addcdiv"], (self, tensor1, tensor2, value))


def masked_fill_(self: Any, mask: Any, value: Any) -> Any:
    """`masked_fill` in place. ``value`` is a number, or a tensor without axes."""
    if not isinstance(value, TensorBase):
        value = number_in(number_of("masked_fill_", value), self.dtype)
    elif value.ndim:
        raise RuntimeError(f"masked_fill_ takes a number or a tensor without dimensions, not one with {value.ndim}")
    elif value.dtype is not self.dtype:
        value = value.to(self.dtype)
    return call_(OPS["where"], (_bool_mask(mask), value, self), at=2)


ALONE = frozenset({"result_type", "where"})  # `where` takes another order as a method
METHODS: dict[str, Callable[..., Any]] = (
    {f"{n}_": _unary_(n) for n in (*UNARY, "round")}
    | {f"{n}_": _binary_(n) for n in BINARY}
    | {f.__name__: f for f in (add_, sub_, div_, pow_, clamp_, lerp_, addcmul_, addcdiv_, masked_fill_)}
    | {"nan_to_num_": inplace(nan_to_num)}
)
METHODS |= {"subtract_": sub_, "divide_": div_, "true_divide_": div_, "clip_": clamp_}
METHODS |= {f"{alias}_": METHODS[f"{name}_"] for alias, name in ALIASES.items()}
