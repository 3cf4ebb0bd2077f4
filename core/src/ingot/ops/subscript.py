"""Subscripts: ``x[…]`` and ``x[…] = v``.

A key of ints, slices, None and ``...`` is a view (`views`); tensors, lists and masks are positions, which are read by the op
``index`` and written by ``index_put``. A mask that a number is written under stays a mask.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ingot_devices import dtypes as dt
from ingot_devices.layout import broadcast_shapes
from ingot_devices.opset.op import OPS

from ..base import TensorBase
from ..inplace import assign, fill, number_in
from ..views import Step, selection, stretch, through, view_rule
from .common import look, over, run
from .index import nonzero
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
    """Write ``value`` (a number, or what makes a tensor that broadcasts) at ``key``, in place; no more is touched than that."""
    number = type(value) in (float, int, bool)
    if number:
        part = _plain(x, key if type(key) is tuple else (key,))
        if part is not None:
            fill(part, value)
            return
        value = number_in(value, x.dtype)
    else:
        value = _tensor_for(x, value)
    if isinstance(key, TensorBase) and key.dtype is dt.bool_ and (number or not value.ndim) and _masks(key, x):
        further = x.ndim - key.ndim
        masked_fill_(x, look("view", key, shape=(*key._layout.shape, *(1,) * further)) if further else key, value)
        return
    view, positions = _basic(x, key)
    if positions:
        _put(view, positions, value, accumulate=False)
    elif number:
        fill(view, value)
    else:
        assign(view, _fitted(value, view._layout.shape))


def _tensor_for(x: Any, value: Any) -> Any:
    """``value`` as a tensor of x's dtype; one without axes comes to x's device as well."""
    if not isinstance(value, TensorBase):
        from .creation import tensor

        value = tensor(value, device=x.device)
    if value.dtype is not x.dtype:
        value = value.to(x.dtype)
    return value.to(x.device) if value.device != x.device and not value.ndim else value


def _put(view: Any, positions: list[tuple[int, Any]], value: Any, accumulate: bool) -> None:
    """Write at positions that are tensors; ``value`` is a number, or has the dtype of ``view``."""
    moved, axis, indices = _arranged(view, positions)
    if isinstance(value, TensorBase):
        value = _fitted(value, _indexed_shape(moved, axis, indices))
    over("index_put", moved, value, *indices, accumulate=accumulate, axis=axis)


def _masks(mask: Any, x: Any) -> bool:
    """True where ``mask`` lies where ``x`` does and has its first axes, one at least."""
    shape = mask._layout.shape
    return bool(shape) and shape == x._layout.shape[: len(shape)] and mask._layout.device is x._layout.device


def _fitted(value: Any, shape: tuple[int, ...]) -> Any:
    """``value`` broadcast to ``shape``; leading axes of one element that are too many are dropped."""
    have = given = value._layout.shape
    while len(have) > len(shape) and have[0] == 1:
        have = have[1:]
    try:
        fits = broadcast_shapes(have, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(given)} cannot be broadcast to indexing result of shape {list(shape)}"
        )
    if have != given:
        value = look("view", value, shape=have)
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
def _arranged(x: Any, positions: list[tuple[int, Any]]) -> tuple[Any, int, list[Any]]:
    """``x`` with the indexed axes next to one another: (x, the first of them counted from the right, indices).

    Adjacent indices leave their axes in place; parted ones move to the front, as NumPy has it.
    """
    axes = [a for a, _ in positions]
    indices = [i if i.dtype in (dt.int32, dt.int64) else run("cast", i, dtype=dt.int64) for _, i in positions]
    if len(axes) == 1:
        return x, axes[0] - x.ndim, indices
    if len({i.dtype for i in indices}) > 1:
        indices = [run("cast", i, dtype=dt.int64) for i in indices]
    _check_together(indices)
    if axes == list(range(axes[0], axes[0] + len(axes))):
        return x, axes[0] - x.ndim, indices
    return permute(x, *axes, *(k for k in range(x.ndim) if k not in axes)), -x.ndim, indices


def _gather(x: Any, positions: list[tuple[int, Any]]) -> Any:
    moved, axis, indices = _arranged(x, positions)
    return run("index", moved, *indices, axis=axis)


def _check_together(indices: list[Any]) -> None:
    try:
        broadcast_shapes(*(i._layout.shape for i in indices))
    except ValueError:
        shown = ", ".join(str(list(i._layout.shape)) for i in indices)
        raise IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {shown}"
        ) from None


def _indexed_shape(x: Any, axis: int, indices: list[Any]) -> tuple[int, ...]:
    batch = broadcast_shapes(*(i._layout.shape for i in indices))
    shape, first = x._layout.shape, axis + x.ndim
    return (*shape[:first], *batch, *shape[first + len(indices) :])


# ---- functions ---------------------------------------------------------------------------------------------------------
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


FUNCTIONS = {"index_put": index_put}
ALONE: frozenset[str] = frozenset()
METHODS = {"index_put_": index_put_}
