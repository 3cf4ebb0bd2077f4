"""What must keep a function eager, bad input, and trouble around compiled functions: threads, forks, freed tensors, faults."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

import faults_of_compile
import pytest
from compile_setting import Setting, Step, bits, repeat, same
from ingot.compiler import CompileError, CompileMismatch, CompileWarning


def recordings(compiled: Any) -> int:
    return len(compiled.replays)


# ---- what makes a function eager ----------------------------------------------------------------------------------------
SEEN: list[Any] = []
CLOCK = {"ticks": 0}


def branch(x: Any) -> Any:
    return x * 2 if x.sum() > 0 else x * 3


def reads(x: Any) -> Any:
    return x * float(x.sum().item())


def prints(x: Any) -> Any:
    print("called")
    return x + 1


def appends(x: Any) -> Any:
    SEEN.append(1)
    return x + 1


def counts(x: Any) -> Any:
    CLOCK["ticks"] += 1
    return x + CLOCK["ticks"]


def clock(x: Any) -> Any:
    import time

    return x + time.monotonic() * 0


def chance(x: Any) -> Any:
    import random

    return x + random.random() * 0


def steps(x: Any, numbers: Any = iter(range(1000))) -> Any:  # noqa: B008 - a generator that is there before is the point
    return x + next(numbers)


EAGER = [(branch, "read on the host"), (reads, "read on the host"), (prints, "print"), (appends, "append"),
         (counts, "ticks"), (clock, "time"), (chance, "random")]  # fmt: skip


@pytest.mark.parametrize(("function", "words"), EAGER, ids=[f.__name__ for f, _ in EAGER])
def test_side_effects_run_eagerly_and_the_line_is_named(t: Any, device: str, function: Step, words: str) -> None:
    compiled = t.compile(function)

    def both(k: int) -> None:
        x = t.full((3,), float(k - 3), device=device)
        ticks = CLOCK["ticks"]
        mine = bits(compiled(x))
        CLOCK["ticks"] = ticks
        same(mine, bits(function(x)))

    with pytest.warns(CompileWarning, match=words) as told:
        repeat(8, both)
    assert len(told) == 1
    assert not compiled.replays
    if words != "ticks":
        assert "test_compile_trouble.py:" in str(told[0].message)
    strict = t.compile(function, fullgraph=True)
    with pytest.raises(CompileError, match=words):
        repeat(8, lambda k: strict(t.ones(3, device=device)))


def test_an_optimizer_made_inside_runs_eagerly(t: Any, device: str) -> None:
    def fit(w: Any) -> Any:
        parameter = w.clone().requires_grad_()
        optimizer = t.optim.Adam([parameter], lr=0.1)
        for _ in range(2):
            parameter.grad = t.ones_like(parameter)
            optimizer.step()
        return parameter.detach()

    compiled = t.compile(fit)
    w = t.ones(3, device=device)
    with pytest.warns(CompileWarning, match="an optimizer that it makes itself"):
        results = repeat(5, lambda k: bits(compiled(w)))
    same(results, [bits(fit(w))] * 5)


def test_an_exception_ends_a_recording_and_nothing_else(t: Any, device: str) -> None:
    fails = [False, True, False, False, False]

    def f(x: Any, fail: bool) -> Any:
        with t.no_grad():
            y = x * 2
            if fail:
                raise KeyError("on purpose")
            return y + 1

    compiled = t.compile(f, fullgraph=True)
    for fail in fails:
        if fail:
            with pytest.raises(KeyError, match="on purpose"):
                compiled(t.ones(2, device=device), fail)
        else:
            assert compiled(t.ones(2, device=device), fail)[0].item() == 3.0
    assert t.is_grad_enabled()
    assert recordings(compiled) == 1


def test_bad_input_is_refused(t: Any, device: str) -> None:
    with pytest.raises(ValueError, match="mode is 'fast'; it can be 'default', 'reduce-overhead', 'max-autotune'"):
        t.compile(branch, mode="fast")
    with pytest.raises(TypeError, match="takes a function or a module, not int"):
        t.compile(3)
    decorated = t.compile(fullgraph=True)(lambda x: x + 1)
    assert decorated(t.ones(1, device=device)).item() == 2.0
    with pytest.raises(IndexError, match="there are 0 recordings"):
        decorated.stage("fuse")


def test_a_second_backward_is_refused_as_in_eager(t: Any, device: str) -> None:
    s = Setting(t, device)
    step = t.compile(s.step(), fullgraph=True)
    for x, y in s.data[:4]:
        loss = step(x, y)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()
    compiled = t.compile(s.model, fullgraph=True)
    for _ in range(3):
        out = compiled(s.data[0][0]).sum()
    out = compiled(s.data[0][0]).sum()
    with t.no_grad():
        s.model[4].weight.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.backward()


def test_second_order_through_a_compiled_function(t: Any, device: str) -> None:
    net = t.nn.Sequential(t.nn.Linear(3, 4), t.nn.Tanh(), t.nn.Dropout(0.5), t.nn.Linear(4, 1)).to(device)
    compiled = t.compile(net, fullgraph=True)

    def penalty(function: Step) -> list[Any]:
        t.manual_seed(3)
        x = t.full((2, 3), 0.3, device=device).requires_grad_()
        (slope,) = t.autograd.grad(function(x).sum(), x, create_graph=True)
        net.zero_grad()
        (slope * slope).sum().backward()
        return [bits(slope), *(bits(p.grad) for p in net.parameters())]

    for _ in range(4):
        same(penalty(compiled), penalty(net))
    assert len(compiled.replays) == 1


def test_a_refused_index_raises_as_in_eager(t: Any, device: str) -> None:
    table = t.nn.Embedding(4, 2).to(device)
    compiled = t.compile(lambda i: table(i).sum(), fullgraph=True)
    for _ in range(3):
        compiled(t.tensor([0, 3], device=device)).item()
    with pytest.raises(IndexError, match="index out of range"):
        compiled(t.tensor([0, 4], device=device)).item()


def test_a_refused_index_takes_no_step(t: Any, device: str) -> None:
    table = t.nn.Embedding(4, 2).to(device)
    optimizer = t.optim.Adam(table.parameters(), lr=0.1)

    def step(i: Any) -> Any:
        optimizer.zero_grad()
        table(i).sum().backward()
        optimizer.step()

    compiled = t.compile(step, fullgraph=True)
    for _ in range(3):
        compiled(t.tensor([0, 3], device=device))
    with pytest.raises(IndexError, match="index out of range"):
        repeat(1, lambda k: (compiled(t.tensor([0, 4], device=device)), bits(table.weight)))
    steps = [s["step"] for s in optimizer.state.values()]
    assert steps in ([3], [4]), "a device that tells at once takes no step, one that tells later has taken it"


def test_another_default_device_is_another_call(t: Any, device: str) -> None:
    compiled = t.compile(lambda n: t.ones(n) + 1, fullgraph=True)
    for _ in range(3):
        assert str(compiled(3).device) == str(t.get_default_device())
    with t.device(device):
        assert str(compiled(3).device) == str(t.device(device))


def test_two_threads(t: Any, device: str) -> None:
    compiled = t.compile(lambda x: (x * 3 + 1).exp().sum(), fullgraph=True)
    wanted = {k: bits((t.full((64,), k / 10, device=device) * 3 + 1).exp().sum()) for k in range(4)}
    wrong: list[int] = []

    def work(k: int) -> None:
        found = repeat(30, lambda n: bits(compiled(t.full((64,), k / 10, device=device))))
        wrong.extend(k for f in found if f != wanted[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_inputs_may_be_freed(t: Any, device: str) -> None:
    table = {"w": t.ones(8, device=device)}
    compiled = t.compile(lambda x: x + table["w"], fullgraph=True)
    for _ in range(3):
        assert compiled(t.ones(8, device=device))[0].item() == 2.0
    table["w"] = t.full((8,), 5.0, device=device)
    del table["w"]
    with pytest.raises(KeyError):
        compiled(t.ones(8, device=device))
    table["w"] = t.full((8,), 6.0, device=device)
    assert compiled(t.ones(8, device=device))[0].item() == 7.0


# ---- beside the eager call ---------------------------------------------------------------------------------------------------
def test_verify_runs_both_and_finds_a_fault(t: Any, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    eager, other = Setting(t, device), Setting(t, device)
    monkeypatch.setenv("INGOT_COMPILE", "verify")
    compiled = t.compile(other.step(), fullgraph=True)
    same(other.run(compiled), eager.run(eager.step()))
    assert len(compiled.replays) == 1
    faults_of_compile.swapped(monkeypatch)
    wrong = t.compile(lambda x: x * 2 - 1, fullgraph=True)
    for _ in range(2):
        wrong(t.ones(3, device=device))
    with pytest.raises(CompileMismatch, match=r"the result differs .* element 0 is -1.0, eager it is 1.0"):
        wrong(t.ones(3, device=device))


def test_compile_can_be_switched_off(t: Any, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGOT_COMPILE", "off")
    compiled = t.compile(lambda x: x + 1)
    assert repeat(4, lambda k: compiled(t.ones(1, device=device)).item()) == [2.0] * 4
    assert "runs eagerly: INGOT_COMPILE=off" in compiled.explain()


def test_a_profiler_that_cannot_be_told_keeps_it_eager(t: Any, device: str) -> None:
    import cProfile

    compiled = t.compile(lambda x: x + 1, fullgraph=True)
    with cProfile.Profile():
        alone = sys.getprofile() is None  # from Python 3.12 on it has a place of its own, and is in nobody's way
        repeat(4, lambda k: compiled(t.ones(1, device=device)))
    assert bool(compiled.replays) == alone
    repeat(3, lambda k: compiled(t.ones(1, device=device)))
    assert len(compiled.replays) == 1


FORK = """
import os, ingot
w = ingot.ones(4)
f = ingot.compile(lambda x: (x * w + 1).exp().sum(), fullgraph=True)
for _ in range(3):
    before = f(ingot.ones(4)).item()
child = os.fork()
if child == 0:
    w.mul_(2)
    for _ in range(4):
        after = f(ingot.ones(4)).item()
    os._exit(0 if after == (ingot.ones(4) * w + 1).exp().sum().item() and len(f.replays) == 1 else 1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
assert f(ingot.ones(4)).item() == before
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_after_compiling() -> None:
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
