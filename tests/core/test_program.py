"""Programs without a device's numbers: the stages on graphs, what may be joined, where memory lies, what is ill-formed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ingot_devices import dtypes as dt
from ingot_devices.codegen.replay import Input
from ingot_devices.discovery import open_device
from ingot_devices.ir.definition import Define, Operand
from ingot_devices.layout import Layout
from ingot_devices.opset.op import OPS
from ingot_devices.plan import Ref
from ingot_devices.program import fuse, lift, lodge, lower, memory, order, simplify, stages
from ingot_devices.program import in_place as over
from ingot_devices.program.graph import Graph, IllFormed, Node, check
from ingot_devices.program.lower import Program
from ingot_devices.resolve import resolve
from ingot_devices.transfer import read, write
from ingot_devices.view import View


class Drawing:
    """A graph that grows op by op, as a recorder would make it."""

    def __init__(self, device: Any) -> None:
        self.device = device
        self.graph = Graph(device)

    def layout(self, *shape: int) -> Layout:
        return Layout.dense(shape, dt.float32, self.device)

    def input(self, *shape: int) -> Ref:
        layout = self.layout(*shape)
        return Ref(self.graph.buffer("input", layout).number, layout)

    def op(self, name: str, *operands: Any, **attributes: Any) -> Ref:
        op = OPS[name]
        operands += (None,) * (0 if op.variadic else len(op.operands) - len(operands))
        keys = [o.layout if isinstance(o, Ref) else float if isinstance(o, Input) else None if o is None else type(o)
                for o in operands]  # fmt: skip
        plan = resolve(op, keys, op.bind(attributes), self.device)
        return lift.apply(self.graph, plan, operands)[0]

    def keep(self, *refs: Ref) -> None:
        for ref in refs:
            self.graph.buffers[ref.slot].kind = "output"


@pytest.fixture
def drawing() -> Drawing:
    return Drawing(open_device("sim"))  # its code generator fuses all kinds


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


def run(built: stages.Built, inputs: dict[int, Any], numbers: tuple[float, ...] = ()) -> dict[int, Any]:
    """The outputs of a program, by buffer."""
    slots: list[Any] = [None] * len(built.program.graph.buffers)
    for b in built.after["lift"].buffers.values():
        if b.kind == "temp":
            continue
        block, native = b.layout.device.pool.fresh(b.layout)
        slots[b.number] = View.make(block, b.layout, 0, native)
        if b.kind == "input":
            write(slots[b.number], inputs[b.number].astype(np.float32))
    built.program.run(slots, numbers)
    return {b.number: read(slots[b.number]) for b in built.after["lift"].buffers.values() if b.kind != "temp"}


def test_a_chain_is_one_kernel_with_one_store(drawing: Drawing) -> None:
    x, y = drawing.input(4, 3), drawing.input(3)
    out = drawing.op("exp", drawing.op("mul", drawing.op("add", x, y), 2.0))
    drawing.keep(out)
    built = stages.build(drawing.graph, {})
    assert ops(built.after["fuse"]) == ["add+mul+exp"]
    a, b = np.linspace(-1, 1, 12).reshape(4, 3), np.array([0.1, 0.2, 0.3])
    made = run(built, {x.slot: a, y.slot: b})[out.slot]
    np.testing.assert_allclose(made, np.exp((a + b) * 2), rtol=1e-6)


def test_a_value_with_other_readers_is_stored_as_well(drawing: Drawing) -> None:
    x = drawing.input(6)
    middle = drawing.op("add", x, 1.0)
    out = drawing.op("mul", middle, middle)
    drawing.keep(middle, out)
    built = stages.build(drawing.graph, {})
    (node,) = built.after["fuse"].nodes
    assert len(node.written_buffers()) == 2
    made = run(built, {x.slot: np.arange(6)})
    np.testing.assert_array_equal(made[middle.slot], np.arange(6) + 1)
    np.testing.assert_array_equal(made[out.slot], (np.arange(6) + 1.0) ** 2)


def test_rows_take_a_prologue_and_an_epilogue(drawing: Drawing) -> None:
    x = drawing.input(5, 7)
    total = drawing.op("sum", drawing.op("mul", x, 3.0), axes=(-1,), keepdim=False)
    out = drawing.op("neg", total)
    drawing.keep(out)
    built = stages.build(drawing.graph, {})
    assert ops(built.after["fuse"]) == ["mul+sum+neg"]
    values = np.arange(35).reshape(5, 7)
    np.testing.assert_array_equal(run(built, {x.slot: values})[out.slot], -(values * 3.0).sum(1))


def test_a_view_between_two_kernels_is_followed(drawing: Drawing) -> None:
    x = drawing.input(4, 3)
    turned = drawing.op("mul", x, 2.0)
    assert turned.layout is not None
    seen = Ref(turned.slot, Layout.of((3, 4), (1, 3), dt.float32, drawing.device))
    out = drawing.op("add", seen, 1.0)
    drawing.keep(out)
    built = stages.build(drawing.graph, {})
    assert ops(built.after["fuse"]) == ["mul+add"]
    values = np.arange(12).reshape(4, 3)
    np.testing.assert_array_equal(run(built, {x.slot: values})[out.slot], values.T * 2.0 + 1)


def in_place(drawing: Drawing, name: str, x: Ref, *operands: Any) -> None:
    """An op that leaves its result where ``x`` lies, as a recorder writes it down."""
    made = drawing.op(name, x, *operands)
    node = drawing.graph.nodes[-1]
    node.operands = tuple(x if o == made else o for o in node.operands)


def test_what_replaces_a_value_in_place_is_joined(drawing: Drawing) -> None:
    x = drawing.input(4, 3)
    held = drawing.op("mul", x, 2.0)
    in_place(drawing, "neg", held)
    in_place(drawing, "add", held, 1.0)
    drawing.keep(held)
    built = stages.build(drawing.graph, {})
    assert ops(built.after["fuse"]) == ["mul+neg+add"]
    values = np.arange(12).reshape(4, 3)
    np.testing.assert_array_equal(run(built, {x.slot: values})[held.slot], -(values * 2.0) + 1)


def test_what_replaces_a_value_that_somebody_reads_stays_behind_the_reader(drawing: Drawing) -> None:
    x = drawing.input(4, 3)
    held = drawing.op("mul", x, 2.0)
    other = drawing.op("sum", held, axes=(-2, -1), keepdim=False)
    in_place(drawing, "neg", held)
    drawing.keep(held, other)
    made = run(stages.build(drawing.graph, {}), {x.slot: np.arange(12).reshape(4, 3)})
    np.testing.assert_array_equal(made[held.slot], np.arange(12).reshape(4, 3) * -2.0)
    assert made[other.slot] == 132


def test_a_kernel_rises_to_its_producer_past_one_that_reads_another_result(drawing: Drawing) -> None:
    """batch_norm, a sum of its means, relu: the producer cannot sink past the sum, so its consumer rises."""
    x = drawing.input(6, 2, 4)
    plan = resolve(OPS["batch_norm"], [x.layout, None, None, float], (), drawing.device)
    out, mean, _, _ = lift.apply(drawing.graph, plan, [x, None, None, 1e-5])
    total = drawing.op("sum", mean, axes=(-1,), keepdim=False)
    in_place(drawing, "relu", out)
    drawing.keep(out, total)
    built = stages.build(drawing.graph, {})
    assert ops(built.after["fuse"]) == ["batch_norm+relu", "sum"]
    values = np.random.default_rng(0).normal(size=(6, 2, 4))
    made = run(built, {x.slot: values})
    centred = values - values.mean((0, 2), keepdims=True)
    normal = centred / np.sqrt((centred**2).mean((0, 2), keepdims=True) + 1e-5)
    np.testing.assert_allclose(made[out.slot], np.maximum(normal, 0), atol=1e-5)
    np.testing.assert_allclose(made[total.slot], values.mean((0, 2)).sum(), atol=1e-6)


def test_a_sum_keeps_the_order_in_which_it_walks() -> None:
    """Two sums of 15 in one walk each are not the same where one walks a matrix by rows and the other by columns."""
    drawing = Drawing(open_device("cpu"))
    x = drawing.input(3, 5)
    turned = Ref(x.slot, Layout.of((5, 3), (1, 5), dt.float32, drawing.device))
    total = drawing.op("sum", drawing.op("mul", turned, 0.3), axes=(-2, -1), keepdim=False)
    plain = drawing.op("sum", drawing.op("mul", x, 0.3), axes=(-2, -1), keepdim=False)
    drawing.keep(total, plain)
    built = stages.build(drawing.graph, {})
    values = np.random.default_rng(3).normal(size=(3, 5)).astype(np.float32)
    made = run(built, {x.slot: values})
    if not drawing.device.codegen.available():  # native code: NumPy fuses by its own rules
        assert "mul+sum" in ops(built.after["fuse"]) and ops(built.after["fuse"]).count("sum") == 1
    steps = drawing.graph.copy(drawing.graph.nodes)
    unfused = stages.Built(Program(steps, {}), {"lift": drawing.graph})
    apart = run(unfused, {x.slot: values})
    for ref in (total, plain):
        np.testing.assert_array_equal(made[ref.slot], apart[ref.slot])


def test_no_kernel_moves_past_a_write_to_what_it_reads(drawing: Drawing) -> None:
    x, y = drawing.input(4), drawing.input(4)
    old = drawing.op("mul", x, 2.0)
    plan = resolve(OPS["copy"], [y.layout], (), drawing.device)
    copied = lift.apply(drawing.graph, plan, [y])[0]
    node = drawing.graph.nodes[-1]
    node.operands = tuple(x if o == copied else o for o in node.operands)  # x[...] = y
    out = drawing.op("add", old, 1.0)
    drawing.keep(out)
    built = stages.build(drawing.graph, {})
    made = run(built, {x.slot: np.arange(4), y.slot: np.full(4, 9)})
    np.testing.assert_array_equal(made[out.slot], np.arange(4) * 2.0 + 1)
    np.testing.assert_array_equal(made[x.slot], np.full(4, 9.0))


def test_equal_work_is_done_once_and_dead_work_not_at_all(drawing: Drawing) -> None:
    x = drawing.input(4)
    first, second = drawing.op("exp", x), drawing.op("exp", x)
    drawing.op("sin", x)
    out = drawing.op("add", first, second)
    drawing.keep(out)
    assert ops(simplify.simplify(drawing.graph)) == ["exp", "add"]
    differ = Drawing(drawing.device)
    y = differ.input(4)
    differ.keep(differ.op("add", differ.op("mul", y, 0.0), differ.op("mul", y, -0.0)))
    assert ops(simplify.simplify(differ.graph)) == ["mul", "mul", "add"], "0.0 and -0.0 are two numbers"


def test_memory_is_shared_by_those_who_never_meet(drawing: Drawing) -> None:
    value = drawing.input(64)
    for _ in range(6):
        value = drawing.op("cumsum", value, axis=-1)
    drawing.keep(value)
    made = memory.plan(drawing.graph)
    assert made.nbytes == 2 * 256
    assert made.sum == 5 * 256
    apart(drawing.graph, made)


def apart(graph: Graph, made: memory.MemoryPlan) -> None:
    """No two temps that are alive at once share a byte, and none reaches out of its slot."""
    lives = memory.lifetimes(graph)
    bytes_of = {n: range(made.place_of[n][1], made.place_of[n][1] + graph.buffers[n].nbytes) for n in lives}
    for a, (first_a, last_a) in lives.items():
        assert bytes_of[a].stop <= made.sizes[made.place_of[a][0]]
        for b, (first_b, last_b) in lives.items():
            meet = made.place_of[a][0] == made.place_of[b][0] and a != b
            if meet and bytes_of[a].start < bytes_of[b].stop and bytes_of[b].start < bytes_of[a].stop:
                assert last_a < first_b or last_b < first_a


@pytest.mark.parametrize("cut", [True, False], ids=["one block", "a block for each slot"])
def test_temporaries_of_many_sizes_lie_apart(drawing: Drawing, cut: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums of slices of many lengths, some of them read again much later."""
    monkeypatch.setattr(drawing.device, "limits", replace(drawing.device.limits, suballocate=cut))
    rng, held = np.random.default_rng(3), []
    for n in rng.integers(1, 900, 40):
        held.append(drawing.op("exp", drawing.input(int(n))))
        if len(held) > 3:
            chosen = held.pop(int(rng.integers(len(held))))
            drawing.keep(drawing.op("sum", chosen, axes=(-1,), keepdim=False))
    made = memory.plan(drawing.graph)
    apart(drawing.graph, made)
    lives = memory.lifetimes(drawing.graph)
    alive = [sum(drawing.graph.buffers[n].nbytes for n, (a, b) in lives.items() if a <= k <= b)
             for k in range(len(drawing.graph.nodes))]  # fmt: skip
    assert max(alive) <= made.nbytes <= (1.2 if cut else 2.0) * max(alive) + 64 * len(lives)
    assert (len(made.sizes) == 1) == cut


