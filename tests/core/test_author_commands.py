"""The commands for people who write kernels, on the CPU and on OpenCL where it is ready."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ingot_devices import IngotError, open_device, ready
from ingot_devices.custom import callable_kernel, source_kernel, tuned
from ingot_devices.registry import registry

OPENCL = pytest.mark.skipif(
    not any(name.startswith("opencl") for name in ready()), reason="no OpenCL device is ready; `ingot devices` says why"
)


@pytest.fixture(autouse=True)
def owned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cache of its own for what is tuned; forgets the kernels that a test registers."""
    monkeypatch.setenv("INGOT_CACHE_DIR", str(tmp_path / "cache"))
    tuned.forget()
    yield
    registry.remove("test")
    tuned.forget()


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


# ---- kernels and source ------------------------------------------------------------------------------------------------
def test_kernels_shows_routes_and_owners(capsys: pytest.CaptureFixture[str]) -> None:
    from ingot_tools.coverage import show_coverage

    registry.register(callable_kernel("exp", "cpu", lambda x, out: None, owner="test"))
    assert show_coverage("cpu", ["float32", "bool"], as_json=True) == 0
    found = told(capsys)
    assert (found["schema"], found["schema_version"], found["device"]) == ("ingot.kernels", 1, "cpu:0")
    ops = found["ops"]
    assert ops["exp"]["float32"] == {"route": "registered", "owner": "test", "reason": ""}
    assert ops["permute"]["float32"]["route"] == "view"
    assert ops["softmax"]["bool"]["route"] == "other"
    assert "floating point" in ops["softmax"]["bool"]["reason"]
    registry.remove("test")
    show_coverage("cpu", ["float32"], as_json=False)
    text = capsys.readouterr().out
    assert "generated" in text and text.splitlines()[-1].startswith("cpu:0: ")


@OPENCL
def test_kernels_builds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    from ingot_tools.coverage import show_coverage

    device = open_device("opencl")
    cache = device.codegen.cache(device)
    before = dict(cache.entries)
    show_coverage("opencl", ["float32"], as_json=True)
    assert told(capsys)["ops"]["add"]["float32"]["route"] == "generated"
    assert cache.entries == before and "build" not in vars(device)


def test_source_shows_definition_and_text(capsys: pytest.CaptureFixture[str]) -> None:
    from ingot_tools.source import show_source

    assert show_source("softmax", "cpu", ["float32"], ["2x3"], [], as_json=True) == 0
    found = told(capsys)
    assert (found["schema"], found["route"]) == ("ingot.source", "generated")
    assert "s0 = reduce max over i1" in found["definition"]
    assert found["steps"][0]["source"]
    assert show_source("permute", "cpu", ["float32"], [], [], as_json=False) == 0
    assert "view" in capsys.readouterr().out


@OPENCL
def test_source_tells_what_the_driver_says(capsys: pytest.CaptureFixture[str]) -> None:
    from ingot_tools.source import show_source

    registry.register(source_kernel("exp", "opencl", """
        if (get_global_id(0) < out_size) out[get_global_id(0)] = exp(x[get_global_id(0)]) + 0;
    """, owner="test"))  # fmt: skip
    show_source("exp", "opencl", ["float32"], [], [], as_json=False)
    text = capsys.readouterr().out
    assert "exp(x[get_global_id(0)]) + 0" in text and f"written at {__file__}:" in text
    assert "bytes of private memory" in text and "largest workgroup" in text


# ---- tune --------------------------------------------------------------------------------------------------------------
SCALED = """
    for (index_t i = get_global_id(0) * EACH; i < out_size && i < (get_global_id(0) + 1) * EACH; i++) out[i] = exp(x[i]);
"""


def test_an_op_without_variants_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    from ingot_tools.tune import tune_op

    assert tune_op("exp", "cpu", ["float32"], [], as_json=False) == 1
    assert "no kernel of exp on cpu:0 declares variants" in capsys.readouterr().out
    with pytest.raises(IngotError, match="no op is called 'expp'"):
        tune_op("expp", "cpu", ["float32"], [], as_json=False)


