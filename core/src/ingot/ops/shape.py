"""Shapes, views and copies."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

from ingot_devices.dtypes import DType
from ingot_devices.opset.op import OPS

from ..inplace import number_in
from ..views import remembered, selection, stretch, through, view_rule
from .common import axes_of, axis_of, inplace, look, run, whole


def _filled(shape: tuple[int, ...], size: int, given: Any) -> tuple[int, ...]:
    """``shape`` with a -1 worked out."""
    if -1 not in shape:
        if math.prod(shape) != size:
            raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}")
        return shape
    known = math.prod(n for n in shape if n != -1)
    if shape.count(-1) > 1:
        raise RuntimeError(f"only one dimension can be inferred (be -1), got shape {list(shape)}")
    if known == 0 or size % known:
        if known == 0 and size == 0:
            raise RuntimeError(f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified "
                               "dimension size -1 can be any value and is ambiguous")
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}")
    return tuple(size // known if n == -1 else n for n in shape)


def _sizes(shape: Sequence[Any]) -> tuple[int, ...]:
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = shape[0]
    return tuple(map(whole, shape))


@remembered
def reshape(input: Any, *shape: Any) -> Any:
    """The elements in row-major order under another shape; a view where the layout allows it."""
    return look("view", input, shape=_filled(_sizes(shape), input._layout.size, shape))


@remembered
def view(input: Any, *shape: Any) -> Any:
    """`reshape` that never copies; with a dtype, the same bytes read as that dtype of equal width."""
    if len(shape) == 1 and isinstance(shape[0], DType):
        return _view_dtype(input, shape[0])
    wanted = _filled(_sizes(shape), input._layout.size, shape)
    if view_rule(OPS["view"], input._layout, (wanted,)) is None:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans "
            "across two contiguous subspaces). Use .reshape(...) instead."
        )
    return look("view", input, shape=wanted)


def _view_dtype(input: Any, dtype: Any) -> Any:
    from ingot_devices.layout import Layout

    from ..base import TensorBase

    layout = input._layout
    if dtype.itemsize != layout.dtype.itemsize:
        raise RuntimeError(
            f"view(dtype): {layout.dtype!r} has {layout.dtype.itemsize} bytes and {dtype!r} {dtype.itemsize}; only "
            "dtypes of equal width can be viewed"
        )
    return TensorBase.kind.make(
        input._block, Layout.of(layout.shape, layout.strides, dtype, layout.device), input._offset
    )


def view_as(input: Any, other: Any) -> Any:
    """`view` with the shape of ``other``."""
    return view(input, *other._layout.shape) if other._layout.shape else view(input, ())


def reshape_as(input: Any, other: Any) -> Any:
    """`reshape` to the shape of ``other``."""
    return reshape(input, other._layout.shape)


@remembered
def permute(input: Any, *dims: Any) -> Any:
    """Axes in another order."""
    order = _sizes(dims)
    if len(order) != input.ndim:
        raise RuntimeError(
            f"permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
            f"ordering of dimensions i.e. input.dim() = {input.ndim} is not equal to len(dims) = {len(order)}"
        )
    found = tuple(axis_of(d, input.ndim) for d in order)
    if len(set(found)) != len(found):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return look("permute", input, dims=found) if found else input


@remembered
def transpose(input: Any, dim0: int, dim1: int) -> Any:
    """Two axes exchanged."""
    if input.ndim == 0:
        axis_of(dim0, 0), axis_of(dim1, 0)
        return view_as(input, input)
    order = list(range(-input.ndim, 0))
    a, b = axis_of(dim0, input.ndim), axis_of(dim1, input.ndim)
    order[a], order[b] = order[b], order[a]
    return look("permute", input, dims=tuple(order))


def t(input: Any) -> Any:
    """The transpose of a matrix; a vector or scalar stays."""
    if input.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return input if input.ndim < 2 else transpose(input, 0, 1)


def movedim(input: Any, source: Any, destination: Any) -> Any:
    """Axes ``source`` moved to the places ``destination``."""
    n = input.ndim
    sources, targets = (
        [axis_of(d, n) % n for d in (given if isinstance(given, (tuple, list)) else (given,))]
        for given in (source, destination)
    )
    if len(sources) != len(targets):
        raise RuntimeError(f"movedim takes as many sources as destinations, got {source} and {destination}")
    for given in (sources, targets):
        if len(set(given)) != len(given):
            raise RuntimeError(f"movedim: repeated dim in {given}, from {source} and {destination}")
    rest = iter(k for k in range(n) if k not in sources)
    order = [sources[targets.index(k)] if k in targets else next(rest) for k in range(n)]
    return permute(input, *order)


@remembered
def expand(input: Any, *sizes: Any) -> Any:
    """Axes of size 1 (and new leading axes) broadcast to ``sizes``; -1 keeps a size."""
    wanted = list(_sizes(sizes))
    lead = len(wanted) - input.ndim
    if lead < 0:
        raise RuntimeError(
            f"expand: the number of sizes provided ({len(wanted)}) must be greater or equal to the number of "
            f"dimensions in the tensor ({input.ndim})"
        )
    for k, n in enumerate(wanted):
        have = input._layout.shape[k - lead] if k >= lead else None
        if n == -1:
            if have is None:
                raise RuntimeError("expand: -1 is not allowed in a leading, non-existing dimension")
            wanted[k] = have
        elif have not in (None, 1, n):
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({have}) at non-singleton "
                f"dimension {k}. Target sizes: {wanted}. Tensor sizes: {list(input._layout.shape)}"
            )
    return look("expand", input, shape=tuple(wanted))


def expand_as(input: Any, other: Any) -> Any:
    """`expand` to the shape of ``other``."""
    return expand(input, other._layout.shape)


def broadcast_to(input: Any, size: Any) -> Any:
    """`expand`."""
    return expand(input, size)


def broadcast_tensors(*tensors: Any) -> tuple[Any, ...]:
    """All tensors expanded to their common shape."""
    from ingot_devices.layout import broadcast_shapes

    try:
        shape = broadcast_shapes(*(x._layout.shape for x in tensors))
    except ValueError as e:
        raise RuntimeError(str(e)) from None
    return tuple(expand(x, shape) for x in tensors)


@remembered
def squeeze(input: Any, dim: Any = None) -> Any:
    """Without the axes of size 1 (or only ``dim`` of them)."""
    shape = input._layout.shape
    axes = None if dim is None else axes_of(dim, input.ndim) or ()
    keep = tuple(n for k, n in enumerate(shape) if n != 1 or (axes is not None and k - len(shape) not in axes))
    return look("view", input, shape=keep)


@remembered
def unsqueeze(input: Any, dim: int) -> Any:
    """A new axis of size 1 at ``dim``."""
    place = axis_of(dim, input.ndim + 1) + input.ndim + 1
    shape = input._layout.shape
    return look("view", input, shape=(*shape[:place], 1, *shape[place:]))


@remembered
def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Axes ``start_dim`` to ``end_dim`` as one."""
    if input.ndim == 0:
        return look("view", input, shape=(1,))
    first, last = axis_of(start_dim, input.ndim) + input.ndim, axis_of(end_dim, input.ndim) + input.ndim
    if first > last:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    shape = input._layout.shape
    return look("view", input, shape=(*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


def ravel(input: Any) -> Any:
    """All axes as one."""
    return reshape(input, -1) if input._layout.size else reshape(input, 0)


def unflatten(input: Any, dim: int, sizes: Any) -> Any:
    """Axis ``dim`` split into ``sizes`` (one of them may be -1)."""
    k = axis_of(dim, input.ndim) + input.ndim
    shape = input._layout.shape
    try:
        inner = _filled(tuple(sizes), shape[k], sizes)
    except RuntimeError:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} ({shape[k]}) in the "
            "input tensor"
        ) from None
    return look("view", input, shape=(*shape[:k], *inner, *shape[k + 1 :]))


