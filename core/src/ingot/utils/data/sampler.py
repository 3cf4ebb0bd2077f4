"""Samplers: the order in which a DataLoader asks for samples. They run in the main process only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np
from ingot_devices.transfer import read

import ingot

T_co = TypeVar("T_co", covariant=True)
_SEEDS = 2**31 - 1


def draw_seed(generator: Any = None) -> int:
    """A seed drawn from ``generator`` (None: the default one), for a generator of its own."""
    high, low = ingot.randint(0, _SEEDS, (2,), generator=generator).tolist()
    return int(high) << 31 | int(low)


def permutation(size: int, generator: Any = None) -> list[int]:
    """The numbers below ``size`` in random order.

    Drawn as keys and put in order by the host, which is where indices are wanted: no device sorts.
    """
    keys = ingot.randint(0, _SEEDS, (size,), generator=generator)
    order: list[int] = np.argsort(read(keys), kind="stable").tolist()
    return order


class Sampler(Generic[T_co]):
    """Base class: a subclass writes ``__iter__`` over indices (or lists of them) and, if it can,
    ``__len__``.
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} needs an __iter__()")


class SequentialSampler(Sampler[int]):
    """0, 1, 2, …"""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """A random order, without replacement unless ``replacement``.

    ``num_samples`` are drawn (default: as many as there are; more than that begins a new order).
    Without a ``generator`` each pass takes a fresh seed from the default one.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Any = None,
    ) -> None:
        if num_samples is not None and (not isinstance(num_samples, int) or num_samples <= 0):
            raise ValueError(
                f"num_samples should be a positive integer value, but got num_samples={num_samples}"
            )
        self.data_source, self.replacement = data_source, replacement
        self._num_samples, self.generator = num_samples, generator

    @property
    def num_samples(self) -> int:
        """How many indices one pass gives."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        generator = self.generator
        if generator is None:
            generator = ingot.Generator().manual_seed(draw_seed())
        size, wanted = len(self.data_source), self.num_samples
        if self.replacement:
            drawn = ingot.randint(0, size, (wanted,), generator=generator)
            return iter(drawn.tolist())
        return self._orders(size, wanted, generator)

    def _orders(self, size: int, wanted: int, generator: Any) -> Iterator[int]:
        while wanted > 0:
            yield from permutation(size, generator)[:wanted]
            wanted -= size

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given indices in a random order."""

    def __init__(self, indices: Sequence[int], generator: Any = None) -> None:
        self.indices, self.generator = indices, generator

    def __iter__(self) -> Iterator[int]:
        for i in permutation(len(self.indices), self.generator):
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """``num_samples`` indices drawn with probability proportional to ``weights``."""

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: Any = None,
    ) -> None:
        if not isinstance(num_samples, int) or num_samples <= 0:
            raise ValueError(
                f"num_samples should be a positive integer value, but got num_samples={num_samples}"
            )
        self.weights = ingot.as_tensor(weights, dtype=ingot.float64)
        if self.weights.dim() != 1:
            raise ValueError(f"weights should be a 1d sequence, but got shape {self.weights.shape}")
        self.num_samples, self.replacement, self.generator = num_samples, replacement, generator

    def __iter__(self) -> Iterator[int]:
        drawn = ingot.multinomial(
            self.weights, self.num_samples, self.replacement, generator=self.generator
        )
        return iter(drawn.tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of ``batch_size`` indices from ``sampler``; a last shorter one is left out if
    ``drop_last``.
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size <= 0:
            raise ValueError(
                f"batch_size should be a positive integer value, but got batch_size={batch_size}"
            )
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        size = len(self.sampler)  # type: ignore[arg-type]
        return size // self.batch_size if self.drop_last else -(-size // self.batch_size)
