"""What compiled functions need of memory, and where things lie in it: temporaries, gradients, values that a module saves."""

from __future__ import annotations

import gc
import re
from typing import Any

import pytest
from compile_setting import bits, same
from ingot_devices.device import Device


def test_elements_of_two_sizes_are_apart_where_a_kernel_cannot_see_both(t: Any, device: str) -> None:
    """The mean of narrow elements is wide, and both are temporaries: a shader declares a buffer with one type of elements."""
    x = t.randn(2, 4, 6, device=device).to(t.float16)

    def function(v: Any) -> Any:
        return t.nn.functional.group_norm(v * 2, 2).argsort(-1), t.nn.functional.group_norm(v, 2) * v

    compiled = t.compile(function, fullgraph=True)
    for _ in range(3):
        for found, wanted in zip(compiled(x), function(x), strict=True):
            same(bits(found.to(t.float32)), bits(wanted.to(t.float32)))
    assert len(compiled.replays) == 1


@pytest.mark.parametrize(("width", "batch", "more"), [(64, 32, 1.001), (64, 160, 1.03)])
def test_a_compiled_step_needs_hardly_more_memory_than_an_eager_one(
    t: Any, device: str, width: int, batch: int, more: float
) -> None:
    """While it is recorded and afterwards: what a plan made dies when it is not needed, and old gradients go before new ones
    are made. All gradients have their memory from the start: activations that are no larger than one of them lie there, and
    where they are larger, it is this memory that is more."""
    t.manual_seed(0)
    model = t.nn.Sequential(*[t.nn.Sequential(t.nn.Linear(width, width), t.nn.GELU()) for _ in range(6)]).to(device)
    optimizer = t.optim.AdamW(model.parameters(), lr=1e-3)
    x = t.randn(batch, width, device=device)

    def step() -> None:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    pool = x._layout.device.pool

    def peaks(call: Any, times: int) -> list[int]:
        found = []
        for _ in range(times):
            pool.reset_peak()
            call()
            found.append(pool.stats().peak)
        return found

    peaks(step, 2)
    eager = max(peaks(step, 2))
    compiled = t.compile(step)
    called = peaks(compiled, 6)
    assert len(compiled.replays) == 1
    joined = "reduce" in x._layout.device.codegen.fuses  # NumPy's reductions are not: more is alive where gradients lie already
    assert max(called) <= (more if joined else 1.08) * eager, (eager, called)


def test_a_compiled_module_holds_nothing_of_the_step_before(t: Any, device: str) -> None:
    """Neither what the recorded call saved, nor what the last one did: behind a step there is what was there before, and the
    temporaries of the two programs."""
    model = t.nn.Sequential(*[t.nn.Sequential(t.nn.Linear(32, 32), t.nn.GELU()) for _ in range(4)]).to(device)
    x = t.randn(512, 32, device=device)
    pool = x._layout.device.pool

    def step(run: Any) -> int:
        run(x).square().mean().backward()
        model.zero_grad()
        return int(pool.stats().used)

    before = [step(model) for _ in range(2)][-1]
    compiled = t.compile(model, fullgraph=True)
    after = [step(compiled) for _ in range(4)]
    (replay,) = compiled.replays
    programs = [made.built.program for made in (replay.made, replay.history.backward)]
    arenas = {id(slot.block): slot.block.nbytes for program in programs for slot in program.arena.slots}
    assert after[-1] <= before + sum(arenas.values()) + 1024, (before, after, arenas)
    assert after[-1] == after[-2]


@pytest.mark.parametrize("whole", [True, False], ids=["a step", "a module"])
def test_gradients_in_one_piece_of_memory_are_tensors_apart(t: Any, device: str, whole: bool) -> None:
    t.manual_seed(0)
    model = t.nn.Sequential(t.nn.Linear(96, 96), t.nn.Tanh(), t.nn.Linear(96, 96)).to(device)
    x = t.randn(8, 96, device=device)
    inner = model if whole else t.compile(model, fullgraph=True)

    def step() -> None:
        model.zero_grad()
        inner(x).square().mean().backward()

    compiled = t.compile(step, fullgraph=True) if whole else step
    model(x).square().mean().backward()
    wanted = [bits(p.grad) for p in model.parameters()]
    for _ in range(4):
        compiled()
        kept = [p.grad for p in model.parameters()]
        same([bits(g) for g in kept], wanted)
        before = [g._version for g in kept]
        kept[0].mul_(2)
        assert [g._version - b for g, b in zip(kept, before, strict=True)] == [1, 0, 0, 0]
        compiled()
        same([bits(g) for g in kept[1:]], wanted[1:])
        same(bits(kept[0]), wanted[0] * 2)
        assert kept[0].shape == (96, 96) and bits(kept[3].cpu()).tobytes() == wanted[3].tobytes()
    blocks = [p.grad._block for p in model.parameters()]
    if x._layout.device.limits.suballocate and type(x._layout.device).window is not Device.window:
        assert len({id(b.whole) for b in blocks}) == 1


