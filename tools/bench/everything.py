"""All speed on the CPU in one command: every benchmark of this folder in turn, JSON, a bar chart, and the README's table.

    .venv/bin/python tools/bench/everything.py             runs all, prints the tables, writes nothing
    .venv/bin/python tools/bench/everything.py --write     … writes results/*.json where the machine was quiet, then the rest
    .venv/bin/python tools/bench/everything.py --draw      runs nothing: chart and table anew from what results/ has

A benchmark whose control was not steady keeps its old JSON, whose date the table names. The peers want PyTorch, and JAX for
three rows; where one is not installed its rows keep what was measured before, or are left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS, README = HERE / "results", HERE.parents[1] / "README.md"
SPEED = "<!-- speed: tools/bench/everything.py -->\n", "<!-- end of speed -->\n"
MEMORY = "<!-- memory: tools/bench/everything.py -->\n", "<!-- end of memory -->\n"
NETS = ("resnet18", "resnet18-transfer", "resnet18-training", "gpt")
RUNS = {  # what a results file comes from: a program of this folder, and its options
    **{name: (f"{name}.py",) for name in ("import_time", "eager", "pool", "pointwise", "compiled", "memory")},
    **{net: ("nets.py", "--net", net) for net in NETS},
}
ROWS = (
    # results file, its ratio, what the table calls it
    ("eager", "add", "a + b, 10 elements, beside PyTorch eager"),
    ("eager", "add recorded", "the same, recorded for autograd"),
    ("eager", "backward", "multiply, sum, backward"),
    ("eager", "views", "six views of 8×16 elements"),
    ("eager", "elements", "three of their elements as Python numbers"),
    ("eager", "write", "a number into a row, and zeros into all"),
    ("eager", "new", "new: empty, zeros, ones"),
    ("eager", "MLP step", "MLP training step (64×20, 128 hidden, AdamW), eager"),
    ("compiled", "compiled beside eager", "the same, compiled, beside PyTorch eager"),
    ("compiled", "compiled beside compiled", "the same, beside `torch.compile` of the model with fused AdamW"),
    ("compiled", "compiled beside the whole step compiled", "the same, beside PyTorch's whole step as one compiled function"),
    ("compiled", "compiled beside JAX", "the same, beside `jax.jit` of the whole step"),
    ("pointwise", "gelu", "gelu of 4096², beside PyTorch eager"),
    ("pointwise", "gelu, best form", "the same, beside PyTorch into memory that exists"),
    ("pointwise", "gelu, JAX", "the same, beside `jax.jit`"),
    ("pointwise", "softmax", "softmax of 4096², beside PyTorch eager"),
    ("pointwise", "softmax, best form", "the same, beside PyTorch into memory that exists"),
    ("pointwise", "softmax, JAX", "the same, beside `jax.jit`"),
    ("pointwise", "layer_norm", "layer_norm of 4096², beside PyTorch eager"),
    ("pointwise", "layer_norm, best form", "the same, beside PyTorch into memory that exists"),
    ("pointwise", "layer_norm, JAX", "the same, beside `jax.jit`"),
    ("pointwise", "adamw", "AdamW over 1 M parameters, beside PyTorch eager"),
    ("pointwise", "adamw, best form", "the same, beside PyTorch's fused one"),
    ("pointwise", "adamw, JAX", "the same, beside `jax.jit`"),
    ("resnet18", "forward, beside eager", "ResNet-18 forward, 16×3×224² (one core), beside PyTorch eager"),
    ("resnet18", "forward, beside compiled", "the same, beside `torch.compile`"),
    ("resnet18-transfer", "transfer, beside eager", "ResNet-18, a new head on a frozen net (one core), beside PyTorch eager"),
    ("resnet18-transfer", "transfer, beside compiled", "the same, beside `torch.compile`"),
    ("resnet18-training", "training, beside eager", "ResNet-18, a training step (one core), beside PyTorch eager"),
    ("resnet18-training", "training, beside compiled", "the same, beside `torch.compile` with fused AdamW"),
    ("gpt", "gpt, beside eager", "GPT training step, 8×128 tokens, 2 layers of 256 (one core), beside PyTorch eager"),
    ("gpt", "gpt, beside compiled", "the same, beside `torch.compile` with fused AdamW"),
    ("pool", "add beside numpy", "add of 4096² float32, beside NumPy"),
    ("pool", "add beside out=", "the same, beside NumPy into `out=`"),
)


def main() -> int:
    """Run what was asked for; 1 if a benchmark failed, or was not let write."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--write", action="store_true", help="write JSON, chart and table")
    options.add_argument("--draw", action="store_true", help="run nothing; write chart and table")
    options.add_argument("--rounds", type=int, help="of each benchmark, instead of its own number")
    given = options.parse_args()
    failed = [] if given.draw else [name for name in RUNS if not measure(name, given.rounds, given.write)]
    if given.write or given.draw:
        rows = table()
        README.write_text(updated(README.read_text()))
        draw(rows, RESULTS / "speed.svg")
    print(f"not measured: {', '.join(failed)}" if failed else "done")
    return 1 if failed else 0


