"""Sequences of different lengths as one batch: padded to the longest, or packed without a padding.

A packed batch has the rows of each time in turn, of the sequences that have so many: what a recurrent layer runs over. Where a
row goes is worked out on the host, from the lengths; then one launch moves all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

import ingot
from ingot.cpu import KIND as CPU
from ingot.tensor import Tensor

Table = np.ndarray[Any, np.dtype[np.int64]]


class _Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Packed):
    """Made by `pack_padded_sequence` and `pack_sequence`.

    ``data`` (rows, …), ``batch_sizes`` (longest,) on the host: how many sequences have an element at each time. The indices
    say how the sequences were sorted by length, and back; None where they came sorted.
    """

    def __new__(
        cls, data: Tensor, batch_sizes: Tensor | None = None, sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> Self:  # fmt: skip
        if batch_sizes is None:
            raise ValueError("a PackedSequence needs its batch_sizes; make one with pack_padded_sequence or pack_sequence")
        if batch_sizes.device.type != CPU:
            raise ValueError("batch_sizes should always be on CPU, but they are on "
                             f"{batch_sizes.device}; make one with pack_padded_sequence or pack_sequence")
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """The data elsewhere, or of another dtype, as `Tensor.to` says; the indices go with it."""
        data = self.data.to(*args, **kwargs)
        moved = (None if x is None else x.to(data.device) for x in (self.sorted_indices, self.unsorted_indices))
        return type(self)(data, self.batch_sizes, *moved)

    def cpu(self) -> Self:
        """On the host's device."""
        return self.to(CPU)

    def double(self) -> Self:
        """The data in float64."""
        return self.to(ingot.float64)

    def float(self) -> Self:
        """The data in float32."""
        return self.to(ingot.float32)

    def half(self) -> Self:
        """The data in float16."""
        return self.to(ingot.float16)


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The indices that undo a permutation (n,); None of None."""
    if permutation is None:
        return None
    places = ingot.arange(0, permutation.numel(), device=permutation.device)
    made: Tensor = ingot.empty_like(permutation).scatter_(0, permutation, places)
    return made


# ---- packed ------------------------------------------------------------------------------------------------------------
def pack_padded_sequence(
    input: Tensor, lengths: Tensor | list[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack a batch (time, N, …), or (N, time, …) if ``batch_first``, whose sequences have ``lengths``.

    The lengths must decrease; with ``enforce_sorted=False`` the sequences are sorted here. RuntimeError for lengths that do not
    fit the batch.
    """
    x = input.transpose(0, 1) if batch_first else input
    sizes = np.asarray(lengths.tolist() if isinstance(lengths, Tensor) else lengths, np.int64)
    _check(sizes, x)
    order = None
    if not enforce_sorted:
        places = np.argsort(-sizes, kind="stable")
        order, sizes = ingot.from_numpy(places).to(x.device), sizes[places]
        x = x.index_select(1, order)
    elif (np.diff(sizes) > 0).any():
        raise RuntimeError("`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
                           "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement "
                           f"if you do not need ONNX exportability; given: {sizes.tolist()}")
    there = np.arange(sizes[0])[:, None] < sizes
    rows = x.reshape(-1, *x.shape[2:]).index_select(0, _index(np.flatnonzero(there), x))
    return PackedSequence(rows, ingot.from_numpy(there.sum(1)), order)


def _check(sizes: Table, x: Tensor) -> None:
    if sizes.ndim != 1 or x.dim() < 2 or len(sizes) != x.shape[1] or not len(sizes):
        raise RuntimeError("Expected `len(lengths)` to be equal to batch_size, but got lengths of shape "
                           f"{list(sizes.shape)} and a batch of shape (time, N, …) = {list(x.shape)}")
    if sizes.min() <= 0:
        raise RuntimeError("Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0: "
                           f"{sizes.tolist()}")
    if sizes.max() > x.shape[0]:
        raise RuntimeError(f"the lengths {sizes.tolist()} must not be greater than the time of the batch, {x.shape[0]}")


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """The inverse of `pack_padded_sequence`: the padded batch, and the lengths (N,) int64 on the host.

    ``total_length``: pad to so many; ValueError where that is less than the longest.
    """
    sizes = np.asarray(sequence.batch_sizes.tolist(), np.int64)
    if total_length is not None and total_length < len(sizes):
        raise ValueError("Expected total_length to be at least the length of the longest sequence in input, but got "
                         f"total_length={total_length} and max sequence length being {len(sizes)}")
    there = np.arange(sizes[0]) < sizes[:, None]
    if sequence.sorted_indices is not None:
        there = there[:, np.argsort(sequence.sorted_indices.tolist())]
        ranks = np.argsort(sequence.sorted_indices.tolist())
    else:
        ranks = np.arange(sizes[0])
    firsts = np.cumsum(sizes) - sizes
    table = np.where(there, firsts[:, None] + ranks, len(sequence.data))
    missing = (total_length or len(sizes)) - len(sizes)
    table = np.pad(table, ((0, missing), (0, 0)), constant_values=len(sequence.data))
    made = _laid_out([sequence.data], table.T if batch_first else table, padding_value)
    return made, ingot.from_numpy(there.sum(0))


def pack_sequence(sequences: list[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack tensors (length, …), the longest first unless ``enforce_sorted=False``."""
    lengths = [len(x) for x in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The inverse of `pack_sequence`."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


# ---- padded ------------------------------------------------------------------------------------------------------------
def pad_sequence(
    sequences: Tensor | list[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Tensors (length, …) as one (longest, N, …), or (N, longest, …) if ``batch_first``, padded on the ``padding_side``."""
    if not isinstance(sequences, Iterable):
        raise RuntimeError(f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}")
    given = list(sequences)
    if not given:
        raise RuntimeError("pad_sequence: received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"padding_side should be either 'right' or 'left', but got {padding_side!r}")
    if any(x.dim() < 1 or x.shape[1:] != given[0].shape[1:] for x in given):
        raise RuntimeError("pad_sequence: all sequences have one shape but for their length, the first size; given: "
                           f"{', '.join(str(list(x.shape)) for x in given)}")
    sizes = np.array([len(x) for x in given], np.int64)
    within = np.arange(sizes.max()) - (0 if padding_side == "right" else sizes.max() - sizes[:, None])
    there = (within >= 0) & (within < sizes[:, None])
    table = np.where(there, (np.cumsum(sizes) - sizes)[:, None] + within, sizes.sum())
    return _laid_out(given, table if batch_first else table.T, padding_value)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The inverse of `pad_sequence`: each sequence's first elements, as many as its length."""
    x = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [row[:n] for row, n in zip(x.unbind(0), lengths.tolist(), strict=True)]


def _laid_out(parts: Sequence[Tensor], table: Table, padding_value: float) -> Tensor:
    """The rows of ``parts`` where ``table`` names them, by the number of each among all; one more is the padding."""
    first = parts[0]
    padding = ingot.full((1, *first.shape[1:]), padding_value, dtype=first.dtype, device=first.device)
    made = ingot.cat([*parts, padding]).index_select(0, _index(table.reshape(-1), first))
    return made.view(*table.shape, *first.shape[1:])


def _index(rows: Table, like: Tensor) -> Tensor:
    return ingot.from_numpy(np.ascontiguousarray(rows, np.int64)).to(like.device)
