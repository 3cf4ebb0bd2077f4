"""Writing at positions, continued: copies and fills of slices, reductions by index, and parts of a tensor replaced.

In place, what writes at positions touches these alone; `scatter_reduce` computes apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ingot_devices import dtypes as dt

from ..base import TensorBase
from ..inplace import assign
from .common import axis_of, inplace, over, recorded, run, with_slope
from .creation import ones_like
from .index import _cropped, _positions, gather, scatter, scatter_add
from .pointwise import FUNCTIONS as POINTWISE
from .pointwise import where
from .reduce import argsort, cumsum
from .shape import diagonal, expand, reshape, select
from .subscript import _sliced


def take(input: Any, index: Any) -> Any:
    """The elements at positions in row-major order, shaped as ``index``."""
    return run("index", reshape(input, input.numel()), _positions(index, "take"))


# ---- slices at a list of positions -------------------------------------------------------------------------------------
def _slices(how: Callable[..., Any], name: str, input: Any, dim: int, index: Any, values: Any) -> Any:
    """``values`` written where index_select reads; ``how`` the row is run: apart (`run`), or in place (`over`)."""
    axis, index = axis_of(dim, input.ndim), _positions(index, name)
    if index.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector, but got dim: {index.ndim}")
    if not input.ndim:
        raise RuntimeError(f"{name}() takes a tensor with one dimension or more; give x.reshape(1)")
    return how("index_put", input, values, reshape(index, index.numel()), accumulate=False, axis=axis)


def _fill_value(name: str, input: Any, value: Any) -> Any:
    if isinstance(value, TensorBase):
        if value.ndim:
            raise RuntimeError(f"{name}_ only supports a 0-dimensional value tensor, but got tensor with {value.ndim} "
                               "dimension(s).")
        return value.to(input.device, input.dtype)
    return value


def _source(name: str, input: Any, dim: int, index: Any, source: Any) -> Any:
    if source.dtype is not input.dtype:
        raise RuntimeError(f"{name}(): self and source expected to have the same dtype, but got (self) {input.dtype!r} and "
                           f"(source) {source.dtype!r}")
    wanted = list(input._layout.shape)
    if wanted:
        wanted[axis_of(dim, input.ndim)] = index.numel()
    if list(source._layout.shape) != wanted:
        raise IndexError(f"{name}(): Source/destination tensor must have same slice shapes. Expected {wanted}, got "
                         f"{list(source._layout.shape)}")
    return source


def index_copy(input: Any, dim: int, index: Any, source: Any) -> Any:
    """``input`` with its slices at a list of positions along ``dim`` replaced by those of ``source``."""
    return _slices(run, "index_copy", input, dim, index, _source("index_copy", input, dim, index, source))


def index_fill(input: Any, dim: int, index: Any, value: Any) -> Any:
    """``input`` with a number written into its slices at a list of positions along ``dim``."""
    return _slices(run, "index_fill", input, dim, index, _fill_value("index_fill", input, value))


def index_copy_(self: Any, dim: int, index: Any, source: Any) -> Any:
    """`index_copy` in place."""
    return _slices(over, "index_copy", self, dim, index, _source("index_copy", self, dim, index, source))


def index_fill_(self: Any, dim: int, index: Any, value: Any) -> Any:
    """`index_fill` in place."""
    return _slices(over, "index_fill", self, dim, index, _fill_value("index_fill", self, value))


# ---- reductions by index -----------------------------------------------------------------------------------------------
def scatter_reduce(input: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True) -> Any:
    """``input`` with the sum, mean, greatest or least of what ``src`` has for a place, and of what is there unless
    ``include_self`` is False. Ties share the gradient."""
    rule = _REDUCED.get(reduce)
    if rule is None:
        raise RuntimeError(f"reduce argument must be one of {', '.join(_REDUCED)} (prod is not supported), got {reduce!r}")
    index = _positions(index, "scatter_reduce")
    if src.dtype is not input.dtype:
        raise RuntimeError("scatter_reduce(): Expected self.dtype to be equal to src.dtype "
                           f"({input.dtype!r} and {src.dtype!r})")
    return rule(input, dim, index, _cropped(src, index._layout.shape), include_self)


def _sum(input: Any, dim: int, index: Any, src: Any, include_self: bool) -> Any:
    return scatter_add(input if include_self else scatter(input, dim, index, value=0), dim, index, src)


def _mean(input: Any, dim: int, index: Any, src: Any, include_self: bool) -> Any:
    ones = ones_like(input)
    count = scatter_add(ones if include_self else scatter(ones, dim, index, value=0), dim, index, ones_like(src))
    total = _sum(input, dim, index, src, include_self)
    return total / count if input.dtype.kind == "f" else POINTWISE["floor_divide"](total, count)


def _extreme(best: str) -> Callable[..., Any]:
    def rule(input: Any, dim: int, index: Any, src: Any, include_self: bool) -> Any:
        """Of several writes to a place the last stands, so what is written in order leaves the extreme."""
        x, y = input.detach(), src.detach()
        order = argsort(y if best == "maximum" else _mirrored(y), dim)
        made = scatter(x, dim, gather(index, dim, order), gather(y, dim, order))
        made = POINTWISE[best](x, made) if include_self else made
        if not recorded(input, src):
            return made
        alone = x == made if include_self else scatter(ones_like(x), dim, index, value=0) != 0
        wins = y == gather(made, dim, index)
        count = scatter_add(alone.to(x.dtype), dim, index, wins.to(x.dtype))
        return with_slope(made, scatter_add(where(alone, input, 0.0), dim, index, where(wins, src, 0.0)) / count)

    return rule


def _mirrored(x: Any) -> Any:
    """The same in reverse order, NaN still behind."""
    return -x if x.dtype.kind == "f" else POINTWISE["bitwise_not"](x)


_REDUCED = {"sum": _sum, "mean": _mean, "amax": _extreme("maximum"), "amin": _extreme("minimum")}


# ---- parts replaced ----------------------------------------------------------------------------------------------------
def masked_scatter(input: Any, mask: Any, source: Any) -> Any:
    """``input`` with the elements of ``source``, in order, where ``mask`` (bool) holds."""
    if mask.dtype is not dt.bool_:
        raise RuntimeError(f"masked_scatter: expected BoolTensor for mask, but got {mask.dtype!r}")
    if source.dtype is not input.dtype:
        raise RuntimeError("masked_scatter: expected self and source to have same dtypes but got "
                           f"{input.dtype!r} and {source.dtype!r}")
    shape = input._layout.shape
    mask = mask if mask._layout.shape == shape else expand(mask, shape)
    if not input.numel() or not source.numel():
        return input.clone()
    ranks = cumsum(reshape(mask, input.numel()), 0) - 1
    place = where(reshape(mask, input.numel()), ranks, 0)  # behind the source's end: refused when it is read
    return where(mask, reshape(take(source, place), shape), input)


def _replaced(input: Any, src: Any, name: str, part: Callable[[Any], Any]) -> Any:
    made = run("copy", input)
    view = part(made)
    if view._layout.shape != src._layout.shape:
        raise RuntimeError(f"{name}(): expected src to have a size equal to the part of self. src size = "
                           f"{list(src._layout.shape)}, part size = {list(view._layout.shape)}")
    assign(view, src)
    return made


def select_scatter(input: Any, src: Any, dim: int, index: int) -> Any:
    """``input`` with ``src`` at ``index`` of ``dim``."""
    return _replaced(input, src, "select_scatter", lambda made: select(made, dim, index))


def slice_scatter(input: Any, src: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Any:
    """``input`` with ``src`` at start, start + step … before end of ``dim``."""
    axis = axis_of(dim, input.ndim) + input.ndim
    return _replaced(input, src, "slice_scatter", lambda made: _sliced(made, axis, slice(start, end, step)))


def diagonal_scatter(input: Any, src: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """``input`` with ``src`` on the diagonal of two axes."""
    return _replaced(input, src, "diagonal_scatter", lambda made: diagonal(made, offset, dim1, dim2))


FUNCTIONS = {
    f.__name__: f
    for f in (diagonal_scatter, index_copy, index_fill, masked_scatter, scatter_reduce, select_scatter, slice_scatter, take)
}
ALONE: frozenset[str] = frozenset()
METHODS = {f.__name__: f for f in (index_copy_, index_fill_)}
METHODS |= {f"{f.__name__}_": inplace(f) for f in (masked_scatter, scatter_reduce)}
