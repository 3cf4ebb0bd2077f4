"""Indexing: ``x[…]``, ``x[…] = v``, and the functions that read and write at positions that are data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ingot_devices import dtypes as dt
from ingot_devices.layout import broadcast_shapes
from ingot_devices.opset.op import OPS

from ..base import TensorBase
from ..inplace import assign, fill, number_in
from ..views import Step, selection, stretch, through, view_rule
from .common import axis_of, look, over, run
from .pointwise import masked_fill_
from .shape import expand, permute, unsqueeze


# ---- x[...] ----------------------------------------------------------------------------------------------------------
def getitem(x: Any, key: Any) -> Any:
    """Basic keys (ints, slices, None, ...) give views; tensors, lists and bool masks gather."""
    if type(key) is int:
        return _select(x, -len(x._layout.shape), key, 0) if x._layout.shape else _too_many(x, 1)
    if isinstance(key, TensorBase):
        return run("index", x, key, axis=-len(x._layout.shape)) if _is_positions(key, x) else _gotten(x, key)
    view = _plain(x, key if type(key) is tuple else (key,))
    return _gotten(x, key) if view is None else view


def _is_positions(key: Any, x: Any) -> bool:
    """True for a tensor of rows of ``x``, on its device: what a key of one tensor nearly always is."""
    layout, whole = key._layout, x._layout
    return layout.dtype in (dt.int64, dt.int32) and bool(layout.shape and whole.shape) and layout.device is whole.device


def _plain(x: Any, key: tuple[Any, ...]) -> Any:
    """The view, where the key is of ints, slices, None and one ...; None where it is not, or is wrong: `_basic` says what."""
    used = 0
    for item in key:
        kind = type(item)
        if kind is int or kind is slice:
            used += 1
        elif item is not None and item is not Ellipsis:
            return None
    layout, further = x._layout, 0
    steps: tuple[Step, ...] = ()
    skipped, axis = len(layout.shape) - used, 0
    for item in key:
        shape = layout.shape
        if type(item) is int:
            if axis >= len(shape) or not -shape[axis] <= item < shape[axis]:
                return None
            step, layout, moved = selection(layout, axis - len(shape), item % shape[axis])
        elif type(item) is slice:
            if axis >= len(shape) or not (item.step is None or (type(item.step) is int and item.step > 0)):
                return None
            try:
                start, stop, by = item.indices(shape[axis])
            except TypeError:
                return None
            axis += 1
            if not start and stop == shape[axis - 1] and by == 1:
                continue
            step, layout, moved = stretch(layout, axis - 1 - len(shape), start, max(start, stop), by)
        elif item is None:
            found = view_rule(OPS["view"], layout, ((*shape[:axis], 1, *shape[axis:]),))
            assert found is not None
            step, layout, moved = found
            axis += 1
        elif skipped < 0:
            return None
        else:
            axis, skipped = axis + skipped, -1
            continue
        steps, further = steps + step, further + moved
    return through(x, steps, layout, further) if steps and used <= len(x._layout.shape) else None


def _gotten(x: Any, key: Any) -> Any:
    """What any key gives."""
    view, positions = _basic(x, key)
    if not positions:
        return view
    return _gather(view, positions)


def setitem(x: Any, key: Any, value: Any) -> None:
    """Write ``value`` (a number, or a tensor that broadcasts) at ``key``, in place; only what is written is touched."""
    number = type(value) in (float, int, bool)
    if number:
        part = _plain(x, key if type(key) is tuple else (key,))
        if part is not None:
            fill(part, value)
            return
    if not isinstance(value, TensorBase) and not number:
        from .creation import tensor

        value = tensor(value, device=x.device).to(x.dtype)
    if not number:
        if value.dtype is not x.dtype:
            value = value.to(x.dtype)
        if value.device != x.device and not value.ndim:
            value = value.to(x.device)
    if (number or not value.ndim) and isinstance(key, TensorBase) and key.dtype is dt.bool_ and _masks(key, x):
        further = x.ndim - key.ndim
        masked_fill_(x, look("view", key, shape=(*key._layout.shape, *(1,) * further)) if further else key, value)
        return
    view, positions = _basic(x, key)
    if not positions:
        fill(view, value) if number else assign(view, _fitted(value, view._layout.shape))
        return
    _put(view, positions, number_in(value, x.dtype) if number else value, accumulate=False)


def _put(view: Any, positions: list[tuple[int, Any]], value: Any, accumulate: bool) -> None:
    """Write at positions that are tensors; ``value`` is a number, or has the dtype of ``view``."""
    moved, axis, indices, _ = _arranged(view, positions)
    shape, shown = _indexed_shape(moved, axis, indices)
    if isinstance(value, TensorBase):
        value = _fitted(value, shape, shown)
    over("index_put", moved, value, *indices, accumulate=accumulate, axis=axis)


def _masks(mask: Any, x: Any) -> bool:
    """True where ``mask`` lies where ``x`` does and has its first axes, one at least."""
    shape = mask._layout.shape
    return bool(shape) and shape == x._layout.shape[: len(shape)] and mask._layout.device is x._layout.device


def _fitted(value: Any, shape: tuple[int, ...], shown: tuple[int, ...] | None = None) -> Any:
    have = value._layout.shape
    while len(have) > len(shape) and have[0] == 1:
        value = look("view", value, shape=have[1:])
        have = have[1:]
    try:
        fits = broadcast_shapes(have, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(have)} cannot be broadcast to indexing result of shape "
            f"{list(shown or shape)}"
        )
    return expand(value, shape) if have != shape else value


def _too_many(x: Any, n: int) -> Any:
    if x.ndim == 0:
        raise IndexError(
            "invalid index of a 0-dim tensor. Use `tensor.item()` in Python to convert a 0-dim tensor to a number"
        )
    raise IndexError(f"too many indices for tensor of dimension {x.ndim} ({n} given)")


def _select(x: Any, axis: int, index: int, shown: int) -> Any:
    size = x._layout.shape[axis]
    if not -size <= index < size:
        raise IndexError(f"index {index} is out of bounds for dimension {shown} with size {size}")
    return through(x, *selection(x._layout, axis, index % size))


def _basic(x: Any, key: Any) -> tuple[Any, list[tuple[int, Any]]]:
    """Apply what is a view; the rest as (axis of the view from the left, index tensor)."""
    if isinstance(key, TensorBase) and _is_positions(key, x):
        return x, [(0, key)]
    items, given = _expanded(x, key), x
    positions: list[tuple[int, Any]] = []
    axis = 0  # of the view so far
    source = 0  # of x
    for item in items:
        if item is None:
            x = unsqueeze(x, axis)
            axis += 1
        elif isinstance(item, slice):
            x = _sliced(x, axis, item)
            axis += 1
            source += 1
        elif isinstance(item, (bool, np.bool_)):
            x = unsqueeze(x, axis)
            positions.append((axis, _index_tensor([0] if item else [], x)))
            axis += 1
        elif isinstance(item, TensorBase):
            n = item.ndim if item.dtype is dt.bool_ else 1
            if item.dtype is dt.bool_:
                if item.ndim == 0:
                    x = unsqueeze(x, axis)
                    item = item.reshape(1)
                    n = 1
                    source -= 1
                if tuple(item._layout.shape) != tuple(x._layout.shape[axis : axis + n]):
                    raise IndexError(
                        f"The shape of the mask {list(item._layout.shape)} at index {source} does not match the shape of "
                        f"the indexed tensor {list(x._layout.shape)} at index {axis}"
                    )
                for k, part in enumerate(nonzero(item, as_tuple=True)):
                    positions.append((axis + k, part))
            else:
                positions.append((axis, item))
            axis += n
            source += n
        else:
            x = _select(x, axis - x.ndim, item, source)
            source += 1
    if x is given and items and not positions:
        x = look("view", x, shape=x._layout.shape)  # a tensor of its own, even if it is all of the other
    return x, positions


def _expanded(x: Any, key: Any) -> list[Any]:
    """The key as a list with its ellipsis written out; lists and arrays become tensors."""
    items = list(key) if isinstance(key, tuple) else [key]
    items = [_item(i, x) for i in items]
    used = sum(_takes(i) for i in items)
    if used > x.ndim:
        _too_many(x, used)
    dots = [k for k, i in enumerate(items) if i is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    fill = [slice(None)] * (x.ndim - used)
    if dots:
        return items[: dots[0]] + fill + items[dots[0] + 1 :]
    return items + fill


def _takes(item: Any) -> int:
    if item is None or item is Ellipsis or isinstance(item, (bool, np.bool_)):
        return 0
    if isinstance(item, TensorBase) and item.dtype is dt.bool_:
        return int(item.ndim)
    return 1


def _item(item: Any, x: Any) -> Any:
    if item is None or item is Ellipsis or isinstance(item, (bool, slice, np.bool_)):
        return item
    if isinstance(item, TensorBase):
        if item.dtype.kind not in "uib":
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors, not " + repr(item.dtype))
        if item.ndim == 0 and item.dtype is not dt.bool_ and item._layout.device.host_visible:
            return int(item.item())
        return item.to(x.device) if item.device != x.device else item
    if isinstance(item, (list, tuple, range, np.ndarray)):
        return _index_tensor(item, x)
    if hasattr(item, "__index__"):
        return int(item.__index__())
    raise IndexError("only integers, slices (`:`), ellipsis (`...`), None and long or bool Variables are valid indices "
                     f"(got {type(item).__name__})")


def _index_tensor(item: Any, x: Any) -> Any:
    from .creation import tensor

    if isinstance(item, (list, tuple)) and any(isinstance(i, (slice, type(None), type(Ellipsis))) for i in item):
        raise IndexError("a list index holds numbers or bools; use a tuple for slices, None and ...")
    array = np.asarray(
        [i.tolist() if isinstance(i, TensorBase) else i for i in item] if isinstance(item, (list, tuple)) else item
    )
    if array.size == 0 and array.dtype.kind == "f":
        array = array.astype(np.int64)
    if array.dtype.kind not in "uib":
        raise IndexError(f"indices are integers or bools, not {array.dtype}")
    return tensor(array if array.dtype.kind == "b" else array.astype(np.int64), device=x.device)


def _sliced(x: Any, axis: int, item: slice) -> Any:
    size = x._layout.shape[axis]
    step = 1 if item.step is None else int(item.step)
    if step <= 0:
        raise ValueError("step must be greater than zero; use flip() to reverse")
    start, stop, _ = slice(_end(item.start), _end(item.stop), step).indices(size)
    if start == 0 and stop == size and step == 1:
        return x
    return through(x, *stretch(x._layout, axis - x.ndim, start, max(start, stop), step))


def _end(value: Any) -> int | None:
    if value is not None and not hasattr(value, "__index__"):
        raise TypeError(f"slice indices must be integers or None, not {type(value).__name__}")
    return None if value is None else int(value.__index__())


# ---- positions that are tensors -----------------------------------------------------------------------------------------
def _arranged(x: Any, positions: list[tuple[int, Any]]) -> tuple[Any, int | None, list[Any], tuple[int, ...] | None]:
    """``x`` with the indexed axes next to one another: (x, first of them from the right, indices, axes' way back).

    Adjacent indices leave their axes in place; parted ones move to the front, as NumPy has it.
    """
    axes = [a for a, _ in positions]
    indices = [i if i.dtype in (dt.int32, dt.int64) else run("cast", i, dtype=dt.int64) for _, i in positions]
    if len({i.dtype for i in indices}) > 1:
        indices = [run("cast", i, dtype=dt.int64) for i in indices]
    if axes == list(range(axes[0], axes[0] + len(axes))):
        return x, axes[0] - x.ndim, indices, None
    order = axes + [k for k in range(x.ndim) if k not in axes]
    back = tuple(order.index(k) for k in range(x.ndim))
    return permute(x, *order), -x.ndim, indices, back


def _gather(x: Any, positions: list[tuple[int, Any]]) -> Any:
    moved, axis, indices, _ = _arranged(x, positions)
    _check_together(indices)
    return run("index", moved, *indices, axis=axis)


def _check_together(indices: list[Any]) -> None:
    try:
        broadcast_shapes(*(i._layout.shape for i in indices))
    except ValueError:
        shown = ", ".join(str(list(i._layout.shape)) for i in indices)
        raise IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {shown}"
        ) from None


def _indexed_shape(x: Any, axis: int | None, indices: list[Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    _check_together(indices)
    batch = broadcast_shapes(*(i._layout.shape for i in indices))
    shape = x._layout.shape
    first = (axis or -x.ndim) + x.ndim
    made = (*shape[:first], *batch, *shape[first + len(indices) :])
    return made, made


# ---- functions ---------------------------------------------------------------------------------------------------------
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


def index_put(input: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    """``input`` with ``values`` written, or added, at index tensors."""
    made = input.clone()
    return index_put_(made, indices, values, accumulate)


def index_put_(self: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    """`index_put` in place."""
    if not accumulate:
        setitem(self, tuple(indices), values)
        return self
    _put(*_basic(self, tuple(indices)), values.to(self.dtype), accumulate=True)
    return self


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
    for f in (nonzero, masked_select, gather, take_along_dim, scatter, scatter_add, index_select, index_add, index_put)
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


METHODS = {f.__name__: f for f in (scatter_, scatter_add_, index_add_, index_put_)}
