"""Compiled functions beside eager ones, bit for bit, on every device: training steps, modules, memory, guards, kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compile_setting import Setting, Step, bits, itself, repeat, same, strictly
from ingot.compiler import CompileWarning
from ingot_devices import dtypes, open_device

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


def test_a_gradient_of_another_dtype_is_cast(t: Any, device: str) -> None:
    held = open_device(device).limits.dtype_class(dtypes.float64).kind != "refused"
    other = t.float64 if held else t.bfloat16

    def function(x: Any) -> Any:
        return x.to(other) * 2

    compiled = t.compile(function, fullgraph=True)
    x = t.randn(3, 4, device=device).requires_grad_()
    for dtype in (other, t.float32, t.float32, t.float16, t.float32):
        given = t.randn(3, 4, device=device).to(dtype)
        for seed in (given, given.t().clone().t()):
            (mine,), (wanted,) = (t.autograd.grad(f(x), x, seed) for f in (compiled, function))
            assert mine.dtype is wanted.dtype
            same(bits(mine), bits(wanted))
    assert len(compiled.replays) == 1


@pytest.mark.parametrize(("shape", "options"), [((), {}), ((1, 3), {"dim": 0}), ((3, 4), {"dim": 1})])
def test_an_operand_that_is_not_loaded_has_memory(t: Any, device: str, shape: tuple[int, ...], options: dict[str, int]) -> None:
    """A product of one number: its gradient pads what is left of none, and the kernel takes that as an operand."""
    compiled = t.compile(lambda x: t.prod(x, **options), fullgraph=True)
    for k in range(4):
        x = t.full(shape, 1.5 + k, device=device).requires_grad_()
        (mine,), (wanted,) = (t.autograd.grad(f(x).sum(), x) for f in (compiled, lambda x: t.prod(x, **options)))
        same(bits(mine), bits(wanted))
    assert len(compiled.replays) == 1


def test_parts_of_what_has_no_element(t: Any, device: str) -> None:
    compiled = t.compile(lambda x: x[:, 2:] * x[:, :2], fullgraph=True)
    for _ in range(4):
        assert compiled(t.ones(0, 4, device=device)).shape == (0, 2)


def test_gradients_of_an_argument_are_left_in_it(t: Any, device: str) -> None:
    def step(x: Any) -> Any:
        loss = (x * x).sum()
        loss.backward()
        return loss

    compiled = t.compile(step, fullgraph=True)
    for k in range(5):
        x = t.full((3,), float(k + 1), device=device).requires_grad_()
        compiled(x)
        same(bits(x.grad), np.full(3, 2.0 * (k + 1), np.float32))
        compiled(x)
        same(bits(x.grad), np.full(3, 4.0 * (k + 1), np.float32))
    assert len(compiled.replays) == 2


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


REBINDS: dict[str, Any] = {
    "its data": lambda t, x: setattr(x, "data", t.zeros_like(x)),
    "wants a gradient": lambda t, x: x.requires_grad_(),
    "written to with a tape": lambda t, x: x.mul_(t.ones_like(x).requires_grad_()),
    "a view of it, with a tape": lambda t, x: x[0].mul_(t.ones_like(x)[0].requires_grad_()),
}


@pytest.mark.filterwarnings("ignore::ingot.compiler.CompileWarning")  # a history from outside is left to eager calls
@pytest.mark.parametrize("name", REBINDS)
def test_a_tensor_that_is_read_and_rebound_is_noticed(t: Any, device: str, name: str) -> None:
    """Whatever gives it other memory or another history: the guard looks at those only where somebody counted that."""
    held = t.ones(3, 2, device=device)

    def function(v: Any) -> Any:
        return held * v

    compiled = t.compile(function)
    v = t.full((3, 2), 3.0, device=device)
    for _ in range(3):
        compiled(v)
    assert recordings(compiled) == 1
    REBINDS[name](t, held)
    for _ in range(3):
        mine, wanted = compiled(v), function(v)
        same(bits(mine), bits(wanted))
        assert mine.requires_grad == wanted.requires_grad


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


def test_parameters_that_have_made_other_numbers_of_steps(t: Any, device: str) -> None:
    """Those that have made as many share the optimizer's numbers; that is part of what was recorded."""
    eager, other = Setting(t, device), Setting(t, device)
    compiled, plain = t.compile(other.step(), fullgraph=True), eager.step()
    same(other.run(compiled), eager.run(plain))
    for more in (0, 3, 0):
        for s in (eager, other):
            s.optimizer.state[next(iter(s.model.parameters()))]["step"] += more
        same(other.run(compiled), eager.run(plain))


