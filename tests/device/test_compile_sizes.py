"""Calls whose sizes differ: the last, smaller batch, sequences that grow. Each size is right to the bit, and their number is
bounded: in recordings, in memory, in kernels that are built."""

from __future__ import annotations

from typing import Any

import pytest
from compile_setting import Setting, bits, itself, model_state, same, strictly
from ingot.compiler import CompileError, CompileWarning, compiled, sizes
from ingot_devices import open_device


def test_the_last_batch_is_smaller(t: Any, device: str) -> None:
    """Two recordings for any number of epochs, and no warning."""
    runs = []
    for wrap in (itself, strictly(t)):
        s = Setting(t, device)
        step = wrap(s.step())
        losses = []
        for _ in range(4):
            for k, (x, y) in enumerate(s.data[:4]):
                losses.append(bits(step(*((x, y) if k < 3 else (x[:2], y[:2])))))
        runs.append([*losses, *model_state(s.model)])
    same(runs[1], runs[0])
    assert len(step.replays) == 2


def grown(t: Any, device: str, function: Any, lengths: Any) -> list[Any]:
    """Results over a sequence that grows: a mean, whose divisor is the length, and a product of the sequence with itself."""
    t.manual_seed(3)
    whole = t.randn(max(lengths), 5, device=device)
    return [bits(function(whole[:n])) for n in lengths]


def test_a_sequence_that_grows(t: Any, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More sizes than are recorded at once: eagerly when they come first, recorded when they come again, then replayed."""
    monkeypatch.setattr(sizes, "AT_ONCE", 3)

    def function(x: Any) -> Any:
        return ((x @ x.t()).softmax(-1) @ x).mean(0)

    lengths = range(1, 9)
    wanted = grown(t, device, function, lengths)
    made = t.compile(function, fullgraph=True)
    with pytest.warns(CompileWarning, match=r"recorded for 3 sizes, each by itself: further ones are when they come a second "
                                            r"time, up to 64.*; args\[0\] is float32\[5×5\], it was float32\[4×5\]") as told:
        same(grown(t, device, made, lengths), wanted)
    assert len(told) == 1
    assert len(made.replays) == 3
    same(grown(t, device, made, lengths), wanted)
    assert len(made.replays) == 8
    before = {id(r): r.made.built.program.runs for r in made.replays}
    same(grown(t, device, made, lengths), wanted)
    assert [r.made.built.program.runs - before[id(r)] for r in made.replays] == [1] * 8
    text = made.explain()
    assert text.count("for other sizes: args[0] is float32[") == 7
    assert text.count("places guarded") == 1


def test_the_number_of_sizes_is_bounded(t: Any, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "AT_ONCE", 1)
    for module in (sizes, compiled):
        monkeypatch.setattr(module, "KEPT", 3)

    def function(x: Any) -> Any:
        return x.exp().sum()

    lengths = range(2, 8)
    wanted = grown(t, device, function, lengths)
    made, strict = t.compile(function), t.compile(function, fullgraph=True)
    with pytest.warns(CompileWarning) as told:
        same([grown(t, device, made, lengths) for _ in range(4)], [wanted] * 4)
    later = "further ones are when they come a second time, up to 3, and run eagerly the first time"
    said = [str(w.message).partition(" was recorded for ")[2].partition(";")[0] for w in told]
    assert said == [f"1 sizes, each by itself: {later}",
                    "3 sizes, each by itself: further ones run eagerly, for 3 is the limit"]  # fmt: skip
    assert len(made.replays) == 3
    with pytest.warns(CompileWarning, match="recorded for 1 sizes"):
        grown(t, device, strict, lengths)
    with pytest.raises(CompileError, match="recorded for 3 sizes"):
        grown(t, device, strict, [*lengths, *lengths])


def test_sizes_and_kinds_are_counted_apart(t: Any, device: str) -> None:
    """A mode or a number that changes is another kind of call, of which there are eight, whatever the sizes."""
    compiled_function = t.compile(lambda x, k: (x * k).sum(), fullgraph=True)
    for k in range(8):
        for n in (2, 3, 2, 3):
            assert compiled_function(t.ones(n, device=device), float(k)).item() == n * k
    assert len(compiled_function.replays) == 16
    with pytest.raises(CompileError, match=r"recorded 8 times and still meets calls of another kind: args\[1\] is 8.0"):
        compiled_function(t.ones(2, device=device), 8.0)


def test_sizes_share_temporaries(t: Any, device: str) -> None:
    """The memory of many sizes is that of the largest, or twice that."""
    net = t.nn.Sequential(t.nn.Linear(8, 64), t.nn.GELU(), t.nn.Linear(64, 8), t.nn.Softmax(-1), t.nn.Linear(8, 8)).to(device)

    def function(x: Any) -> Any:
        return net(net(x)).sum(0)

    made = t.compile(function, fullgraph=True)
    results: dict[int, Any] = {}
    for n in (4, 8, 12, 16, 20, 24, 28, 24, 16, 8):
        x = t.full((n, 8), 0.01 * n, device=device)
        wanted = bits(function(x))
        for _ in range(2):
            results[n] = made(x)
            same(bits(results[n]), wanted)
    for n, result in results.items():  # a later size has not written to what an earlier one handed out
        same(bits(result), bits(function(t.full((n, 8), 0.01 * n, device=device))))
    arenas = [r.made.built.program.arena for r in made.replays]
    assert len(arenas) == 7
    if not open_device(device).limits.suballocate:  # a block for each slot, and none shared
        assert all(a.whole is None for a in arenas)
        return
    needed = [max((s.offset for s in a.slots), default=0) for a in arenas]
    blocks = {id(a.whole): a.whole.nbytes for a in arenas}
    assert len(blocks) <= 4
    assert max(blocks.values()) <= 2 * max(needed) + (1 << 16)


def test_a_size_that_comes_back_in_training(t: Any, device: str) -> None:
    """Backward passes of a module alone, over sizes in turn, with random numbers drawn inside."""
    runs = []
    for wrap in (itself, strictly(t)):
        s = Setting(t, device)
        model, plain = wrap(s.model), s.model
        found = []
        for _ in range(3):
            for n in (5, 3, 4, 5, 1, 2):
                x = s.data[0][0][:n].clone().requires_grad_()
                loss = (model(x) * model(x)).mean()
                loss.backward()
                found += [bits(loss), bits(x.grad)]
        runs.append([*found, *(bits(p.grad) for p in plain.parameters())])
    same(runs[1], runs[0])


def test_further_sizes_build_no_kernels(t: Any, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels take sizes as arguments: within the reach of one schedule, a further size builds none."""
    if device.startswith("sim"):
        pytest.skip("sim interprets definitions: it compiles nothing")
    opened = open_device(device)
    function = t.compile(lambda x: (x * 2 + 1).exp() - x, fullgraph=True)
    built: list[str] = []
    owner: Any
    if device.startswith("cpu"):
        from ingot_cpu.native import jit
        try:
            machine = jit.jit()
        except jit.NoLLVM as reason:
            pytest.skip(str(reason))
        owner, name = machine, "_link"
    else:
        owner, name = type(opened), "build"
    make = getattr(owner, name)

    def told(*args: Any) -> Any:
        built.append(name)
        return make(*args)

    monkeypatch.setattr(owner, name, told)
    for n in (67, 67, 67, 75):
        function(t.ones(n, 7, device=device))
    built.clear()
    for n in (83, 91, 69):
        x = t.full((n, 7), 0.1, device=device)
        same(bits(function(x)), bits((x * 2 + 1).exp() - x))
    assert len(function.replays) == 5
    assert not built
