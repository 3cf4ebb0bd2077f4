"""Convolution by a stand-in for cuDNN on the simulated driver (SIMULATED): what the plugin describes is what it means.

The stand-in refuses descriptors that do not fit each other, operands that are not aligned and a workspace of another size, and
ranks algorithms first that must not be taken.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cuda_programs
import pytest

CONVOLVE = """
from ingot_cuda import cudnn
from ingot_devices import precision
F = ingot.nn.functional
lib = cudnn.Library(os.environ["STAND_IN"])
rng = np.random.default_rng(0)
def run(given, x, w, bias, **how):
    here = [ingot.tensor(v, device="cuda").to(given).requires_grad_() for v in (x, w, bias) if v is not None]
    function = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[x.ndim]
    y = function(*here, **how)
    (y.float() * 2).sum().backward()
    return [v.detach().float().cpu().numpy() for v in (y, *(v.grad for v in here))]
CASES = {
    "plain": ((2, 3, 8, 8), (4, 3, 3, 3), {}),
    "padded": ((2, 3, 9, 7), (4, 3, 3, 3), {"padding": 1}),
    "stepped": ((2, 4, 16, 16), (8, 4, 7, 7), {"padding": 3, "stride": 2}),
    "one by one": ((2, 4, 6, 6), (8, 4, 1, 1), {"stride": 2}),
    "dilated": ((1, 2, 12, 12), (2, 2, 3, 3), {"dilation": (2, 3), "padding": (2, 1)}),
    "grouped": ((2, 6, 7, 7), (4, 3, 3, 3), {"groups": 2, "padding": 1}),
    "of each channel": ((2, 5, 7, 7), (5, 1, 3, 3), {"groups": 5}),
    "one axis": ((2, 3, 20), (4, 3, 5), {"padding": 2, "stride": 3}),
    "three axes": ((1, 2, 5, 6, 7), (3, 2, 2, 3, 2), {"padding": 1}),
}
answers = {}
for route in ("own", "library"):
    cudnn._find = (lambda: lib) if route == "library" else (lambda: "cuDNN is not found (on purpose)")
    ingot.dispatch.forget_plans()
    before = dict(ingot.dispatch.launch_counts("cuda:0"))
    answers[route] = {}
    rng = np.random.default_rng(0)
    for name, (x, w, how) in CASES.items():
        given = [rng.standard_normal(s).astype(np.float32) for s in (x, w, w[:1])]
        for dtype in (ingot.float32, ingot.float16, ingot.bfloat16):
            for bias in (None, given[2]):
                answers[route][name, str(dtype), bias is None] = run(dtype, *given[:2], bias, **how)
    after = ingot.dispatch.launch_counts("cuda:0")
    found[route] = after.get("registered", 0) - before.get("registered", 0)
bounds = {"ingot.float32": 1e-5, "ingot.float16": 2e-3, "ingot.bfloat16": 2e-2}
found["wrong"] = []
for key, wanted in answers["own"].items():
    for which, (a, b) in enumerate(zip(answers["library"][key], wanted, strict=True)):
        bound = next(v for k, v in bounds.items() if k.endswith(key[1].split(".")[-1]))
        far = float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-6))
        if a.shape != b.shape or not far <= bound:
            found["wrong"].append([*map(str, key), which, far])
found["compared"] = len(answers["own"])

# memory that begins at an odd place, and another padding before than after
from ingot_devices.explain import explain
x = ingot.tensor(rng.standard_normal((3, 1, 5, 5)).astype(np.float32), device="cuda")
w = ingot.tensor(rng.standard_normal((2, 1, 3, 3)).astype(np.float32), device="cuda")
found["offset"] = float((F.conv2d(x[1:], w) - F.conv2d(x, w)[1:]).abs().max())
found["recent"] = "cudnnConvolutionForward" in opened().recent
b = ingot.nn.functional
x1 = F.conv1d(ingot.ones(1, 1, 6, device="cuda"), ingot.ones(1, 1, 4, device="cuda"), padding="same")
found["uneven"] = x1.tolist()

# the switches
def maths():
    made = []
    class Spy(cudnn.Convolution):
        def __init__(self, *a, **k):
            made.append([a[5], a[6]])
            super().__init__(*a, **k)
    from ingot_cuda import convolution
    kept, convolution.Convolution = convolution.Convolution, Spy
    ingot.dispatch.forget_plans()
    F.conv2d(x, w)
    F.conv2d(x.half(), w.half())
    convolution.Convolution = kept
    return made
found["at first"] = maths()
with precision.exact():
    found["exact"] = maths()
ingot.backends.cudnn.allow_tf32 = False
ingot.backends.cudnn.deterministic = False
found["set"] = maths()
"""


@pytest.fixture(scope="module")
def convolved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("convolution")
    stand_in = cuda_programs.library(folder, "cuda_dnn.c")
    return cuda_programs.run(CONVOLVE, folder, STAND_IN=str(stand_in))


def test_results_and_gradients_are_those_of_the_plugin_s_own_kernels(convolved: dict[str, Any]) -> None:
    assert convolved["wrong"] == []
    assert convolved["compared"] == 9 * 3 * 2


def test_they_were_the_library_s(convolved: dict[str, Any]) -> None:
    ran = convolved["library"] - convolved["own"]
    assert ran >= 9 * 3 * 2 * 3  # forward and two gradients each
    assert convolved["recent"]


def test_memory_that_is_not_aligned_is_copied(convolved: dict[str, Any]) -> None:
    assert convolved["offset"] < 1e-5


def test_what_the_library_does_not_take_is_computed_all_the_same(convolved: dict[str, Any]) -> None:
    assert convolved["uneven"] == [[[3.0, 4.0, 4.0, 4.0, 3.0, 2.0]]]


def test_switches(convolved: dict[str, Any]) -> None:
    """TF32 is allowed at first, other bits each time are not; halves are multiplied on tensor cores in any case."""
    assert convolved["at first"] == [[0, False], [1, False]]
    assert convolved["exact"] == [[3, False], [1, False]]
    assert convolved["set"] == [[3, True], [1, True]]