def test_what_sticks_out_is_placed_earlier() -> None:
    """Temporaries of an odd mixture of lives take hardly more than what is alive at once."""
    ratios = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        lives, needs = {}, {}
        for n in range(30):
            first = int(rng.integers(40))
            lives[n], needs[n] = (first, first + int(rng.integers(1, 14))), int(rng.integers(1, 60)) * 4096
        alive = [sum(needs[n] for n, (a, b) in lives.items() if a <= k <= b) for k in range(60)]
        size, offsets = memory._offsets(lives, needs, 64)
        for n, (first, last) in lives.items():
            for m, (other, end) in lives.items():
                apart = offsets[n] + needs[n] <= offsets[m] or offsets[m] + needs[m] <= offsets[n]
                assert n == m or last < other or end < first or apart
        ratios.append(size / max(alive))
    assert np.mean(ratios) <= 1.02 and max(ratios) <= 1.1, ratios


@pytest.mark.parametrize(("rows", "between", "wanted"), [
    (8, "exp", ["cumsum", "exp", "sum+sgd_step"]),  # little has to stay
    (4096, "exp", ["cumsum", "sum+sgd_step", "exp"]),
    (4096, "embedding", ["cumsum", "sum", "embedding", "sgd_step"]),  # which may fail: then no step was taken
])  # fmt: skip
def test_a_sum_over_much_memory_does_not_wait_for_who_wants_it(drawing: Drawing, rows: int, between: str, wanted: Any) -> None:
    gradient = drawing.op("cumsum", drawing.input(rows, 64), axis=-1)
    total = drawing.op("sum", gradient, axes=(-2,), keepdim=False)
    if between == "exp":
        drawing.keep(drawing.op("exp", drawing.input(5)))
    else:
        layout = Layout.dense((3,), dt.int64, drawing.device)
        index = Ref(drawing.graph.buffer("input", layout).number, layout)
        drawing.keep(drawing.op("embedding", drawing.input(9, 4), index))
    drawing.op("sgd_step", drawing.input(64), total, 0.1)
    assert ops(fuse.fuse(drawing.graph)) == wanted


