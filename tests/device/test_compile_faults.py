"""Faults in and around compiled functions: programs that cannot be built, dtypes that are refused, memory that runs out or
moves away, many threads at once. The call's own result always stands, and the next call is right."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from typing import Any

import ingot_devices
import numpy as np
import pytest
from compile_setting import Setting, Step, bits, model_state, repeat, same
from ingot.compiler import CompileError, CompileWarning
from ingot_devices.errors import OutOfMemoryError
from ingot_devices.program import stages


# ---- programs that cannot be built -------------------------------------------------------------------------------------
def broken(error: Exception) -> Any:
    def stage(graph: Any) -> Any:
        raise error

    return stage


@pytest.mark.parametrize("error", [RuntimeError("no such register\nand a log"), OutOfMemoryError("nothing is left")])
def test_a_program_that_cannot_be_built(t: Any, device: str, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The recorded step was taken once, the following ones are taken eagerly, and one warning says why."""
    eager, other = Setting(t, device), Setting(t, device)
    compiled = t.compile(other.step())
    monkeypatch.setitem(stages.STAGES, "fuse", broken(error))
    with pytest.warns(CompileWarning) as told:
        found = other.run(compiled)
    same(found, eager.run(eager.step()))
    first = str(error).partition("\n")[0]
    assert [f"its program cannot be built: {type(error).__name__}: {first}" in str(w.message) for w in told] == [True]
    assert f"runs eagerly: its program cannot be built: {type(error).__name__}" in compiled.explain()
    strict = t.compile(other.step(), fullgraph=True)
    with pytest.raises(CompileError, match="cannot be built") as caught:
        other.run(strict)
    assert caught.value.__cause__ is error


def test_an_exception_in_the_recorded_call_leaves_no_half_step(t: Any, device: str) -> None:
    """It comes out of the middle of a training step; state is what eager code leaves, and the next call is recorded."""
    eager, other = Setting(t, device), Setting(t, device)

    def wrapped(s: Setting) -> Step:
        inner = s.step()

        def step(x: Any, y: Any, fails: bool) -> Any:
            loss = inner(x, y)
            if fails:
                raise ValueError(f"on purpose, with {loss.shape}")
            return loss

        return step

    plain, compiled = wrapped(eager), t.compile(wrapped(other), fullgraph=True)
    for fails in (False, True, True, False, False, False, True, False):
        for s, step in ((eager, plain), (other, compiled)):
            t.manual_seed(5)
            if fails:
                with pytest.raises(ValueError, match="on purpose"):
                    step(*s.data[0], fails)
            else:
                step(*s.data[0], fails)
        same(model_state(other.model), model_state(eager.model))
    assert len(compiled.replays) == 1


