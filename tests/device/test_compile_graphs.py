"""``mode="reduce-overhead"``: a program replayed as one graph of its device, bit for bit as eager; on devices without graphs,
launch by launch, and `explain` says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compile_setting import Setting, Step, bits, same
from ingot_devices.device import Device
from ingot_devices.program import captured as graphs

MODE = "reduce-overhead"


def graph_of(compiled: Any) -> Any:
    """The `Captured` of the latest recording."""
    return compiled.replays[0].made.built.captured


def has_graphs(t: Any, device: str) -> bool:
    return type(t.zeros(1, device=device)._layout.device).begin_capture is not Device.begin_capture


@pytest.fixture
def g(t: Any, device: str) -> Any:
    """The library, on a device with graphs."""
    if not has_graphs(t, device):
        assert device.partition(":")[0] not in ("cuda", "sim"), "these have graphs"
        pytest.skip(f"{device} has no graphs")
    return t


def test_a_training_step_is_one_graph(t: Any, device: str) -> None:
    eager, other = Setting(t, device), Setting(t, device)
    eager.data, other.data = eager.data * 3, other.data * 3
    compiled = t.compile(other.step(), fullgraph=True, mode=MODE)
    same(other.run(compiled), eager.run(eager.step()))
    if has_graphs(t, device):
        assert graph_of(compiled).replays >= 10
        assert f"as one graph of {graph_of(compiled).launches} launches" in compiled.explain()
    else:
        assert "one by one" in compiled.explain() and "has no graphs" in compiled.explain()


def test_the_default_mode_makes_no_graph(t: Any, device: str) -> None:
    compiled = t.compile(lambda x: x * 2 + 1, fullgraph=True)
    for _ in range(5):
        compiled(t.ones(3, device=device))
    assert graph_of(compiled) is None


def test_rates_steps_and_random_numbers_reach_the_graph(g: Any, device: str) -> None:
    runs = []
    for mode in (None, MODE):
        s = Setting(g, device)
        schedule = g.optim.lr_scheduler.StepLR(s.optimizer, 2, 0.5)
        inner = s.step()

        def step(x: Any, y: Any, inner: Step = inner, schedule: Any = schedule) -> Any:
            loss = inner(x, y)
            schedule.step()
            return loss

        s.data = s.data * 3
        function: Any = step if mode is None else g.compile(step, fullgraph=True, mode=mode)
        runs.append(s.run(function))
        if mode is not None:
            assert graph_of(function).replays > 8 and len(function.replays) == 1
    same(runs[0], runs[1])


def test_results_that_are_kept_stay_as_they_were(g: Any, device: str) -> None:
    """The next replay writes to none of them: not to what it returned, nor to gradients that somebody holds."""
    weight = g.ones(4, device=device, requires_grad=True)

    def step(x: Any) -> Any:
        weight.grad = None
        loss = (weight * x).sum()
        loss.backward()
        return loss, x + 1

    compiled = g.compile(step, fullgraph=True, mode=MODE)
    kept = []
    for k in range(12):
        x = g.full((4,), float(k), device=device)
        loss, more = compiled(x)
        kept.append((loss, more, weight.grad if k % 3 == 0 else None))
    assert graph_of(compiled).replays > 0
    for k, (loss, more, grad) in enumerate(kept):
        same(bits(loss), np.float32(4 * k))
        same(bits(more), np.full(4, k + 1, np.float32))
        if grad is not None:
            same(bits(grad), np.full(4, k, np.float32))


def test_gradients_accumulate_across_replays(g: Any, device: str) -> None:
    weight = g.ones(4, device=device, requires_grad=True)

    def step(x: Any) -> None:
        (weight * x).sum().backward()

    compiled = g.compile(step, mode=MODE)
    for k in range(10):
        compiled(g.full((4,), float(k), device=device))
        same(bits(weight.grad), np.full(4, sum(range(k + 1)), np.float32))
    assert graph_of(compiled).replays > 0


def test_an_argument_that_is_written_to_is_written_to(g: Any, device: str) -> None:
    compiled = g.compile(lambda x, y: x.add_(y), fullgraph=True, mode=MODE)
    for k in range(6):
        x, y = g.full((5,), float(k), device=device), g.ones(5, device=device)
        assert compiled(x, y) is x
        same(bits(x), np.full(5, k + 1, np.float32))
        same(bits(y), np.ones(5, np.float32))
    assert graph_of(compiled).replays > 0


def test_a_module_alone_is_two_graphs(g: Any, device: str) -> None:
    eager, other = Setting(g, device), Setting(g, device)
    eager.data, other.data = eager.data * 4, other.data * 4
    other.model = g.compile(other.model, fullgraph=True, mode=MODE)
    step = other.step()
    same(other.run(step), eager.run(eager.step()))
    backward = other.model.replays[0].history.programs()["its backward pass"].captured
    assert graph_of(other.model).replays > 8 and backward.replays > 8


def test_large_arguments_keep_their_addresses(g: Any, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is copied then, and there is a graph for each address that comes up twice."""
    monkeypatch.setattr(graphs, "COPIED", 16)
    compiled = g.compile(lambda x: x * 3 + 1, fullgraph=True, mode=MODE)
    tensors = [g.full((64,), float(k), device=device) for k in range(3)]
    made: list[Any] = []
    for k in range(30):
        made = [compiled(tensors[k % 3]), *made][:2]
        same(bits(made[0]), np.full(64, 3 * (k % 3) + 1, np.float32))
    assert graph_of(compiled).replays > 10
    assert len(graph_of(compiled).graphs) <= graphs.KEPT


