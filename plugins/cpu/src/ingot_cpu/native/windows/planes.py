"""Windows of few channels: 16 pixels side by side, channel after channel and tap after tap.

A panel of `direct` has 16 outputs and more; where a group has few (in a depthwise convolution it has one), most of it is empty.
Here a vector is 16 results of one output. A channel lies in scratch with zeros around, and some rows of results are summed at a
time, so that pixels that several of them see are read once. At a stride, rows and columns that are as far apart lie together
(a *phase*); in the gradient of an input the results are what lies in phases, each of which sees some of the taps. Where rows
are short, all of them are taken as one: with the zeros between them, what a tap sees is a shift of it, and what lies beyond a
row's end is computed and not used.

Each result is one chain of fused multiply-adds over channels and taps, so it has the same bits for any tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..emit import Value
from ..jit import Target
from .code import LANES, Code
from .parts import Finish, least, reset, shares

NAMES = (
    "batch", "groups", "bands", "band", "chunks", "scratch", "pixels", "results", "channels", "height", "width", "top", "left",
    "down", "tall", "wide", "long", "outputs", "high", "count", "over", "ahead", "apart", "lines", "length", "broad", "pace",
    "made", "taps", "output", "input", "weights", "span", "units",
)  # fmt: skip
"""Constants of the launch; `grid` gives them."""
COLUMNS = 4
"""Columns apart that there is code for."""


class Tap(NamedTuple):
    """What a result sees by one tap: a phase, rows and columns further; and the tap's place in the weight."""

    row: int
    phase: int
    column: int
    place: int


class Tile(NamedTuple):
    """What is summed at a time: outputs × rows × vectors of 16 columns. No result depends on it."""

    outputs: int
    rows: int
    vectors: int


class Variant(NamedTuple):
    """What decides a text, beside the processor: the phases of columns, of pixels and of results; the taps, in order, that each
    phase of the results sees."""

    across: int
    apart: int
    tile: Tile
    taps: tuple[tuple[Tap, ...], ...]


def registers(target: Target) -> int:
    """Vectors that are summed at a time at most."""
    return 16 if target.wide else 2 if target.name == "sse2" else 4


def resets(operands: Sequence[str]) -> str:
    """The first part: nothing is taken yet."""
    c = Code((), operands)
    reset(c)
    return c.text()


def text(finish: Finish, v: Variant) -> str:
    """The part: (x, weight, bias, out, space); units are threads."""
    c = Code(NAMES)

    def chunk(number: Value, scratch: Value) -> None:
        pixels, results = (c.byte_at("%space", c.sum(scratch, c[n])) for n in ("pixels", "results"))
        picture, band = c.divide(number, c["bands"])
        first = c.times(band, c["band"])
        lay(c, picture, first, pixels, v.across)
        image, group = c.divide(picture, c["groups"])
        weight = c.float_at("%weight", c.times(group, c["weights"]))

        def outputs(start: Value) -> None:
            every = (least(c, c.sum(start, k), c["outputs"]) for k in range(v.tile.outputs))
            weights = [c.float_at(weight, c.times(o, c["output"])) for o in every]
            for phase, taps in enumerate(v.taps):
                made = c.float_at(results, c.times(c.sum(c.product(start, len(v.taps)), phase), c["made"]))
                _phase(c, v, taps, pixels, weights, made)

        c.each(0, c["outputs"], outputs, v.tile.outputs)
        c.each(0, c["outputs"], lambda o: _put(c, results, Output(image, group, o, first), v, finish))

    shares(c, c["chunks"], chunk)
    return c.text()


# ---- pixels ------------------------------------------------------------------------------------------------------------
def lay(c: Code, picture: Value, first: Value, target: str, across: int) -> None:
    """A picture's channels, by phases and with zeros around, from row ``first`` of each phase on.

    Constants: ``channels``, ``height``, ``width``; ``top`` and ``left`` (zeros before), ``down`` (phases of rows; columns have
    ``across``), ``tall`` and ``wide`` (what is laid of each), ``long`` (floats of a channel).
    """
    source = c.float_at("%x", c.product(picture, c["channels"], c["height"], c["width"]))
    c.zero(target, c.sum(c.times(c["channels"], c["long"]), LANES))
    phase = c.times(c["tall"], c["wide"])

    def columns(row: str, place: str, k: int) -> None:
        """Columns k, k + across … of a row with its zeros."""
        skipped = c.divide(c.sum(c["left"], across - 1 - k), c.number(across))[0]
        start = c.minus(c.sum(c.product(skipped, across), k), c["left"])
        line = c.float_at(place, c.product(phase, k), skipped)

        def some(x: Value) -> None:
            at = c.sum(start, c.product(x, across))
            c.store(_every(c, row, at, across), c.float_at(line, x), c.first(_left(c, at, across)))

        c.each(0, c.divide(c.sum(c.minus(c["width"], start), across - 1), c.number(across))[0], some, LANES)

    def row(q: Value, y: Value) -> None:
        line, part = c.divide(c.sum(y, c["top"]), c["down"])
        begin = c.float_at(source, c.times(c.sum(c.times(q, c["height"]), y), c["width"]))
        down = c.times(c.minus(line, first), c["wide"])
        place = c.float_at(target, c.times(q, c["long"]), c.product(part, phase, across), down)
        for k in range(across):
            columns(begin, place, k)

    top = c.most(c.minus(c.times(first, c["down"]), c["top"]), c.number(0))
    stop = c.least(c.minus(c.times(c.sum(first, c["tall"]), c["down"]), c["top"]), c["height"])
    c.each(0, c["channels"], lambda q: c.each(top, stop, lambda y: row(q, y)))


