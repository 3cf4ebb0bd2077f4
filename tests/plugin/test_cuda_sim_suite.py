"""The device suite on the simulated driver: it says that it is simulated, and a wrong kernel fails it. Mutants, as text."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cuda_sim.build import BuildFailed, build
from cuda_sim.mutants import packed, unpacked
from cuda_sim.mutate import OPERATORS, Mutant, mutants

ROOT = Path(__file__).parents[2]
SOURCE = """\
#define LIMIT 3528531795
extern "C" __global__ void __launch_bounds__(64) k(const float *x, float *y, const Arguments args) {
  const int low = (n < m) ? n : m;
  for (int i = threadIdx.x; i < n; i += 64) {
    if (i > 2) {
      y[o1 + ((i * c0) + (j * c1))] = (i < m) ? x[i] : 0.0f;
    }
  }
  __syncthreads();
  const unsigned r = key * 3528531795u;
}
"""


def made(operator: str) -> list[Mutant]:
    return [m for m in mutants(SOURCE) if m.operator == operator]


@pytest.mark.parametrize(
    ("operator", "changed"),
    [
        ("drop a barrier", [(9, "__syncthreads();", "")]),
        ("< to <=", [(4, " i < n;", " i <= n;"), (6, "(i < m)", "(i <= m)")]),
        ("swap strides", [(6, "((i * c0) + (j * c1))", "((i * c1) + (j * c0))")]),
        ("drop a mask", [(5, "if (i > 2)", "if (true)"), (6, "(i < m) ?", "(true) ?")]),
        ("change a seed constant", [(10, "3528531795u", "2282439945u")]),
    ],
)
def test_mutants_differ_in_one_line(operator: str, changed: list[tuple[int, str, str]]) -> None:
    found = made(operator)
    assert [m.line for m in found] == [line for line, _, _ in changed]
    for mutant, (line, before, after) in zip(found, changed, strict=True):
        lines, wrong = SOURCE.splitlines(), mutant.source.splitlines()
        assert [n for n, (a, b) in enumerate(zip(lines, wrong, strict=True), 1) if a != b] == [line]
        assert before in lines[line - 1] and wrong[line - 1].strip() == lines[line - 1].replace(before, after).strip()
        assert mutant.was == lines[line - 1].strip()


def test_what_computes_the_same_by_its_form_is_no_mutant() -> None:
    assert not any(m.line == 3 for m in mutants(SOURCE)), "a minimum by < or by <="
    assert not any(m.line == 1 for m in mutants(SOURCE)), "what is before the kernel"
    assert {m.operator for m in mutants(SOURCE)} == set(OPERATORS)
    assert not list(mutants("int f() { return 1 < 2; }")), "no kernel"


def test_the_container_of_a_source() -> None:
    head = ("sm_90", "kernel.cu", "--fmad=false\n")
    assert unpacked(packed(head, SOURCE)) == (head, SOURCE)


def suite(cache: Path, *more: str, **settings: str) -> tuple[int, str]:
    """One op test on the simulated driver; pytest's status and what it printed."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/device/test_ops.py", "--device", "cuda",
               "--cuda-driver", "simulated", "--full", "-k", "value-add-float32", *more]  # fmt: skip
    environment = {**os.environ, "INGOT_CACHE_DIR": str(cache), "PYTEST_ADDOPTS": "", **settings}
    environment.pop("PYTEST_XDIST_WORKER", None)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    return done.returncode, done.stdout


@pytest.mark.slow
def test_a_wrong_kernel_fails_the_suite_by_name(tmp_path: Path) -> None:
    try:
        build(may_make="CI" in os.environ)
    except BuildFailed as error:
        pytest.skip(str(error))
    collected, wrong = tmp_path / "collected", tmp_path / "wrong"
    collected.mkdir()
    wrong.mkdir()
    status, said = suite(tmp_path / "none", INGOT_CUDA_SIM_GATHER=str(collected))
    assert status == 0, said
    for file in collected.iterdir():
        source = unpacked(file.read_text())[1]
        for mutant in mutants(source):
            if mutant.operator == "< to <=" and "for (" in mutant.was:
                (wrong / file.name).write_text(mutant.source)
    assert list(wrong.iterdir()), "the kernels of add have bounds"
    status, said = suite(tmp_path / "cache")
    assert status == 0 and said.count("SIMULATED CUDA driver: kernels ran on the host") == 2, said
    assert "nothing is tested on CUDA; 0 findings" in said
    status, said = suite(tmp_path / "cache", INGOT_CUDA_SIM_SUBSTITUTES=str(wrong))
    found = re.search("the simulated CUDA driver found: (out of bounds: |index beyond an array of the kernel: )", said)
    assert status == 1 and found, said
