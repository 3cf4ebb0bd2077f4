"""Which schedule a definition gets on a null device, and how it is shared out: launches, groups, vectors, parts."""

from __future__ import annotations

from typing import Any

import pytest
from ingot_devices import dtypes as dt
from ingot_devices.codegen.schedule import Identity, ScheduleCodegen
from ingot_devices.ir.expr import REQUIRED, Expr, walk
from ingot_devices.ir.program import rewritten
from ingot_devices.limits import Limits
from ingot_devices.opset.op import NUMBER, Spec
from null_device import CPU, GPU, NullDevice, compiled, defined, dense, shaped


class TestSchedules:
    def launches(self, limits: Any, name: str, specs: list[Any], **attrs: Any) -> Any:
        *_, definition = defined(name, specs, **attrs)
        device = NullDevice(limits)
        return device.codegen.plan(definition, dense(definition, device), device).launches

    def test_a_workgroup_per_row_with_barriers_on_lanes(self) -> None:
        (launch,) = self.launches(GPU, "softmax", [shaped(64, 1000)], axis=-1)
        assert launch.grid == (64, 1, 1)
        assert launch.program.workgroup == (64, 1, 1)  # 16 elements each
        assert launch.program.locals

    @pytest.mark.parametrize(
        ("name", "shape", "attrs"),
        [("softmax", (130, 7), {"axis": -2}), ("softmax", (3, 1 << 18), {"axis": -1}), ("sum", (500, 40), {"axes": (-2,)})],
    )
    def test_work_items_that_can_do_nothing_together_meet_at_no_barrier(
        self, name: str, shape: tuple[int, ...], attrs: dict[str, Any]
    ) -> None:
        alone = Limits(max_workgroup=1, workgroup_memory=0, lanes=1 << 16, compute_units=64)
        for launch in self.launches(alone, name, [shaped(*shape)], **attrs):
            assert launch.program.workgroup == (1, 1, 1) and not launch.program.locals
            assert "Barrier" not in repr(launch.program)

    def test_a_row_that_registers_hold_is_loaded_once(self) -> None:
        short, long = (compiled(NullDevice(GPU), "softmax", [shaped(64, n)], axis=-1)[0].source for n in (4096, 1 << 20))
        assert short.count("= x0[") == 1
        assert long.count("= x0[") > 3  # each stage and the write read it again

    @pytest.mark.parametrize(
        ("columns", "dtype", "size"),
        [(4096, dt.float32, 256), (4096, dt.bfloat16, 256), (600, dt.float32, 64), (12000, dt.float32, 1024)],
    )
    def test_a_workgroup_is_made_for_the_length_of_its_row(self, columns: int, dtype: dt.DType, size: int) -> None:
        (launch,) = self.launches(GPU, "sum", [shaped(9999, columns, dtype=dtype)], axes=(-1,))
        assert launch.program.workgroup == (size, 1, 1)

    @pytest.mark.parametrize(
        ("dtype", "columns", "multiple"),
        [(dt.float32, 4096, 4), (dt.bfloat16, 4096, 8), (dt.bfloat16, 4098, 2), (dt.float32, 4097, None), (dt.int8, 4096, 8)],
    )
    def test_vectors_are_as_wide_as_rows_allow(self, dtype: dt.DType, columns: int, multiple: int | None) -> None:
        for axis in (-1, -2):
            launch = self.launches(GPU, "amax", [shaped(9999, columns, dtype=dtype)], axes=(axis,))[0]
            assert launch.multiples.get(0) == multiple

    def test_columns_are_summed_in_parts_that_fill_the_device(self) -> None:
        parts, total = self.launches(GPU, "sum", [shaped(16384, 4096)], axes=(-2,))
        assert parts.grid == (64, 1, 1)  # 32 strips, of which each is cut in two, on 16 compute units
        assert total.grid == (1, 1, 1) or total.grid[0] <= 32
        assert "x0" not in {b.name for b in total.program.buffers}

    def test_columns_enough_are_not_cut(self) -> None:
        assert len(self.launches(GPU, "sum", [shaped(1000, 1 << 17)], axes=(-2,))) == 1

    def test_stages_of_few_long_rows_are_cut_one_after_the_other(self) -> None:
        launches = self.launches(GPU, "softmax", [shaped(2, 1 << 20)], axis=-1)
        assert len(launches) == 5  # parts and total of the maximum, of the sum; what is written
        assert not launches[-1].program.locals

    def test_what_is_written_everywhere_fills_the_device_behind_parts(self) -> None:
        channel, eps = shaped(8), Spec((), dt.float32, NUMBER)
        launches = self.launches(GPU, "batch_norm", [shaped(64, 8, 56, 56), channel, channel, eps])
        assert len(launches) == 5  # parts and total of the mean, of the variance; and the elements
        assert launches[-1].grid[0] > 100
        assert len(launches[-1].program.buffers) == launches[-1].program.buffers[-1].binding + 1
        assert sum(b.access == "w" for b in launches[3].program.buffers) > 3  # the channels' values beside the last total

    def test_loads_of_whole_matrices_say_what_lies_side_by_side(self) -> None:
        row, eps = shaped(8192, 1), Spec((), dt.float32, NUMBER)
        given = [shaped(8192, 1024), shaped(8192, 1024), row, row, eps]
        launches = self.launches(GPU, "layer_norm_weight_backward", given, count=1)
        assert launches[0].multiples == {0: 4, 1: 4}

    def test_a_sum_of_what_rows_gave_is_a_launch_of_its_own(self) -> None:
        specs = [shaped(8192, 5000), shaped(8192, dtype=dt.int64), None, None]
        rows, total = self.launches(GPU, "cross_entropy", specs, axis=-1)
        assert (rows.grid, total.grid) == ((8192, 1, 1), (1, 1, 1))
        assert len(self.launches(GPU, "cross_entropy", [shaped(64, 10), shaped(64, dtype=dt.int64), None, None], axis=-1)) == 1

    @pytest.mark.parametrize(("count", "groups"), [(8192, 21), (9, 3)])  # for each of the columns 7 work-items, or one
    def test_stores_that_combine_fill_the_device(self, count: int, groups: int) -> None:
        specs = [shaped(count, 768), shaped(count, dtype=dt.int64)]
        (adds,) = self.launches(GPU, "embedding_backward", specs, rows=4)
        assert adds.grid == (groups, 1, 1)

    @pytest.mark.parametrize("name", ["slice_backward", "embedding", "gather"])
    def test_stores_are_wide_where_loads_are_not(self, name: str) -> None:
        ids = shaped(50, dtype=dt.int64)
        cases: dict[str, tuple[list[Spec], dict[str, Any]]] = {
            "slice_backward": ([shaped(50, 40)], {"shape": (50, 64), "axis": -1, "start": 5, "stop": 45}),
            "embedding": ([shaped(99, 64), ids], {}),
            "gather": ([shaped(50, 99), shaped(50, 64, dtype=dt.int64)], {"axis": -1}),
        }
        specs, attrs = cases[name]
        (launch,) = self.launches(GPU, name, specs, **attrs)
        output = max(n for n in launch.operands if n >= 0)
        assert launch.multiples[output] == 4

    def test_no_barriers_on_a_cpu(self) -> None:
        (launch,) = self.launches(CPU, "softmax", [shaped(64, 1000)], axis=-1)
        assert not launch.program.locals
        assert launch.program.workgroup == (1, 1, 1)

    def test_few_long_rows_are_cut(self) -> None:
        launches = self.launches(CPU, "sum", [shaped(1 << 20)])
        assert [x.grid for x in launches] == [(32, 1, 1), (1, 1, 1)]  # parts, and their sum where it is stored

    def test_many_rows_are_not(self) -> None:
        assert len(self.launches(CPU, "sum", [shaped(100, 1 << 20)], axes=(-1,))) == 1

    def test_a_grid_within_the_limits(self) -> None:
        tight = NullDevice(GPU, max_grid=(7, 1, 1), max_workgroup=32).limits
        (launch,) = self.launches(tight, "neg", [shaped(1 << 20)])
        assert launch.grid[0] <= 7
        assert launch.program.workgroup == (32, 1, 1)

    def test_several_outputs_of_one_row_are_one_launch(self) -> None:
        weight, eps = shaped(1000), Spec((), dt.float32, NUMBER)
        assert len(self.launches(CPU, "layer_norm", [shaped(64, 1000), weight, weight, eps], count=1)) == 1

    def test_a_store_that_combines_runs_in_order(self) -> None:
        _, adds = compiled(NullDevice(), "embedding_backward", [shaped(9, 6), shaped(9, dtype=dt.int64)], rows=4)
        body = adds.source.split("{", 2)[2]  # ids in order outside, the columns of a work-item inside
        assert body.index("for (int i0_0 = 0; i0_0 < n0") < body.index("for (int i1_0 = start0; i1_0 < stop0")


class Required(Identity):
    """A renderer that has the required rows alone."""

    rows: frozenset[str] | None = REQUIRED


@pytest.mark.parametrize("limits", [CPU, GPU], ids=["one by one", "lanes"])
@pytest.mark.parametrize(
    ("name", "attrs"),
    [("amax", {"axes": (-1,)}), ("amin", {"axes": (-2,)}), ("argmax", {"axis": -1}), ("cummax", {"axis": -1}),
     ("cumprod", {"axis": -1}), ("softmax", {"axis": -1}), ("std", {"axes": (-1,), "correction": 1})],
)  # fmt: skip
def test_a_program_has_no_operator_without_a_row(limits: Limits, name: str, attrs: dict[str, Any]) -> None:
    *_, definition = defined(name, [shaped(40, 300)], **attrs)
    device = NullDevice(limits)
    found: set[str] = set()

    def seen(e: Expr) -> Expr:
        found.update(n.op for n in walk(e))
        return e

    for launch in ScheduleCodegen(Required()).plan(definition, dense(definition, device), device).launches:
        rewritten(launch.program.body, seen)
    assert "add" in found and found <= REQUIRED | {"const", "var", "get", "special"}
