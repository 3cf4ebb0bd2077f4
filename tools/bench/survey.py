"""Which calls are slow beside PyTorch? Some 130, on a hundred and on a million elements; the slowest beside it first.

    .venv/bin/python tools/bench/survey.py [--elements 100 1000000] [--below 0.5] [--out FILE]

Not for what is known to matter, which the other files hold to bounds, but to find what nobody has looked at. `layers.py` does
the same for layers, there and back.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from common import Cases, machine, parser, rounds, serve, summary, versions

Call = Callable[[], Any]
ELEMENTS = "INGOT_SURVEY_ELEMENTS"  # how a library's process is told


def elementwise(t: Any, n: int) -> dict[str, Call]:
    """One result for each element."""
    x, y, i = t.randn(n), t.randn(n), t.arange(n)
    m, h, d, side = x > 0, x.to(t.bfloat16), x.double(), math.isqrt(n)
    square, f = x[: side * side].reshape(side, side), t.nn.functional
    names = "exp sin tanh log1p erf sqrt floor isnan sigmoid relu sign".split()
    return {
        **{name: (lambda name=name: getattr(t, name)(x)) for name in names},
        "add": lambda: x + y, "mul bfloat16": lambda: h * h, "exp float64": d.exp, "pow": lambda: x.abs().pow(2.5),
        "gt": lambda: x > y, "where": lambda: t.where(m, x, y), "add int64": lambda: i + i, "div int64": lambda: i // 7,
        "mod int64": lambda: i % 7, "remainder": lambda: t.remainder(x, 0.3), "clamp": lambda: x.clamp(-1, 1),
        "to bfloat16": lambda: x.to(t.bfloat16), "to float64": x.double, "to int64": x.long,
        "masked_fill": lambda: x.masked_fill(m, 0.0), "gelu": lambda: f.gelu(x), "silu": lambda: f.silu(x),
        "softplus": lambda: f.softplus(x), "dropout": lambda: f.dropout(x, 0.5), "outer": lambda: t.outer(square[0], square[1]),
        "x[m] = 0": lambda: x.clone().__setitem__(m, 0.0), "tril": square.tril, "full": lambda: t.full((n,), 2.0),
    }  # fmt: skip


def reductions(t: Any, n: int) -> dict[str, Call]:
    """Sums, extremes, scans and norms, of all and along either axis."""
    x, y, i, side = t.randn(n), t.randn(n), t.arange(n), math.isqrt(n)
    square, f, h = x[: side * side].reshape(side, side), t.nn.functional, x.to(t.bfloat16)
    labels = t.arange(side) % side
    both = {
        f"{name}{where}": (lambda name=name, dims=dims: getattr(t, name)(square, *dims))
        for name in ("sum", "mean", "amax", "argmax", "var", "prod") for where, dims in (("", ()), (" d0", (0,)), (" d1", (1,)))
    }  # fmt: skip
    scans = {
        f"{name} d{k}": (lambda name=name, k=k: getattr(t, name)(square, k))
        for name in ("cumsum", "cumprod", "cummax", "softmax", "log_softmax", "logsumexp", "max") for k in (0, 1)
    }  # fmt: skip
    return both | scans | {
        "mean bfloat16": h.mean, "sum int64": i.sum, "any": (x > 9).any, "norm": x.norm,
        "count_nonzero": lambda: t.count_nonzero(i), "allclose": lambda: t.allclose(x, y), "mse_loss": lambda: f.mse_loss(x, y),
        "cross_entropy": lambda: f.cross_entropy(square, labels), "layer_norm": lambda: f.layer_norm(square, (side,)),
    }  # fmt: skip


def arrangements(t: Any, n: int) -> dict[str, Call]:
    """Elements that are sorted, found, gathered, scattered and moved; numbers that are drawn."""
    x, y, i, side = t.randn(n), t.randn(n), t.arange(n), math.isqrt(n)
    square, f, m, p = x[: side * side].reshape(side, side), t.nn.functional, x > 0, t.randperm(n)
    across, few, rows = (t.arange(side * side) * 7 % side).reshape(side, side), i % 100, t.arange(side) * 7 % side
    edges = t.linspace(0, 1, 1000)
    return {
        "sort": lambda: t.sort(x), "sort d0": lambda: t.sort(square, 0), "argsort int64": lambda: t.argsort(p),
        "topk": lambda: t.topk(x, 10), "topk rows": lambda: t.topk(square, 5), "unique": lambda: t.unique(few),
        "searchsorted": lambda: t.searchsorted(edges, x), "bincount": lambda: t.bincount(few), "x[m]": lambda: x[m],
        "nonzero": lambda: t.nonzero(m), "masked_select": lambda: t.masked_select(x, m), "x[p]": lambda: x[p],
        "rows": lambda: square[rows], "x[p] = y": lambda: x.clone().__setitem__(p, y),
        "x[few] = 0": lambda: x.__setitem__(few[:7], 0.0), "gather d0": lambda: t.gather(square, 0, across),
        "gather d1": lambda: t.gather(square, 1, across), "index_select": lambda: t.index_select(square, 1, rows),
        "scatter": lambda: t.zeros(side, side).scatter_(1, across, square),
        "scatter_add": lambda: t.zeros(side, side).scatter_add_(0, across, square),
        "index_add": lambda: t.zeros(side, side).index_add_(0, rows, square), "one_hot": lambda: f.one_hot(few[:side], 100),
        "embedding": lambda: f.embedding(rows, square), "transpose": lambda: square.t().contiguous(),
        "cat": lambda: t.cat([x, y]), "cat d1": lambda: t.cat([square, square], 1), "stack": lambda: t.stack([x, y]),
        "stack d1": lambda: t.stack([x, y], 1), "flip": lambda: x.flip(0), "roll": lambda: t.roll(x, 5),
        "pad": lambda: f.pad(square, (1, 1, 1, 1)), "repeat": lambda: square.repeat(2, 2),
        "repeat_interleave": lambda: t.repeat_interleave(x, 2), "strided": x[::2].contiguous,
        "expanded": lambda: square[0].expand(side, side).contiguous(), "tolist": x[: min(n, 100000)].tolist,
        "randn": lambda: t.randn(n), "rand": lambda: t.rand(n), "randint": lambda: t.randint(0, 100, (n,)),
        "randperm": lambda: t.randperm(n), "bernoulli": lambda: t.bernoulli(t.full((n,), 0.5)),
        "multinomial": lambda: t.multinomial(t.ones(min(n, 10000)), min(n, 10000) // 10),
    }  # fmt: skip


def products(t: Any, n: int) -> dict[str, Call]:
    """Matrices, windows and attention."""
    f, side = t.nn.functional, min(math.isqrt(n), 512)
    wide = max(n // 131072, 1)
    a, stacked = t.randn(side, side), t.randn(8, max(side // 4, 4), max(side // 4, 4))
    picture, line = t.randn(wide, 16, 24, 24) if wide == 1 else t.randn(wide, 16, 64, 64), t.randn(wide, 16, 100)
    taps = {k: t.randn(*shape) for k, shape in {
        "plain": (32, 16, 3, 3), "groups": (16, 1, 3, 3), "turned": (16, 8, 2, 2), "line": (32, 16, 3),
        "solid": (8, 16, 3, 3, 3),
    }.items()}  # fmt: skip
    solid, mean, var, h, d = picture[:, :, None].repeat(1, 1, 3, 1, 1), t.zeros(16), t.ones(16), a.to(t.bfloat16), a.double()
    whole = t.arange(16384).reshape(128, 128)[:side, :side]
    return {
        "matmul": lambda: a @ a, "matmul turned": lambda: a @ a.t(), "matmul bfloat16": lambda: h @ h,
        "matmul float64": lambda: d @ d, "matmul int64": lambda: whole @ whole, "mv": lambda: a @ a[0],
        "bmm": lambda: t.bmm(stacked, stacked), "einsum": lambda: t.einsum("bij,bjk->bik", stacked, stacked),
        "linear": lambda: f.linear(a, a), "attention": lambda: f.scaled_dot_product_attention(stacked, stacked, stacked),
        "conv1d": lambda: f.conv1d(line, taps["line"]), "conv2d": lambda: f.conv2d(picture, taps["plain"], padding=1),
        "conv2d stride 2": lambda: f.conv2d(picture, taps["plain"], stride=2, padding=1),
        "conv2d groups": lambda: f.conv2d(picture, taps["groups"], padding=1, groups=16),
        "conv3d": lambda: f.conv3d(solid, taps["solid"]),
        "conv_transpose2d": lambda: f.conv_transpose2d(picture, taps["turned"], stride=2),
        "max_pool2d": lambda: f.max_pool2d(picture, 2), "avg_pool2d": lambda: f.avg_pool2d(picture, 2),
        "adaptive_avg_pool2d": lambda: f.adaptive_avg_pool2d(picture, 1),
        "batch_norm": lambda: f.batch_norm(picture, mean, var, training=True),
        "group_norm": lambda: f.group_norm(picture, 4),
    }  # fmt: skip


def cases(t: Any, n: int) -> Cases:
    """Every call on some ``n`` elements, and how often a round makes it."""
    t.manual_seed(0)
    kinds = (elementwise, reductions, arrangements, products)
    return {name: (call, 200 if n < 10000 else 2) for kind in kinds for name, call in kind(t, n).items()}


def look(file: str, names: list[str], options: argparse.Namespace, what: str) -> dict[str, Any]:
    """Measure the cases of a file in both libraries; print those below ``options.below``, the worst first."""
    found = rounds(str(Path(file)), {"torch": names, "ingot": names}, options.rounds)
    rows = {k: (summary(found[f"torch {k}"])["median"], summary(found[f"ingot {k}"])["median"]) for k in names}
    slow = sorted((peer / ours, name) for name, (peer, ours) in rows.items() if peer / ours < options.below)
    print(f"\n{len(names)} {what}: {len(slow)} below {options.below} × PyTorch's speed")
    for ratio, name in slow:
        print(f"  {ratio:6.2f} ×  {name:<24} {rows[name][1]:12.1f} µs   PyTorch {rows[name][0]:12.1f}")
    return {k: {"torch": a, "ingot": b, "ratio": a / b} for k, (a, b) in rows.items()}


def keep(options: argparse.Namespace, **found: Any) -> None:
    """Write what was measured, in microseconds, where that is asked for."""
    if options.out:
        body = {"machine": machine(), "versions": versions("torch", "numpy"), "unit": "µs", **found}
        options.out.write_text(json.dumps(body, indent=1) + "\n")


def main() -> int:
    """Measure both, print what is below, the worst first."""
    made = parser(__doc__ or "")
    made.set_defaults(rounds=5)
    made.add_argument("--elements", type=int, nargs="+", default=[100, 1_000_000], metavar="N")
    made.add_argument("--below", type=float, default=0.5, help="times PyTorch's speed below which a call is listed")
    options = made.parse_args()
    if options.serve:
        warnings.simplefilter("ignore")
        return serve(cases(import_module(options.serve), int(os.environ[ELEMENTS])))
    kept: dict[str, Any] = {}
    for n in options.elements:
        os.environ[ELEMENTS] = str(n)
        kept[str(n)] = look(__file__, list(cases(import_module("ingot"), n)), options, f"calls on {n} elements")
    keep(options, elements=kept)
    return 0


if __name__ == "__main__":
    sys.exit(main())