def measure(name: str, rounds: int | None, write: bool) -> bool:
    """Run one benchmark in a process of its own; False where it failed."""
    print(f"== {name}", flush=True)
    program, *options = RUNS[name]
    options += ["--out", str(RESULTS / f"{name}.json")] if write else []
    options += ["--rounds", str(rounds)] if rounds else []
    command = [sys.executable, str(HERE / program), *options]
    return subprocess.run(command, check=False).returncode == 0


def table() -> list[tuple[str, dict[str, Any]]]:
    """What each row is called, and its ratio with the date of its run, from the committed results."""
    found = {path.stem: json.loads(path.read_text()) for path in RESULTS.glob("*.json")}
    return [
        (text, {**found[file]["ratios"][key], "date": found[file]["machine"]["date"]})
        for file, key, text in ROWS
        if key in found.get(file, {}).get("ratios", {})
    ]


def in_markdown(rows: list[tuple[str, dict[str, Any]]]) -> str:
    """The README's table: median and quartiles, each must and aim marked as met or not."""
    lines = ["| work | times as fast | must | aim | measured |", "|---|---|---|---|---|"]
    for text, r in rows:
        must = f"{r['must']:g}: {'met' if r['met'] else '**not met**'}"
        aim = f"{r['aim']:g}: {'met' if r['aim_met'] else 'not met'}"
        lines.append(f"| {text} | {r['median']:.2f} ({r['q1']:.2f} … {r['q3']:.2f}) | {must} | {aim} | {r['date']} |")
    return "\n".join(lines) + "\n"


def updated(readme: str) -> str:
    """``readme`` with both tables as `results/` has them."""
    return placed(placed(readme, in_markdown(table()), SPEED), memory_in_markdown(), MEMORY)


def memory_in_markdown() -> str:
    """Peak bytes of each training step compiled, and how many times as much the others take; less than once is not met."""
    found = json.loads((RESULTS / "memory.json").read_text())
    sides = list(dict.fromkeys(side for bytes_of in found["bytes"].values() for side in bytes_of))[1:]
    lines = [f"| training step | compiled, MB | {' | '.join(sides)} |", "|---|---|" + "---|" * len(sides)]
    for work, bytes_of in found["bytes"].items():
        ours = bytes_of["ingot compiled"]
        times = (bytes_of[side] / ours if side in bytes_of else None for side in sides)
        shown = ("" if t is None else f"{t:.3f}" if t >= 1 else f"**{t:.3f}**" for t in times)
        lines.append(f"| {work} | {ours / 1e6:,.2f} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def placed(readme: str, text: str, marks: tuple[str, str]) -> str:
    """``readme`` with ``text`` between the two marks."""
    before, begin, rest = readme.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not end:
        raise SystemExit(f"README.md has no lines {marks[0].strip()!r} and {marks[1].strip()!r} to write the table between")
    return before + begin + text + end + after


def draw(rows: list[tuple[str, dict[str, Any]]], path: Path) -> None:
    """Bars of how many times as fast, with their quartiles; a line where each must is, a dot where each aim is."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({"svg.hashsalt": "ingot", "svg.fonttype": "none"})  # the same figures: the same small file
    figure = Figure(figsize=(10, 0.32 * len(rows) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    for place, (_, r) in enumerate(rows):
        axes.barh(place, r["median"], color="#3a7d44" if r["met"] else "#c8553d", height=0.7)
        axes.plot([r["q1"], r["q3"]], [place, place], color="black", linewidth=1)
        axes.plot([r["must"], r["must"]], [place - 0.4, place + 0.4], color="black", linewidth=1.6)
        axes.plot(r["aim"], place, "o", color="white", markeredgecolor="black", markersize=4)
    axes.set_yticks(range(len(rows)), [text.replace("`", "") for text, _ in rows], fontsize=8)
    axes.set_xscale("log")
    ticks = [0.5, 1, 2, 5, 10, 20, 50]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    axes.axvline(1, color="grey", linewidth=0.8, linestyle=":")
    axes.invert_yaxis()
    axes.set_xlabel("times as fast as the peer (bar: the must, dot: the aim; red: the must is not met)")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    raise SystemExit(main())
