"""Compiled functions beside eager ones, bit for bit, on every device; and what must make them eager again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ingot.compiler import CompileError, CompileWarning

Step = Callable[..., Any]


def bits(value: Any) -> Any:
    return None if value is None else np.array(value.detach().cpu().numpy())


def model_state(model: Any) -> list[Any]:
    held = [bits(p) for p in model.parameters()] + [bits(p.grad) for p in model.parameters()]
    return held + [bits(b) for b in model.buffers()]


def same(a: Any, b: Any) -> None:
    """Equal to the last bit, through lists."""
    if isinstance(a, list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        np.testing.assert_array_equal(a, b)


def repeat(n: int, call: Callable[[int], Any]) -> list[Any]:
    return [call(k) for k in range(n)]


def itself(function: Step) -> Any:
    return function


def strictly(t: Any) -> Callable[[Step], Any]:
    return lambda function: t.compile(function, fullgraph=True)


class Setting:
    """A small network, its optimizer and data, made anew from one seed."""

    def __init__(self, t: Any, device: str, optimizer: str = "AdamW", seed: int = 0, **options: Any) -> None:
        t.manual_seed(seed)
        nn = t.nn
        layers = (nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.Dropout(0.25), nn.Linear(8, 3))
        self.model = nn.Sequential(*layers).to(device)
        self.optimizer = getattr(t.optim, optimizer)(self.model.parameters(), lr=0.05, **options)
        self.data = [(t.randn(5, 6, device=device), t.randint(0, 3, (5,), device=device)) for _ in range(6)]
        self.t = t

    def step(self) -> Step:
        model, optimizer, loss_of = self.model, self.optimizer, self.t.nn.functional.cross_entropy

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            loss = loss_of(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        return step

    def run(self, step: Step) -> list[Any]:
        self.t.manual_seed(7)
        losses = [bits(step(x, y)) for x, y in self.data]
        return [*losses, *model_state(self.model)]


OPTIMIZERS = [
    ("AdamW", {}), ("Adam", {"weight_decay": 0.1}), ("SGD", {}), ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("SGD", {"momentum": 0.5, "weight_decay": 0.01, "maximize": True}),
]  # fmt: skip


@pytest.mark.parametrize(("optimizer", "options"), OPTIMIZERS)
def test_a_training_step_is_one_program(t: Any, device: str, optimizer: str, options: dict[str, Any]) -> None:
    eager = Setting(t, device, optimizer, **options)
    other = Setting(t, device, optimizer, **options)
    compiled = t.compile(other.step(), fullgraph=True)
    same(other.run(compiled), eager.run(eager.step()))
    assert len(compiled.replays) == 1


def test_a_module_alone_is_two_programs(t: Any, device: str) -> None:
    eager, other = Setting(t, device), Setting(t, device)
    plain = other.model
    other.model = t.compile(plain, fullgraph=True)
    step = other.step()
    found = other.run(step)
    same(found, eager.run(eager.step()))
    assert len(other.model.replays) == 1
    assert "backward pass" in other.model.explain()


def test_gradients_reach_what_is_before_a_compiled_module(t: Any, device: str) -> None:
    layer = t.nn.Linear(4, 4).to(device)
    compiled = t.compile(lambda v: t.tanh(layer(v)) * 2, fullgraph=True)
    for k in range(4):
        x = t.full((3, 4), 0.1 * (k + 1), device=device).requires_grad_()
        (compiled(x.exp()) * x).sum().backward()
        mine, weight = bits(x.grad), bits(layer.weight.grad)
        x.grad = layer.weight.grad = layer.bias.grad = None
        (t.tanh(layer(x.exp())) * 2 * x).sum().backward()
        same([mine, weight], [bits(x.grad), bits(layer.weight.grad)])
        layer.weight.grad = layer.bias.grad = None
    assert len(compiled.replays) == 1


def test_rates_and_schedules_cause_no_new_recording(t: Any, device: str) -> None:
    runs = []
    for wrap in (itself, strictly(t)):
        s = Setting(t, device)
        schedule = t.optim.lr_scheduler.StepLR(s.optimizer, 2, 0.5)
        inner = s.step()

        def step(x: Any, y: Any, inner: Step = inner, schedule: Any = schedule) -> Any:
            loss = inner(x, y)
            schedule.step()
            return loss

        function = wrap(step)
        runs.append([*s.run(function), s.optimizer.param_groups[0]["lr"], schedule.last_epoch])
        s.optimizer.param_groups[0]["lr"] = 0.3
        runs[-1] += s.run(function)
    same(runs[1], runs[0])
    assert len(function.replays) == 1


def test_gradients_add_up_where_nothing_clears_them(t: Any, device: str) -> None:
    runs = []
    for wrap in (itself, strictly(t)):
        s = Setting(t, device)
        model = s.model

        def step(x: Any, y: Any, model: Any = model) -> Any:
            loss = t.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            return loss

        runs.append(s.run(wrap(step)))
    same(runs[1], runs[0])


def test_old_results_keep_their_values(t: Any, device: str) -> None:
    compiled = t.compile(lambda x: x * 2 + 1, fullgraph=True)
    results = [compiled(t.full((4,), float(k), device=device)) for k in range(6)]
    assert [r[0].item() for r in results] == [1.0, 3.0, 5.0, 7.0, 9.0, 11.0]


def test_views_of_one_batch_at_any_offset(t: Any, device: str) -> None:
    data = t.arange(40, dtype=t.float32, device=device).reshape(10, 4)
    compiled = t.compile(lambda x: (x.t() * 3).sum(0), fullgraph=True)
    for k in range(0, 10, 2):
        part = data[k : k + 2]
        same(bits(compiled(part)), bits((part.t() * 3).sum(0)))
    assert len(compiled.replays) == 1


def test_writes_into_an_argument(t: Any, device: str) -> None:
    def add(x: Any, y: Any) -> Any:
        x.add_(y)
        x[:1] = 0
        return x * 2

    compiled = t.compile(add, fullgraph=True)
    for _ in range(4):
        x, y = t.ones(3, device=device), t.full((3,), 2.0, device=device)
        out = compiled(x, y)
        same([bits(x), bits(out)], [np.array([0, 3, 3], np.float32), np.array([0, 6, 6], np.float32)])
        assert x._version > 0
    assert len(compiled.replays) == 1


def test_arguments_that_share_memory_are_told_apart(t: Any, device: str) -> None:
    def f(x: Any, y: Any) -> Any:
        x.mul_(2)
        return x + y

    compiled = t.compile(f)
    for _ in range(4):
        same(bits(compiled(t.ones(3, device=device), t.ones(3, device=device))), np.full(3, 3, np.float32))
    both = t.ones(3, device=device)
    same(bits(compiled(both, both)), np.full(3, 4, np.float32))
    x = t.ones(6, device=device)
    with pytest.warns(CompileWarning, match="shares"):
        repeat(4, lambda k: compiled(x[:3], x[3:]))
    same(bits(x[:3]), np.full(3, 16, np.float32))


# ---- guards ------------------------------------------------------------------------------------------------------------
def recordings(compiled: Any) -> int:
    return len(compiled.replays)


def test_what_the_function_reads_is_guarded(t: Any, device: str) -> None:
    class Net(t.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layer = t.nn.Linear(3, 3)
            self.drop = t.nn.Dropout(0.5)
            self.scale, self.names = 2.0, ["a"]

        def forward(self, x: Any) -> Any:
            return self.drop(self.layer(x)) * self.scale + len(self.names) + offset

    offset = 1
    net = Net().to(device).eval()
    compiled = t.compile(net, fullgraph=True)
    x = t.ones(2, 3, device=device)

    def check(wanted: int) -> None:
        for _ in range(2):
            t.manual_seed(1)
            mine = bits(compiled(x))
            t.manual_seed(1)
            same(mine, bits(net(x)))
        assert recordings(compiled) == wanted

    compiled(x)
    check(1)
    net.scale = 3.0
    check(2)
    net.names.append("b")
    check(3)
    offset = 5
    check(4)
    net.train()
    check(5)
    net.layer.weight = t.nn.Parameter(t.zeros(3, 3, device=device))
    check(6)
    net.layer.weight.data = t.ones(3, 3, device=device)
    check(7)
    net.scale = 3.0 * 1.0  # an equal number in another object
    check(7)
    handle = net.layer.register_forward_hook(lambda module, args, out: out * 10)
    check(8)
    handle.remove()


def test_modes_and_numbers_are_guarded(t: Any, device: str) -> None:
    weight = t.ones(3, device=device).requires_grad_()
    compiled = t.compile(lambda x, n: x * weight * n, fullgraph=True)
    x = t.ones(3, device=device)
    for _ in range(3):
        assert compiled(x, 2).requires_grad
    with t.no_grad():
        assert not compiled(x, 2).requires_grad
        assert not compiled(x, 2).requires_grad
    assert compiled(x, 3)[0].item() == 3.0
    assert compiled(x, 3)[0].item() == 3.0
    assert compiled(x, 3.5).dtype is t.float32
    assert compiled(x, 2)[0].item() == 2.0
    assert recordings(compiled) == 4


def test_a_frozen_parameter_and_a_loaded_state(t: Any, device: str) -> None:
    eager, other = Setting(t, device), Setting(t, device)
    compiled, plain = t.compile(other.step(), fullgraph=True), eager.step()
    same(other.run(compiled), eager.run(plain))
    for s in (eager, other):
        s.optimizer.load_state_dict(s.optimizer.state_dict())
    same(other.run(compiled), eager.run(plain))
    for s in (eager, other):
        next(iter(s.model.parameters())).requires_grad_(False)
    same(other.run(compiled), eager.run(plain))
    for s in (eager, other):
        s.optimizer.param_groups[0]["weight_decay"] = 0.0
    same(other.run(compiled), eager.run(plain))


def test_a_shape_that_changes_at_each_call(t: Any, device: str) -> None:
    compiled = t.compile(lambda x: (x * 2).sum())
    with pytest.warns(CompileWarning, match=r"recorded 8 times .*args\[0\] is float32\[10\]"):
        sums = repeat(13, lambda k: compiled(t.ones(k + 1, device=device)).item())
    assert sums == [2.0 * n for n in range(1, 14)]
    assert recordings(compiled) == 8


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
        assert "test_compile.py:" in str(told[0].message)
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


# ---- the program ----------------------------------------------------------------------------------------------------------
def test_pointwise_chains_are_one_kernel(t: Any, device: str) -> None:
    def chain(x: Any, y: Any) -> Any:
        return ((x * 2 + y).exp() - y).tanh()

    compiled = t.compile(chain, fullgraph=True)
    x, y = t.randn(33, 5, device=device), t.randn(5, device=device)
    for _ in range(3):
        same(bits(compiled(x, y)), bits(chain(x, y)))
    assert len(compiled.replays[0].made.built.program.graph.nodes) == 1
    text = compiled.explain(times=True)
    assert "kernels            5 recorded, 1 after fusion" in text
    assert "at memory's speed" in text


def test_special_values_survive_fusion(t: Any, device: str) -> None:
    values = [0.0, -0.0, float("inf"), -float("inf"), float("nan"), 1e-42, 3e38, -1.5]

    def chain(x: Any) -> Any:
        return (x * 1.0 + 0.0) * x - x, (x.abs() + x).sqrt() / x, t.where(x > 0, x, -x * 0.0)

    compiled = t.compile(chain, fullgraph=True)
    x = t.tensor(values, device=device)
    for _ in range(3):
        for mine, eager in zip(compiled(x), chain(x), strict=True):
            a, b = bits(mine), bits(eager)
            same(np.isnan(a), np.isnan(b))  # whose sign and payload IEEE 754 leaves open
            same(a.view(np.uint32)[~np.isnan(a)], b.view(np.uint32)[~np.isnan(b)])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_dtypes_round_at_each_op(t: Any, device: str, dtype: str) -> None:
    kind = getattr(t, dtype)
    x = t.randn(64, device=device).to(kind)
    compiled = t.compile(lambda v: ((v * 1.7 + 0.3) * v).to(t.float32), fullgraph=True)
    for _ in range(3):
        same(bits(compiled(x)), bits(((x * 1.7 + 0.3) * x).to(t.float32)))
