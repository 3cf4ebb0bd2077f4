"""Which results are stored past the caches: those too large to be found there again.

Used by `nest`. An ordinary store first reads the line that it is going to overwrite and later writes it back: a result that is
larger than the caches costs memory two passes. A streaming (non-temporal) store costs one. It wants whole aligned vectors, so
a loop begins with a part that streams where the addresses allow it, and the rest is as ever. What is read next is fetched
meanwhile. The values are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ingot_devices import dtypes as dt
from ingot_devices.codegen.bind import STATUS, Loops, Write
from ingot_devices.ir.expr import Expr, walk

from .access import Access, Scope
from .emit import PAST_ALIGNMENT, Value

AHEAD = 4096
"""Bytes that a loop without rows fetches ahead."""
FETCHED = 1 << 20
"""Bytes of a result from which a loop without rows fetches ahead: more than the second cache has to spare for each operand."""
LARGE = 32 << 20
"""Bytes of a result from which it is streamed: more than a core finds in its caches when the result is read."""


def operands(loops: Loops, writes: Sequence[Write], axis: int) -> frozenset[int]:
    """The results that are streamed in loops whose lanes run along ``axis``: large, written side by side, not read here."""
    read = {n.value for n in walk(*(r for w in writes for r in w.roots()), *(v for s in loops.stages for v in s.values))
            if n.op == "get"}  # fmt: skip
    return frozenset(w.operand for w in writes if w.operand not in read and _plain(w, axis) and _size(loops, w) >= LARGE)


def fetches(loops: Loops, writes: Sequence[Write]) -> bool:
    """True where what a loop reads lies too far away to be waited for."""
    return any(w.operand != STATUS and _size(loops, w) >= FETCHED for w in writes)


def _plain(w: Write, axis: int) -> bool:
    """True where each vector of lanes is stored whole, and nothing else is."""
    whole = w.combine is None and w.valid is None and w.operand != STATUS
    return whole and _factors(w.offset).get(axis) == 1


def _factors(form: Expr) -> dict[int, int]:
    """Axis → stride of an offset that depends on axes alone; else nothing."""
    found = {a.value: c for a, c in zip(form.args, form.value[1], strict=True) if a.op == "index"}
    return found if len(found) == len(form.args) else {}


def _size(loops: Loops, w: Write) -> int:
    points = w.value.dtype.itemsize
    for a in w.axes:
        points *= loops.extents[a]
    return points


def end(access: Access, scope: Scope, axis: int, lo: Value, hi: Value, lanes: int, writes: Sequence[Write]) -> Value:
    """Where the part of a loop from ``lo`` to ``hi`` ends that may stream: ``lo`` where an address is not aligned."""
    f = access.f
    first = scope.inside(axis, lo)
    bits = access.number(0)
    for w in writes:
        address = f.at(access.base(w.operand), w.value.dtype, access.place(first, w.offset, w.operand).scalar)
        whole = f.op(f"ptrtoint ptr {address} to i64", dt.index, 0)
        bits = whole if bits.text == "0" else f.op(f"or i64 {bits.text}, {whole.text}", dt.index, 0)
    off = f.op(f"and i64 {bits.text}, {PAST_ALIGNMENT - 1}", dt.index, 0)
    aligned = f.op(f"icmp eq i64 {off.text}, 0", dt.bool_, 0)
    length = f.op(f"sub nsw i64 {hi.text}, {lo.text}", dt.index, 0)
    full = f.op(f"and i64 {length.text}, {-lanes}", dt.index, 0)
    middle = f.add(lo, full)
    return f.op(f"select i1 {aligned.text}, i64 {middle.text}, i64 {lo.text}", dt.index, 0)


def ahead(access: Access, scope: Scope, axis: int, row: int | None, roots: Iterable[Expr]) -> None:
    """Fetch what lies side by side along ``axis`` for the next index of ``row``, or `AHEAD` of here where there are no rows.

    The processor's own prefetching ends with a page; and while a row is stored, nobody would read memory.
    """
    f = access.f
    for node in dict.fromkeys(n for n in walk(*roots) if n.op == "get" and n.value >= 0):
        factors = _factors(node.args[0])
        if factors.get(axis) != 1 or (row is not None and row not in factors):
            continue
        moved, by = (axis, AHEAD // node.dtype.itemsize) if row is None else (row, 1)
        later = scope.inside(moved, f.add(scope.axes[moved], access.number(by)), vector=-1)
        start = access.place(later, node.args[0], node.value).scalar
        address = f.at(access.base(node.value), node.dtype, start)
        for line in range(0, scope.lanes * node.dtype.itemsize, PAST_ALIGNMENT):
            f.fetch(address, line)