def test_numbers_are_given_at_each_run(drawing: Drawing) -> None:
    x = drawing.input(3)
    drawing.graph.inputs = 1
    out = drawing.op("mul", x, Input(0))
    drawing.keep(out)
    built = stages.build(drawing.graph, {})
    for number in (2.0, -3.5):
        made = run(built, {x.slot: np.ones(3)}, (number,))
        np.testing.assert_array_equal(made[out.slot], np.full(3, number))


def test_what_is_ill_formed_is_named(drawing: Drawing) -> None:
    x = drawing.input(4)
    out = drawing.op("exp", drawing.op("mul", x, 2.0))
    drawing.keep(out)
    with pytest.raises(IllFormed, match=r"after fuse, kernel 0 .* is read before anything wrote it"):
        check(drawing.graph.copy(drawing.graph.nodes[1:]), "fuse")
    with pytest.raises(IllFormed, match="nothing writes the output"):
        check(drawing.graph.copy(drawing.graph.nodes[:1]), "simplify")
    node = drawing.graph.nodes[0]
    node.operands = tuple(Ref(o.slot, Layout.dense((9,), dt.float32, drawing.device)) if isinstance(o, Ref) else o
                          for o in node.operands)  # fmt: skip
    with pytest.raises(IllFormed, match=r"reaches past the end|was given"):
        check(drawing.graph, "lift")


