"""Several independent kernels as one launch, side by side: each has a range of the workgroups.

    launch of 3 groups, launch of 5 groups ──`together`──▶ one launch of 8: group < 3 ? the first : the second

A launch costs microseconds however little it does, and an optimizer has one for each parameter. The kernels keep their
bodies, and so their bits; which one a workgroup runs depends on its number alone, so nothing diverges. Sizes and ranges are
arguments: one source serves all launches of as many kernels of these classes. Kernels that meet at barriers stay alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .. import dtypes as dt
from ..ir.expr import Expr, walk
from ..ir.program import Array, Assign, Barrier, Buffer, For, If, Let, Program, Put, Scalar, Statement
from . import Unsupported
from .nest import Slot, memory_name, special, var
from .schedules import Launch


@dataclass(frozen=True)
class Section:
    """One of the kernels; ``numbers``: its operands' numbers → those of the joint launch."""

    launch: Launch
    numbers: Mapping[int, int]


def together(sections: Sequence[Section]) -> Launch:
    """The joint launch. `Unsupported` where one of them cannot be part of it."""
    for section in sections:
        _check(section.launch)
    size = max(s.launch.program.workgroup[0] for s in sections)
    first = sections[0].launch.program
    slots: list[Slot] = []
    buffers: dict[int, Buffer] = {}
    bodies: list[tuple[Statement, ...]] = []
    starts: list[Expr] = []
    groups = 0
    for k, section in enumerate(sections):
        own = _Range(k, groups, section.launch, size)
        mover = _Mover(k, section, own)
        bodies.append(own.within(mover.body(section.launch.program.body)))
        starts.append(own.first)
        slots += [*mover.slots(), *own.slots]
        _add(buffers, section)
        groups += section.launch.grid[0]
    body = _chosen(bodies, starts, 0, len(bodies))
    ordered = _ordered(slots, first.index_bits)
    aligned = max(s.launch.program.aligned for s in sections)
    name = f"{first.name}_{len(sections)}"
    program = Program(name, tuple(buffers.values()), tuple(s.scalar for s in ordered), (), body, (size, 1, 1),
                      first.index_bits, aligned)  # fmt: skip
    reach = max(groups * size, *(s.launch.reach for s in sections))
    multiples: dict[int, int] = {}
    for section in sections:
        for operand, multiple in section.launch.multiples.items():
            number = section.numbers[operand]
            multiples[number] = max(multiple, multiples.get(number, 1))
    return Launch(program, tuple(buffers), ordered, (groups, 1, 1), reach, multiples)


def _check(launch: Launch) -> None:
    program = launch.program
    if program.workgroup[1:] != (1, 1) or launch.grid[1:] != (1, 1):
        raise Unsupported(f"the grid of {program.name} is no line")
    if program.locals or any(isinstance(s, Barrier) for s in _every(program.body)):
        raise Unsupported(f"the workgroups of {program.name} meet at barriers")


def _every(body: Sequence[Statement]) -> list[Statement]:
    found: list[Statement] = []
    for s in body:
        found.append(s)
        if isinstance(s, For):
            found += _every(s.body)
        elif isinstance(s, If):
            found += [*_every(s.body), *_every(s.orelse)]
    return found


def _add(buffers: dict[int, Buffer], section: Section) -> None:
    """The buffers of a section; one that several read is one."""
    for buffer, operand in zip(section.launch.program.buffers, section.launch.operands, strict=True):
        number = section.numbers[operand]
        held = buffers.get(number)
        access = buffer.access if held is None else "".join(sorted({*held.access, *buffer.access}))
        binding = len(buffers) if held is None else held.binding
        buffers[number] = Buffer(memory_name(number), buffer.dtype, access, binding)


def _chosen(bodies: Sequence[tuple[Statement, ...]], starts: Sequence[Expr], low: int, high: int) -> tuple[Statement, ...]:
    """The bodies from ``low`` to ``high``, chosen by the workgroup's number."""
    if high - low == 1:
        return bodies[low]
    middle = (low + high) // 2
    return (If(special("group") < starts[middle], _chosen(bodies, starts, low, middle), _chosen(bodies, starts, middle, high)),)


