"""Measures the CUDA plugin beside PyTorch eager: in one process, in turn, with events of the device, medians.

    bench.py bandwidth   pointwise ops, reductions, rows, an optimizer step; against a measured copy
    bench.py products    matrix products, and one with bias and GELU as its epilogue
    bench.py host        what a launch, an allocation and a small training step cost on the host
    bench.py block       a transformer block, forward and backward, and the memory it needs

Where PyTorch is not installed its side stays empty. ``--small`` is for rehearsals: sizes that a simulated driver manages.
"""

from __future__ import annotations

import argparse
import json
import operator
import statistics
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import ingot
from sides import Call, Result, Side, in_turn, ratio, sides

ROUNDS = 21


# ---- bandwidth -------------------------------------------------------------------------------------------------------
def bandwidth(small: bool) -> dict[str, Any]:
    """Bytes a second that each op moves, as a share of a copy's."""
    n = 1 << 12 if small else 1 << 26
    rows, columns = (8, 512) if small else (16384, 4096)
    cases: dict[str, dict[str, tuple[Side, Call]]] = {}
    moved: dict[str, float] = {}
    for side in sides():
        for name, (nbytes, call) in workload(side.t, n, rows, columns).items():
            cases.setdefault(name, {})[side.name] = (side, call)
            moved[name] = nbytes
    results = in_turn(cases, 1 if small else 20, 3 if small else ROUNDS)
    best = max(moved["copy float32"] / side["ms"] for side in results["copy float32"].values()) / 1e6
    for name, result in results.items():
        gb = moved[name] / result["ingot"]["ms"] / 1e6
        result |= {"GB/s": gb, "of copy": gb / best, "ratio": ratio(result), "must": 0.9, "aim": 0.95,
                   "met": gb / best >= 0.9 and (ratio(result) or 1.0) >= 1.0}  # fmt: skip
    return {"copy GB/s": best, "elements": n, "rows": [rows, columns], "results": results}


def workload(t: Any, n: int, rows: int, columns: int) -> dict[str, tuple[float, Call]]:
    """Name → bytes moved, and the call, in float32 and bfloat16."""
    made = calls(t, "float32", 4, n, rows, columns) | calls(t, "bfloat16", 2, n, rows, columns)
    parameter = t.nn.Parameter(t.randn(n, device="cuda"))
    parameter.grad = t.randn(n, device="cuda")
    optimizer = t.optim.AdamW([parameter], lr=1e-3, **({"fused": True} if t is not ingot else {}))
    made["AdamW step float32"] = (7 * 4 * n, optimizer.step)
    return made


def calls(t: Any, dtype: str, size: int, n: int, rows: int, columns: int) -> dict[str, tuple[float, Call]]:
    """Those of one dtype, of ``size`` bytes."""
    d, f = getattr(t, dtype), t.nn.functional
    x, y = (t.randn(n, device="cuda").to(d) for _ in range(2))
    m = t.randn(rows, columns, device="cuda").to(d)
    w, b = t.ones(columns, device="cuda").to(d), t.zeros(columns, device="cuda").to(d)
    whole, wide = n * size, rows * columns * size
    return {
        f"copy {dtype}": (2 * whole, x.clone),
        f"add {dtype}": (3 * whole, lambda: x + y),
        f"scale {dtype}": (2 * whole, lambda: x * 2.5),
        f"gelu {dtype}": (2 * whole, lambda: f.gelu(x)),
        f"sum {dtype}": (whole, x.sum),
        f"row sum {dtype}": (wide, lambda: m.sum(-1)),
        f"column sum {dtype}": (wide, lambda: m.sum(0)),
        f"softmax {dtype}": (2 * wide, lambda: m.softmax(-1)),
        f"layer_norm {dtype}": (2 * wide, lambda: f.layer_norm(m, (columns,), w, b)),
    }


# ---- products --------------------------------------------------------------------------------------------------------
def products(small: bool) -> dict[str, Any]:
    """Matrix products, and one with an epilogue."""
    n = 64 if small else 8192
    cases: dict[str, dict[str, tuple[Side, Call]]] = {}
    for side in sides():
        t = side.t
        t.backends.cuda.matmul.allow_tf32 = True
        for dtype in ("bfloat16", "float32"):
            d = getattr(t, dtype)
            x, y = (t.randn(n, n, device="cuda").to(d) for _ in range(2))
            cases.setdefault(f"matmul {dtype}", {})[side.name] = (side, partial(operator.matmul, x, y))
        x, w, b = (t.randn(*s, device="cuda").to(t.bfloat16) for s in ((n, n), (n, n), (n,)))
        cases.setdefault("linear, bias and GELU bfloat16", {})[side.name] = (side, epilogue(t, x, w, b))
    cases = {name: by for name, by in cases.items() if "ingot" in by}
    results = in_turn(cases, 1 if small else 3, 3 if small else ROUNDS)
    for name, result in results.items():
        must, times = 1.1 if "GELU" in name else 0.97, ratio(result)
        result |= {"TFLOP/s": 2 * n**3 / result["ingot"]["ms"] / 1e9, "ratio": times, "must": must,
                   "met": None if times is None else times >= must}  # fmt: skip
    return {"n": n, "results": results}


def epilogue(t: Any, x: Any, w: Any, b: Any) -> Call:
    """GELU of a linear layer; Ingot's is compiled: one launch, where the library is there."""
    f = t.nn.functional

    def layer(x: Any, w: Any, b: Any) -> Any:
        return f.gelu(f.linear(x, w, b), approximate="tanh")

    made = ingot.compile(layer, mode="max-autotune") if t is ingot else layer
    return lambda: made(x, w, b)


