"""The picture of ``ingot bench``: both axes logarithmic, the roof of each device, its ops as points under it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .bench import Roofline

LOW, HIGH = 2.0**-5, 2.0**9


def draw(found: Sequence[Roofline], path: str) -> Path:
    """Draw ``found`` side by side, on the same axes, as a PNG at ``path``."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(found), figsize=(8 * len(found), 5.5), sharey=True, squeeze=False)
    for axis, roof in zip(axes[0], found, strict=True):
        peak = roof.peaks["float32"]
        knee = peak / roof.bandwidth
        axis.plot([LOW, knee, max(HIGH, 2 * knee)], [LOW * roof.bandwidth / 1e9, peak / 1e9, peak / 1e9], color="black", lw=1.5)
        for name, rate in roof.peaks.items():
            axis.axhline(rate / 1e9, lw=0.5, ls=":", color="grey")
            axis.annotate(name, (max(HIGH, 2 * knee), rate / 1e9), fontsize=7, color="grey", ha="right", va="bottom")
        for k, op in enumerate(roof.ops):
            at = max(op.intensity, LOW)
            rate = max(op.operations, op.nbytes * LOW) / op.seconds / 1e9
            axis.plot(at, rate, "o", ms=5, color=f"C{k % 10}")
            axis.annotate(f"{op.name} {op.share:.0%}", (at, rate), fontsize=7, xytext=(4, 2), textcoords="offset points")
        axis.set(xscale="log", yscale="log", xlabel="operations for each byte", ylabel="10⁹ operations a second")
        axis.set_title(f"{roof.device}: {roof.bandwidth / 1e9:.1f} GB/s, {peak / 1e9:.1f} Gop/s float32", fontsize=10)
        axis.grid(True, which="major", lw=0.3)
    figure.tight_layout()
    target = Path(path)
    figure.savefig(target, dpi=120)
    pyplot.close(figure)
    return target