# ---- dtypes --------------------------------------------------------------------------------------------------------------
def outcome(call: Step, *args: Any) -> str:
    try:
        return repr(bits(call(*args)).tolist())
    except (TypeError, RuntimeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def test_a_dtype_that_is_refused(t: Any, device: str) -> None:
    """Before, while and after it is recorded: the error of the eager call, and the recording goes on."""
    whole, real = t.arange(6, dtype=t.int32, device=device), t.ones(6, device=device)

    def masked(x: Any) -> Any:
        return (x & 3) + 1

    refused = outcome(masked, real)
    assert refused.startswith(("TypeError", "RuntimeError")) and "float32" in refused
    wanted = outcome(masked, whole)
    for refuse_at in (0, 1, 2, 4):
        compiled = t.compile(masked, fullgraph=True)
        for call in range(6):
            if call == refuse_at:
                assert outcome(compiled, real) == refused, f"call {call}"
            assert outcome(compiled, whole) == wanted, f"call {call}"
        assert len(compiled.replays) == 1


def test_a_dtype_that_the_device_has_not(t: Any, device: str) -> None:
    """float64 and int64 are refused, emulated or native: compiled as eager."""
    def program(n: int, dtype: Any) -> Any:
        return (t.ones(n, device=device).to(dtype) * 2).sum()

    for dtype in (t.float64, t.int64, t.bfloat16, t.bool):
        with t.fallback("allow"):  # the host computes what is refused
            compiled, wanted = t.compile(program), outcome(program, 5, dtype)
            assert [outcome(compiled, 5, dtype) for _ in range(4)] == [wanted] * 4, dtype


# ---- memory that goes, or is elsewhere -------------------------------------------------------------------------------------
def others(device: str) -> list[str]:
    """Devices that are ready beside this one."""
    return [name for name in ingot_devices.ready() if name != device and not name.startswith(device.partition(":")[0])]


def test_a_model_moved_to_another_device(t: Any, device: str) -> None:
    """Its parameters are swapped for others elsewhere, and back: each place has a recording, none is stale."""
    there = next(iter(others(device)), None)
    if there is None:
        pytest.skip(f"{device} is the only device that is ready")
    eager, other = (t.nn.Sequential(t.nn.Linear(3, 4), t.nn.Tanh(), t.nn.Linear(4, 2)).to(device) for _ in range(2))
    other.load_state_dict(eager.state_dict())
    compiled = t.compile(other, fullgraph=True)
    for place in (device, there, device):
        eager.to(place)
        other.to(place)
        for k in range(3):
            x = t.full((2, 3), 0.25 * k, device=place)
            made = compiled(x)
            assert str(made.device) == str(t.device(place))
            same(bits(made), bits(eager(x)))
    with pytest.raises(RuntimeError) as mine:
        compiled(t.ones(2, 3, device=there))
    with pytest.raises(RuntimeError) as wanted:
        eager(t.ones(2, 3, device=there))
    assert str(mine.value) == str(wanted.value)


def test_one_parameter_moved_or_replaced(t: Any, device: str) -> None:
    layer = t.nn.Linear(3, 2).to(device)
    compiled = t.compile(lambda x: layer(x) * 2, fullgraph=True)
    x = t.ones(2, 3, device=device)
    repeat(3, lambda k: compiled(x))
    with t.no_grad():
        layer.weight.copy_(t.zeros(2, 3))  # the same memory with other values
    same(bits(compiled(x)), bits(layer(x) * 2))
    layer.weight = t.nn.Parameter(t.full((2, 3), 3.0, device=device))
    same(bits(compiled(x)), bits(layer(x) * 2))
    layer.bias.data = t.full((2,), 7.0, device=device)
    same(bits(compiled(x)), bits(layer(x) * 2))
    for there in others(device)[:1]:
        layer.weight.data = layer.weight.data.to(there)
        with pytest.raises(RuntimeError, match="device"):
            compiled(x)


def test_what_was_freed_is_neither_held_nor_read(t: Any, device: str) -> None:
    """Arguments and results of a recording die with their owners; memory that a replay reads lives with the recording."""
    box = {"w": t.full((64,), 2.0, device=device)}
    compiled = t.compile(lambda x: (x * box["w"]).exp(), fullgraph=True)
    given = [t.full((64,), 0.5, device=device) for _ in range(3)]
    made = [compiled(x) for x in given]
    watched = [weakref.ref(v) for v in (*given[:1], *given[2:], *made[:1], *made[2:])]  # the second was recorded
    del given, made
    gc.collect()
    assert [w() is None for w in watched] == [True] * len(watched)
    del box["w"]
    junk = [t.full((64,), 9.0, device=device) for _ in range(8)]
    with pytest.raises(KeyError):
        compiled(t.ones(64, device=device))
    box["w"] = t.full((64,), 0.25, device=device)
    x = t.ones(64, device=device)
    same(bits(compiled(x)), bits((x * box["w"]).exp()))
    assert len(junk) == 8


# ---- threads ---------------------------------------------------------------------------------------------------------------
def test_threads_that_compile_at_once(t: Any, device: str) -> None:
    """Each its own training step, warmed up, recorded and replayed beside the others; the random numbers are drawn outside."""
    wanted, found, faults = {}, {}, []
    for n in range(3):
        s = Setting(t, device, seed=n)
        s.model.eval()
        step = s.step()
        wanted[n] = [*[bits(step(*s.data[k])) for k in range(5)], *model_state(s.model)]
    settings = {n: Setting(t, device, seed=n) for n in range(3)}
    together = threading.Barrier(3)

    def work(n: int) -> None:
        try:
            s = settings[n]
            s.model.eval()
            step = t.compile(s.step(), fullgraph=True)
            together.wait(60)
            found[n] = [*repeat(5, lambda k: bits(step(*s.data[k]))), *model_state(s.model)]
            assert len(step.replays) == 1
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults
    for n, values in wanted.items():
        same(found[n], values)


def test_backward_passes_in_several_threads(t: Any, device: str) -> None:
    """One program, one set of temporaries, run from two threads at once: they take turns."""
    n, times = (192, 40) if device.startswith("cpu") else (12, 20)
    t.manual_seed(0)
    nn = t.nn
    net = nn.Sequential(nn.Linear(n, n), nn.GELU(), nn.Linear(n, n), nn.Softmax(-1), nn.Linear(n, n)).to(device)
    for p in net.parameters():
        p.requires_grad_(False)
    compiled = t.compile(net, fullgraph=True)
    inputs = [t.randn(n, n, device=device).requires_grad_() for _ in range(2)]

    def gradient(function: Step, x: Any) -> Any:
        return bits(t.autograd.grad((function(x) ** 2).sum(), x)[0])

    wanted = [gradient(net, x) for x in inputs]
    repeat(3, lambda k: gradient(compiled, inputs[0]))
    assert len(compiled.replays) == 1
    wrong: list[int] = []

    def work(k: int) -> None:
        wrong.extend(k for _ in range(times) if not np.array_equal(gradient(compiled, inputs[k]), wanted[k]))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert not wrong


def test_replays_on_several_streams(t: Any, device: str) -> None:
    """Each stream's work is ordered by itself alone, and the temporaries are the same: a replay waits for the one before."""
    w = t.randn(64, 64, device=device)

    def function(x: Any) -> Any:
        return ((x @ w).softmax(-1) @ w).softmax(-1).sum(0)

    compiled = t.compile(function, fullgraph=True)
    inputs = [t.randn(64, 64, device=device) for _ in range(8)]
    wanted = [bits(function(x)) for x in inputs]
    repeat(3, lambda k: compiled(inputs[0]))
    streams = [t.Stream(device), t.Stream(device)]
    t.accelerator.synchronize(device)
    for _ in range(4):
        made = []
        for k, x in enumerate(inputs):
            with streams[k % 2]:
                made.append(compiled(x))
        for stream in streams:
            stream.synchronize()
        same([bits(m) for m in made], wanted)
    assert len(compiled.replays) == 1
