"""The worker process of a DataLoader: takes lists of indices, gives batches.

One thread reads tasks, one writes results, and the main thread makes batches in between, so that
the pipe never stops it. A parent that is gone shows as the end of the tasks, and ends the process.
"""

from __future__ import annotations

import os
import queue
import random
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import ingot
from ingot.utils.data.dataset import IterableDataset
from ingot.utils.data.fetch import Fetch, make_fetch
from ingot.utils.data.transport import Failure, Packed, receive

_GRACE = 5.0  # seconds that a batch under way gets once the parent wants the worker gone


@dataclass
class WorkerInfo:
    """What `get_worker_info` tells a dataset inside a worker."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


@dataclass
class Setup:
    """What a worker is given once, at its start."""

    dataset: Any
    collate: Callable[[Any], Any]
    batched: bool
    drop_last: bool
    init: Callable[[int], Any] | None
    number: int
    workers: int


@dataclass
class Epoch:
    """Starts a pass over the dataset with this base seed."""

    seed: int


@dataclass
class Task:
    """One batch to make."""

    number: int
    indices: Any


@dataclass
class Result:
    """One batch made: its value, a Failure, or the end of an IterableDataset."""

    number: int
    value: Any = None
    ended: bool = False


_info: list[WorkerInfo] = []


def get_worker_info() -> WorkerInfo | None:
    """The `WorkerInfo` of this process, or None in the main process."""
    return _info[0] if _info else None


def main(connection: Any) -> None:
    """Run until the parent says so or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    writer = threading.Thread(target=_write, args=(connection, outbox), daemon=True)
    writer.start()
    threading.Thread(target=_read, args=(connection, inbox), daemon=True).start()
    state = _State()
    while (message := inbox.get()) is not None:
        if isinstance(message, Task):
            outbox.put(state.run(message))
        else:
            state.prepare(message)
    outbox.put(None)
    writer.join(_GRACE)


def _read(connection: Any, inbox: queue.SimpleQueue[Any]) -> None:
    try:
        while True:
            message = _received(connection)
            inbox.put(message)
            if message is None:
                break
    except (EOFError, OSError):
        inbox.put(None)
    threading.Event().wait(_GRACE)  # a daemon thread: gone at once when the process ends by itself
    os._exit(1)


def _received(connection: Any) -> Any:
    """The next message; one that cannot be unpickled here becomes a Failure, to answer every task
    with.
    """
    try:
        return receive(connection)
    except (EOFError, OSError):
        raise
    except Exception as error:
        return Failure(error, "while a DataLoader worker process received its dataset")


def _write(connection: Any, outbox: queue.SimpleQueue[Any]) -> None:
    while (packed := outbox.get()) is not None:
        try:
            packed.send(connection)
        except OSError:  # the parent is gone; the reader ends the process
            return


class _State:
    """What the worker holds between messages: its setup, and how to fetch. A failure here fails
    every task.
    """

    def __init__(self) -> None:
        self.setup: Setup | None = None
        self.fetch: Fetch | None = None
        self.failure: Failure | None = None

    def where(self) -> str:
        return f"in DataLoader worker process {self.setup.number if self.setup else '?'}"

    def prepare(self, message: Any) -> None:
        if isinstance(message, Failure):
            self.failure = message
        elif isinstance(message, Setup):
            self.setup = message
        elif self.setup is not None and self.failure is None:
            try:
                self.start(self.setup, message.seed)
            except Exception as error:
                self.failure = Failure(error, self.where())

    def start(self, setup: Setup, base_seed: int) -> None:
        seed = base_seed + setup.number
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002  (what datasets draw from)
        ingot.manual_seed(seed)
        first = not _info
        _info[:] = [WorkerInfo(setup.number, setup.workers, seed, setup.dataset)]
        if first and setup.init is not None:
            setup.init(setup.number)
        self.fetch = make_fetch(setup.dataset, setup.collate, setup.batched, setup.drop_last)

    def run(self, task: Task) -> Packed:
        """The batch of ``task``, or how it failed, packed in this thread so that the writer cannot
        fail.
        """
        try:
            return Packed(self.result(task))
        except Exception as error:  # the batch cannot be pickled
            return Packed(Result(task.number, Failure(error, self.where())))

    def result(self, task: Task) -> Result:
        if self.failure is not None or self.fetch is None:
            return Result(task.number, self.failure)
        try:
            return Result(task.number, self.fetch(task.indices))
        except StopIteration as error:
            streaming = self.setup is not None and isinstance(self.setup.dataset, IterableDataset)
            value = None if streaming else Failure(error, self.where())
            return Result(task.number, value, ended=streaming)
        except Exception as error:
            return Result(task.number, Failure(error, self.where()))
