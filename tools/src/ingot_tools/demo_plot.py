"""The demo's picture: the loss curves of each problem, one line per device. Needs no display."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from .demo_train import Result

NAME = "ingot-demo.png"
_MEMORY = 0.9  # of the running mean that smooths the curves


def save_picture(results: Sequence[Result], folder: Path | None = None) -> Path:
    """Draw ``results`` into ``folder`` (the current one; the system's temporary one where that cannot be written)."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(r.problem for r in results))
    figure = Figure(figsize=(6 * len(names), 4.5), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for k, result in enumerate(r for r in results if r.problem == name):
            # Devices that agree lie on one another: thinner and dashed on top lets all be seen.
            axes.plot(
                range(1, result.steps + 1), smooth(result.losses), label=result.device,
                linewidth=max(1.0, 3.5 - k), linestyle=("-", "--", ":", "-.")[k % 4],
            )  # fmt: skip
        axes.set(title=name, xlabel="step", ylabel="loss", yscale="log")
        axes.grid(alpha=0.3, which="both")
        axes.legend()
    try:
        path = (folder or Path.cwd()) / NAME
        figure.savefig(path, dpi=120)
    except OSError:
        path = Path(tempfile.mkdtemp(prefix="ingot-")) / NAME
        figure.savefig(path, dpi=120)
    return path


def smooth(losses: Sequence[float]) -> list[float]:
    """The exponential running mean."""
    return list(accumulate(losses, lambda mean, loss: _MEMORY * mean + (1 - _MEMORY) * loss))
