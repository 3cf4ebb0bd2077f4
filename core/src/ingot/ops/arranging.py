"""Shapes, continued: turning, splitting and stacking, and matrices out of diagonals and blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from ..base import TensorBase
from ..views import stretch, through
from .common import axes_of, axis_of, document, run, shape_of
from .shape import _require_several, cat, diag, flip, movedim, reshape, split, transpose, unsqueeze, vstack


# ---- turning ---------------------------------------------------------------------------------------------------------
def fliplr(input: Any) -> Any:
    """Columns in reverse."""
    _require_rank("fliplr", input, 2)
    return flip(input, 1)


def flipud(input: Any) -> Any:
    """Rows in reverse."""
    _require_rank("flipud", input, 1)
    return flip(input, 0)


def _require_rank(name: str, input: Any, rank: int) -> None:
    if input.ndim < rank:
        raise RuntimeError(f"{name}() takes a tensor with {rank} dimensions or more, but got one with {input.ndim}")


def rot90(input: Any, k: int = 1, dims: Sequence[int] = (0, 1)) -> Any:
    """A quarter turn ``k`` times, from the first of ``dims`` towards the second."""
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    _require_rank("rot90", input, 2)
    first, second = (axis_of(d, input.ndim) for d in dims)
    if first == second:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    match k % 4:
        case 0:
            return input.clone()
        case 2:
            return flip(input, first, second)
        case quarter:
            return transpose(flip(input, second if quarter == 1 else first), first, second)


def adjoint(input: Any) -> Any:
    """The last two axes exchanged (numbers are real here: there is nothing to conjugate)."""
    if input.ndim == 1:
        raise RuntimeError("tensor.adjoint() is only supported on matrices or batches of matrices. Got 1-D tensor.")
    return transpose(input, -2, -1) if input.ndim else input


def _hermitian(self: Any) -> Any:
    """The transpose of a matrix, or a tensor without axes itself."""
    if self.ndim not in (0, 2):
        raise RuntimeError(f"tensor.H is only supported on matrices (2-D tensors). Got {self.ndim}-D tensor.")
    return adjoint(self)


# ---- more axes, fewer axes ---------------------------------------------------------------------------------------------
def _atleast(name: str, grown: Callable[[Any], Any]) -> Callable[..., Any]:
    def function(*tensors: Any) -> Any:
        given = tensors[0] if len(tensors) == 1 else tensors
        return tuple(grown(x) for x in given) if isinstance(given, tuple | list) else grown(given)

    return document(function, name, f"Each tensor with {name[8]} axes or more; several tensors as a tuple.")


def _two(x: Any) -> Any:
    return reshape(x, 1, x.numel()) if x.ndim < 2 else x


def _three(x: Any) -> Any:
    return unsqueeze(_two(x), -1) if x.ndim < 3 else x


atleast_1d = _atleast("atleast_1d", lambda x: x if x.ndim else reshape(x, 1))
atleast_2d = _atleast("atleast_2d", _two)
atleast_3d = _atleast("atleast_3d", _three)


def sum_to_size(self: Any, *size: Any) -> Any:
    """Summed over the axes along which ``size`` would be broadcast to this tensor's shape."""
    wanted, shape = shape_of(size), self._layout.shape
    lead = len(shape) - len(wanted)
    if lead < 0 or any(n not in (1, m) for n, m in zip(wanted, shape[max(lead, 0) :], strict=False)):
        raise RuntimeError(f"size {list(wanted)} is not expandable to size {list(shape)}.")
    gone = [k for k, m in enumerate(shape) if k < lead or (wanted[k - lead] == 1 and m != 1)]
    if not gone:
        return self
    made = run("sum", self, axes=axes_of(gone, len(shape)), keepdim=True, dtype=self.dtype)
    return reshape(made, wanted) if lead else made


# ---- splitting ---------------------------------------------------------------------------------------------------------
def tensor_split(input: Any, indices_or_sections: Any, dim: int = 0) -> tuple[Any, ...]:
    """Pieces along ``dim``: a number of nearly equal ones, or those between the indices given."""
    if not input.ndim:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    axis = axis_of(dim, input.ndim)
    size, given = input._layout.shape[axis], indices_or_sections
    if isinstance(given, TensorBase):
        given = given.tolist()
    if isinstance(given, int):
        if given <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {given}")
        share, longer = divmod(size, given)
        given = [k * share + min(k, longer) for k in range(1, given)]
    edges = [0, *given, size]
    bounds = [slice(a, b).indices(size)[:2] for a, b in pairwise(edges)]
    return tuple(through(input, *stretch(input._layout, axis, a, max(a, b), 1)) for a, b in bounds)


