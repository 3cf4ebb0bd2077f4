"""How `planes` lays channels out, as numbers: phases, what each tap sees, and what lies where in a thread's scratch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ingot_devices.codegen import Unsupported

from .code import FLOAT, LANES
from .geometry import CACHE, LINE, Layout, Pair, Window, laid, rounded
from .plane_weights import OUTPUTS
from .planes import COLUMNS, Tap, Tile, Variant

READ = 1.6
"""Times as long as products take where a pixel is read for each tap: rows end to end pay where they are as much shorter."""
MOST = 1024
"""Taps that there is code for: each is written out."""


WRITTEN = 2048
"""Products of a tile for which that pays."""
FEW = 8
"""Lines of a band at least: below it shares too many with the next one."""


class Grid(NamedTuple):
    """``inner`` phases of what is read, with zeros ``before``, each as ``wide``; ``outer`` phases of results, which begin
    ``ahead`` of them, each with ``counts``. ``taps``: those that each phase of the results sees, in order."""

    inner: Pair
    before: Pair
    wide: int
    outer: Pair
    ahead: Pair
    counts: Pair
    taps: tuple[tuple[Tap, ...], ...]

    def tall(self, band: int) -> int:
        """Rows of a phase that ``band`` lines of results see."""
        return band + max((t.row for taps in self.taps for t in taps), default=0)

    def long(self, band: int) -> int:
        """Floats of a channel then."""
        return self.inner[0] * self.inner[1] * self.tall(band) * self.wide


def _taps(w: Window) -> Iterator[tuple[int, int, int]]:
    """Each tap: its number, and how far down and across it looks."""
    for number in range(w.taps[0] * w.taps[1]):
        i, j = divmod(number, w.taps[1])
        yield number, i * w.dilation[0], j * w.dilation[1]


def forward(w: Window) -> Grid:
    """Of a convolution: pixels lie in as many phases as its strides are."""
    down, across = w.stride
    reach = (w.counts[1] - 1) * across + (w.taps[1] - 1) * w.dilation[1] + 1
    wide = -(-max(w.before[1] + w.sizes[1], reach) // across)
    taps = (Tap(i // down, i % down * across + j % across, j // across, t) for t, i, j in _taps(w))
    return _checked(Grid(w.stride, w.before, wide, (1, 1), (0, 0), w.counts, (tuple(sorted(taps)),)))


def backward(w: Window) -> Grid:
    """Of the gradient of an input: results lie in as many phases as the strides are, and each sees some of the taps."""
    (down, across), most = w.stride, [(t - 1) * d // s for t, d, s in zip(w.taps, w.dilation, w.stride, strict=True)]
    lines, columns = (-(-(n + b) // s) for n, b, s in zip(w.counts, w.before, w.stride, strict=True))
    wide = most[1] + max(w.sizes[1], columns)
    taps: list[list[Tap]] = [[] for _ in range(down * across)]
    for t, i, j in _taps(w):
        taps[i % down * across + j % across].append(Tap(most[0] - i // down, 0, most[1] - j // across, t))
    seen = tuple(tuple(sorted(some)) for some in taps)
    return _checked(Grid((1, 1), (most[0], most[1]), wide, w.stride, w.before, (lines, columns), seen))


def _checked(g: Grid) -> Grid:
    apart, taps = max(g.inner[1], g.outer[1]), sum(map(len, g.taps))
    if apart > COLUMNS:
        raise Unsupported(f"columns are {apart} apart, and there is code for {COLUMNS}")
    if taps > MOST:
        raise Unsupported(f"windows have {taps} taps, and there is code for {MOST}")
    return g


# ---- tiles -------------------------------------------------------------------------------------------------------------
def _wasted(count: int, parts: int) -> float:
    """Times as much as is wanted, where ``count`` is computed in whole parts."""
    return rounded(count, parts) / count


def _tiled(outputs: int, lines: int, length: int, registers: int) -> Tile:
    """The tile that takes least: for a product of its own, what it wastes; beside it reads, which several products share."""

    def cost(t: Tile) -> tuple[float, int]:
        wasted = _wasted(outputs, t.outputs) * _wasted(lines, t.rows) * _wasted(length, t.vectors * LANES)
        pixels, weights = 1 / (t.outputs * t.rows), 1 / t.vectors
        waits = math.prod(t) < registers // 2  # too few sums at a time: each product waits for the one before
        return wasted * (1 + pixels + weights + waits), -math.prod(t)

    sizes = [Tile(o, r, v) for o in (1, 2, 3, 4) for r in (1, 2, 4) for v in (1, 2, 4) if o * r * v <= registers]
    return min(sizes, key=cost)


def _band(lines: int, enough: Callable[[int], bool]) -> int:
    """Lines of a band: all, or the half of it until there are few or it is ``enough``."""
    while lines > FEW and not enough(lines):
        lines = -(-lines // 2)
    return lines


def planes(w: Window, g: Grid, registers: int, threads: int) -> tuple[Layout, Variant]:
    """The constants of `planes.text`, and which text."""
    (lines, columns), end_to_end = g.counts, (g.counts[0] - 1) * g.wide + g.counts[1]
    registers = max(1, min(registers, WRITTEN // max(map(len, g.taps))))
    tile, one = (_tiled(w.outputs, *of, registers) for of in ((lines, columns), (1, end_to_end)))
    by_rows = rounded(lines, tile.rows) * rounded(columns, tile.vectors * LANES)
    if by_rows > READ * rounded(end_to_end, one.vectors * LANES):
        tile, band, length, rows, pace = one, lines, end_to_end, 1, g.wide
    else:
        def enough(band: int) -> bool:
            held = w.channels * g.long(band) + w.outputs * len(g.taps) * band * columns
            return held * FLOAT <= CACHE and w.pictures * -(-lines // band) >= 2 * threads

        band, length = rounded(_band(lines, enough), tile.rows), columns
        rows, pace = band, rounded(columns, tile.vectors * LANES)
    broad = rounded(length, tile.vectors * LANES)
    made, bands = rounded(rows, tile.rows) * broad, -(-lines // band)
    more = {"band": band, "bands": bands, "chunks": bands * w.pictures, "lines": rows, "length": length, "broad": broad,
            "pace": pace, "made": made, "span": 0, "units": 0}  # fmt: skip
    held = rounded(w.outputs, tile.outputs) * len(g.taps) * made + LANES
    past = tile.rows * g.wide + tile.vectors * LANES
    return _layout(w, g, threads, held, past, more), Variant(g.inner[1], g.outer[1], tile, g.taps)


def weights(w: Window, g: Grid, threads: int) -> tuple[Layout, tuple[int, ...]]:
    """The constants of `plane_weights.text`, and the table behind them.

    Bands decide how sums round, so they do not follow the threads.
    """
    (taps,), lines = g.taps, g.counts[0]
    band = _band(lines, lambda band: w.channels * g.long(band) * FLOAT <= CACHE)
    span = min(w.outputs, rounded(-(-w.outputs * w.groups // (2 * threads)), OUTPUTS))
    units = -(-w.outputs // span)
    shifts = {t.place: t.phase * g.tall(band) * g.wide + t.row * g.wide + t.column for t in taps}
    more = dict.fromkeys(("lines", "length", "broad", "pace", "made"), 0)
    more |= {"band": band, "bands": -(-lines // band), "span": span, "units": units, "chunks": units * w.groups}
    held = (span + OUTPUTS - 1) * w.channels * len(taps) * LANES
    return _layout(w, g, threads, held, LANES, more), tuple(shifts[k] for k in range(len(taps)))


def _layout(w: Window, g: Grid, threads: int, results: int, past: int, more: dict[str, int]) -> Layout:
    """``results``: floats of them in scratch; ``past``: of pixels that are read behind the last."""
    long = g.long(more["band"])
    places, scratch = laid(0, {"pixels": (w.channels * long + past) * FLOAT, "results": results * FLOAT})
    constants = {
        "batch": w.batch, "groups": w.groups, "scratch": scratch, **{n: at + LINE for n, at in places.items()},
        "channels": w.channels, "height": w.sizes[0], "width": w.sizes[1], "top": g.before[0], "left": g.before[1],
        "down": g.inner[0], "tall": g.tall(more["band"]), "wide": g.wide, "long": long, "outputs": w.outputs,
        "high": w.counts[0], "count": w.counts[1], "over": g.ahead[0], "ahead": g.ahead[1], "apart": g.outer[0],
        "taps": w.taps[0] * w.taps[1], "output": w.output, "input": w.input, "weights": w.weights, **more,
    }  # fmt: skip
    return Layout(constants, LINE + scratch * threads)
