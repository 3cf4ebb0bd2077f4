"""Planning of generated kernels on a null device: axes, classes, index width, bindings, limits, order of memory."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from ingot_devices import dtypes as dt
from ingot_devices import status
from ingot_devices.codegen import Unsupported, arguments
from ingot_devices.codegen.bind import bind
from ingot_devices.codegen.collapse import collapse
from ingot_devices.errors import DeviceIndexError
from ingot_devices.ir.definition import Define, Operand
from ingot_devices.ir.expr import walk
from ingot_devices.ir.program import Scalar
from ingot_devices.layout import Layout
from ingot_devices.opset.op import NUMBER, Spec
from null_device import GPU, NullDevice, compiled, defined, dense, shaped


def axes_of(name: str, specs: list[Any], strides: dict[int, tuple[int, ...]] | None = None, **attrs: Any) -> tuple[int, ...]:
    (definition,) = defined(name, specs, **attrs)
    layouts = dense(definition, NullDevice())
    for number, given in (strides or {}).items():
        old = layouts[number]
        layouts[number] = Layout.of(old.shape, given, old.dtype, old.device)
    return collapse(bind(definition, layouts)).extents


class TestCollapse:
    def test_dense_operands_become_one_axis(self) -> None:
        assert axes_of("add", [shaped(2, 3, 4, 5), shaped(2, 3, 4, 5)]) == (120,)

    def test_a_broadcast_row_keeps_two(self) -> None:
        assert axes_of("add", [shaped(2, 3, 4, 5), shaped(5)]) == (24, 5)

    def test_a_broadcast_column_keeps_two(self) -> None:
        assert axes_of("add", [shaped(6, 20), shaped(6, 1)]) == (6, 20)

    def test_axes_of_one_element_go(self) -> None:
        assert axes_of("neg", [shaped(1, 7, 1)]) == (7,)

    def test_a_gap_between_rows_keeps_the_rows(self) -> None:
        assert axes_of("neg", [shaped(3, 4)], {0: (5, 1)}) == (3, 4)

    def test_operands_that_are_transposed_alike_are_one_axis(self) -> None:
        assert axes_of("neg", [shaped(3, 4)], {0: (1, 3), 1: (1, 3)}) == (12,)

    def test_reduced_and_kept_axes_stay_apart(self) -> None:
        assert axes_of("sum", [shaped(2, 3, 4, 5)], axes=(-2, -1)) == (6, 20)

    def test_what_is_reduced_in_the_middle(self) -> None:
        assert axes_of("sum", [shaped(2, 3, 4, 5)], axes=(-3, -2)) == (2, 12, 5)

    def test_an_axis_split_by_quotient_and_remainder_is_whole_where_memory_runs_on(self) -> None:
        """A 1×1 convolution is a matrix product: batch, outputs, pixels, channels."""
        assert axes_of("convolution", [shaped(2, 3, 4, 5), shaped(6, 3, 1, 1), None]) == (2, 6, 20, 3)
        (definition,) = defined("convolution", [shaped(2, 3, 4, 5), shaped(6, 3, 1, 1), None])
        loops = bind(definition, dense(definition, NullDevice()))
        assert not any(n.op in ("idiv", "mod") for n in walk(*loops.roots()))

    def test_the_weight_of_a_convolution_is_a_matrix(self) -> None:
        (definition,) = defined("convolution", [shaped(2, 3, 6, 5), shaped(4, 3, 2, 3), None])
        loops = bind(definition, dense(definition, NullDevice()))
        weight, image = (n for n in walk(*loops.stages[0].values) if n.op == "get")
        assert {a.op for a in weight.args[0].args} == {"index"}
        assert {"idiv", "mod"} & {a.op for a in image.args[0].args}

    def test_an_index_that_is_a_value_of_its_own_is_not_merged_wrongly(self) -> None:
        assert axes_of("tril", [shaped(4, 5)], diagonal=0) == (4, 5)


class TestClasses:
    def test_one_kernel_serves_all_shapes_of_a_class(self) -> None:
        device = NullDevice()
        for n in range(2, 40):
            compiled(device, "add", [shaped(n, n + 1), shaped(n, n + 1)])
            compiled(device, "add", [shaped(n, 3 * n, n), shaped(3 * n, n)])
        assert device.codegen_stats.built == 2
        assert device.codegen_stats.compiled == 76

    def test_the_number_of_kernels_of_a_binary_op_is_bounded(self) -> None:
        device = NullDevice()
        (definition,) = defined("add", [shaped(6, 8), shaped(6, 8)])
        kinds = [(8, 1), (11, 1), (1, 6), (1, 9), (0, 1), (1, 0), (0, 0), (16, 2), (3, 7)]
        for a in kinds:
            for b in kinds:
                layouts = {
                    0: Layout.of((6, 8), a, dt.float32, device),
                    1: Layout.of((6, 8), b, dt.float32, device),
                    2: Layout.dense((6, 8), dt.float32, device),
                }
                device.codegen.compile(definition, layouts, device)
        assert len(kinds) ** 2 == 81
        assert device.codegen_stats.built <= 50  # seven kinds of layout for each operand

    def test_rows_of_any_length_share_a_kernel(self) -> None:
        device = NullDevice()
        for n in (17, 64, 100, 1000):
            compiled(device, "softmax", [shaped(64, n)], axis=-1)
        assert device.codegen_stats.built == 1

    def test_offsets_sizes_and_numbers_are_arguments(self) -> None:
        device = NullDevice()
        (kernel,) = compiled(device, "mul", [shaped(10), Spec((), dt.float32, NUMBER)])
        kernel.call((object(), 3), 2.5, (object(), 4))
        ((_, grid, block, given),) = device.launches
        fields = struct.unpack("@" + "i" * (len(given.scalars) // 4), given.scalars)
        assert {3, 4, 10} <= set(fields)
        assert struct.unpack("i", struct.pack("f", 2.5))[0] in fields
        assert grid == (1, 1, 1)
        assert block == (1, 1, 1)


class TestIndexWidth:
    def test_small_offsets_take_32_bits_and_large_ones_64(self) -> None:
        device = NullDevice()
        (kernel,) = compiled(device, "neg", [shaped(100)])
        kernel.call((object(), 0), (object(), 0))
        kernel.call((object(), 1 << 31), (object(), 0))
        narrow, wide = (launch[0] for launch in device.launches)
        assert "  int o0;" in narrow
        assert "  long o0;" in wide
        assert device.codegen_stats.built == 2

    def test_an_odd_offset_takes_a_kernel_that_loads_one_by_one(self) -> None:
        device = NullDevice(GPU)
        (kernel,) = compiled(device, "sum", [shaped(64, 4096)], axes=(-1,))
        for offset in (0, 4, 8, 1, 6, 0):
            kernel.call((object(), offset), (object(), 3))
        usual, odd = device.launches[0][0], device.launches[3][0]
        assert [launch[0] for launch in device.launches] == [usual, usual, usual, odd, odd, usual]
        assert "& (-4)" in usual
        assert "& (-4)" not in odd

    def test_a_large_operand_takes_64_bits(self) -> None:
        device = NullDevice()
        (kernel,) = compiled(device, "neg", [shaped(1 << 16, 1 << 16)])
        assert "long n0" in kernel.source

    def test_a_device_of_32_bits_refuses_what_it_cannot_reach(self) -> None:
        with pytest.raises(Unsupported, match="need 64 bits; null:0 has 32"):
            compiled(NullDevice(index_bits=32), "neg", [shaped(1 << 16, 1 << 16)])


class TestBindings:
    def test_operands_of_one_handle_are_one_binding(self) -> None:
        device = NullDevice()
        (kernel,) = compiled(device, "add", [shaped(8), shaped(8)])
        x, y = object(), object()
        kernel.call((x, 0), (y, 0), (x, 0))
        entry, _, _, given = device.launches[-1]
        assert [(b.handle, b.access) for b in given.bindings] == [(x, "rw"), (y, "r")]
        assert "restrict" not in entry.split("(", 2)[2]

    def test_inputs_of_one_handle_stay_apart(self) -> None:
        device = NullDevice()
        (kernel,) = compiled(device, "add", [shaped(8), shaped(8)])
        x, z = object(), object()
        kernel.call((x, 0), (x, 0), (z, 0))
        assert [(b.handle, b.access) for b in device.launches[-1][3].bindings] == [(x, "r"), (x, "r"), (z, "w")]
        assert device.codegen_stats.built == 1

    def test_too_many_buffers_are_refused(self) -> None:
        with pytest.raises(Unsupported, match="needs 3 buffers; null:0 takes 2"):
            compiled(NullDevice(max_bindings=2), "add", [shaped(2, 2)] * 2)

    def test_an_operand_beyond_the_reach_of_a_binding_is_refused(self) -> None:
        with pytest.raises(Unsupported, match="operand 0 spans 4000 bytes; a binding of null:0 reaches 2048"):
            compiled(NullDevice(max_binding=2048), "neg", [shaped(1000)])

    def test_too_many_scalars_are_refused(self) -> None:
        with pytest.raises(Unsupported, match="bytes of scalars; null:0 takes 16"):
            compiled(NullDevice(max_argument_bytes=16), "add", [shaped(4, 5), shaped(5)])


class TestTypes:
    def test_a_refused_dtype_says_why(self) -> None:
        with pytest.raises(Unsupported, match="this device has no float64"):
            compiled(NullDevice(), "neg", [shaped(3, dtype=dt.float64)])

    def test_a_refused_dtype_inside_an_expression(self) -> None:
        with pytest.raises(Unsupported, match="no float64"):
            compiled(NullDevice(), "cast", [shaped(3)], dtype=dt.float64)

    def test_a_number_is_passed_in_the_type_it_is_used_in(self) -> None:
        (kernel,) = compiled(NullDevice(), "add", [shaped(3), Spec((), dt.int64, NUMBER)])
        assert "float p1;" in kernel.source


class TestOrderOfMemory:
    def test_in_place_of_the_same_elements(self) -> None:
        device = NullDevice()
        (definition,) = defined("add", [shaped(4, 5), shaped(4, 5)])
        device.codegen.compile(definition, dense(definition, device), device, frozenset({0}))

    def test_reading_other_elements_than_are_written_is_refused(self) -> None:
        device = NullDevice()
        (definition,) = defined("flip", [shaped(4, 5)], axes=(-1,))
        with pytest.raises(Unsupported, match="other elements"):
            device.codegen.compile(definition, dense(definition, device), device, frozenset({0}))

    def test_a_row_kernel_may_write_into_its_operand(self) -> None:
        device = NullDevice(GPU)
        (definition,) = defined("softmax", [shaped(4, 500)], axis=-1)
        device.codegen.compile(definition, dense(definition, device), device, frozenset({0}))

    def test_a_broadcast_operand_may_not_be_written_over(self) -> None:
        device = NullDevice()
        d = Define("spread", [Operand(0, "x", dt.float32, (4, 5), output=True), Operand(1, "y", dt.float32, (5,))])
        i, j = d.axes((4, 5))
        d.store(0, [i, j], d.operands[0][0, j] + d.operands[1][j])
        definition = d.finish()
        with pytest.raises(Unsupported, match="other elements"):
            device.codegen.compile(definition, dense(definition, device), device)


class TestEmpty:
    def test_no_element_means_no_launch(self) -> None:
        device = NullDevice()
        (kernel,) = compiled(device, "add", [shaped(0, 3), shaped(3)])
        kernel.call((object(), 0), (object(), 0), (object(), 0))
        assert not device.launches
        assert kernel.launches == 0

    def test_a_reduction_over_nothing_is_launched(self) -> None:
        device = NullDevice()
        (kernel,) = compiled(device, "sum", [shaped(0, 3)], axes=(-2,))
        kernel.call((object(), 0), (object(), 0))
        assert len(device.launches) == 1


class TestArguments:
    def test_the_block_has_the_layout_of_a_c_struct(self) -> None:
        scalars = [Scalar("a", dt.int64), Scalar("b", dt.index), Scalar("c", dt.float32), Scalar("d", dt.bool_)]
        assert arguments.block(scalars, 32).size == 24
        assert arguments.block(scalars[1:], 32).size == 12
        assert arguments.block([], 32).size == 0

    @pytest.mark.parametrize(
        ("dtype", "given", "expected"),
        [
            (dt.int32, 1 << 31, -(1 << 31)), (dt.uint8, -1, 255), (dt.int64, 5.9, 5), (dt.bool_, 3, True),
            (dt.float32, 1e40, np.inf), (dt.float32, -1e40, -np.inf), (dt.float64, 2, 2.0),
        ],
    )  # fmt: skip
    def test_numbers_become_what_the_kernel_takes(self, dtype: Any, given: Any, expected: Any) -> None:
        assert arguments.converter(dtype)(given) == expected


class TestStatus:
    def failed(self, device: NullDevice, ticket: int) -> None:
        device.copy_in(status.word(device), 0, memoryview(ticket.to_bytes(4, "little")))

    def test_a_refused_index_names_op_and_line(self) -> None:
        device = NullDevice()
        first = status.ticket(device, "embedding", ["index out of range"])
        status.ticket(device, "gather", ["index out of range"])
        self.failed(device, first)
        with pytest.raises(DeviceIndexError, match=r"embedding: index out of range .*test_codegen_plan.py:\d+"):
            status.check(device)
        status.finish(device)  # it is told once

    def test_nothing_is_read_where_no_launch_checks(self) -> None:
        device = NullDevice()
        status.check(device)
        assert not device.launches

    def test_a_kernel_with_checks_binds_the_word_and_passes_its_ticket(self) -> None:
        device = NullDevice()
        (kernel,) = compiled(device, "gather", [shaped(5), shaped(3, dtype=dt.int64)], axis=-1)
        kernel.call((object(), 0), (object(), 0), (object(), 0))
        assert device.launches[-1][3].bindings[-1].handle is status.word(device)
        assert "status[0] = ticket" in kernel.source

    def test_the_word_can_be_given_back(self) -> None:
        device = NullDevice()
        word = status.word(device)
        status.release(device)
        assert not word
        assert status.word(device) is not word