def narrow(input: Any, dim: int, start: Any, length: int) -> Any:
    """``length`` elements from ``start`` along ``dim``."""
    axis = axis_of(dim, input.ndim)
    size = input._layout.shape[axis]
    start = int(start)
    begin = start + size if start < 0 else start
    if not 0 <= begin <= size:
        raise IndexError(f"start out of range (expected to be in range of [{-size}, {size}], but got {start})")
    if length < 0 or begin + length > size:
        raise RuntimeError(f"start ({begin}) + length ({length}) exceeds dimension size ({size}).")
    return through(input, *stretch(input._layout, axis, begin, begin + length, 1))


def select(input: Any, dim: int, index: int) -> Any:
    """One element along ``dim``, which goes."""
    if input.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    axis = axis_of(dim, input.ndim)
    size = input._layout.shape[axis]
    if not -size <= index < size:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input._layout.shape)} at dimension "
            f"{axis + input.ndim}"
        )
    return through(input, *selection(input._layout, axis, int(index) % size))


@remembered
def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """The diagonal of two axes as a new last axis."""
    return look("diagonal", input, offset=offset, axis1=axis_of(dim1, input.ndim), axis2=axis_of(dim2, input.ndim))


@remembered
def unfold(input: Any, dimension: int, size: int, step: int) -> Any:
    """Windows of ``size`` elements, ``step`` apart, along an axis."""
    return look("unfold", input, axis=axis_of(dimension, input.ndim), size=size, step=step)