# ---- host ------------------------------------------------------------------------------------------------------------
def host(small: bool) -> dict[str, Any]:
    """Microseconds of this process's time, the device kept busy with next to nothing."""
    count = 50 if small else 5000
    results: dict[str, Result] = {}
    for side in sides():
        t = side.t
        x, y = t.randn(64, device="cuda"), t.randn(64, device="cuda")
        step = mlp(t)
        for name, call, times in (
            ("eager add", partial(operator.add, x, y), count),
            ("empty", partial(t.empty, 64, device="cuda"), count),
            ("MLP training step", step, max(count // 25, 2)),
        ):
            results.setdefault(name, {})[side.name] = microseconds(t, call, times, small)
    device = ingot.zeros(1, device="cuda")._layout.device
    nothing = device.build('extern "C" __global__ void nothing() {}', "nothing").launch
    for name, call in (
        ("pool allocation", lambda: device.pool.allocate(4096)),
        ("the driver's launch alone", lambda: nothing((1, 1, 1), (64, 1, 1), b"", 0, device._default)),  # by pycuda: the floor
    ):
        results[name] = {"ingot": microseconds(ingot, call, count, small)}
    for name, must in (("eager add", 5.0), ("pool allocation", 1.0)):
        results[name] |= {"must": must, "met": results[name]["ingot"]["us"] <= must}
    return {"results": results}


def microseconds(t: Any, call: Call, times: int, small: bool) -> dict[str, float]:
    """The median of what one of ``times`` calls takes of this process's time."""
    took = []
    for _ in range(3 if small else ROUNDS):
        t.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(times):
            call()
        took.append((time.perf_counter() - start) / times * 1e6)
    t.cuda.synchronize()
    return {"us": statistics.median(took)}


def mlp(t: Any) -> Call:
    """A training step of a small network."""
    model = t.nn.Sequential(t.nn.Linear(64, 128), t.nn.ReLU(), t.nn.Linear(128, 10)).to("cuda")
    optimizer = t.optim.AdamW(model.parameters(), lr=1e-3)
    x, target = t.randn(128, 64, device="cuda"), t.zeros(128, dtype=t.int64, device="cuda")

    def step() -> None:
        optimizer.zero_grad()
        t.nn.functional.cross_entropy(model(x), target).backward()
        optimizer.step()

    return step


# ---- a transformer block -----------------------------------------------------------------------------------------------
def block(small: bool) -> dict[str, Any]:
    """B8 T1024 C1024, 16 heads, bfloat16: milliseconds and peak memory of forward and backward."""
    batch, length, width, heads = (1, 32, 64, 4) if small else (8, 1024, 1024, 16)
    cases: dict[str, dict[str, tuple[Side, Call]]] = {"transformer block bfloat16": {}}
    peaks = {}
    for side in sides():
        call = transformer(side.t, batch, length, width, heads)
        call()
        side.t.cuda.synchronize()
        side.t.cuda.reset_peak_memory_stats()
        call()
        side.t.cuda.synchronize()
        peaks[side.name] = side.t.cuda.max_memory_allocated()
        cases["transformer block bfloat16"][side.name] = (side, call)
    results = in_turn(cases, 1, 2 if small else 11)
    for result in results.values():
        times = ratio(result)
        met = None if times is None else times >= 0.9 and peaks["ingot"] <= peaks["torch"]
        result |= {"ratio": times, "must": 0.9, "met": met, "peak bytes": peaks}
    return {"shape": [batch, length, width, heads], "results": results}


def transformer(t: Any, batch: int, length: int, width: int, heads: int) -> Call:
    """Pre-norm attention and a GELU network of four times the width; the call runs forward and backward."""
    f, d = t.nn.functional, t.bfloat16

    def weight(*shape: int) -> Any:
        return (t.randn(*shape, device="cuda") * 0.02).to(d).requires_grad_()

    qkv, out, up, down = weight(3 * width, width), weight(width, width), weight(4 * width, width), weight(width, 4 * width)
    norms = [t.ones(width, device="cuda").to(d).requires_grad_() for _ in range(2)]
    x = t.randn(batch, length, width, device="cuda").to(d).requires_grad_()
    leaves = [x, qkv, out, up, down, *norms]

    def call() -> None:
        h = f.linear(f.layer_norm(x, (width,), norms[0]), qkv)
        q, k, v = (h[..., n * width : (n + 1) * width].reshape(batch, length, heads, width // heads).transpose(1, 2)
                   for n in range(3))  # fmt: skip
        attended = f.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(batch, length, width)
        y = x + f.linear(attended, out)
        z = y + f.linear(f.gelu(f.linear(f.layer_norm(y, (width,), norms[1]), up), approximate="tanh"), down)
        for leaf in leaves:
            leaf.grad = None
        z.sum().backward()

    return call


QUESTIONS = {"bandwidth": bandwidth, "products": products, "host": host, "block": block}


def main() -> int:
    """Answer one question."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("question", choices=QUESTIONS)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--small", action="store_true")
    given = parser.parse_args()
    found = QUESTIONS[given.question](given.small)
    found["device"] = ingot.cuda.get_device_name()
    given.out.write_text(json.dumps(found, indent=1))
    print(json.dumps(found["results"], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
