"""Graphs of the CUDA plugin on the simulated driver: SIMULATED, no GPU is involved."""

from __future__ import annotations

from pathlib import Path

import cuda_programs
import pytest


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cuda")


class TestGraphs:
    def test_a_capture_runs_when_it_is_replayed_and_only_then(self, folder: Path) -> None:
        program = """
        d = opened()
        x, y, z = (ingot.full((1000,), float(n), device="cuda") for n in (1, 0, 0))
        y.add_(x), z.add_(y)
        y.zero_(), z.zero_()
        found["begun"] = d.begin_capture()
        y.add_(x)
        z.add_(y)
        graph = d.end_capture()
        found["captured"] = float(y.sum())
        graph.replay()
        graph.replay()
        found["replayed"] = [float(y.sum()), float(z.sum())]
        side = d.create_stream()
        before = d.set_stream(side)
        d.wait_event(d.record_event(None))
        graph.replay()
        d.set_stream(before)
        d.synchronize()
        found["on another stream"] = float(y.sum())
        del graph
        gc.collect()
        found["afterwards"] = float((y + 1).sum())
        d.begin_capture()
        y.add_(x)
        found["forbidden"] = message(errors.LaunchError, d.synchronize)
        found["spoilt"] = message(errors.LaunchError, d.end_capture)
        found["goes on"] = float((y + 1).sum())
        """
        found = cuda_programs.run(program, folder)
        assert found["begun"] is True
        assert found["captured"] == 0.0
        assert found["replayed"] == [2000.0, 3000.0]
        assert found["forbidden"].startswith("cuda:0 refused waiting (")  # and nothing is lost by it
        assert "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED" in found["spoilt"]
        assert found["goes on"] == 4000.0
        assert (found["on another stream"], found["afterwards"]) == (3000.0, 4000.0)


    def test_a_graph_that_is_alive_at_the_end(self, folder: Path) -> None:
        """The process ends as any other; `cuda_programs.run` looks at its exit status."""
        program = """
        step = ingot.compile(lambda x: (x * 2).sum(), mode="reduce-overhead")
        found["said"] = [float(step(ingot.full((9,), float(k), device="cuda"))) for k in range(6)]
        found["explained"] = step.explain()
        """
        found = cuda_programs.run(program, folder)
        assert found["said"] == [18.0 * k for k in range(6)]
        assert "as one graph" in found["explained"]
