"""The greatest element of each window over two axes, and its place: 16 windows side by side, tap after tap.

Along a row the windows lie 1 or 2 elements apart, so their elements at one tap are 16 in a row, or every other of 32. Taps
outside never win. The first of equals stays, and NaN is greater than all, as the definition says.
"""

from __future__ import annotations

import math

from ingot_devices import dtypes as dt

from ..emit import Value
from .code import LANES, Code

NAMES = ("height", "width", "high", "count", "tall", "broad", "down", "apart_down", "apart", "top", "left")
"""Constants of the launch: sizes of a plane and of its results; taps, stride, distance of taps, zeros before."""
APART = (1, 2)
"""Distances of windows along a row that there is code for."""
BOTH = f"<{2 * LANES} x float>"


def text(apart: int, indices: bool) -> str:
    """The part: (x, out), and ``indices`` where they are wanted; units are planes."""
    c = Code(NAMES, ("x", "out", "indices") if indices else ("x", "out"))

    def plane(number: Value) -> None:
        source = c.float_at("%x", c.product(number, c["height"], c["width"]))
        place = c.product(number, c["high"], c["count"])

        def row(y: Value) -> None:
            first, line = c.minus(c.times(y, c["down"]), c["top"]), c.sum(place, c.times(y, c["count"]))
            c.each(0, c["count"], lambda w: _windows(c, source, first, w, line, apart, indices), LANES)

        c.each(0, c["high"], row)

    c.units(plane)
    return c.text()


def _windows(c: Code, source: str, first: Value, w: Value, place: Value, apart: int, indices: bool) -> None:
    """16 windows of a row from the ``w``-th on, whose uppermost taps are in row ``first``."""
    start = c.minus(c.product(w, apart), c["left"])

    def down(i: Value, held: list[Value]) -> list[Value]:
        row = c.sum(first, c.times(i, c["apart_down"]))
        inside = c.op(f"icmp ult i64 {row.text}, {c['height'].text}", dt.bool_, 0)
        line = c.times(row, c["width"])

        def across(j: Value, held: list[Value]) -> list[Value]:
            return _better(c, source, line, c.sum(start, c.times(j, c["apart"])), apart, held)

        return c.when(inside, lambda: c.loop(c.number(0), c["broad"], c.number(1), held, across), held)

    none = [c.same(-math.inf), Value("splat (i32 -1)", dt.int32, LANES)]
    best, found = c.loop(c.number(0), c["tall"], c.number(1), none, down)
    mask = c.first(c.least(c.minus(c["count"], w), c.number(LANES)))
    target = c.sum(place, w)
    c.store(best, c.float_at("%out", target), mask)
    if not indices:
        return
    wide = c.op(f"sext <{LANES} x i32> {found.text} to <{LANES} x i64>", dt.int64, LANES)
    c.store(wide, c.at("%indices", dt.int64, target), mask)


def _better(c: Code, source: str, line: Value, column: Value, apart: int, held: list[Value]) -> list[Value]:
    """The greatest so far and its place, with one more tap: 16 elements of the row that begins at number ``line``."""
    best, found = held
    flags, floats, whole = (f"<{LANES} x {kind}>" for kind in ("i1", "float", "i32"))
    value = _tap(c, c.float_at(source, line, column), column, apart)
    columns = _columns(c, column, apart)
    more = c.op(f"fcmp ugt {floats} {value.text}, {best.text}", dt.bool_, LANES)  # greater, or one of them is NaN
    known = c.op(f"fcmp ord {floats} {best.text}, {best.text}", dt.bool_, LANES)
    fresh = c.op(f"icmp slt {whole} {found.text}, zeroinitializer", dt.bool_, LANES)
    wins = c.op(f"and {flags} {more.text}, {known.text}", dt.bool_, LANES)
    wins = c.op(f"or {flags} {wins.text}, {fresh.text}", dt.bool_, LANES)
    wins = c.op(f"and {flags} {wins.text}, {_inside(c, columns)}", dt.bool_, LANES)
    places = c.op(f"add {whole} {columns.text}, {c.spread(_short(c, line), LANES).text}", dt.int32, LANES)
    return [
        c.op(f"select {flags} {wins.text}, {floats} {value.text}, {floats} {best.text}", dt.float32, LANES),
        c.op(f"select {flags} {wins.text}, {whole} {places.text}, {whole} {found.text}", dt.int32, LANES),
    ]


def _short(c: Code, number: Value) -> Value:
    return c.op(f"trunc i64 {number.text} to i32", dt.int32, 0)


def _columns(c: Code, first: Value, apart: int) -> Value:
    """16 columns, ``apart`` from each other."""
    steps = "<" + ", ".join(f"i32 {k * apart}" for k in range(LANES)) + ">"
    return c.op(f"add <{LANES} x i32> {c.spread(_short(c, first), LANES).text}, {steps}", dt.int32, LANES)


def _inside(c: Code, columns: Value) -> str:
    """Which of 16 columns are in the row."""
    width = c.spread(_short(c, c["width"]), LANES)
    return c.op(f"icmp ult <{LANES} x i32> {columns.text}, {width.text}", dt.bool_, LANES).text


def _tap(c: Code, address: str, column: Value, apart: int) -> Value:
    """One element of each of 16 windows; what is outside is not read."""
    parts = []
    for part in range(apart):
        mask = _inside(c, _columns(c, c.sum(column, part * LANES), 1))
        parts.append(c.read(c.float_at(address, part * LANES), mask))
    if apart == 1:
        return parts[0]
    kind = f"<{LANES} x float>"
    order = ", ".join(f"i32 {2 * k}" for k in range(LANES))
    return c.op(f"shufflevector {kind} {parts[0].text}, {kind} {parts[1].text}, <{LANES} x i32> <{order}>", dt.float32, LANES)
