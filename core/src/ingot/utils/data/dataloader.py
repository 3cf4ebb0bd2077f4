"""DataLoader: batches from a dataset, in this process or from workers.

The flow: a sampler gives indices (`sampler`), a fetch makes a batch of them (`fetch`, `collate`),
here or in worker processes (`workers`, `worker`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Any, Generic, TypeVar

from ingot.utils.data.collate import default_collate, default_convert
from ingot.utils.data.dataset import Dataset, IterableDataset
from ingot.utils.data.fetch import Fetch, make_fetch
from ingot.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler, draw_seed
from ingot.utils.data.worker import Setup
from ingot.utils.data.workers import WorkerIterator, WorkerPool

T_co = TypeVar("T_co", covariant=True)
_AHEAD = 2  # batches that each worker keeps under way, unless prefetch_factor says otherwise


class DataLoader(Generic[T_co]):
    """Iterates over ``dataset`` in batches; every ``iter(loader)`` is a new pass.

    Arguments as PyTorch's: ``batch_size`` (None: single samples), ``shuffle`` or a ``sampler`` of
    indices or a ``batch_sampler`` of lists, ``num_workers`` processes (0: this one), ``collate_fn``
    (samples → batch), ``drop_last``, ``timeout`` in seconds for a batch from a worker,
    ``worker_init_fn`` (called with the worker's number), ``multiprocessing_context`` ("spawn" or
    "forkserver"), ``generator`` for order and seeds, ``prefetch_factor`` batches ahead per worker,
    ``persistent_workers`` to keep them between passes. ``pin_memory`` is accepted and changes
    nothing: a device's copy stages what it needs.

    What a worker raises is raised here with the worker's traceback in its text. Tensors from
    workers are on the host. With workers, a script must guard its entry by ``if __name__ ==
    "__main__":``.
    """

    def __init__(
        self,
        dataset: Dataset[T_co],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
    ) -> None:
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        _check_order(dataset, batch_size, shuffle, sampler, batch_sampler, drop_last)
        self.dataset, self.generator = dataset, generator
        self.num_workers, self.timeout = num_workers, timeout
        self.worker_init_fn, self.pin_memory = worker_init_fn, pin_memory
        self.multiprocessing_context = multiprocessing_context
        self.prefetch_factor = prefetch_factor or (_AHEAD if num_workers else None)
        self.persistent_workers = persistent_workers
        self._streams = isinstance(dataset, IterableDataset)
        self.sampler: Any = self._sampler(shuffle) if sampler is None else sampler
        if batch_sampler is not None:
            batch_size, drop_last = None, False
        elif batch_size is not None:
            batch_sampler = BatchSampler(self.sampler, batch_size, drop_last)
        self.batch_sampler = batch_sampler
        self.batch_size, self.drop_last = batch_size, drop_last
        plain = default_convert if batch_sampler is None else default_collate
        self.collate_fn = plain if collate_fn is None else collate_fn
        self._pool: WorkerPool | None = None

    def _sampler(self, shuffle: bool | None) -> Any:
        if self._streams:
            return repeat(None)  # how many are asked for is all that counts
        if shuffle:
            return RandomSampler(self.dataset, generator=self.generator)  # type: ignore[arg-type]
        return SequentialSampler(self.dataset)  # type: ignore[arg-type]

    def __len__(self) -> int:
        if self._streams:
            size = len(self.dataset)  # type: ignore[arg-type]
            if self.batch_size is None:
                return size
            return size // self.batch_size if self.drop_last else -(-size // self.batch_size)
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        # Drawn in any case, so that the order does not depend on the number of workers.
        seed = draw_seed(self.generator)
        indices = iter(self.sampler if self.batch_sampler is None else self.batch_sampler)
        if self.num_workers == 0:
            batched = self.batch_sampler is not None
            fetch = make_fetch(self.dataset, self.collate_fn, batched, self.drop_last)
            return _stream(fetch, indices) if self._streams else _here(fetch, indices)
        ahead = self.num_workers * (self.prefetch_factor or _AHEAD)
        return WorkerIterator(self._workers(), indices, seed, ahead, self.persistent_workers)

    def _workers(self) -> WorkerPool:
        if self._pool is not None and self._pool.close.alive:
            return self._pool
        setups = [
            Setup(
                self.dataset,
                self.collate_fn,
                self.batch_sampler is not None,
                self.drop_last,
                self.worker_init_fn,
                number,
                self.num_workers,
            )
            for number in range(self.num_workers)
        ]
        pool = WorkerPool(self.multiprocessing_context, setups, self.timeout)
        if self.persistent_workers:
            self._pool = pool
        return pool


def _here(fetch: Fetch, indices: Iterator[Any]) -> Iterator[Any]:
    for chosen in indices:
        yield fetch(chosen)


def _stream(fetch: Fetch, indices: Iterator[Any]) -> Iterator[Any]:
    for chosen in indices:
        try:
            batch = fetch(chosen)
        except StopIteration:
            return
        yield batch


def _check_workers(
    num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool
) -> None:
    if num_workers < 0:
        raise ValueError(
            "num_workers option should be non-negative; use num_workers=0 to load in this process."
        )
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if prefetch_factor is not None and (num_workers == 0 or prefetch_factor < 1):
        raise ValueError(
            "prefetch_factor option is a positive number and needs num_workers > 0; "
            f"got {prefetch_factor} with {num_workers} workers"
        )
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_order(
    dataset: Any,
    batch_size: int | None,
    shuffle: bool | None,
    sampler: Any,
    batch_sampler: Any,
    drop_last: bool,
) -> None:
    if isinstance(dataset, IterableDataset):
        for name, value in (
            ("shuffle", shuffle or None),
            ("sampler", sampler),
            ("batch_sampler", batch_sampler),
        ):
            if value is not None:
                raise ValueError(
                    "DataLoader with IterableDataset: expected unspecified "
                    f"{name} option, but got {name}={value}"
                )
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler or drop_last):
        raise ValueError(
            "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and "
            "drop_last"
        )
    if batch_size is None and drop_last:
        raise ValueError(
            "batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
        )
