"""What a convolution is asked for, as numbers; and how it is cut into chunks whose memory stays in the cache of a core.

A chunk is some whole pictures, or a band of one: its padded pixels, its results and what lies between them are the scratch of
one thread. No result depends on the cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ingot_devices.codegen import Unsupported
from ingot_devices.opset.window import each, pads
from ingot_devices.registry import Request

from .code import FLOAT, LANES, Tiling
from .panels import DEPTH
from .winograd import PLACES, SEEN, TILE

CACHE = 1_500_000
"""Bytes of scratch that a chunk aims at: most of what a core has for itself."""
ENOUGH = 48
"""Rows of a product from which on it pays to read the weights from further away."""
SHARED = 4
"""Times as many outputs as registers hold that read some rows of pixels before others come into the cache."""
CHAIN = 256
"""Pixels of slopes that are summed in one chain, roughly: a long one rounds too often."""
LINE = 64
"""Bytes of a line of the cache, and what the counter of chunks takes for itself."""
Pair = tuple[int, int]


class Window(NamedTuple):
    """Windows over ``batch`` images, each of ``groups`` pictures of ``channels`` × ``sizes``, giving ``outputs`` × ``counts``.

    ``output`` and ``input`` are distances in the weight, in floats; ``flipped``: its taps are read from the last on.
    """

    batch: int
    groups: int
    channels: int
    sizes: Pair
    outputs: int
    counts: Pair
    taps: Pair
    stride: Pair
    dilation: Pair
    before: Pair
    output: int
    input: int
    flipped: bool = False

    @property
    def work(self) -> int:
        """Multiplications of the direct form."""
        return self.pictures * self.counts[0] * self.counts[1] * self.weights

    @property
    def pictures(self) -> int:
        """One for each image and group."""
        return self.batch * self.groups

    @property
    def weights(self) -> int:
        """Floats of the weight of a group."""
        return self.outputs * self.channels * self.taps[0] * self.taps[1]


def asked(request: Request) -> Window:
    """The windows of a convolution or of that whose weight has the gradient; of the gradient of its input with what is read and
    what is written exchanged. `Unsupported` says why there are none."""
    to_input = request.op == "convolution_input"
    x, weight, out = request.layouts[0].shape, request.layouts[1].shape, request.outputs[0].shape
    if request.op == "convolution_weight":
        x, weight, out = weight, out, x
    attrs, rank = request.attributes, len(x) - 2
    if rank > 2:
        raise Unsupported(f"it takes one or two spatial axes; {rank} were asked for")
    if min(*x, *weight, *out) == 0:
        raise Unsupported("there is nothing to multiply")

    def pair(values: tuple[int, ...], fill: int) -> Pair:
        return (fill, values[0]) if rank == 1 else (values[0], values[1])

    taps = pair(weight[2:], 1)
    stride, dilation = (pair(each(attrs[name], rank), 1) for name in ("stride", "dilation"))
    before = pair(tuple(a for a, _ in pads(attrs["padding"], rank)), 0)
    size, groups = taps[0] * taps[1], attrs["groups"]
    channels, outputs = x[1] // groups, out[1] // groups
    output, inner = (size, outputs * size) if to_input else (channels * size, size)
    return Window(x[0], groups, channels, pair(x[2:], 1), outputs, pair(out[2:], 1), taps, stride, dilation, before,
                  output, inner, to_input)  # fmt: skip


def at_one(w: Window) -> Window:
    """The gradient of an input as a convolution, which it is at stride 1 alone; a convolution as it is."""
    if not w.flipped:
        return w
    if w.stride != (1, 1):
        raise Unsupported("a gradient of the input is a convolution at stride 1 alone")
    turned = ((w.taps[0] - 1) * w.dilation[0] - w.before[0], (w.taps[1] - 1) * w.dilation[1] - w.before[1])
    if min(turned) < 0:
        raise Unsupported("the padding is larger than the windows")
    return w._replace(before=turned)


class Cut(NamedTuple):
    """Pictures of ``images`` images at once in whole, or ``bands`` of ``rows`` of one."""

    images: int
    rows: int
    bands: int
    chunks: int


def cut(batch: int, groups: int, high: int, threads: int, nbytes: Callable[[int, int], int], enough: int) -> Cut:
    """Chunks of at most `CACHE` bytes and some for each thread, where they can be; but not below ``enough`` rows.

    ``nbytes(images, rows)`` is what one takes. With few rows in a product its weights are read for little.
    """
    bands = 1
    while bands < high:
        fewer = -(-high // (bands + 1))
        if batch * groups * bands >= 2 * threads and (nbytes(1, -(-high // bands)) <= CACHE or fewer < enough):
            break
        bands += 1
    rows = -(-high // bands)
    bands, images = -(-high // rows), 1
    while bands == 1 and images < min(batch, -(-batch * groups // threads)):
        if images * rows >= enough and nbytes(images + 1, rows) > CACHE:
            break
        images += 1
    return Cut(images, rows, bands, -(-batch // images) * bands * groups)


class Layout(NamedTuple):
    """Constants of the launch by name, and the bytes of the workspace that they suppose."""

    constants: Mapping[str, int]
    nbytes: int


def rounded(value: int, to: int) -> int:
    """The next multiple of ``to``."""
    return -(-value // to) * to


def _past(deep: int) -> int:
    """Floats that `parts.gather` may write behind the last row: another thread must not have its own there."""
    return LANES * (deep + 1)


def laid(first: int, sections: Mapping[str, int]) -> tuple[dict[str, int], int]:
    """Where sections of these bytes begin, and where they end."""
    places, at = {}, first
    for name, nbytes in sections.items():
        places[name] = at
        at += rounded(nbytes, LINE)
    return places, at


def _layout(
    w: Window, tiling: Tiling, threads: int, high: int, sections: Callable[[int, int], Mapping[str, int]], rows: int,
    along: int, more: Mapping[str, int],
) -> Layout:  # fmt: skip
    """What both kernels share. ``sections(images, rows)``: the scratch of a chunk; ``rows``: of packed weights, each as wide as
    a panel; ``along``: rows of a product in one of ``high``."""
    nbytes, enough = lambda images, lines: sum(sections(images, lines).values()), -(-ENOUGH // along)
    made = cut(w.batch, w.groups, high, threads, nbytes, enough)
    panels = -(-w.outputs // tiling.width)
    places, scratch = laid(0, sections(made.images, made.rows))
    packed = w.groups * panels * rows * tiling.width * FLOAT
    start = LINE + rounded(packed, LINE)
    places = {name: at + start for name, at in places.items()}
    constants = {
        "batch": w.batch, "groups": w.groups, **made._asdict(), "scratch": scratch, "packed": LINE, **places,
        "height": w.sizes[0], "width": w.sizes[1], "channels": w.channels, "top": w.before[0], "left": w.before[1],
        "outputs": w.outputs, "side": panels * tiling.width, "area": w.counts[0] * w.counts[1], "count": w.counts[1],
        "high": high, "panels": panels, **_weights(w), **more,
    }  # fmt: skip
    return Layout(constants, start + scratch * threads)


def _weights(w: Window) -> dict[str, int]:
    """How `parts.pack` walks the weight. One tap alone: its channels, which lie side by side, are walked as taps are."""
    taps, walk = w.taps[0] * w.taps[1], {"output": w.output, "weights": w.weights}
    if taps == 1 and w.input == 1 and not w.flipped:
        return {"inputs": 1, "input": 1, "taps": w.channels, **walk}
    return {"inputs": w.channels, "input": w.input, "taps": taps, **walk}


def direct(w: Window, tiling: Tiling, threads: int) -> Layout:
    """The constants of `direct.text`."""
    tall, broad = ((t - 1) * d + 1 for t, d in zip(w.taps, w.dilation, strict=True))
    wide = max(w.before[1] + w.sizes[1], (w.counts[1] - 1) * w.stride[1] + broad)
    side = rounded(w.outputs, tiling.width)
    deep = w.channels

    def sections(images: int, rows: int) -> dict[str, int]:
        reach, results = (rows - 1) * w.stride[0] + tall, images * rows * w.counts[1]
        return {
            "pixels": (images * reach * wide * deep + _past(deep)) * FLOAT,
            "places": (results + tiling.rows[0]) * 8,
            "results": (results + LANES) * side * FLOAT,
        }

    apart = w.dilation[1] > 1
    more = {
        "wide": wide, "deep": deep, "tall": tall, "down": w.stride[0], "across": w.stride[1],
        "lines": w.taps[0], "line": w.dilation[0] * wide * deep, "parts": w.taps[1] if apart else 1,
        "part": w.dilation[1] * deep, "length": deep if apart else deep * w.taps[1],
    }  # fmt: skip
    return _layout(w, tiling, threads, w.counts[0], sections, w.taps[0] * w.taps[1] * w.channels, w.counts[1], more)


def winograd(w: Window, tiling: Tiling, threads: int) -> Layout:
    """The constants of `winograd.text`."""
    high, tiles = (-(-n // TILE) for n in w.counts)
    wide = max(w.before[1] + w.sizes[1], tiles * TILE + SEEN - TILE)
    deep, side = rounded(w.channels, LANES), rounded(w.outputs, tiling.width)

    def sections(images: int, rows: int) -> dict[str, int]:
        tiled = rounded(images * rows * tiles, tiling.rows[0])
        results = images * rows * TILE * w.counts[1] + (TILE - 1) * w.counts[1] + TILE
        return {
            "pixels": (images * (rows * TILE + SEEN - TILE) * wide * deep + _past(deep)) * FLOAT,
            "seen": PLACES * tiled * deep * FLOAT,
            "products": PLACES * tiled * side * FLOAT,
            "results": (results + LANES) * side * FLOAT,
        }

    made = _layout(w, tiling, threads, high, sections, PLACES * w.channels, tiles, {"wide": wide, "deep": deep, "tiles": tiles})
    tiled = rounded(made.constants["images"] * made.constants["rows"] * tiles, tiling.rows[0])
    return made._replace(constants={**made.constants, "tiled": tiled})


def panels(w: Window, tiling: Tiling, threads: int) -> Layout:
    """The constants of `panels.text`."""
    high, tiles = (-(-n // TILE) for n in w.counts)
    wide = max(w.before[1] + w.sizes[1], tiles * TILE + SEEN - TILE)
    deep, tiled = rounded(w.channels, LANES), rounded(w.batch * high * tiles, tiling.rows[0])
    area, count = w.counts[0] * w.counts[1], -(-w.outputs // tiling.width)
    each_ = (high * TILE + SEEN - TILE) * wide * deep + _past(deep)
    shared, start = laid(LINE, {"pixels": w.batch * each_ * FLOAT, "seen": PLACES * tiled * deep * FLOAT})
    own, scratch = laid(0, {
        "packed": PLACES * DEPTH * tiling.width * FLOAT,
        "products": PLACES * tiled * tiling.width * FLOAT,
        "results": (w.batch * area + (TILE - 1) * w.counts[1] + TILE + LANES) * tiling.width * FLOAT,
    })  # fmt: skip
    constants = {
        "batch": w.batch, "groups": w.groups, "scratch": scratch, **shared, "each": each_,
        **{n: at + start for n, at in own.items()},
        "height": w.sizes[0], "width": w.sizes[1], "channels": w.channels, "top": w.before[0], "left": w.before[1],
        "wide": wide, "deep": deep, "outputs": w.outputs, "side": tiling.width, "area": area, "high": high,
        "count": w.counts[1], "tiles": tiles, "tiled": tiled, "panels": count, **_weights(w),
    }  # fmt: skip
    return Layout(constants, start + scratch * threads)


def reads(w: Window, tiling: Tiling, threads: int) -> tuple[int, int]:
    """Bytes that `winograd` and `panels` move: the transformed weight for each chunk, or all tiles for each panel.

    The latter is for one group alone."""
    high, tiles = (-(-n // TILE) for n in w.counts)
    outputs = rounded(w.outputs, tiling.width)
    weight = PLACES * w.channels * outputs * FLOAT
    seen = PLACES * w.channels * w.batch * high * tiles * FLOAT
    chunks = winograd(w, tiling, threads).constants["chunks"]
    return weight * (2 + chunks), seen * outputs // tiling.width


def turned(w: Window, tiling: Tiling, threads: int) -> tuple[Layout, tuple[int, ...]]:
    """The constants of `turned.text`, and its two tables."""
    (down, across), (kh, kw) = w.stride, w.taps
    lines, columns = (-(-(n + b) // s) for n, b, s in zip(w.counts, w.before, w.stride, strict=True))
    tall, broad = -(-kh // down), -(-kw // across)
    wide, deep, side = max(broad - 1 + w.sizes[1], columns + broad - 1), w.channels, rounded(w.outputs, tiling.width)

    def sections(images: int, rows: int) -> dict[str, int]:
        most = images * rows * columns + tiling.rows[0]
        return {
            "pixels": (images * (rows + tall - 1) * wide * deep + _past(deep)) * FLOAT, "places": most * 8, "targets": most * 8,
            "results": (images * rows * down * w.counts[1] + LANES) * side * FLOAT,
        }  # fmt: skip

    phases = [(a, b, -(-max(kh - a, 0) // down), -(-max(kw - b, 0) // across)) for a in range(down) for b in range(across)]
    starts = [sum(h * v for _, _, h, v in phases[:k]) for k in range(len(phases))]
    at = {(a, b): (start, h, v) for (a, b, h, v), start in zip(phases, starts, strict=True)}
    places = []
    for i in range(kh):
        for j in range(kw):
            start, h, v = at[i % down, j % across]
            places.append(start + (h - 1 - i // down) * v + v - 1 - j // across)
    more = {
        "wide": wide, "deep": deep, "tall": tall, "broad": broad, "down": down, "across": across, "top": w.before[0],
        "before": w.before[1], "left": broad - 1, "lines": lines, "columns": columns, "phases": len(phases),
        "high": w.counts[0],
    }  # fmt: skip
    made = _layout(w, tiling, threads, lines, sections, kh * kw * w.channels, w.counts[1], more)
    return made, (*(n for phase, start in zip(phases, starts, strict=True) for n in (*phase, start)), *places)


def weights(w: Window, tiling: Tiling, threads: int) -> Layout:
    """The constants of `weights.text`."""
    high, count = w.counts
    tall, broad = ((n - 1) * s + (t - 1) * d + 1 for n, s, t, d in zip(w.counts, w.stride, w.taps, w.dilation, strict=True))
    wide, deep, apart = max(w.before[1] + w.sizes[1], broad), w.channels, w.dilation[1] > 1
    length = deep if apart else deep * w.taps[1]
    strips, parts = -(-length // tiling.width), w.taps[1] if apart else 1
    each_, row = tall * wide * deep + _past(deep), w.taps[0] * parts * strips * tiling.width
    most = tiling.rows[0]
    span = most * max(1, min(SHARED, -(-w.outputs * w.groups // (most * threads)), -(-w.outputs // most)))
    units = -(-w.outputs // span)
    places, nbytes = laid(0, {
        "pixels": (w.pictures * each_ + tiling.width) * FLOAT,
        "totals": w.groups * units * span * row * FLOAT,
    })  # fmt: skip
    constants = {
        "batch": w.batch, "groups": w.groups, "height": w.sizes[0], "width": w.sizes[1], "channels": w.channels,
        "top": w.before[0], "left": w.before[1], "wide": wide, "deep": deep, "tall": tall, "each": each_, **places,
        "outputs": w.outputs,
        "high": high, "band": max(1, CHAIN // count), "count": count, "down": w.stride[0], "across": w.stride[1],
        "lines": w.taps[0], "line": w.dilation[0] * wide * deep, "parts": parts, "part": w.dilation[1] * deep,
        "strips": strips, "row": row,
        "taps": w.taps[0] * w.taps[1], "broad": w.taps[1], "beside": strips * tiling.width if apart else deep,
        "span": span, "units": units,
    }  # fmt: skip
    return Layout(constants, nbytes)
