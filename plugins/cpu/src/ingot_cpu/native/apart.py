"""Groups of writes that one loop may do, though some go to the same operand: parts of it that share no element.

`schedules.split` keeps writes to one operand apart, since on a device whose kernels write whole words two of them might meet in
one. Here memory has bytes. Gates of recurrent layers and their gradients write four parts of one result (`opset.gates`), of
values that have most of their terms in common: in one loop these are computed once.
"""

from __future__ import annotations

from collections.abc import Sequence

from ingot_devices.codegen.bind import STATUS, Loops, Write
from ingot_devices.codegen.nest import Nest

Group = tuple[Write, ...]


def joined(loops: Loops, groups: Sequence[Group]) -> list[Group]:
    """The groups, those of plain writes over the same axes made one where no two of their writes meet."""
    found: list[Group] = []
    for group in groups:
        at = next((k for k, other in enumerate(found) if _fit(loops, other, group)), None)
        if at is None:
            found.append(group)
        else:
            found[at] += group
    return found


def _fit(loops: Loops, first: Group, second: Group) -> bool:
    every = (*first, *second)
    if len({frozenset(w.axes) for w in every}) > 1 or any(w.combine or w.operand == STATUS for w in every):
        return False
    if Nest(loops, every).needed([r for w in every for r in w.roots()]):
        return False
    return all(apart(loops, a, b) for a in first for b in second if a.operand == b.operand)


def apart(loops: Loops, a: Write, b: Write) -> bool:
    """Whether no point of one write meets any of the other, which lies a fixed distance from it."""
    (start, factors), (other, others) = a.offset.value, b.offset.value
    if a.offset.args != b.offset.args or factors != others or any(x.op != "index" for x in a.offset.args):
        return False
    distance, reach = abs(start - other), 0
    for factor, extent in sorted((abs(f), loops.extents[x.value]) for f, x in zip(factors, a.offset.args, strict=True)):
        span = factor * (extent - 1)
        if not (reach + span < distance or factor > distance + reach):
            return False
        reach += span
    return bool(distance)
