"""A bad day: no memory, a wrong index, broken source, a device that is closed. Each ends in its typed error, by name.

And with the error dropped, nothing is held and the next run works.
"""

from __future__ import annotations

import gc
from typing import Any

import numpy as np

from ..bench import Bench, NotPresent, Probe


def _works(bench: Bench) -> None:
    """The device computes."""
    x = np.arange(33, dtype=np.float32)
    np.testing.assert_array_equal(bench.subject.read(bench.tensor(x) + 1), x + 1, err_msg="after the fault")


def out_of_memory_is_typed(bench: Bench) -> None:
    """Beyond the limit: OutOfMemoryError with the request and the device; what is smaller still fits, then all works."""
    t, pool = bench.t, bench.device.pool
    gc.collect()
    pool.set_limit(pool.stats().used + (1 << 20))
    try:
        try:
            t.zeros(1 << 22, device=bench.subject.device)
        except t.OutOfMemoryError as error:
            assert bench.name in str(error), f"the error does not name the device: {error}"
            assert error.requested >= 1 << 24, f"16 MiB were asked for, the error says {error.requested}"
        else:
            raise AssertionError("16 MiB were allocated under a limit of one")
        _works(bench)
    finally:
        pool.set_limit(None)
    _works(bench)


def an_index_out_of_range_is_refused(bench: Bench) -> None:
    """A kernel that meets such an index writes nothing outside, and the next read raises IndexError with the op."""
    t, device = bench.t, bench.subject.device
    if "int64" in bench.subject.refused:
        raise NotPresent("indices are int64, which the device refuses")
    table = bench.tensor(np.ones((4, 3), np.float32))
    for bad in (4, 1 << 20, -5):
        index = t.tensor([0, bad, 1], device=device)
        try:
            bench.subject.read(table.index_select(0, index))
            bench.device.synchronize()
            t.accelerator.synchronize(device)
        except IndexError as error:
            assert str(error), "the IndexError says nothing"
        else:
            raise AssertionError(f"index {bad} of 4 rows was not refused")
        _works(bench)
        np.testing.assert_array_equal(bench.subject.read(table), np.ones((4, 3), np.float32))


def broken_source_is_refused(bench: Bench) -> None:
    """`build` of nonsense raises (KernelBuildError, which names the kernel and holds its source), and the device works on."""
    from ingot_devices.errors import ContractError, KernelBuildError

    if bench.device.codegen is None or bench.device.host_visible:
        raise NotPresent("the device builds no kernels from source")
    source = "this is no source of anything }{"
    try:
        bench.device.build(source, "nonsense")
    except KernelBuildError as error:
        assert "nonsense" in str(error), f"the error does not name the kernel: {error}"
        assert source in error.source, f"KernelBuildError.source is {error.source!r}, not what was to be built"
    except ContractError as error:
        assert str(error), "the error says nothing"
    except Exception as error:
        raise AssertionError(f"build raised {type(error).__name__}; it must be KernelBuildError: {error}") from error
    else:
        raise AssertionError("build took nonsense for a kernel")
    _works(bench)


def work_that_fails_holds_nothing(bench: Bench) -> None:
    """After errors at many places of a training step, all memory is free when the tensors are dropped."""
    t, pool, device = bench.t, bench.device.pool, bench.subject.device
    gc.collect()
    before = pool.stats().used
    for room in (1 << 8, 1 << 10, 1 << 12, 1 << 14):
        gc.collect()
        pool.set_limit(pool.stats().used + room)
        try:
            x = t.ones(16, 16, device=device).requires_grad_()
            (x @ x).softmax(-1).square().sum().backward()
        except t.OutOfMemoryError:
            pass
        finally:
            pool.set_limit(None)
            x = None
    gc.collect()
    assert pool.stats().used == before, f"{pool.stats().used - before} bytes are held by nobody"
    _works(bench)


def training_leaks_nothing(bench: Bench) -> None:
    """Ten steps of training hold no byte more than one does, with the collector switched off."""
    t, pool, device = bench.t, bench.device.pool, bench.subject.device
    weight = t.ones(8, 8, device=device).requires_grad_()
    optimizer = t.optim.SGD([weight], lr=1e-3, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        (weight @ weight).tanh().sum().backward()
        optimizer.step()

    for _ in range(2):
        step()
    gc.collect()
    gc.disable()
    try:
        before, raw = pool.stats().used, pool.stats().allocations
        for _ in range(10):
            step()
        assert pool.stats().used == before, f"ten steps hold {pool.stats().used - before} bytes more"
        assert pool.stats().allocations - raw <= 10, f"ten steps made {pool.stats().allocations - raw} raw allocations"
    finally:
        gc.enable()


def a_closed_device_refuses(bench: Bench) -> None:
    """After `reset` the old incarnation's tensors raise DeviceLost, and the new one works."""
    t = bench.t
    left: list[Any] = [bench.tensor(np.ones(5, np.float32))]
    t.accelerator.reset(bench.subject.device)
    uses: dict[str, Any] = {"x + 1": lambda x: x + 1, "x.tolist()": lambda x: x.tolist()}
    for what, use in uses.items():
        try:
            use(left[0])
        except t.DeviceLost:
            continue
        raise AssertionError(f"{what} works on a tensor x of a device that was reset")
    _works(bench)
    left.clear()
    gc.collect()
    _works(bench)


PROBES: tuple[Probe, ...] = (
    out_of_memory_is_typed,
    an_index_out_of_range_is_refused,
    broken_source_is_refused,
    work_that_fails_holds_nothing,
    training_leaks_nothing,
    a_closed_device_refuses,
)