@OPENCL
def test_what_was_tuned_is_used_until_the_variants_change() -> None:
    from ingot_devices.explain import resolved

    device = open_device("opencl")

    def kernel(each: tuple[int, ...]) -> Any:
        return source_kernel("exp", "opencl", SCALED, threads=lambda out, EACH: -(-out.size // EACH),
                             variants={"EACH": each}, owner="test", only_tuned=True)  # fmt: skip

    registry.register(kernel((1, 4)))
    row, plan = resolved("exp", device)
    assert plan.route == "generated"
    request = request_of(row, plan, device)
    tuned.keep(request, {"EACH": (1, 4)}, {"EACH": 4}, 1e-6)
    _, plan = resolved("exp", device)
    assert plan.route == "registered" and "#define EACH 4" in plan.steps[0].source
    tuned.forget()  # as another process begins
    assert tuned.best(request, {"EACH": (1, 4)}) == {"EACH": 4}
    tuned.keep(request, {"EACH": (1, 4)}, None, 1e-6)
    _, plan = resolved("exp", device)
    assert plan.route == "generated"  # the usual route was faster
    registry.remove("test")
    registry.register(kernel((1, 8)))
    assert tuned.best(request, {"EACH": (1, 8)}) is None


def request_of(row: Any, plan: Any, device: Any) -> Any:
    from ingot_devices.registry import Request

    return Request(row.name, plan.keys, {}, plan.allocations, device)


@OPENCL
@pytest.mark.slow
def test_tuning_the_product_keeps_a_right_choice(capsys: pytest.CaptureFixture[str]) -> None:
    """The whole command, on OpenCL's own kernel with variants; the fastest of what it measured is kept."""
    from ingot_tools.tune import tune_op

    assert tune_op("matmul", "opencl", ["float32"], ["64x64"], as_json=True) == 0
    found = told(capsys)
    right = [t for t in found["trials"] if not t["fault"]]
    assert found["best"] == min(right, key=lambda t: t["seconds"])["variant"]
    assert len(right) >= 2 and any(t["name"] == "without it" for t in right)


@OPENCL
def test_a_variant_of_the_product_is_right_to_the_bit() -> None:
    """Odd sizes, so that the edges are made, too."""
    import dataclasses

    import ingot
    import numpy as np

    kernel = next(k for k in registry.candidates("matmul", "opencl") if getattr(k.make, "variants", None))
    rng = np.random.default_rng(0)
    x, y = (ingot.tensor(rng.standard_normal(s).astype(np.float32), device="opencl") for s in ((37, 29), (29, 43)))
    wanted = (x @ y).tolist()
    variant = {name: tried[-1] for name, tried in kernel.make.variants.items()}  # type: ignore[attr-defined]
    chosen = dataclasses.replace(kernel, make=dataclasses.replace(kernel.make, choice=variant))  # type: ignore[type-var]
    with ingot.use_kernel(chosen):
        assert (x @ y).tolist() == wanted


# ---- bench and profile -------------------------------------------------------------------------------------------------
def test_bench_measures_a_roof_and_draws_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from ingot_tools.bench import run_bench

    picture = tmp_path / "roof.png"
    assert run_bench(["cpu"], 0.3, str(picture), as_json=True) == 0
    (roof,) = told(capsys)["devices"]
    assert roof["device"] == "cpu:0" and roof["bandwidth"] > 0 and roof["peaks"]["float32"] > 0
    assert {"add", "softmax", "matmul", "transpose"} <= {op["name"] for op in roof["ops"]}
    assert all(op["share"] > 0 and op["seconds"] > 0 for op in roof["ops"])
    assert picture.read_bytes().startswith(b"\x89PNG")


SCRIPT = """
import sys, ingot
print("given", sys.argv[1:], __name__)
ingot.ones(3).exp().sum()
sys.exit(int(sys.argv[1]))
"""


def test_profile_runs_a_script_with_its_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from ingot_tools.profiling import profile_script

    script, trace = tmp_path / "script.py", tmp_path / "trace.json"
    script.write_text(SCRIPT)
    assert profile_script(str(script), ["3", "--flag"], module=False, trace=str(trace), rows=10) == 3
    text = capsys.readouterr().out
    assert "given ['3', '--flag'] __main__" in text and "exp" in text
    assert json.loads(trace.read_text())["traceEvents"]
    with pytest.raises(IngotError, match=r"there is no file 'nothing\.py'; for a module"):
        profile_script("nothing.py", [], module=False, trace=str(trace), rows=10)
