"""utils.data: datasets, samplers, collation, and the DataLoader with and without workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ingot
import numpy as np
import pytest
from ingot.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    get_worker_info,
    random_split,
    workers,
)

Pair = namedtuple("Pair", "x y")


class Squares(Dataset[Any]):
    """``i`` → (i, i²) as NumPy scalars within a tuple; lives here so that workers can import it."""

    def __init__(self, size: int, fails_at: int | None = None, error: Any = ValueError) -> None:
        self.size, self.fails_at, self.error = size, fails_at, error

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Any:
        if index == self.fails_at:
            raise self.error(f"sample {index} is bad")
        return index, np.float32(index * index)


class TwoArguments(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(one, two)


class Faulty(Squares):
    """Samples 1 to 5 fail, each in a way of its own."""

    def __getitem__(self, index: int) -> Any:
        text = f"sample {index} is bad"
        if 1 <= index <= 3:
            raise [ValueError, KeyError, StopIteration][index - 1](text)
        if index == 4:
            raise TwoArguments(text, text)
        return index, {"lock": threading.Lock()} if index == 5 else 0


class Noise(Squares):
    """What each worker's random generators give."""

    def __getitem__(self, index: int) -> Any:
        return ingot.rand(1), np.random.rand()


class Slow(Squares):
    def __getitem__(self, index: int) -> Any:
        time.sleep(30)
        return index


class Dies(Squares):
    def __getitem__(self, index: int) -> Any:
        os._exit(7)


