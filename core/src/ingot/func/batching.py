"""``vmap``: a function of one value, run on many at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from ingot_devices.context import state

from ..base import TensorBase
from ..ops.shape import cat, expand, movedim
from .crossing import enter, leave, lifted
from .lanes import Axis
from .tree import flatten, spread

RANDOMNESS = ("error", "different", "same")


def vmap(
    func: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *, chunk_size: int | None = None
) -> Callable[..., Any]:
    """A function that takes what ``func`` takes with one axis more, and gives what it gives with one axis more.

    ``func`` is run once, on *lanes*: it sees each tensor without the axis. ``in_dims`` is the axis of each argument (None: the
    argument is the same for all), one for all or a nest of the arguments' form; keyword arguments are the same for all.
    ``out_dims`` says where the axis goes in the results. ``randomness``: whether random numbers in ``func`` are an "error",
    "different" in each lane or the "same". ``chunk_size``: no more lanes at once than this.

    Most ops run on all lanes in one launch; others are taken apart, or run lane after lane. Values cannot be read on the host
    inside (``item()``, a branch on a tensor), and arguments cannot be written in place. ValueError for arguments whose sizes
    differ along their axes, or with nothing to map over; TypeError for axes or results that are none.

    After ``torch.func.vmap``; the idea is JAX's (Bradbury et al., 2018).
    """
    if randomness not in RANDOMNESS:
        raise RuntimeError(f"vmap: randomness must be one of {', '.join(RANDOMNESS)}, not {randomness!r}")
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"vmap: chunk_size must be 1 or more, or None for all lanes at once; it is {chunk_size}")

    @wraps(func)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        leaves, rebuild = flatten(args)
        dims = [_axis(d, v) for d, v in zip(_dims(in_dims, args), leaves, strict=True)]
        size = _size(leaves, dims)

        def run(given: list[Any]) -> Any:
            return func(*rebuild(given), **kwargs)

        if chunk_size is None or size <= chunk_size:
            return _mapped(run, leaves, dims, size, out_dims, randomness)
        parts = []
        for start in range(0, size, chunk_size):
            count = min(chunk_size, size - start)
            some = [v if d is None else v.narrow(d, start, count) for v, d in zip(leaves, dims, strict=True)]
            parts.append(_mapped(run, some, dims, count, out_dims, randomness))
        again = flatten(parts[0])[1]
        every = zip(*(flatten(p)[0] for p in parts), strict=True)
        places = spread(out_dims, parts[0], "out_dims")
        return again([same[0] if d is None else cat(same, d) for same, d in zip(every, places, strict=True)])

    return mapped


def _dims(in_dims: Any, args: tuple[Any, ...]) -> list[Any]:
    if isinstance(in_dims, list):
        in_dims = tuple(in_dims)
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(f"vmap: in_dims must be a number or a tuple, one entry for each argument, not {in_dims!r}")
    return spread(in_dims, args, "in_dims")


def _axis(dim: Any, value: Any) -> int | None:
    """The axis of an argument from the left; None where it is the same for all."""
    if dim is None:
        return None
    if not isinstance(dim, int) or isinstance(dim, bool):
        raise ValueError(f"vmap: an axis must be a number or None, not {dim!r}")
    if not isinstance(value, TensorBase):
        raise ValueError(f"vmap: in_dims has {dim} for an argument that is no tensor, but {type(value).__name__}: give it None")
    rank = len(value._layout.shape)
    if not -rank <= dim < rank:
        raise ValueError(f"vmap: in_dims has {dim} for a tensor of shape {list(value._layout.shape)}, which has no such axis")
    return dim % rank


def _size(leaves: list[Any], dims: list[int | None]) -> int:
    sizes = [v._layout.shape[d] for v, d in zip(leaves, dims, strict=True) if d is not None]
    if not sizes:
        raise ValueError("vmap: there is nothing to map over: no argument is a tensor with an axis in in_dims")
    if len(set(sizes)) > 1:
        shown = ", ".join(f"{list(v._layout.shape)} along {d}" for v, d in zip(leaves, dims, strict=True) if d is not None)
        raise ValueError(f"vmap: the arguments must have one size along their axes, but have {sorted(set(sizes))}: {shown}")
    return int(sizes[0])


def _mapped(
    run: Callable[[list[Any]], Any], leaves: list[Any], dims: list[int | None], size: int, out_dims: Any, randomness: str
) -> Any:
    outer = state.axes
    axis, _held = Axis.begin(size, randomness)  # until this call is over
    entered = [v if d is None else enter(movedim(lifted(v, outer), d, 0), axis) for v, d in zip(leaves, dims, strict=True)]
    state.axes = (*outer, axis)
    try:
        made = run(entered)
    finally:
        state.axes = outer
    values, again = flatten(made)
    return again([_left(v, d, axis) for v, d in zip(values, spread(out_dims, made, "out_dims"), strict=True)])


def _left(value: Any, dim: Any, axis: Axis) -> Any:
    """A result with its lanes at ``dim``."""
    if not isinstance(value, TensorBase):
        raise TypeError(f"vmap: the function must return tensors, or tuples, lists and dicts of them, not "
                        f"{type(value).__name__}")
    varies = axis in value._layout.device.axes
    if dim is None:
        if varies:
            raise ValueError("vmap: out_dims has None for a result that differs by lane; say where its axis goes")
        return value
    if not varies:
        made = expand(value, (axis.size, *value._layout.shape))
    else:
        block: Any = value._block
        made = leave(value, axis)
        made = made if block.whole is not None else made.clone()  # the caller's memory stays the caller's
    return movedim(made, 0, dim)
