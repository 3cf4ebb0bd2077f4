"""Fused attention and its gradients: what the compiler makes of them (no GPU is needed), and what they compute (SIMULATED)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cuda_programs
import pytest
from ingot_cuda import compiler
from ingot_cuda.attention import Problem

ATTEND = """
f = ingot.nn.functional
rng = np.random.default_rng(0)
def t(*shape, dtype):
    return ingot.tensor(rng.standard_normal(shape).astype(np.float32), device="cuda").to(dtype)
def n(x):
    return x.detach().to(ingot.float32).cpu().numpy().astype(np.float64)
def turned(x):
    return np.swapaxes(x, -1, -2)
def reference(q, k, v, slope, causal, scale=None):
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    s = q @ turned(k) * scale
    if causal:
        i, j = np.indices(s.shape[-2:])
        s = np.where(j <= i, s, -np.inf)
    e = np.exp(s - s.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    up = slope @ turned(v)
    back = p * (up - (up * p).sum(-1, keepdims=True)) * scale
    return p @ v, back @ k, turned(back) @ q, turned(p) @ slope
def far(q, k, v, slope, causal=False, scale=None):
    given = [x.detach().requires_grad_() for x in (q, k, v)]
    out = f.scaled_dot_product_attention(*given, is_causal=causal, scale=scale)
    out.backward(slope)
    wanted = reference(n(q), n(k), n(v), n(slope), causal, scale)
    return [float(np.abs(n(x) - w).max()) for x, w in zip((out, *(x.grad for x in given)), wanted)]
SHAPES = ((1, 2, 5, 7, 16), (1, 1, 70, 130, 16), (2, 1, 64, 64, 32), (1, 1, 130, 70, 64), (1, 1, 65, 33, 80),
          (1, 1, 40, 70, 128))
for name in ("float16", "bfloat16"):
    d = getattr(ingot, name)
    for batch, heads, queries, keys, size in SHAPES:
        q, k, v, slope = (t(batch, heads, n_, size, dtype=d) for n_ in (queries, keys, keys, queries))
        for causal in (False, True):
            found.setdefault(name, []).append(far(q, k, v, slope, causal))
    q = t(2, 9, 3, 16, dtype=d).transpose(1, 2)
    found[name].append(far(q, q, q, t(2, 9, 3, 16, dtype=d).transpose(1, 2)))
    q = t(1 + 4 * 9 * 16, dtype=d)[1:].reshape(4, 9, 16)
    found[name].append(far(q, q, q, q))
    found[name].append(far(q, q, q, ingot.ones(1, device="cuda").to(d).expand(4, 9, 16)))
q, k, v, slope = (t(1, 1, n_, 32, dtype=ingot.float16) for n_ in (150, 140, 140, 150))
found["scales"] = [far(q, k, v, slope, causal, scale) for causal in (False, True) for scale in (-0.2, 0.0, 0.7)]
q = t(1, 4, 3, 16, dtype=ingot.float16)
dead = q.clone()
dead[0, 1, 2, 5] = float("nan")
found["nan"] = [bool(ingot.isnan(f.scaled_dot_product_attention(dead, q, q)[0, 1, r]).all()) for r in range(3)]
high = ingot.ones(1, 1, 2, 16, device="cuda").to(ingot.bfloat16) * 1e30
q, k, v = (x.detach().requires_grad_() for x in (-high, high, high * 1e-30))
out = f.scaled_dot_product_attention(q, k, v)
out.sum().backward()
found["nobody"] = [float(np.abs(n(x)).max()) for x in (out, v.grad)]
from ingot.dispatch import launch_counts
found["registered"] = launch_counts("cuda:0")["registered"]
q, k, v = (t(1, 2, 70, 32, dtype=ingot.bfloat16).requires_grad_() for _ in range(3))
slope, runs = t(1, 2, 70, 32, dtype=ingot.bfloat16), []
for _ in range(2):
    out = f.scaled_dot_product_attention(q, k, v, is_causal=True)
    runs.append([n(x) for x in ingot.autograd.grad(out, (q, k, v), slope)])
found["same bits"] = all(bool((a == b).all()) for a, b in zip(*runs))
q, k, v = (x.detach()[..., :5, :].requires_grad_() for x in (q, k, v))
slope = slope[..., :5, :].detach().requires_grad_()
first = ingot.autograd.grad(f.scaled_dot_product_attention(q, k, v), q, slope, create_graph=True)[0]
(second,) = ingot.autograd.grad(first.sum(), slope)
found["second order"] = bool(ingot.isfinite(second.to(ingot.float32)).all()) and float(np.abs(n(second)).max()) > 0
packed = t(2, 9, 3 * 4 * 16, dtype=ingot.bfloat16)
def attend(packed, slope):
    packed = packed.detach().requires_grad_()
    q, k, v = (x.reshape(2, 9, 4, 16).transpose(1, 2) for x in packed.chunk(3, -1))
    out = f.scaled_dot_product_attention(q, k, v, is_causal=True)
    return out, ingot.autograd.grad(out, packed, slope)[0]
slope = t(2, 4, 9, 16, dtype=ingot.bfloat16)
out, grad = attend(packed, slope)
found["rows of all heads"] = [list(out.stride()), out.transpose(1, 2).reshape(2, 9, 64).data_ptr() == out.data_ptr()]
wanted = reference(*(np.swapaxes(x.reshape(2, 9, 4, 16), 1, 2) for x in np.split(n(packed), 3, -1)), n(slope), True)
joined = np.concatenate([np.swapaxes(x, 1, 2).reshape(2, 9, 64) for x in wanted[1:]], -1)
found["packed"] = [float(np.abs(n(out) - wanted[0]).max()), float(np.abs(n(grad) - joined).max())]
compiled = ingot.compile(attend)
for _ in range(4):
    again = compiled(packed, slope)
found["compiled"] = [bool((n(x) == n(y)).all()) for x, y in zip(again, (out, grad))]
from ingot_devices.explain import explain
from ingot_devices import dtypes as dt
def why(dtype, shapes):
    considered = explain("scaled_dot_product_attention", opened(), (dtype,), shapes).considered
    return next(c.refused for c in considered if c.route == "registered")
found["float32"] = why(dt.float32, ((1, 2, 8, 16),) * 3)
found["odd size"] = why(dt.float16, ((1, 2, 8, 12),) * 3)
found["rank"] = why(dt.float16, ((1, 2, 2, 8, 16),) * 3)
"""


@pytest.fixture(scope="module")
def nvrtc() -> Any:
    """NVRTC, where ``cuda.bindings`` and the library are installed (`uv sync --group nvrtc`)."""
    module = pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings is not installed: `uv sync --group nvrtc`")
    module.nvrtcVersion()
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where compiled kernels are kept: each is made once for all tests here."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def attended(folder: Path) -> dict[str, Any]:
    return cuda_programs.run(ATTEND, folder)


class TestAttention:
    @pytest.mark.parametrize(("dtype", "bound"), [("float16", 4e-3), ("bfloat16", 3e-2)])
    def test_it_and_its_gradients_against_their_definition(self, attended: dict[str, Any], dtype: str, bound: float) -> None:
        assert len(attended[dtype]) == 15
        for value, *gradients in attended[dtype]:
            assert value < bound / 2 and max(gradients) < bound

    def test_any_scale_is_taken(self, attended: dict[str, Any]) -> None:
        """Below 0 the least score has the greatest weight, with 0 all weigh the same; and whole tiles are seen by all rows."""
        assert max(max(x) for x in attended["scales"]) < 8e-3

    def test_they_were_the_fused_kernels(self, attended: dict[str, Any]) -> None:
        assert attended["registered"] == 2 * 15 * 3 + 6 * 3 + 3 + 3  # none by its parts: one launch forward, two backward

    def test_nan_stays_in_its_row(self, attended: dict[str, Any]) -> None:
        assert attended["nan"] == [False, False, True]

    def test_a_query_whose_scores_are_all_minus_infinity_gives_zeros(self, attended: dict[str, Any]) -> None:
        assert attended["nobody"] == [0.0, 0.0]

    def test_sums_are_always_taken_alike(self, attended: dict[str, Any]) -> None:
        assert attended["same bits"]

    def test_heads_that_came_within_rows_leave_within_rows(self, attended: dict[str, Any]) -> None:
        assert attended["rows of all heads"] == [[9 * 64, 16, 64, 1], True]
        assert max(attended["packed"]) < 3e-2

    def test_a_compiled_program_gives_the_same_bits(self, attended: dict[str, Any]) -> None:
        assert attended["compiled"] == [True, True]

    def test_the_second_order_goes_through_the_parts(self, attended: dict[str, Any]) -> None:
        assert attended["second order"]

    def test_what_it_does_not_take_is_told(self, attended: dict[str, Any]) -> None:
        assert attended["float32"] == "takes no float32"
        assert "a multiple of 16 up to 128" in attended["odd size"]
        assert "up to two leading axes" in attended["rank"]


class TestSource:
    @pytest.mark.parametrize("name", ["attention", "attention_queries", "attention_keys"])
    @pytest.mark.parametrize("half", [False, True])
    def test_it_uses_tensor_cores_and_copies_on_the_way(self, nvrtc: Any, name: str, half: bool) -> None:
        text = attention_source(name, half, 64, True, True)
        ptx = compiler.compile_source(text, f"ingot_{name}", "compute_80").decode()
        kind = "f16.f16" if half else "bf16.bf16"
        assert f"mma.sync.aligned.m16n8k16.row.col.f32.{kind}.f32" in ptx
        assert "cp.async.cg.shared.global" in ptx and "ldmatrix.sync.aligned.m8n8.x4.trans" in ptx

    @pytest.mark.parametrize("name", ["attention", "attention_queries", "attention_keys"])
    @pytest.mark.parametrize(("target", "most"), [("sm_80", 10), ("sm_90", 0), ("sm_100", 10)])
    def test_its_registers_suffice(self, nvrtc: Any, name: str, target: str, most: int) -> None:
        """At most so many are spilled for any head size, causal and aligned or not (each once for every size).

        At size 64 all are in use: an assembler may put addresses by before the loop over tiles, and fetch one for each tile.
        """
        for size in range(16, 129, 16):
            causal, aligned = size // 16 % 2 == 0, size // 32 % 2 == 0 or size >= 64
            told = resources(nvrtc, attention_source(name, False, size, causal, aligned), target)
            spilled = re.search(r"(\d+) bytes spill stores", told)
            assert spilled is not None and int(spilled[1]) <= most * 4, (size, told)


def attention_source(name: str, half: bool, size: int, causal: bool, aligned: bool) -> str:
    """A kernel of attention, as the plugin builds it."""
    return Problem(half, size, causal, 1, 1, 1, 1, ()).source(f"{name}.cu", aligned)


def resources(nvrtc: Any, source: str, target: str) -> str:
    """What the assembler tells of a kernel."""
    _, program = nvrtc.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, [], [])
    options = [o.encode() for o in (f"--gpu-architecture={target}", *compiler.OPTIONS, "--ptxas-options=-v")]
    assert nvrtc.nvrtcCompileProgram(program, len(options), options)[0] == nvrtc.nvrtcResult.NVRTC_SUCCESS
    log = b"\0" * int(nvrtc.nvrtcGetProgramLogSize(program)[1])
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(program)
    return log.decode()