def _ordered(slots: Sequence[Slot], bits: int) -> tuple[Slot, ...]:
    """The widest first, so that the packed block has no holes."""
    return tuple(sorted(slots, key=lambda s: -(bits // 8 if s.scalar.dtype.kind == "n" else s.scalar.dtype.itemsize)))


class _Range:
    """The workgroups of section ``k``: scalars for the first, for how many there are, and for their size, where that is
    smaller than what the launch has: the work-items beyond it do nothing."""

    def __init__(self, k: int, first: int, launch: Launch, size: int) -> None:
        own = launch.program.workgroup[0]
        values = {f"first_{k}": first, f"groups_{k}": launch.grid[0], **({f"size_{k}": own} if own < size else {})}
        self.slots = [Slot(Scalar(name, dt.index), "value", value) for name, value in values.items()]
        self.first, self.groups, *sizes = (var(name) for name in values)
        self.size = sizes[0] if sizes else special("size")
        self.whole = not sizes

    def within(self, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
        """``body`` for the work-items that the section has."""
        return body if self.whole else (If(special("lid") < self.size, body),)

    def special(self, name: str) -> Expr | None:
        """What stands for a work-item's place, which a section counts from its own beginning."""
        match name:
            case "gid":
                return (special("group") - self.first) * self.size + special("lid")
            case "group":
                return special("group") - self.first
            case "groups":
                return self.groups
            case "size":
                return self.size
        return None


class _Mover:
    """The statements of section ``k`` with names of their own."""

    def __init__(self, k: int, section: Section, own: _Range) -> None:
        self.k, self.section, self.own = k, section, own
        program = section.launch.program
        pairs = zip(program.buffers, section.launch.operands, strict=True)
        self.memories = {b.name: memory_name(section.numbers[n]) for b, n in pairs}
        self.memo: dict[Expr, Expr] = {}

    def slots(self) -> list[Slot]:
        """The scalars of the section."""
        return [
            Slot(Scalar(self.name(s.scalar.name), s.scalar.dtype), s.source,
                 s.value if s.source == "value" else self.section.numbers[s.value])
            for s in self.section.launch.slots
        ]  # fmt: skip

    def name(self, name: str) -> str:
        return self.memories.get(name) or f"{name}_{self.k}"

    def body(self, statements: Sequence[Statement]) -> tuple[Statement, ...]:
        """``statements``, moved."""
        return tuple(self._statement(s) for s in statements)

    def _statement(self, s: Statement) -> Statement:
        match s:
            case Let(name=name, value=value) | Assign(name=name, value=value):
                return replace(s, name=self.name(name), value=self.expr(value))
            case Put(memory=memory, offset=offset, value=value):
                return Put(self.name(memory), self.expr(offset), self.expr(value))
            case Array(name=name, fill=fill):
                return replace(s, name=self.name(name), fill=self.expr(fill))
            case For(var=name, start=start, stop=stop, step=step, body=body):
                return replace(s, var=self.name(name), start=self.expr(start), stop=self.expr(stop), step=self.expr(step),
                               body=self.body(body))  # fmt: skip
            case If(condition=condition, body=body, orelse=orelse):
                return If(self.expr(condition), self.body(body), self.body(orelse))
        return s

    def expr(self, root: Expr) -> Expr:
        """``root``, moved."""
        for node in walk(root):
            if node not in self.memo:
                self.memo[node] = self._moved(node, tuple(self.memo[a] for a in node.args))
        return self.memo[root]

    def _moved(self, node: Expr, args: tuple[Expr, ...]) -> Expr:
        if node.op == "var" or (node.op == "get" and isinstance(node.value, str)):
            return Expr.of(node.op, args, node.dtype, self.name(node.value))
        if node.op == "special":
            moved = self.own.special(node.value[0])
            return node if moved is None else moved
        return node if args == node.args else Expr.of(node.op, args, node.dtype, node.value)