def _left(c: Code, first: Value, across: int = 1) -> Value:
    """How many of 16 columns from ``first`` on, ``across`` apart, are in the row."""
    left = c.most(c.sum(c.minus(c["width"], first), across - 1), c.number(0))
    return c.least(c.divide(left, c.number(across))[0], c.number(LANES))


def _every(c: Code, row: str, first: Value, across: int) -> Value:
    """16 pixels of a row from column ``first`` on, ``across`` apart; zeros behind its end."""
    begins = [c.sum(first, k * LANES) for k in range(across)]
    parts = [c.read(c.float_at(row, at), c.first(_left(c, at))) for at in begins]
    return _woven(c, parts, [divmod(m * across, LANES) for m in range(LANES)])


def _woven(c: Code, parts: Sequence[Value], lanes: Sequence[tuple[int, int]]) -> Value:
    """Lanes of some vectors: (which one, which lane of it)."""
    made = parts[0]
    for k, part in enumerate(parts):
        places = [LANES + lane if which == k else m for m, (which, lane) in enumerate(lanes)]
        made = c.mixed(made, part, places) if len(parts) > 1 else made
    return made


# ---- results -----------------------------------------------------------------------------------------------------------
def _phase(c: Code, v: Variant, taps: Sequence[Tap], pixels: str, weights: Sequence[str], results: str) -> None:
    """All results of a phase for the outputs of a tile."""
    _, rows, vectors = v.tile
    apart = c.product(c["made"], len(v.taps))

    def tile(y: Value, x: Value) -> None:
        corner = c.sum(c.times(y, c["wide"]), x)

        def channel(q: Value, sums: list[Value]) -> list[Value]:
            seen = c.float_at(pixels, c.times(q, c["long"]), corner)
            return _products(c, v, taps, seen, [c.float_at(w, c.times(q, c["input"])) for w in weights], sums)

        zeros = [c.same(0.0)] * (len(weights) * rows * vectors)
        sums = c.loop(c.number(0), c["channels"], c.number(1), zeros, channel)
        for number, value in enumerate(sums):
            rest, column = divmod(number, vectors)
            output, row = divmod(rest, rows)
            place = c.sum(c.product(apart, output), c.times(c.sum(y, row), c["broad"]), x, LANES * column)
            c.store(value, c.float_at(results, place))

    c.each(0, c["lines"], lambda y: c.each(0, c["length"], lambda x: tile(y, x), vectors * LANES), rows)


def _products(
    c: Code, v: Variant, taps: Sequence[Tap], seen: str, weights: Sequence[str], sums: Sequence[Value]
) -> list[Value]:
    """Sums with what a channel gives to a tile whose corner is ``seen``. Pixels are read row after row, each once."""
    _, rows, vectors = v.tile
    size, made = c.times(c["tall"], c["wide"]), list(sums)
    places = {(t.row, t.phase, t.column): t.place for t in taps}
    for row, phase, column in sorted({(t.row + r, t.phase, t.column) for t in taps for r in range(rows)}):
        start = c.sum(c.product(size, phase), c.product(c["wide"], row), column)
        right = [c.read(c.float_at(seen, start, LANES * k)) for k in range(vectors)]
        for r in range(rows):
            place = places.get((row - r, phase, column))
            for o, weight in enumerate(weights if place is not None else ()):
                left, first = c.scalar(c.float_at(weight, place or 0)), (o * rows + r) * vectors
                for k, pixels in enumerate(right):
                    made[first + k] = c.fused(left, pixels, made[first + k])
    return made


class Output(NamedTuple):
    """One of a group, from line ``first`` of its phases on."""

    image: Value
    group: Value
    output: Value
    first: Value


def _put(c: Code, results: str, of: Output, v: Variant, finish: Finish) -> None:
    """A band of results to where they belong."""
    output = c.sum(c.times(of.group, c["outputs"]), of.output)
    end = finish(c)(of.image, [output])[0]
    plane = c.product(c.sum(c.product(of.image, c["groups"], c["outputs"]), output), c["high"], c["count"])
    held = c.product(of.output, len(v.taps))

    def row(y: Value) -> None:
        line, part = c.divide(c.sum(y, c["over"]), c["apart"])
        down = c.times(c.minus(line, of.first), c["pace"])

        def some(x: Value) -> None:
            parts = []
            for k in range(v.apart):
                column, phase = c.divide(c.sum(x, c["ahead"], k), c.number(v.apart))
                begin = c.times(c.sum(held, c.product(part, v.apart), phase), c["made"])
                parts.append(c.read(c.float_at(results, begin, down, column)))
            left = c.least(c.minus(c["count"], x), c.number(LANES))
            pixel = c.sum(c.times(y, c["count"]), x)
            value = _woven(c, parts, [(m % v.apart, m // v.apart) for m in range(LANES)])
            end(value, c.sum(plane, pixel), pixel, left, c.first(left))

        c.each(0, c["count"], some, LANES)

    top = c.most(c.minus(c.times(of.first, c["apart"]), c["over"]), c.number(0))
    stop = c.least(c.minus(c.times(c.sum(of.first, c["band"]), c["apart"]), c["over"]), c["high"])
    c.each(top, stop, row)