def test_what_a_compiled_module_saved_is_kept_where_that_was_asked_for(t: Any, device: str) -> None:
    """A backward pass puts temporaries over saved values that it has read; not with ``retain_graph``, and not for another
    result's sake."""
    t.manual_seed(0)
    net = t.nn.Sequential(*[t.nn.Sequential(t.nn.Linear(64, 64), t.nn.Tanh(), t.nn.LayerNorm(64)) for _ in range(3)]).to(device)
    x = t.randn(96, 64, device=device)

    def grads(run: Any) -> list[Any]:
        found = []
        for _ in range(4):
            loss = run(x).square().mean()
            for keep in (True, True, False):
                net.zero_grad()
                loss.backward(retain_graph=keep)
                found += [bits(p.grad) for p in net.parameters()]
            with pytest.raises(RuntimeError, match="a second time"):
                loss.backward()
        return found

    compiled = t.compile(net, fullgraph=True)
    same(grads(compiled), grads(net))
    (replay,) = compiled.replays
    program = replay.history.backward.built.program
    if program.graph.device.limits.suballocate:
        assert program.plan.lodged > 64 * 64 * 4, program.plan


def test_temporaries_of_a_step_lie_in_gradients_that_are_not_there_yet(t: Any, device: str) -> None:
    """Layers wider than the batch is long: what the backward pass needs lies in the first layers' gradients."""
    t.manual_seed(0)
    model = t.nn.Sequential(*[t.nn.Sequential(t.nn.Linear(64, 64), t.nn.ReLU()) for _ in range(5)]).to(device)
    x = t.randn(40, 64, device=device)

    def step() -> Any:
        model.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        return loss

    wanted = step().item()
    grads = [bits(p.grad) for p in model.parameters()]
    compiled = t.compile(step)
    found = [compiled().item() for _ in range(4)]
    assert found == [wanted] * 4
    same([bits(p.grad) for p in model.parameters()], grads)
    said = re.search(r"slots of (\d+) bytes, (\d+) bytes in results", compiled.explain())
    assert said is not None, compiled.explain()
    assert int(said[2]) > 2 * int(said[1]), "most of what is temporary takes nothing of its own"


def test_a_backward_pass_that_got_no_memory_can_be_tried_again(t: Any, device: str) -> None:
    """Nothing that it saved is written over before there is memory for its gradients."""
    t.manual_seed(0)
    net = t.nn.Sequential(*[t.nn.Sequential(t.nn.Linear(64, 64), t.nn.Tanh()) for _ in range(3)]).to(device)
    x = t.randn(96, 64, device=device)
    net(x).square().mean().backward()
    wanted = [bits(p.grad) for p in net.parameters()]
    compiled = t.compile(net, fullgraph=True)
    for _ in range(3):
        net.zero_grad()
        loss = compiled(x).square().mean()
        loss.backward(retain_graph=True)
    net.zero_grad()
    pool = x._layout.device.pool
    gc.collect()  # what only the collector frees would be there when it is asked
    pool.set_limit(pool.stats().used + 4096)
    try:
        with pytest.raises(t.OutOfMemoryError):
            loss.backward()
    finally:
        pool.set_limit(None)
    net.zero_grad()
    loss.backward()
    same([bits(p.grad) for p in net.parameters()], wanted)


ROWS: dict[str, Any] = {
    "batch_norm": lambda f, x, m, k: f.relu(f.batch_norm(f.conv2d(x, k), None, None, k[:, 0, 0, 0], None, True)),
    "batch_norm and what is added": lambda f, x, m, k: f.relu(f.batch_norm(f.conv2d(x, k), None, None, None, None, True) + x),
    "group_norm": lambda f, x, m, k: f.group_norm(f.conv2d(x, k), 1),
    "layer_norm": lambda f, x, m, k: f.layer_norm(x @ m, (x.shape[-1],)),
    "softmax": lambda f, x, m, k: (x @ m).softmax(-1),
    "log_softmax": lambda f, x, m, k: (x @ m).log_softmax(-1),
}


@pytest.mark.parametrize("shape", [(4, 3, 5, 5), (2, 4, 64, 70)], ids=str)
@pytest.mark.parametrize("name", ROWS)
def test_what_reads_a_row_twice_may_write_over_it(t: Any, device: str, name: str, shape: tuple[int, ...]) -> None:
    """The bits of a result beside its operand, for rows of a few elements and of more than a workgroup has work-items."""
    t.manual_seed(0)
    channels, width = shape[1], shape[-1]
    x, m = t.randn(*shape, device=device), t.randn(width, width, device=device)
    k = t.randn(channels, channels, 1, 1, device=device)

    def function(v: Any) -> Any:
        return ROWS[name](t.nn.functional, v, m, k)

    compiled = t.compile(function, fullgraph=True)
    for _ in range(3):
        same(bits(compiled(x)), bits(function(x)))
    assert compiled.replays[0].made.built.program.plan.over >= 1
