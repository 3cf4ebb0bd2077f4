"""Indexing: the functions that read and write at positions that are data. ``x[…]`` is `subscript`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.layout import broadcast_shapes

from ..base import TensorBase
from .common import axis_of, look, over, run
from .shape import expand


def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """Where the tensor is not 0: a row of indices for each, or one list for each axis. Reads a count back."""
    count = int(run("count_nonzero", input, axes=None, keepdim=False).item())
    found = run("nonzero", input if input.ndim else input.reshape(1), size=count)
    if not as_tuple:
        return found if input.ndim else look("slice", found, axis=-1, start=0, stop=0, step=1)
    return tuple(look("select", found, axis=-1, index=k) for k in range(max(input.ndim, 1)))


def masked_select(input: Any, mask: Any) -> Any:
    """The elements under a bool mask, in order, as a vector."""
    if mask.dtype is not dt.bool_:
        raise RuntimeError(f"masked_select: expected BoolTensor for mask, got {mask.dtype!r}")
    shape = broadcast_shapes(input._layout.shape, mask._layout.shape)
    wide = expand(mask, shape)
    return run("masked_select", input, mask, size=int(run("count_nonzero", wide, axes=None, keepdim=False).item()))


def _positions(index: Any, name: str) -> Any:
    if not isinstance(index, TensorBase):
        raise TypeError(f"{name}(): argument 'index' must be a Tensor, not {type(index).__name__}")
    if index.dtype not in (dt.int64, dt.int32):
        raise RuntimeError(f"{name}(): Expected dtype int64 for index, got {index.dtype!r}")
    return index


def _cropped(x: Any, shape: tuple[int, ...]) -> Any:
    """The part of ``x`` that an index of ``shape`` reaches along the other axes."""
    for k, n in enumerate(shape):
        if x._layout.shape[k] > n:
            x = look("slice", x, axis=k - x.ndim, start=0, stop=n, step=1)
    return x


def gather(input: Any, dim: int, index: Any, *, sparse_grad: bool = False) -> Any:
    """out[i…] = input[i… with index[i…] on ``dim``]."""
    index = _positions(index, "gather")
    if index.ndim != input.ndim and not (input.ndim == 0 or index.ndim == 0):
        raise RuntimeError("Index tensor must have the same number of dimensions as input tensor "
                           f"({index.ndim} and {input.ndim})")
    return run("gather", input, index, axis=axis_of(dim, input.ndim))


def take_along_dim(input: Any, indices: Any, dim: int | None = None) -> Any:
    """`gather` with the other axes broadcast."""
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))
    axis = axis_of(dim, input.ndim)
    if indices.ndim != input.ndim:
        raise RuntimeError(
            f"torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{input.ndim} dimensions for input, and {indices.ndim} dimensions for indices"
        )
    outer = [
        0 if k - input.ndim == axis else broadcast_shapes((a,), (b,))[0]
        for k, (a, b) in enumerate(zip(input._layout.shape, indices._layout.shape, strict=True))
    ]
    left, right = list(outer), list(outer)
    left[axis], right[axis] = input._layout.shape[axis], indices._layout.shape[axis]
    return gather(expand(input, left), axis, expand(_positions(indices, "take_along_dim"), right))


def _scattered(how: Callable[..., Any], name: str, input: Any, dim: int, index: Any, src: Any) -> Any:
    """A row that writes where `gather` reads; ``how`` it is run: apart (`run`), or in place (`over`)."""
    index = _positions(index, name)
    if isinstance(src, TensorBase):
        src = _cropped(src, index._layout.shape) if src._layout.shape != index._layout.shape else src
        if src.dtype is not input.dtype:
            raise RuntimeError(
                f"{name}(): Expected self.dtype to be equal to src.dtype ({input.dtype!r} and {src.dtype!r})"
            )
    return how(name, input, index, src, axis=axis_of(dim, input.ndim))


def _scatter(how: Callable[..., Any], input: Any, dim: int, index: Any, src: Any, value: Any, reduce: str | None) -> Any:
    written = value if src is None else src
    if written is None:
        raise TypeError("scatter(): give src or value")
    if reduce == "add":
        added = written if isinstance(written, TensorBase) else _spread(written, index, input)
        return _scattered(how, "scatter_add", input, dim, index, added)
    if reduce is not None:
        raise RuntimeError(f"scatter(): reduce argument must be 'add', or None; got {reduce!r}")
    return _scattered(how, "scatter", input, dim, index, written)


def scatter(input: Any, dim: int, index: Any, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Any:
    """``input`` with ``src`` (or ``value``) written where `gather` would read."""
    return _scatter(run, input, dim, index, src, value, reduce)


def _spread(value: Any, index: Any, like: Any) -> Any:
    from .creation import full

    return full(index._layout.shape, value, dtype=like.dtype, device=like.device)


def scatter_add(input: Any, dim: int, index: Any, src: Any) -> Any:
    """``input`` plus ``src`` where `gather` would read; sums in index order on every device."""
    return _scattered(run, "scatter_add", input, dim, index, src)


def index_select(input: Any, dim: int, index: Any) -> Any:
    """The slices of ``input`` at a list of positions along ``dim``."""
    index = _positions(index, "index_select")
    if index.ndim > 1:
        raise IndexError(f"index_select(): Index is supposed to be a vector, but got dim: {index.ndim}")
    if input.ndim == 0:
        return run("index_select", input.reshape(1), index.reshape(-1), axis=-1).reshape(())
    return run("index_select", input, index.reshape(-1), axis=axis_of(dim, input.ndim))


def index_add(input: Any, dim: int, index: Any, source: Any, *, alpha: Any = 1) -> Any:
    """``input`` plus alpha times the slices of ``source`` at a list of positions along ``dim``."""
    return _index_add(run, input, dim, index, source, alpha)


def _index_add(how: Callable[..., Any], input: Any, dim: int, index: Any, source: Any, alpha: Any) -> Any:
    source = source if alpha == 1 else source * alpha
    return how("index_add", input, _positions(index, "index_add"), source, axis=axis_of(dim, input.ndim))


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """int64 ones at the class along a new last axis."""
    if num_classes == -1:
        if not tensor.numel():
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        num_classes = int(tensor.max().item()) + 1
    if tensor.dtype is not dt.int64:
        raise RuntimeError(f"one_hot is only applicable to index tensor of type LongTensor, got {tensor.dtype!r}")
    return run("one_hot", tensor, classes=int(num_classes))


def embedding(input: Any, weight: Any, padding_idx: int | None = None) -> Any:
    """The rows of ``weight`` at the ids ``input``; the row ``padding_idx`` gets no gradient."""
    if input.dtype not in (dt.int64, dt.int32):
        raise RuntimeError(
            f"Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"{input.dtype!r} instead (while checking arguments for embedding)"
        )
    place = -1 if padding_idx is None else padding_idx % weight._layout.shape[0]
    return run("embedding", weight, input, padding_idx=place)


FUNCTIONS = {
    f.__name__: f
    for f in (nonzero, masked_select, gather, take_along_dim, scatter, scatter_add, index_select, index_add)
}


# ---- in place ------------------------------------------------------------------------------------------------------------
def scatter_(self: Any, dim: int, index: Any, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Any:
    """`scatter` in place."""
    return _scatter(over, self, dim, index, src, value, reduce)


def scatter_add_(self: Any, dim: int, index: Any, src: Any) -> Any:
    """`scatter_add` in place."""
    return _scattered(over, "scatter_add", self, dim, index, src)


def index_add_(self: Any, dim: int, index: Any, source: Any, *, alpha: Any = 1) -> Any:
    """`index_add` in place."""
    return _index_add(over, self, dim, index, source, alpha)


ALONE: frozenset[str] = frozenset()
METHODS = {f.__name__: f for f in (scatter_, scatter_add_, index_add_)}
