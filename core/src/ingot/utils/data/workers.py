"""The main process's side of DataLoader workers: starting them, handing out tasks in turn, ending
them.

Tasks go round the workers in order and each worker answers in order, so the next batch always comes
from a known worker; nothing has to be sorted.
"""

from __future__ import annotations

import signal
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ingot.utils.data.transport import Failure, Packed, receive
from ingot.utils.data.worker import Epoch, Result, Setup, Task, main

_PATIENCE = 1.0  # seconds that workers get to end by themselves


class WorkerPool:
    """``count`` processes of a loader, started when made and ended by `close`, by gc or at exit.

    ``start_method`` is "spawn" or "forkserver" (or such a context). A fork is refused: a device
    that is open does not survive it.
    """

    def __init__(self, start_method: Any, setups: list[Setup], timeout: float) -> None:
        context = _context(start_method)
        self.timeout = timeout
        self.sent = 0  # tasks so far, over all passes: their numbers
        self.connections: list[Any] = []
        self.processes: list[Any] = []
        self.close = weakref.finalize(self, _end, self.connections, self.processes)
        packed = [_packed(setup) for setup in setups]
        with _without_sigint():
            for _ in setups:
                ours, theirs = context.Pipe()
                process = context.Process(target=main, args=(theirs,), daemon=True)
                process.start()
                theirs.close()
                self.connections.append(ours)
                self.processes.append(process)
        for worker, setup in enumerate(packed):
            self.send(worker, setup)

    def send(self, worker: int, message: Packed) -> None:
        """Give a message to a worker; RuntimeError when it died."""
        try:
            message.send(self.connections[worker])
        except OSError:
            raise self._death(worker) from None
        except BaseException:
            self.close()
            raise

    def receive(self, worker: int) -> Result:
        """The worker's next result; RuntimeError when it died or took longer than ``timeout``
        seconds.
        """
        connection = self.connections[worker]
        try:
            if self.timeout and not connection.poll(self.timeout):
                raise TimeoutError
            return receive(connection)
        except TimeoutError:
            self.close()
            raise RuntimeError(f"DataLoader timed out after {self.timeout} seconds") from None
        except (EOFError, OSError):
            raise self._death(worker) from None
        except BaseException:  # Ctrl-C in the middle of a message: what follows would make no sense
            self.close()
            raise

    def _death(self, worker: int) -> RuntimeError:
        process = self.processes[worker]
        process.join(_PATIENCE)
        self.close()
        return RuntimeError(
            f"DataLoader worker (pid {process.pid}) exited unexpectedly with exit code "
            f"{process.exitcode}; what it printed says why. Workers import the main script again: "
            "a script that uses num_workers > 0 runs its work under `if __name__ == '__main__':`"
        )


def _context(start_method: Any) -> Any:
    import multiprocessing

    context = start_method
    if start_method is None or isinstance(start_method, str):
        context = multiprocessing.get_context(start_method or "spawn")
    if context.get_start_method() == "fork":
        raise ValueError(
            "multiprocessing_context 'fork' is not available: a device that is open does not "
            "survive a fork; use 'spawn' (the default) or 'forkserver'"
        )
    return context


def _packed(setup: Setup) -> Packed:
    try:
        return Packed(setup)
    except Exception as error:
        raise TypeError(
            "the dataset, collate_fn and worker_init_fn are sent to the worker processes, and "
            f"one of them cannot be pickled ({error}); define functions and classes at the top of "
            "a module, or set num_workers=0"
        ) from error


@contextmanager
def _without_sigint() -> Iterator[None]:
    """Ctrl-C while workers start waits until they have, and they inherit a blocked SIGINT: none of
    them is left half started, to print a traceback of its own.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # which would unblock the signal if it started below
    with _later(signal.SIGINT):
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _later(number: signal.Signals) -> Iterator[None]:
    """Call the main thread's handler at the end. (A mask is one thread's: the system hands a signal
    to another, and Python to the main one.)
    """
    handler = signal.getsignal(number)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[Any] = []
    signal.signal(number, lambda *given: came.append(given))
    try:
        yield
    finally:
        signal.signal(number, handler)
        if came:
            handler(*came[0])


def _end(connections: list[Any], processes: list[Any]) -> None:
    """Tell the workers to end, wait a moment, and stop those that did not."""
    for connection in connections:
        connection.close()
    until = time.monotonic() + _PATIENCE
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
        if process.is_alive():
            process.terminate()
            process.join()


class WorkerIterator:
    """One pass of a loader over its pool: keeps ``ahead`` tasks under way and gives the batches in
    order.
    """

    def __init__(
        self, pool: WorkerPool, indices: Iterator[Any], seed: int, ahead: int, keep: bool
    ) -> None:
        self.pool, self.indices, self.keep = pool, indices, keep
        self.turn: deque[int] = deque(range(len(pool.processes)))  # workers that still give batches
        self.owners: dict[int, int] = {}  # tasks under way, oldest first
        epoch = Packed(Epoch(seed))
        for worker in self.turn:
            pool.send(worker, epoch)
        for _ in range(ahead):
            self._send_next()

    def __iter__(self) -> WorkerIterator:
        return self

    def __next__(self) -> Any:
        while self.owners:
            number, worker = next(iter(self.owners.items()))
            result = self.pool.receive(worker)
            if result.number != number:
                continue  # left over from a pass that was broken off
            del self.owners[number]
            if result.ended:
                if worker in self.turn:
                    self.turn.remove(worker)
                continue
            self._send_next()
            if isinstance(result.value, Failure):
                result.value.reraise()
            return result.value
        if not self.keep:
            self.pool.close()
        raise StopIteration

    def _send_next(self) -> None:
        if not self.turn:
            return
        try:
            indices = next(self.indices)
        except StopIteration:
            return
        worker = self.turn[0]
        self.turn.rotate(-1)
        number, self.pool.sent = self.pool.sent, self.pool.sent + 1
        self.owners[number] = worker
        self.pool.send(worker, Packed(Task(number, indices)))