def _splitter(name: str, dim: int, rank: int) -> Callable[..., tuple[Any, ...]]:
    def function(input: Any, indices_or_sections: Any) -> tuple[Any, ...]:
        _require_rank(name, input, rank)
        along = min(dim, input.ndim - 1)
        size, given = input._layout.shape[along], indices_or_sections
        if isinstance(given, int) and (given <= 0 or size % given):
            raise RuntimeError(f"{name} attempted to split along dimension {along}, but the size of the dimension {size} is "
                               f"not divisible by the split_size {given}!")
        return tensor_split(input, given, along)

    return document(function, name, f"`tensor_split` along axis {dim}, into equal pieces where a number is given.")


hsplit, vsplit, dsplit = _splitter("hsplit", 1, 1), _splitter("vsplit", 0, 2), _splitter("dsplit", 2, 3)


def split_with_sizes(input: Any, split_sizes: Sequence[int], dim: int = 0) -> tuple[Any, ...]:
    """Pieces of the sizes given along ``dim``."""
    return split(input, list(split_sizes), dim)


# ---- stacking ----------------------------------------------------------------------------------------------------------
def column_stack(tensors: Sequence[Any]) -> Any:
    """Side by side, vectors as columns."""
    _require_several("column_stack", tensors)
    return cat([reshape(x, x.numel(), 1) if x.ndim < 2 else x for x in tensors], 1)


def row_stack(tensors: Sequence[Any]) -> Any:
    """`vstack`."""
    return vstack(tensors)


def dstack(tensors: Sequence[Any]) -> Any:
    """One behind the other, along axis 2."""
    _require_several("dstack", tensors)
    return cat([_three(x) for x in tensors], 2)


def block_diag(*tensors: Any) -> Any:
    """A matrix with these blocks (numbers, rows, matrices) along its diagonal, and zeros elsewhere."""
    blocks = [_two(x) for x in tensors]
    for k, x in enumerate(blocks):
        if x.ndim != 2:
            raise RuntimeError(f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {k} has {x.ndim} "
                               "dimensions")
    if not blocks:
        from .creation import empty

        return empty(1, 0)
    total, rows, left = sum(x._layout.shape[1] for x in blocks), [], 0
    for x in blocks:
        width = x._layout.shape[1]
        rows.append(run("pad", x, 0, pads=((0, 0), (left, total - left - width))))
        left += width
    return cat(rows, 0)


# ---- diagonals ---------------------------------------------------------------------------------------------------------
def diag_embed(input: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """Matrices, in the axes ``dim1`` and ``dim2`` of the result, with the last axis on their diagonals."""
    rank = input.ndim + 1
    first, second = axis_of(dim1, rank) + rank, axis_of(dim2, rank) + rank
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    *batch, n = input._layout.shape
    rest = iter(batch)
    shape = tuple(n + abs(offset) if k in (first, second) else next(rest) for k in range(rank))
    return run("diagonal_backward", input, shape=shape, offset=offset, axis1=first - rank, axis2=second - rank)


def diagflat(input: Any, offset: int = 0) -> Any:
    """A matrix with all elements, in order, on its diagonal."""
    return diag(reshape(input, input.numel()), offset)


FUNCTIONS = {
    f.__name__: f
    for f in (adjoint, atleast_1d, atleast_2d, atleast_3d, block_diag, column_stack, diag_embed, diagflat, dsplit, dstack,
              fliplr, flipud, hsplit, rot90, row_stack, split_with_sizes, tensor_split, vsplit)
}  # fmt: skip
FUNCTIONS["moveaxis"] = movedim
ALONE = frozenset("atleast_1d atleast_2d atleast_3d block_diag column_stack dstack row_stack".split())
METHODS: dict[str, Any] = {"sum_to_size": sum_to_size, "H": property(_hermitian), "mH": property(adjoint)}
