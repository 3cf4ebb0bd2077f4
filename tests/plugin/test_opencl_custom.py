"""Source kernels in OpenCL C: what a text may name, how it is launched, and errors at the author's own line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ingot_devices import open_device, ready
from ingot_devices.custom import source_kernel
from ingot_devices.errors import DeclarationError, IngotError, KernelBuildError
from ingot_devices.registry import registry

pytestmark = pytest.mark.skipif(
    not any(name.startswith("opencl") for name in ready()), reason="no OpenCL device is ready; `ingot devices` says why"
)
HERE = Path(__file__).name


def here(marker: str) -> int:
    """The line of this file on which ``marker`` stands."""
    lines = Path(__file__).read_text("utf-8").splitlines()
    return next(k for k, line in enumerate(lines, 1) if marker in line and "here(" not in line)


@pytest.fixture
def t() -> Any:
    import ingot

    return ingot


@pytest.fixture(autouse=True)
def owned() -> Iterator[None]:
    """Forgets the kernels that a test registers."""
    yield
    registry.remove(HERE)


def double(t: Any) -> Any:
    """An op that doubles, made of ops."""
    return t.library.kernel_of(
        t.library.declare("double", operands="x", result="x", decompose=lambda b, x: b.mul(x, 2.0), add=False)
    )


def on_opencl(t: Any, values: Any) -> Any:
    return t.tensor(np.asarray(values, np.float32), device="opencl")


# ---- what a text may name ----------------------------------------------------------------------------------------------
def test_operands_by_name_sizes_constants_and_types(t: Any) -> None:
    op = double(t)
    kernel = op.source("opencl", """
        const index_t i = get_global_id(0);
        if (i < x_size) out[i] = (out_t)(FACTOR * x[i] + x_shape0 - x_shape1 + SHIFT - WIDE);
    """, constants={"FACTOR": 2, "SHIFT": 1.5, "WIDE": lambda x: x.shape[-1]}, register=False)  # fmt: skip
    x = on_opencl(t, [[1, 2, 3], [4, 5, 6]])
    with t.use_kernel(kernel):
        assert op(x).tolist() == [[-0.5, 1.5, 3.5], [5.5, 7.5, 9.5]]  # 2x + 2 - 3 + 1.5 - 3 + 2
    assert op(x).tolist() == [[2, 4, 6], [8, 10, 12]]


def test_views_are_moved_by_their_offset_and_strides_can_be_taken(t: Any) -> None:
    op = double(t)
    text = """
        const index_t i = get_global_id(0);
        if (i < out_size) out[i] = 2 * x[i * x_stride0];
    """
    dense = op.source("opencl", text, register=False)
    strided = op.source("opencl", text, layout="any", register=False)
    x = on_opencl(t, np.arange(10))
    for kernel in (dense, strided):
        with t.use_kernel(kernel):
            assert op(x[3:]).tolist() == [6, 8, 10, 12, 14, 16, 18]
            assert op(x[1::3]).tolist() == [2, 8, 14]


def test_workgroup_memory_helpers_and_functions_of_shapes(t: Any) -> None:
    op = t.library.kernel_of(
        t.library.declare("totals", operands="x", result=lambda x: (x.shape[:-1], x.dtype), gradient=None, add=False)
    )
    op.source("opencl", """
        part[get_local_id(0)] = twice(x[get_group_id(0) * N + get_local_id(0)]);
        barrier(CLK_LOCAL_MEM_FENCE);
        if (get_local_id(0) == 0) {
            out_t total = 0;
            for (int k = 0; k < N; k++) total += part[k];
            out[get_group_id(0)] = total;
        }
    """, helpers="float twice(float v) { return 2 * v; }", constants={"N": lambda x: x.shape[1]},
        grid=lambda out: out.size, block=lambda N: N, local={"part": ("x_t", lambda N: N)})  # fmt: skip
    assert op(on_opencl(t, [[1, 2, 3], [4, 5, 6]])).tolist() == [12, 30]


def test_operands_that_share_a_buffer_are_one_binding(t: Any) -> None:
    """The step of an optimizer writes into its operand; here both lie in one buffer."""
    kernel = source_kernel("sgd_step", "opencl", """
        const index_t i = get_global_id(0);
        if (i < param_size) param[i] -= 0.5f * grad[i];
    """)  # fmt: skip
    both = on_opencl(t, [1, 2, 3, 4])
    with t.use_kernel(kernel), t.no_grad():
        t.ops.sgd_step_(both[:2], both[2:], lr=1.0)
    assert both.tolist() == [-0.5, 0.0, 3.0, 4.0]


def test_a_kernel_of_the_house_can_be_replaced_and_compared(t: Any) -> None:
    registry.register(source_kernel("silu", "opencl", """
        const index_t i = get_global_id(0);
        if (i < out_size) out[i] = 42;
    """, priority=3, owner=HERE))  # fmt: skip
    x = on_opencl(t, [0.0])
    assert t.nn.functional.silu(x).tolist() == [42.0]
    for how in ({"owner": HERE}, {"op": "silu"}, {"device": "opencl"}):
        with t.without_kernels(**how):
            assert t.nn.functional.silu(x).tolist() == [0.0]
    from ingot_devices.explain import explain

    found = explain("silu", open_device("opencl"))
    assert (found.route, found.considered[0].owner) == ("registered", HERE)
    assert f"runs silu: registered, 1 launch, written at {__file__}:" in found.text()
    with t.without_kernels(op="silu"):
        found = explain("silu", open_device("opencl"))
    assert (found.route, found.considered[0].refused) == ("generated", "switched off")


def test_types_that_the_device_keeps_otherwise_are_declined_with_a_reason(t: Any) -> None:
    op = double(t)
    op.source("opencl", "if (get_global_id(0) < x_size) out[get_global_id(0)] = 3 * x[get_global_id(0)];")
    half = t.tensor([1.0, 2.0], dtype=t.float16, device="opencl")
    assert op(half).tolist() == [2.0, 4.0]  # made of ops
    assert op(half.float()).tolist() == [3.0, 6.0]
    from ingot_devices import dtypes as dt
    from ingot_devices.explain import explain

    text = explain(op.op, open_device("opencl"), [dt.bfloat16]).text()
    assert "x is bfloat16, which opencl:0 keeps as uint16; list it in dtypes= to take it" in text


def test_a_block_that_is_too_large_is_declined_with_the_limit(t: Any) -> None:
    op = double(t)
    op.source("opencl", "out[get_global_id(0)] = x[get_global_id(0)];", block=1 << 20)
    from ingot_devices.explain import explain

    assert "is more than opencl:0 takes" in explain(op.op, open_device("opencl")).text()


# ---- errors ----------------------------------------------------------------------------------------------------------
def test_a_syntax_error_is_told_at_the_authors_line(t: Any) -> None:
    op = double(t)
    op.source("opencl", """
        const index_t i = get_global_id(0);
        out[i] = 2 * y[i];  // the wrong line of C
    """)  # fmt: skip
    with pytest.raises(KernelBuildError) as caught:
        op(on_opencl(t, [1.0]))
    line = here("// the wrong line of C")
    assert str(caught.value).startswith(f"{__file__}:{line}: opencl:0 refused this kernel of double: ")
    assert "use of undeclared identifier 'y'" in str(caught.value)
    assert "out[i] = 2 * y[i];  // the wrong" in str(caught.value)
    assert "y[i]" in caught.value.source and "error" in caught.value.log


def test_an_error_in_the_helpers_is_told_there(t: Any) -> None:
    op = double(t)
    op.source("opencl", "out[0] = f(x[0]);", helpers="""
        float f(float v) {
            return w;  // the wrong helper
        }
    """)  # fmt: skip
    with pytest.raises(KernelBuildError) as caught:
        op(on_opencl(t, [1.0]))
    line = here("// the wrong helper")
    assert str(caught.value).startswith(f"{__file__}:{line}: ")


@pytest.mark.parametrize(
    ("text", "how", "message"),
    [
        ("y[0] = x[0];", {}, "never names 'out', which it has to write; the operands of double are x, its outputs out"),
        ("out[0] = x[0];", {"grid": 1, "threads": 1}, "give grid (workgroups) or threads (work-items), not both"),
        ("out[0] = x[0];", {"grid": lambda y: 1}, "a function of shapes asks for ['y']; it can have ['out', 'x']"),
        ("out[0] = x[0];", {"grid": (1, 1, 1, 1)}, "a grid or a block has one to three sizes"),
    ],
)
def test_a_wrong_source_says_where_and_why(t: Any, text: str, how: dict[str, Any], message: str) -> None:
    op = double(t)
    with pytest.raises(IngotError) as caught, t.use_kernel(op.source("opencl", text, register=False, **how)):
        op(on_opencl(t, [1.0]))
    assert HERE in str(caught.value) and message in str(caught.value)


def test_an_op_that_nobody_declared() -> None:
    with pytest.raises(DeclarationError, match=rf"{HERE}:\d+: no op is called 'nothing'"):
        source_kernel("nothing", "opencl", "out[0] = 1;")


def test_a_device_without_a_language_of_its_own_says_so(t: Any) -> None:
    op = double(t)
    op.source("cpu", "out[0] = x[0];")
    from ingot_devices.explain import explain

    assert "cpu:0 takes no source kernels" in explain(op.op, open_device("cpu")).text()
    with pytest.raises(TypeError, match="use_kernel takes kernels"):
        t.use_kernel(op)


# ---- INGOT_DEBUG -----------------------------------------------------------------------------------------------------
OUTSIDE = """
import ingot
from ingot import library
op = library.kernel_of(library.declare("double", operands="x", result="x", gradient=None, add=False))
op.source("opencl", '''
    out[get_global_id(0) + SHIFT] = 2 * x[get_global_id(0)];
''', block=1, threads=10, constants={"SHIFT": %d})
print(op(ingot.ones(10, device="opencl")))
"""


@pytest.mark.parametrize(("shift", "where"), [(1, "4 bytes from byte 40 on, behind"), (-1, "from byte -4 on, before")])
def test_a_kernel_that_writes_out_of_bounds_is_named_with_its_text(tmp_path: Path, shift: int, where: str) -> None:
    path = tmp_path / "program.py"
    path.write_text(OUTSIDE % shift)
    environment = {**os.environ, "INGOT_DEBUG": "bounds"}
    command = [sys.executable, str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert f"double on opencl:0 [registered], called at {path}:8, wrote outside its memory: " in done.stderr
    assert where in done.stderr and "a block of 40 bytes (made at" in done.stderr
    assert f"The kernel is written at {path}:5: guard its index by the sizes of its operands" in done.stderr


# ---- opcheck is hard to fool -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("if (get_global_id(0) + 1 < x_size) out[get_global_id(0)] = 2 * x[get_global_id(0)];", "is nan, its reference"),
        ("if (get_global_id(0) < x_size) out[get_global_id(0)] = 2 * x[0];", "elements differ by more than"),
        ("if (get_global_id(0) < x_size) out[get_global_id(0)] = 2.0001f * x[get_global_id(0)];", "elements differ by more"),
    ],
)
def test_a_wrong_kernel_is_caught_from_the_declaration(t: Any, text: str, fault: str) -> None:
    op = t.library.kernel_of(t.library.declare(
        "double", operands="x", result="x", decompose=lambda b, x: b.mul(x, 2.0), reference=lambda x: 2 * x, add=False
    ))  # fmt: skip
    t.library.opcheck(op, device="opencl")
    op.source("opencl", text)
    with pytest.raises(AssertionError, match=fault):
        t.library.opcheck(op, device="opencl")
