"""What `Compiled.explain` says of a training step, beside numbers that are found another way: the pool's own peak, and bytes
counted by hand."""

from __future__ import annotations

import gc
import re
from typing import Any

from ingot_devices import open_device


def number(text: str, pattern: str) -> int:
    found = re.search(pattern, text)
    assert found is not None, f"{pattern} in\n{text}"
    return int(found[1].replace(",", ""))


def test_the_step_of_a_small_network(t: Any, device: str) -> None:
    t.manual_seed(0)
    nn = t.nn
    model = nn.Sequential(nn.Linear(20, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 1)).to(device)
    optimizer = t.optim.AdamW(model.parameters(), lr=0.05)
    x, y = t.randn(64, 20, device=device), t.randn(64, 1, device=device)

    def step() -> Any:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(3):
        step()
    opened = open_device(device)
    optimizer.zero_grad()
    gc.collect()
    opened.synchronize()
    opened.pool.empty_cache()
    before = opened.pool.stats().used
    opened.pool.reset_peak()
    step()
    eager = opened.pool.stats().peak - before
    compiled = t.compile(step, fullgraph=True)
    for _ in range(4):
        compiled()
    text = compiled.explain(times=True)

    program = compiled.replays[0].made.built.program
    results = sum(p.numel() * 4 for p in model.parameters()) + 4
    assert number(text, r"ops captured +(\d+)") >= 5 + 1 + 1 + 6 + 6, "forward, loss, its gradient, gradients, updates"
    recorded, fused = number(text, r"kernels +(\d+) recorded"), number(text, r"kernels +\d+ recorded, (\d+) after fusion")
    assert fused == len(program.graph.nodes) <= recorded
    moved, left = number(text, r"bytes moved +([\d,]+) recorded"), number(text, r"bytes moved +[\d,]+ recorded, ([\d,]+) after")
    assert left <= moved and left == sum(int(b.replace(",", "")) for b in re.findall(r" ([\d,]+) bytes  ", text))
    told = number(text, r"peak memory +([\d,]+) bytes eagerly")
    assert 0.9 * eager <= told <= 1.05 * eager, "as the pool saw it, but for its rounding"
    held = number(text, r"planned: ([\d,]+) of results")
    assert results <= held < results + 256 * 6, "gradients may lie in one piece, each at a multiple of 256"
    planned = number(text, r"eagerly, ([\d,]+) planned")
    assert held < planned <= held + program.arena.nbytes
    for node in program.graph.nodes:
        if not node.views:
            line = next(part for part in text.splitlines() if part.strip().startswith(f"{node.op:.40} "))
            assert re.search(r"[\d.]+ µs, +[\d.]+ µs at memory's speed", line), line
    assert "none: results are the eager ones, bit for bit" in text


def test_bytes_of_a_chain_by_hand(t: Any, device: str) -> None:
    compiled = t.compile(lambda x: (x * 2 + 1).exp(), fullgraph=True)
    for _ in range(3):
        compiled(t.ones(1000, device=device))
    text = compiled.explain()
    recorded, fused = 3 * 2 * 4000, len(compiled.replays[0].made.built.program.graph.nodes) * 2 * 4000
    assert f"bytes moved        {recorded:,} recorded, {fused:,} after fusion" in text
    assert number(text, r"peak memory +([\d,]+) bytes eagerly") == 8000, "an operand and a result of one kernel"
    assert "µs" not in text