def test_an_index_that_is_out_of_range_is_told(g: Any, device: str) -> None:
    table = g.arange(6, dtype=g.float32, device=device).reshape(3, 2)
    compiled = g.compile(lambda i: g.nn.functional.embedding(i, table) * 2, fullgraph=True, mode=MODE)
    for _ in range(5):
        compiled(g.tensor([0, 2], device=device))
    assert graph_of(compiled).replays > 0
    for _ in range(2):
        with pytest.raises(IndexError, match="embedding"):
            bits(compiled(g.tensor([0, 7], device=device)))
        same(bits(compiled(g.tensor([1, 1], device=device))), np.array([[4, 6], [4, 6]], np.float32))


def test_a_refused_capture_is_told_and_goes_on(g: Any, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = type(g.zeros(1, device=device)._layout.device)

    def refuse(self: Any) -> bool:
        raise RuntimeError("no room for graphs")

    monkeypatch.setattr(kind, "begin_capture", refuse)
    compiled = g.compile(lambda x: x * 2 + 1, fullgraph=True, mode=MODE)
    for k in range(6):
        same(bits(compiled(g.full((3,), float(k), device=device))), np.full(3, 2 * k + 1, np.float32))
    assert "refused the capture: no room for graphs" in compiled.explain()
    assert graph_of(compiled).replays == 0


def test_workspaces_of_captured_launches_are_nobody_elses(g: Any, device: str) -> None:
    """A long sum takes two launches with memory between them, which the pool must not hand to others."""
    compiled = g.compile(lambda x: (x * 2).sum() + 1, fullgraph=True, mode=MODE)
    others = []
    for k in range(8):
        x = g.full((70000,), float(k), device=device)
        assert float(compiled(x)) == 140000.0 * k + 1
        others.append(g.full((70,), -1.0, device=device))
    assert graph_of(compiled).replays > 0, graph_of(compiled).reason
    assert all(float(o.sum()) == -70.0 for o in others)


def test_memory_goes_with_the_compiled_function(g: Any, device: str) -> None:
    pool = g.zeros(1, device=device)._layout.device.pool
    before = pool.stats().used
    compiled = g.compile(lambda x: (x @ x).sum(), fullgraph=True, mode=MODE)
    for _ in range(6):
        compiled(g.ones(32, 32, device=device))
    assert graph_of(compiled).replays > 0
    del compiled
    import gc

    gc.collect()
    assert pool.stats().used <= before


@pytest.mark.parametrize("mode", [None, MODE])
@pytest.mark.parametrize(("kind", "options"), [("AdamW", {}), ("SGD", {"momentum": 0.9})])
def test_an_optimizer_with_many_parameters_takes_few_launches(
    t: Any, device: str, kind: str, options: dict[str, Any], mode: str | None
) -> None:
    shapes = [(3, 4), (5,), (1,), (300,), (7, 33), (129,), (2, 2, 2), (64,), (), (31, 17)]
    left = []
    for compile_it in (False, True):
        t.manual_seed(1)
        parameters = [t.randn(*s, device=device).requires_grad_() for s in shapes]
        optimizer = getattr(t.optim, kind)(parameters, lr=0.1, **options)
        for p in parameters:
            p.grad = t.randn(*p.shape, device=device)
        step: Any = t.compile(lambda o=optimizer: o.step(), mode=mode, fullgraph=True) if compile_it else optimizer.step
        for _ in range(7):
            step()
        left.append([bits(p) for p in parameters])
    same(left[0], left[1])
    program = step.replays[0].made.built.program
    if device.startswith("cuda"):
        assert program.launches == 2
    assert len(program.graph.nodes) == (2 if program.graph.nodes[0].members else len(shapes))