def test_stages_are_printed_by_name(
    drawing: Drawing, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drawing.keep(drawing.op("exp", drawing.op("mul", drawing.input(4), 2.0)))
    monkeypatch.setenv("INGOT_DUMP", "fuse, plan")
    built = stages.build(drawing.graph, {})
    shown = capsys.readouterr().err
    assert "---- fuse" in shown
    assert "mul+exp" in shown
    assert "---- plan\n0 temporaries" in shown
    assert "2 kernels" in built.text("lift")
    monkeypatch.setenv("INGOT_DUMP", "fusion")
    known = "lift, simplify, epilogues, fuse, attach, gather, workspaces, plan, lower"
    with pytest.raises(ValueError, match=f"stage 'fusion'; the stages are {known}"):
        stages.build(drawing.graph, {})


def test_a_device_that_fuses_nothing_runs_the_steps_as_they_were(drawing: Drawing, monkeypatch: pytest.MonkeyPatch) -> None:
    x = drawing.input(4)
    out = drawing.op("exp", drawing.op("mul", x, 2.0))
    drawing.keep(out)
    monkeypatch.setattr(fuse, "kinds_of", lambda device: frozenset())
    built = stages.build(drawing.graph, {})
    assert ops(built.after["fuse"]) == ["mul", "exp"]
    np.testing.assert_allclose(run(built, {x.slot: np.ones(4)})[out.slot], np.full(4, np.exp(2)), rtol=1e-6)


def test_temporaries_lie_in_results_that_nobody_has_written_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs of running sums, some of which are results: the same numbers as with memory for all, and less of it."""
    saved = 0
    for seed in range(8):
        rng, drawing = np.random.default_rng(seed), Drawing(open_device("cpu"))
        sizes = [4096, 5000, 9000]
        inputs = [drawing.input(n) for n in sizes]
        values = list(inputs)
        for _ in range(20):
            values.append(drawing.op("cumsum", values[-1 - int(rng.integers(min(len(values), 4)))], axis=-1))
        chosen = rng.choice(np.arange(len(inputs), len(values) - 1), 3, replace=False)
        drawing.keep(values[-1], *(values[int(k)] for k in chosen))
        given = {x.slot: rng.standard_normal(n).astype(np.float32) for x, n in zip(inputs, sizes, strict=True)}
        monkeypatch.setattr(lower, "in_place", lambda graph: graph)
        lodged = stages.build(drawing.graph, {})
        with monkeypatch.context() as patch:
            patch.setattr(lodge, "LEAST", 1 << 40)
            apart = stages.build(drawing.graph, {})
        assert apart.program.plan.lodged == 0
        got, wanted = run(lodged, given), run(apart, given)
        assert all(np.array_equal(got[n], wanted[n]) for n in wanted)
        for n in set(wanted) - set(given):
            until = next(k for k, node in enumerate(apart.program.graph.nodes) if n in node.written_buffers())
            assert n not in lodged.program.graph.nodes[until].read_buffers(), "a lodger is read while its room is written"
        assert lodged.program.plan.nbytes <= apart.program.plan.nbytes
        saved += apart.program.plan.nbytes - lodged.program.plan.nbytes
    assert saved > 8 * 4096 * 4


def test_results_take_the_place_of_operands_that_nobody_needs_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs of running sums: the same numbers in less memory, and never over what is read later."""
    shared = 0
    for seed in range(8):
        rng, drawing = np.random.default_rng(seed), Drawing(open_device("cpu"))
        x = drawing.input(5000)
        values = [drawing.op("cumsum", x, axis=-1)]
        for _ in range(12):
            values.append(drawing.op("cumsum", values[-1 - int(rng.integers(min(len(values), 3)))], axis=-1))
        drawing.keep(values[-1], values[int(rng.integers(len(values) - 1))])
        given = {x.slot: rng.standard_normal(5000).astype(np.float32)}
        built = stages.build(drawing.graph, {})
        with monkeypatch.context() as patch:
            patch.setattr(lower, "in_place", lambda graph: graph)
            apart = stages.build(drawing.graph, {})
        got, wanted = run(built, given), run(apart, given)
        assert all(np.array_equal(got[n], wanted[n]) for n in wanted)
        assert built.program.plan.nbytes <= apart.program.plan.nbytes
        over = sum(len(n.aliased) for n in built.program.graph.nodes)
        assert built.program.plan.over == over and (f"{over} results in the place" in str(built.program.plan)) == (over > 0)
        shared += over
        assert not any(n.aliased for n in apart.program.graph.nodes)
    assert shared > 16


def test_what_another_store_needs_is_not_written_over(drawing: Drawing) -> None:
    """One kernel with two results, which are read from one operand; and one where the second is read from another."""
    x, y, a, b = (Operand(n, "xyab"[n], dt.float32, (64,), output=n > 1, input=n < 2) for n in range(4))
    for second, expected in ((x, frozenset()), (y, frozenset({0, 1}))):
        d = Define("pair", [x, y, a, b])
        (i,) = d.axes((64,))
        d.store(0, [i], x[i] + 1)
        d.store(1, [i], second[i] + 2)
        first, other = (drawing.op("cumsum", drawing.input(64), axis=-1) for _ in range(2))
        results = [Ref(drawing.graph.buffer("output", drawing.layout(64)).number, drawing.layout(64)) for _ in range(2)]
        reads = (0, 1) if second is y else (0,)
        drawing.graph.nodes.append(Node("pair", (first, other, *results), reads, (2, 3), d.finish()))
        assert over.in_place(drawing.graph).nodes[-1].aliased == expected


def test_a_product_is_not_written_over_what_is_added_to_it(drawing: Drawing) -> None:
    """Many a library takes none that lies so."""
    x, w = drawing.input(64, 64), drawing.input(64, 64)
    drawing.keep(drawing.op("add", drawing.op("matmul", x, w), drawing.op("cumsum", x, axis=-2)))
    nodes = stages.build(drawing.graph, {}).program.graph.nodes
    assert [(n.op, n.aliased) for n in nodes] == [("cumsum", frozenset()), ("matmul+add", frozenset())]


def test_what_only_frees_memory_is_done_first(drawing: Drawing) -> None:
    """The last reader of a value, whose result is handed out anyway, runs before who wants memory of its own."""
    x = drawing.input(5000)
    first = drawing.op("cumsum", x, axis=-1)
    second = drawing.op("cumsum", first, axis=-1)
    most = drawing.op("amax", first, axes=(-1,))
    third = drawing.op("cumsum", drawing.op("cumsum", second, axis=-1), axis=-1)
    drawing.keep(drawing.op("amax", third, axes=(-1,)), most)
    (found,) = order.order(drawing.graph)
    assert [n.op for n in found.nodes] == ["cumsum", "amax", "cumsum", "cumsum", "cumsum", "amax"]
    assert list(order.order(found)) == []
    built = stages.build(drawing.graph, {})
    assert built.program.plan.nbytes < 2 * 5000 * 4
    given = np.random.default_rng(0).integers(-8, 8, 5000).astype(np.float32)
    assert run(built, {x.slot: given})[most.slot] == given.cumsum(dtype=np.float32).max()


def test_memory_from_before_is_not_changed_earlier_than_what_may_refuse(drawing: Drawing) -> None:
    """A step whose index is out of range has changed nothing, in whichever order it was planned."""
    x, held, table = drawing.input(5000), drawing.input(5000), drawing.input(5000)
    index = Ref(drawing.graph.buffer("input", Layout.dense((5000,), dt.int64, drawing.device)).number,
                Layout.dense((5000,), dt.int64, drawing.device))  # fmt: skip
    running = drawing.op("cumsum", x, axis=-1)
    read = drawing.op("gather", table, index, axis=-1)
    in_place(drawing, "add", held, running)
    drawing.keep(read)
    ops = [n.op for n in drawing.graph.nodes]
    assert [bool(n.definition and n.definition.checks) for n in drawing.graph.nodes] == [False, True, False], ops
    assert list(order.order(drawing.graph)) == []


def test_one_of_a_pair_of_programs_has_memory_for_temporaries_only_while_it_runs() -> None:
    """The numbers are the same, and between runs the memory is for others."""
    device = open_device("cpu")
    drawing = Drawing(device)
    x, w = drawing.input(700, 500), drawing.input(500, 600)
    rows = drawing.op("cumsum", x, axis=-1)
    columns = drawing.op("cumsum", rows, axis=-2)
    out = drawing.op("mul", drawing.op("matmul", rows, w), drawing.op("matmul", columns, w))
    drawing.keep(out)
    given = {x.slot: np.random.default_rng(0).standard_normal((700, 500)), w.slot: np.eye(500, 600)}
    lasting = stages.build(drawing.graph, {})
    wanted = run(lasting, given)[out.slot]
    before = device.pool.stats().used
    built = stages.build(drawing.graph, {}, lasting=False)
    assert built.program.plan.nbytes == lasting.program.plan.nbytes > 1 << 20
    for _ in range(3):
        np.testing.assert_array_equal(run(built, given)[out.slot], wanted)
        assert device.pool.stats().used < before + 1024