@pytest.mark.parametrize("held", [
    lambda g: g, lambda g: g.detach(), lambda g: g.view(-1), lambda g: g.numpy(force=True),
], ids=["itself", "detached", "view", "array"])  # fmt: skip
def test_a_gradient_that_somebody_holds_keeps_its_values(t: Any, device: str, held: Any) -> None:
    """Its memory serves the next one only where nobody sees it."""
    other = Setting(t, device)
    step = t.compile(other.step(), fullgraph=True)
    other.run(step)
    for p in other.model.parameters():
        seen, before = held(p.grad), bits(p.grad)
        step(*other.data[0])
        step(*other.data[1])
        same((seen if isinstance(seen, np.ndarray) else bits(seen)).ravel(), before.ravel())
        assert not np.array_equal(before, bits(p.grad))
    assert len(step.replays) == 1


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


def test_sums_over_transposed_memory_keep_their_order(t: Any, device: str) -> None:
    """A fused sum would go through memory, the eager one goes through the value: the order of the elements differs."""
    functions: tuple[Step, ...] = (
        lambda x: (x.t() + 2).sum(), lambda x: (x.t() * 1.5).mean(0), lambda x: (x.t() * x.t()).sum(1, keepdim=True),
        lambda x: ((x.reshape(2, -1, x.shape[1]).transpose(0, 1)) + 1).sum((0, 1)),
    )  # fmt: skip
    for function in functions:
        compiled = t.compile(function, fullgraph=True)
        for k in range(12):
            x = t.randn(8 if k % 2 else 6, 7, device=device)
            same(bits(compiled(x)), bits(function(x)))


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


def test_kernels_that_have_nothing_to_write(t: Any, device: str) -> None:
    x, y = t.randn(3, 4, device=device), t.randn(0, 4, device=device)
    compiled = t.compile(lambda v, w: (v.topk(0)[0], v.topk(2)[1], w + 1, w * 2, w.exp()), fullgraph=True)
    for _ in range(3):
        found = compiled(x, y)
    assert [r.shape for r in found] == [(3, 0), (3, 2), (0, 4), (0, 4), (0, 4)]
    same(bits(found[1].to(t.int32)), bits(x.topk(2)[1].to(t.int32)))


def test_a_convolutional_network_with_running_statistics(t: Any, device: str) -> None:
    nn = t.nn
    runs = []
    for wrap in (itself, strictly(t)):
        t.manual_seed(4)
        net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                            nn.Linear(12, 2)).to(device)  # fmt: skip
        net[0].weight.requires_grad_(False)
        optimizer = t.optim.SGD(net.parameters(), lr=0.1)

        def step(x: Any, net: Any = net, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = (net(x) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        function = wrap(step)
        losses = [bits(function(t.randn(2, 2, 4, 4, device=device))) for _ in range(4)]
        runs.append([*losses, *(bits(v) for v in net.state_dict().values())])
    same(runs[1], runs[0])
    assert len(function.replays) == 1


def waited_for(t: Any, device: str, function: Any, *given: Any) -> None:
    """A call, and what it queued."""
    function(*given)
    t.accelerator.synchronize(device)


@pytest.mark.parametrize("first", [True, False], ids=["gradients go first", "gradients go behind the loss"])
def test_gradients_after_a_refused_index_are_as_they_are_eagerly(t: Any, device: str, first: bool) -> None:
    """An old gradient goes early only where eagerly, too, it had gone before anything could refuse."""
    found = []
    for wrap in (itself, strictly(t)):
        t.manual_seed(2)
        table, layer = t.nn.Embedding(5, 3).to(device), t.nn.Linear(3, 1).to(device)
        parameters = [*table.parameters(), *layer.parameters()]
        optimizer = t.optim.SGD(parameters, lr=0.1)

        def step(at: Any, table: Any = table, layer: Any = layer, optimizer: Any = optimizer) -> None:
            if first:
                optimizer.zero_grad()
            loss = layer(table(at)).square().mean()
            if not first:
                optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        function = wrap(step)
        for k in range(3):
            function(t.tensor([k, 4], device=device))
        with pytest.raises(IndexError):
            waited_for(t, device, function, t.tensor([1, 99], device=device))
        found.append([p.grad is None for p in parameters])
        if wrap is not itself:
            assert len(function.replays) == 1
    assert found[0] == found[1]