def as_strided(input: Any, size: Any, stride: Any, storage_offset: int | None = None) -> Any:
    """The storage seen through any shape and strides (elements); the offset is the storage's."""
    from ingot_devices.layout import Layout

    from ..base import TensorBase

    offset = input._offset if storage_offset is None else int(storage_offset)
    shape, strides = tuple(size), tuple(stride)
    if any(s < 0 for s in strides):
        raise RuntimeError(
            f"as_strided: Negative strides are not supported at the moment, got strides: {list(strides)}"
        )
    base = input._base if input._base is not None else input
    if input._edge is None and base._edge is None:
        layout = Layout.of(shape, strides, input._layout.dtype, input._layout.device)
        room = input._block.nbytes // input._layout.device.limits.storage_itemsize(input._layout.dtype)
        if layout.size and offset + layout.span > room:
            raise RuntimeError(
                f"setStorage: sizes {list(shape)}, strides {list(strides)}, storage offset {offset} reach element "
                f"{offset + layout.span - 1}, out of bounds for storage of {room} elements"
            )
        return TensorBase.kind.make(input._block, layout, offset)
    if input._layout.is_dense:
        return look("as_strided", input, shape=shape, strides=strides, offset=offset - input._offset)
    return look("as_strided", base, shape=shape, strides=strides, offset=offset - base._offset)


def flip(input: Any, *dims: Any) -> Any:
    """Reversed along ``dims``."""
    return run("flip", input, axes=axes_of(_sizes(dims), input.ndim) or ())


def roll(input: Any, shifts: Any, dims: Any = None) -> Any:
    """Elements shifted along ``dims``, round the end; flat without ``dims``."""
    moves = tuple(shifts) if isinstance(shifts, (tuple, list)) else (shifts,)
    if dims is None or dims == ():
        return reshape(run("roll", ravel(input), shifts=moves, axes=(-1,)), input._layout.shape)
    along = tuple(axis_of(d, input.ndim) for d in (dims if isinstance(dims, (tuple, list)) else (dims,)))
    if len(along) != len(moves):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(moves)}, dims:{len(along)}")
    return run("roll", input, shifts=moves, axes=along)


def _require_several(name: str, tensors: Any) -> None:
    if not isinstance(tensors, (list, tuple)):
        raise TypeError(f"{name}() takes a list or tuple of tensors, not {type(tensors).__name__}")
    if not tensors:
        raise RuntimeError(f"{name} expects a non-empty list of Tensors")


def cat(tensors: Sequence[Any], dim: int = 0, *, axis: int | None = None) -> Any:
    """Tensors end to end along an axis; empty vectors are left out, as PyTorch does."""
    _require_several("cat", tensors)
    kept = [x for x in tensors if x._layout.shape != (0,)] or [tensors[0]]
    if any(x.ndim == 0 for x in kept):
        raise RuntimeError("zero-dimensional tensor (at position 0) cannot be concatenated")
    place = axis_of(dim if axis is None else axis, kept[0].ndim)
    return run("cat", *kept, axis=place)


def stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Tensors of one shape along a new axis."""
    _require_several("stack", tensors)
    first = tensors[0]._layout.shape
    for k, x in enumerate(tensors):
        if x._layout.shape != first:
            raise RuntimeError(f"stack expects each tensor to be equal size, but got {list(first)} at entry 0 and "
                               f"{list(x._layout.shape)} at entry {k}")
    return cat([unsqueeze(x, dim) for x in tensors], axis_of(dim, len(first) + 1))


def hstack(tensors: Sequence[Any]) -> Any:
    """Side by side: along axis 1, or 0 for vectors."""
    _require_several("hstack", tensors)
    made = [x.reshape(1) if x.ndim == 0 else x for x in tensors]
    return cat(made, 0 if made[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Any]) -> Any:
    """One above the other: along axis 0, vectors as rows."""
    _require_several("vstack", tensors)
    return cat([x.reshape(1, -1) if x.ndim < 2 else x for x in tensors], 0)


def split(tensor: Any, split_size_or_sections: Any, dim: int = 0) -> tuple[Any, ...]:
    """Pieces along ``dim``: of one size (the last may be smaller), or of the sizes given."""
    axis = axis_of(dim, tensor.ndim)
    size = tensor._layout.shape[axis]
    if isinstance(split_size_or_sections, int):
        step = split_size_or_sections
        if step < 0 or (step == 0 and size):
            raise RuntimeError(f"split expects split_size be non-negative, but got split_size={step}")
        sections = [builtins.min(step, size - k) for k in range(0, size, step)] if size else [0]
    else:
        sections = list(split_size_or_sections)
        if sum(sections) != size:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {size} (input tensor's size at dimension "
                f"{dim}), but got split_sizes={sections}"
            )
    made, start = [], 0
    for n in sections:
        made.append(through(tensor, *stretch(tensor._layout, axis, start, start + n, 1)))
        start += n
    return tuple(made)


def chunk(input: Any, chunks: int, dim: int = 0) -> tuple[Any, ...]:
    """About ``chunks`` pieces of equal size along ``dim``."""
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    size = input._layout.shape[axis_of(dim, input.ndim)]
    return split(input, builtins.max(1, -(-size // chunks)), dim) if size else split(input, [0] * chunks, dim)


def unbind(input: Any, dim: int = 0) -> tuple[Any, ...]:
    """Each element along ``dim``."""
    axis = axis_of(dim, input.ndim)
    if input.ndim == 0:
        raise IndexError("unbind() cannot be applied to a 0-dim tensor.")
    layout = input._layout
    return tuple([through(input, *selection(layout, axis, k)) for k in range(layout.shape[axis])])


def repeat(input: Any, *sizes: Any) -> Any:
    """Copies along each axis."""
    counts = _sizes(sizes)
    if len(counts) < input.ndim:
        raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    return run("repeat", input, repeats=counts)


def tile(input: Any, *dims: Any) -> Any:
    """Copies along the last axes."""
    counts = _sizes(dims)
    return run("repeat", input, repeats=(1,) * (input.ndim - len(counts)) + counts)


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: Any = None) -> Any:
    """Edges around the last axes: ``pad`` is (before, after) from the last axis on. Negative numbers crop."""
    if mode != "constant":
        raise NotImplementedError(f"pad(mode={mode!r}) is not supported; 'constant' is")
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise RuntimeError(
            f"Padding length must be divisible by 2 and at most twice the number of dimensions; {len(pad)} numbers "
            f"were given for {input.ndim} dimensions"
        )
    pairs = tuple((int(pad[k]), int(pad[k + 1])) for k in range(0, len(pad), 2))[::-1]
    return run("pad", input, 0 if value is None else number_in(value, input.dtype), pads=pairs)


def tril(input: Any, diagonal: int = 0) -> Any:
    """The lower triangle of each matrix, zeros elsewhere."""
    return run("tril", input, diagonal=diagonal)


def triu(input: Any, diagonal: int = 0) -> Any:
    """The upper triangle of each matrix, zeros elsewhere."""
    return run("triu", input, diagonal=diagonal)


def diag(input: Any, diagonal: int = 0) -> Any:
    """A matrix with a vector on its diagonal, or the diagonal of a matrix."""
    if input.ndim == 2:
        return globals()["diagonal"](input, diagonal).clone()
    if input.ndim != 1:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    n = input._layout.shape[0] + abs(diagonal)
    return run("diagonal_backward", input, shape=(n, n), offset=diagonal)


def clone(input: Any, *, memory_format: Any = None) -> Any:
    """A copy, row-major; gradients flow through it."""
    return run("copy", input)


def contiguous(input: Any, memory_format: Any = None) -> Any:
    """The tensor itself where it is row-major, else a copy."""
    return input if input._layout.is_dense else run("copy", input)


FUNCTIONS = {
    f.__name__: f
    for f in (reshape, permute, transpose, t, movedim, broadcast_to, broadcast_tensors, squeeze, unsqueeze, flatten, ravel,
              unflatten, narrow, select, diagonal, as_strided, flip, roll, cat, stack, hstack, vstack, split, chunk, unbind,
              tile, tril, triu, diag, clone, unfold, pad)
}  # fmt: skip
FUNCTIONS |= {"concat": cat, "concatenate": cat, "swapaxes": transpose, "swapdims": transpose}


def fill_diagonal_(self: Any, fill_value: Any, wrap: bool = False) -> Any:
    """Write a number on the diagonal of a matrix."""
    from ..inplace import assign

    if self.ndim < 2 or wrap:
        raise RuntimeError("fill_diagonal_ takes matrices, without wrap")
    assign(self, run("fill_diagonal", self, fill_value))
    return self


ALONE = frozenset("broadcast_tensors cat concat concatenate hstack stack vstack".split())
METHODS = {f.__name__: f for f in (view, view_as, reshape_as, expand, expand_as, repeat, contiguous, fill_diagonal_)}
METHODS |= {f"{f.__name__}_": inplace(f) for f in (tril, triu)}