class Stream(IterableDataset[int]):
    """0 … size-1, shared out among the workers."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __iter__(self) -> Iterator[int]:
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        return iter(range(first, self.size, step))


def mark_worker(number: int) -> None:
    worker = get_worker_info()
    assert worker is not None
    worker.dataset.size = 100 + number


def table(device: str = "cpu", size: int = 7) -> TensorDataset:
    x = ingot.arange(size * 2, dtype=ingot.float32, device=device).reshape(size, 2)
    return TensorDataset(x, ingot.arange(size, device=device))


# ---- datasets ------------------------------------------------------------------------------------


def test_datasets() -> None:
    data = table()
    assert len(data) == 7 and [t.tolist() for t in data[2]] == [[4.0, 5.0], 2]
    chosen = Subset(data, [5, 1])
    assert len(chosen) == 2 and chosen[1][1].item() == 1
    both = Squares(3) + Squares(2)
    assert isinstance(both, ConcatDataset) and len(both) == 5
    assert [both[i][0] for i in (0, 3, 4, -1)] == [0, 0, 1, 1]
    with pytest.raises(IndexError, match="index 5 is out of range"):
        both[5]
    with pytest.raises(ValueError, match=r"Size mismatch between tensors.*\[2, 3\]"):
        TensorDataset(ingot.ones(2), ingot.ones(3))


def test_random_split() -> None:
    generator = ingot.Generator().manual_seed(3)
    parts = random_split(Squares(10), [0.5, 0.3, 0.2], generator)
    assert [len(part) for part in parts] == [5, 3, 2]
    assert sorted(i for part in parts for i in part.indices) == list(range(10))
    again = random_split(Squares(10), [5, 3, 2], ingot.Generator().manual_seed(3))
    assert [list(part.indices) for part in again] == [list(part.indices) for part in parts]
    assert [len(part) for part in random_split(Squares(10), [1 / 3, 1 / 3, 1 / 3])] == [4, 3, 3]
    with pytest.raises(ValueError, match=r"does not equal the length .* 8 is not 10"):
        random_split(Squares(10), [5, 3])
    with pytest.raises(ValueError, match="counts, or fractions"):
        random_split(Squares(10), [0.5, 0.6])


# ---- samplers ------------------------------------------------------------------------------------


def test_samplers() -> None:
    data = Squares(10)
    assert list(SequentialSampler(data)) == list(range(10))
    generator = ingot.Generator().manual_seed(5)
    shuffled = RandomSampler(data, generator=generator)
    first, second = list(shuffled), list(shuffled)
    assert sorted(first) == sorted(second) == list(range(10)) and first != second
    generator.manual_seed(5)
    assert list(shuffled) == first
    assert len(list(RandomSampler(data, num_samples=25))) == 25
    assert set(RandomSampler(data, replacement=True, num_samples=40)) <= set(range(10))
    assert sorted(SubsetRandomSampler([3, 8, 1])) == [1, 3, 8]
    weighted = list(WeightedRandomSampler([0.0, 1.0, 3.0], 400))
    assert 0 not in weighted and 2 < weighted.count(2) / weighted.count(1) < 4
    assert list(BatchSampler(range(5), 2, False)) == [[0, 1], [2, 3], [4]]
    batches = BatchSampler(range(5), 2, True)
    assert list(batches) == [[0, 1], [2, 3]] and len(batches) == 2
    with pytest.raises(ValueError, match="batch_size should be a positive integer"):
        BatchSampler(range(5), 0, False)


def test_the_default_seed_orders_the_samples() -> None:
    def order() -> list[int]:
        ingot.manual_seed(11)
        return [int(i) for batch in DataLoader(Squares(20), 5, shuffle=True) for i in batch[0]]

    assert order() == order() != list(range(20))


# ---- collation -----------------------------------------------------------------------------------


def test_collation_keeps_the_form_of_samples() -> None:
    batch = default_collate([{"a": 1, "b": ("x", 2.5)}, {"a": 2, "b": ("y", 3.5)}])
    assert batch["a"].tolist() == [1, 2] and batch["a"].dtype is ingot.int64
    assert batch["b"][0] == ["x", "y"] and batch["b"][1].dtype is ingot.float64
    arrays = default_collate([np.ones((2, 3), np.int16), np.zeros((2, 3), np.int16)])
    assert tuple(arrays.shape) == (2, 2, 3) and arrays.dtype is ingot.int16
    pair = default_collate([Pair(ingot.ones(2), True), Pair(ingot.zeros(2), False)])
    assert isinstance(pair, Pair) and pair.x.tolist() == [[1.0, 1.0], [0.0, 0.0]]
    assert pair.y.tolist() == [True, False] and pair.y.dtype is ingot.bool
    assert default_collate([np.float32(1.5)]).dtype is ingot.float32
    with pytest.raises(RuntimeError, match="should be of equal size"):
        default_collate([[1, 2], [1]])
    with pytest.raises(TypeError, match=r"found <class 'object'>.*collate_fn"):
        default_collate([object()])


# ---- the loader in one process -------------------------------------------------------------------


def test_a_loader_of_a_table_indexes_whole_batches(device: str) -> None:
    data = table(device)
    fast = DataLoader(data, batch_size=3)
    slow = DataLoader(data, batch_size=3, collate_fn=lambda s: list(default_collate(s)))
    assert len(fast) == 3
    for quick, sure in zip(fast, slow, strict=True):
        assert isinstance(quick, list)
        for a, b in zip(quick, sure, strict=True):
            assert a.tolist() == b.tolist() and a.dtype is b.dtype and a.device == b.device
    part = DataLoader(Subset(Subset(data, [6, 5, 4, 3]), [3, 0]), batch_size=2)
    assert [y.tolist() for _, y in part] == [[3, 6]]
    backwards = DataLoader(data, sampler=[-1, 0, -7], batch_size=3)
    assert [y.tolist() for _, y in backwards] == [[6, 0, 0]]
    for bad in (7, -8):
        with pytest.raises(IndexError, match=f"index {bad} is out of range for a dataset of 7"):
            list(DataLoader(data, sampler=[1, bad], batch_size=2))


def test_loader_options() -> None:
    data = Squares(7)
    assert [b[0].tolist() for b in DataLoader(data, 3, drop_last=True)] == [[0, 1, 2], [3, 4, 5]]
    assert [b[0].tolist() for b in DataLoader(data, 2, sampler=[6, 1, 2])] == [[6, 1], [2]]
    chosen = DataLoader(data, batch_sampler=[[1], [5, 6]], collate_fn=list)
    assert list(chosen) == [[(1, 1.0)], [(5, 25.0), (6, 36.0)]] and len(chosen) == 2
    single = list(DataLoader(data, batch_size=None))
    assert single[3][0] == 3 and len(single) == 7
    assert [b.tolist() for b in DataLoader(Stream(5), 2)] == [[0, 1], [2, 3], [4]]
    assert [b.tolist() for b in DataLoader(Stream(5), 2, drop_last=True)] == [[0, 1], [2, 3]]


def test_whole_batches_may_be_fetched_at_once() -> None:
    class Whole(Squares):
        def __getitems__(self, indices: list[int]) -> list[Any]:
            return [(i, "at once") for i in indices]

    assert next(iter(DataLoader(Whole(4), 2)))[1] == ["at once", "at once"]


def test_loader_refuses_what_makes_no_sense() -> None:
    data = Squares(4)
    refused: list[tuple[str, dict[str, Any]]] = [
        ("num_workers option should be non-negative", {"num_workers": -1}),
        ("timeout option should be non-negative", {"timeout": -1}),
        ("needs num_workers > 0", {"prefetch_factor": 2}),
        ("persistent_workers option needs", {"persistent_workers": True}),
        ("mutually exclusive with shuffle", {"sampler": [1], "shuffle": True}),
        ("batch_sampler option is mutually exclusive", {"batch_sampler": [[1]], "batch_size": 2}),
        ("batch_size=None option disables", {"batch_size": None, "drop_last": True}),
        ("batch_size should be a positive integer", {"batch_size": 0}),
    ]
    for message, options in refused:
        with pytest.raises(ValueError, match=message):
            DataLoader(data, **options)
    with pytest.raises(ValueError, match="IterableDataset: expected unspecified shuffle"):
        DataLoader(Stream(3), shuffle=True)
    with pytest.raises(ValueError, match=r"'fork' is not available.*'spawn'"):
        iter(DataLoader(data, num_workers=1, multiprocessing_context="fork"))
    with pytest.raises(TypeError, match=r"cannot be pickled.*num_workers=0"):
        iter(DataLoader(data, num_workers=1, collate_fn=lambda samples: samples))
    with pytest.raises(ValueError, match="sample 2 is bad"):
        list(DataLoader(Squares(4, fails_at=2)))
    with pytest.raises(RuntimeError, match="StopIteration"):  # not a silent end
        list(DataLoader(Squares(4, fails_at=2, error=StopIteration)))


# ---- workers -------------------------------------------------------------------------------------


def test_workers_give_the_same_batches_in_the_same_order() -> None:
    def batches(workers: int, data: Any) -> list[Any]:
        ingot.manual_seed(2)
        loader = DataLoader(data, 3, shuffle=True, num_workers=workers, timeout=60)
        return [[part.tolist() for part in batch] for batch in loader]

    assert batches(2, Squares(10)) == batches(0, Squares(10))
    assert batches(1, table()) == batches(0, table())


def test_persistent_workers_serve_several_passes() -> None:
    loader = DataLoader(Squares(6), 2, num_workers=2, persistent_workers=True, worker_init_fn=mark_worker)
    first = [b[0].tolist() for b in loader]
    processes = loader._pool.processes  # type: ignore[union-attr]
    for _ in loader:  # a pass that is broken off leaves batches under way
        break
    assert [b[0].tolist() for b in loader] == first == [[0, 1], [2, 3], [4, 5]]
    assert loader._pool.processes is processes  # type: ignore[union-attr]
    loader._pool.close()  # type: ignore[union-attr]
    assert not any(process.is_alive() for process in processes)
    assert [b[0].tolist() for b in loader] == first


def test_workers_share_a_stream_and_have_seeds_of_their_own() -> None:
    found = [b.tolist() for b in DataLoader(Stream(7), 2, num_workers=2)]
    assert sorted(found) == [[0, 2], [1, 3], [4, 6], [5]]

    loader = DataLoader(Noise(4), 2, num_workers=2, persistent_workers=True)

    def noise() -> Any:
        ingot.manual_seed(4)
        return [(b[0].tolist(), b[1].tolist()) for b in loader]

    first = noise()
    assert first == noise() and first[0] != first[1]


def test_a_workers_exception_comes_with_its_traceback() -> None:
    batches = iter(DataLoader(Faulty(7), batch_size=None, num_workers=1))
    assert next(batches)[0] == 0
    with pytest.raises(ValueError, match="sample 1 is bad") as caught:
        next(batches)
    text = str(caught.value)
    assert text.startswith("Caught ValueError in DataLoader worker process 0.\nOriginal Traceback")
    assert "in __getitem__" in text
    with pytest.raises(KeyError, match=r"(?s)Caught KeyError.*\n.*sample 2 is bad"):
        next(batches)
    with pytest.raises(RuntimeError, match="Caught StopIteration"):  # not a silent end
        next(batches)
    with pytest.raises(RuntimeError, match="Caught TwoArguments"):
        next(batches)
    with pytest.raises(TypeError, match=r"(?s)worker process 0.*cannot pickle"):
        next(batches)
    assert next(batches)[0] == 6


def test_a_worker_that_dies_or_hangs_is_told() -> None:
    with pytest.raises(RuntimeError, match=r"exited unexpectedly with exit code 7.*__main__"):
        list(DataLoader(Dies(2), num_workers=1))
    start = time.monotonic()
    with pytest.raises(RuntimeError, match="timed out after 3"):
        list(DataLoader(Slow(2), num_workers=1, timeout=3))
    assert time.monotonic() - start < 20


INTERRUPTED = """
import sys, time
sys.path.insert(0, {folder!r})
from ingot.utils.data import DataLoader
from test_data import Slow, Squares

if __name__ == "__main__":
    print("up", flush=True)
    for batch in DataLoader({data}, num_workers=2):
        print("batch", flush=True)
        time.sleep(60)
"""


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to a process group")
@pytest.mark.parametrize("data", ["Slow(4)", "Squares(4)"])
def test_ctrl_c_ends_parent_and_workers_with_one_traceback(tmp_path: Path, data: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED.format(folder=str(Path(__file__).parent), data=data))
    child = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    if data.startswith("Squares"):
        assert child.stdout.readline() == "batch\n"
    else:
        time.sleep(0.3)  # while the workers start
    os.killpg(child.pid, signal.SIGINT)
    _, errors = child.communicate(timeout=30)  # ends once no worker holds the pipes any more
    assert child.returncode == -signal.SIGINT
    assert errors.count("Traceback") == 1 and errors.rstrip().endswith("KeyboardInterrupt")


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_waits_until_workers_have_started() -> None:
    done, reached = threading.Event(), []

    def start() -> None:
        with workers._without_sigint():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
            reached.append("the end")

    other = threading.Thread(target=done.wait)  # has not blocked the signal: the system hands it over
    other.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            start()
    finally:
        done.set()
        other.join()
    assert reached
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
