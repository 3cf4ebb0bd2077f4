"""From a definition to launches on a device: the code generator of every device that builds kernels.

    Definition + layouts ─ bind ─ collapse ─ legalize ─ schedules.plan ─ late ─ emulate ─▶ Launch (Program, grid, scalars)
                         ─ renderer ─▶ source ─ device.build ─▶ entry ─▶ a Python function that packs and launches

Planning takes milliseconds of Python. Where the renderer writes text, it is done once for all sizes that make the same
decisions (`planned`), with other numbers for the scalars and the grid.

`ScheduleCodegen` is parametrised by the renderer: a function from `Program` to what ``device.build`` takes (C source;
the program itself for an interpreter), with ``rows``, the operators that it knows (None: all). Kernels are kept per
device by that source: sizes, strides and offsets are arguments, so one source serves a whole class of layouts.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

from .. import dtypes as dt
from .. import status
from ..dtypes import DType
from ..ir.definition import Definition
from ..ir.expr import walk
from ..ir.program import Program
from ..layout import Layout
from . import Compiled, Unsupported, arguments, monoids
from .bind import STATUS, Loops, bind
from .collapse import collapse
from .emulate import emulate
from .late import expand_late
from .legalize import legalize
from .nest import Slot, memory_name
from .planned import Asked, Planned, known
from .schedules import Launch, Plan, plan
from .sizes import Written
from .together import Section, together

if TYPE_CHECKING:
    from ..device import Device

SMALL = 1 << 30
"""Index arithmetic in 32 bits meets no number as large as this, so that a sum of two never overflows."""


MANY = 12
"""Operands from which it is asked whether all handles differ, instead of each pair."""


class Renderer(Protocol):
    """What turns a program into what the device builds. ``sizes``, where it is there and true: it only writes the numbers in
    a program down (``str``, ``float``), so that they may be `ir.size.Size`."""

    rows: frozenset[str] | None

    def __call__(self, program: Program) -> Any: ...


class Identity:
    """The renderer of a device that runs programs as they are."""

    rows: frozenset[str] | None = None

    def __call__(self, program: Program) -> Program:
        return program


@dataclass
class Statistics:
    """What `doctor` prints: kernels built, and definitions that they serve."""

    built: int = 0
    compiled: int = 0
    kernels: dict[str, int] = field(default_factory=dict)  # name → built


class _Cache:
    """The kernels of one device."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.entries: dict[Any, Any] = {}
        self.planned: dict[str, Written[Planned]] = {}
        self.statistics = Statistics()


class ScheduleCodegen:
    """The `Codegen` of devices that build kernels from programs. ``renderer`` makes what ``device.build`` takes.

    ``fuses``: what may be joined without another bit (`program.fuse`): a reduction's tree is part of the schedule.
    """

    fuses = ("pointwise", "reduce", "contraction")

    def __init__(self, renderer: Renderer) -> None:
        self.renderer = renderer
        self._caches: WeakKeyDictionary[Device, _Cache] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def compile(
        self,
        definition: Definition,
        layouts: Mapping[int, Layout],
        device: Device,
        aliased: frozenset[int] = frozenset(),
    ) -> Compiled:
        """A launch of ``definition`` with each tensor operand (by number) in its layout. See `Codegen`."""
        asked = Asked(self, definition, layouts, device, aliased)
        kernel = known(asked) if getattr(self.renderer, "sizes", False) else None
        if kernel is None:
            loops = monoids.rewrite(bind(definition, layouts))
            if not loops.writes:
                return Compiled(_nothing, f"// {definition.name}: no element to write", 0)
            kernel = Kernel.of(asked, collapse(loops))
        self.cache(device).statistics.compiled += 1
        call = kernel.call()
        return Compiled(call, "\n".join(kernel.sources), kernel.count())

    def together(self, members: Sequence[tuple[Any, Mapping[int, int]]], device: Device) -> Compiled:
        """One launch of several independent kernels; ``members``: `replay.Launch` es with their operand numbers → those of
        the joint call. `Unsupported` where one of them takes more than one launch, or the device not as many buffers."""
        kernels = []
        for launch, numbers in members:
            loops = collapse(monoids.rewrite(bind(launch.definition, launch.layouts)))
            asked = Asked(self, launch.definition, launch.layouts, device, launch.aliased)
            kernels.append((Kernel.of(asked, loops), numbers))
        joint = _Joint(kernels)
        self.cache(device).statistics.compiled += 1
        call = joint.call()
        return Compiled(call, "\n".join(joint.sources))

    def plan(
        self, definition: Definition, layouts: Mapping[int, Layout], device: Device, index_bits: int = 32
    ) -> Plan:
        """The launches of ``definition``, unrendered: for tests and ``explain``."""
        loops = collapse(monoids.rewrite(bind(definition, layouts)))
        legal = legalize(loops, device.limits, self.renderer.rows, index_bits)
        made = expand_late(plan(legal, device.limits, index_bits, frozenset()), self.renderer.rows)
        return emulate(made, device.limits)

    def cache(self, device: Device) -> _Cache:
        """The kernels of ``device``."""
        found = self._caches.get(device)
        if found is None:
            with self._lock:
                found = self._caches.setdefault(device, _Cache())
                device.codegen_stats = found.statistics
        return found

    def entry(self, device: Device, program: Program) -> tuple[Any, Any]:
        """The built kernel of ``program`` and its source; built at most once per device and source."""
        source = self.renderer(program)
        return self.built(device, source, program.name), source

    def built(self, device: Device, source: Any, name: str) -> Any:
        """The kernel of a source."""
        cache = self.cache(device)
        found = cache.entries.get(source)
        if found is None:
            with cache.lock:
                found = cache.entries.get(source)
                if found is None:
                    found = cache.entries[source] = device.build(source, name)
                    cache.statistics.built += 1
                    cache.statistics.kernels[name] = cache.statistics.kernels.get(name, 0) + 1
        return found


def _nothing(*operands: Any) -> None:
    """The launch of a definition without elements."""


class Kernel:
    """One definition over one set of layouts: its variants by index width and by which operands share a handle."""

    used: list[int]
    outputs: list[int]
    bits: int
    span: int

    def __init__(self, asked: Asked) -> None:
        """What needs no planning: `of` and `planned` do the rest."""
        self.asked = asked
        self.codegen, self.definition, self.layouts, self.device, self.aliased = asked
        self.params = dict(asked.definition.params)
        self.plans: dict[tuple[int, bool], Plan] = {}
        self.usual: Plan | None = None  # that of sizes like these, without what its programs do
        self.written: list[str] = []  # the sources of that
        self.sources: list[str] = []  # of the usual variant, for people
        self.variants: dict[tuple[int, bool, tuple[int, ...]], Callable[..., None]] = {}

    @staticmethod
    def of(asked: Asked, loops: Loops) -> Kernel:
        """The kernel of bound ``loops``; `Unsupported` says why the device has none."""
        made, layouts, device = Kernel(asked), asked.layouts, asked.device
        made.loops = loops
        used = {n.value for n in walk(*loops.roots()) if n.op == "get"} | {w.operand for w in loops.writes}
        made.used = sorted(used - {STATUS})
        made.outputs = sorted({w.operand for w in loops.writes} - {STATUS})
        made.span = max((layouts[n].span for n in made.used), default=0)
        for n in made.used:
            nbytes = layouts[n].span * device.limits.storage_itemsize(layouts[n].dtype)
            if nbytes > device.limits.max_binding:
                raise Unsupported(f"operand {n} spans {nbytes} bytes; a binding of {device.name} reaches "
                                  f"{device.limits.max_binding}")  # fmt: skip
        small = made.span < SMALL and _largest(loops) < SMALL and max(x.reach for x in made.plan(32).launches) < SMALL
        made.bits = 32 if small else 64
        if not small and device.limits.index_bits < 64:
            raise Unsupported(f"{made.definition.name} reaches offsets that need 64 bits; {device.name} has 32")
        return made

    @cached_property
    def loops(self) -> Loops:
        """What it is planned from."""
        return collapse(monoids.rewrite(bind(self.definition, self.layouts)))

    def plan(self, bits: int, aligned: bool = True) -> Plan:
        """Its launches for one index width, for operands that begin at aligned elements or not."""
        if (bits, aligned) not in self.plans:
            limits = self.device.limits
            loops = replace(legalize(self.loops, limits, self.codegen.renderer.rows, bits), aligned=aligned)
            made = emulate(expand_late(plan(loops, limits, bits, self.aliased), self.codegen.renderer.rows), limits)
            for launch in made.launches:
                _check_limits(launch, self.device)
            self.plans[bits, aligned] = made
        return self.plans[bits, aligned]

    def count(self) -> int:
        """Launches of one call."""
        return len((self.usual or self.plan(self.bits)).launches)

    def call(self) -> Callable[..., Any]:
        """The function that launches: the usual case straight, the others through `_general`."""
        room = SMALL - self.span if self.bits == 32 else None
        plan = self.usual or self.plan(self.bits)
        self.multiples = _multiples(plan)
        unusual = _unusual(self.used, self.outputs, self.inside, room, self.multiples)
        return self._variant(plan, self.pattern, unusual)

    @property
    def inside(self) -> frozenset[int]:
        """The operands that are expected to share the handle of the one result: it is computed in place."""
        return self.aliased & frozenset(self.used) if len(self.outputs) == 1 and len(self.used) <= MANY else frozenset()

    @property
    def pattern(self) -> tuple[int, ...]:
        """Which operands share a handle in the usual case: the place of the first that has it, for each."""
        together = self.inside | frozenset(self.outputs if self.inside else ())
        first = min((k for k, n in enumerate(self.used) if n in together), default=0)
        return tuple(first if n in together else k for k, n in enumerate(self.used))

    def shared(self, launch: Launch, pattern: tuple[int, ...]) -> Launch:
        """A launch with one binding for operands that share a handle."""
        return _with_shared(launch, {n: self.used[pattern[k]] for k, n in enumerate(self.used)})

    def _general(self, *operands: Any) -> None:
        """A call in which operands share a handle, or begin at an odd element, or beyond what 32 bits reach."""
        handles = [operands[n][0] for n in self.used]
        pattern: list[int] = []
        for k, handle in enumerate(handles):
            same = [j for j in range(k) if handles[j] is handle]
            shared = any(self.used[j] in self.outputs for j in range(len(handles)) if handles[j] is handle)
            pattern.append(pattern[same[0]] if same and shared else k)
        far = any(operands[n][1] + self.span >= SMALL for n in self.used)
        if far and self.device.limits.index_bits < 64:
            raise Unsupported(f"{self.definition.name} reaches offsets that need 64 bits; {self.device.name} has 32")
        aligned = not any(operands[n][1] % m for n, m in self.multiples.items())
        key = (64 if far else self.bits, aligned, tuple(pattern))
        found = self.variants.get(key)
        if found is None:
            bits, aligned, _ = key
            found = self.variants[key] = self._variant(self.plan(bits, aligned), key[2])
        found(*operands)

    def _variant(self, plan: Plan, pattern: tuple[int, ...], unusual: str = "") -> Callable[..., None]:
        """The launches of a plan (for one index width and alignment) and a pattern of shared handles, as one Python function.

        ``unusual`` is a Python expression over the operands; where it holds, the call goes to `_general`.
        """
        device = self.device
        names: dict[str, Any] = {
            "device": device, "word": status.word, "ticket": status.ticket, "general": self._general,
            "codes": [c.code for c in self.definition.checks], "op": self.definition.name,
        }  # fmt: skip
        count = 1 + max([*self.used, *self.params], default=0)
        lines = [f"def call({''.join(f'x{n}=None, ' for n in range(count))}*rest):"]
        lines += [f"    h{n}, o{n} = x{n}" for n in self.used]
        if unusual:
            given = "".join(f"x{n}, " for n in range(count))
            lines += [f"    if {unusual}:", f"        return general({given}*rest)"]
        if plan.workspaces:
            names["allocate"] = device.pool.allocate
            lines += [f"    {memory_name(n)} = allocate({size})" for n, size in plan.workspaces.items()]
        for number, launch in enumerate(plan.launches):
            source = self.written[number] if plan is self.usual else None
            lines.append("    " + self._launch_text(number, self.shared(launch, pattern), source, names))
        exec(compile("\n".join(lines), f"<ingot launch of {self.definition.name}>", "exec"), names)
        made: Callable[..., None] = names["call"]
        return made

    def _launch_text(self, number: int, launch: Launch, source: Any, names: dict[str, Any]) -> str:
        """One launch as a Python statement over ``names``; ``source``, where it is written already."""
        program = launch.program
        if source is None:
            entry, source = self.codegen.entry(self.device, program)
        else:
            entry = self.codegen.built(self.device, source, program.name)
        self.sources.append(str(source))
        bindings = _bindings(launch)
        names[f"launch{number}"] = self.device.launcher(
            entry, launch.grid, program.workgroup, tuple("".join(sorted(access)) for _, access in bindings),
            arguments.block(program.scalars, program.index_bits),
        )  # fmt: skip
        given = [*(handle for handle, _ in bindings), *(_scalar_text(s, names) for s in launch.slots)]
        return f"launch{number}({', '.join(given)})"


class _Joint(Kernel):
    """Several kernels side by side, each with its operand numbers → those of the joint call."""

    def __init__(self, kernels: Sequence[tuple[Kernel, Mapping[int, int]]]) -> None:
        first, _ = kernels[0]
        super().__init__(first.asked._replace(aliased=frozenset()))
        self.kernels = kernels
        self.used = sorted({numbers[n] for k, numbers in kernels for n in k.used})
        self.outputs = sorted({numbers[n] for k, numbers in kernels for n in k.outputs})
        self.params = {numbers[n]: dtype for k, numbers in kernels for n, dtype in k.params.items()}
        self.span, self.bits = max(k.span for k, _ in kernels), max(k.bits for k, _ in kernels)

    def plan(self, bits: int, aligned: bool = True) -> Plan:
        if (bits, aligned) not in self.plans:
            sections = []
            for kernel, numbers in self.kernels:
                made = kernel.plan(bits, aligned)
                if len(made.launches) != 1:
                    raise Unsupported(f"{kernel.definition.name} takes {len(made.launches)} launches")
                sections.append(Section(made.launches[0], numbers))
            launch = together(sections)
            _check_limits(launch, self.device)
            self.plans[bits, aligned] = Plan((launch,), {})
        return self.plans[bits, aligned]


def _bindings(launch: Launch) -> list[tuple[str, set[str]]]:
    """The bindings of a launch in order: the handle as Python text, and how it is accessed."""
    found: dict[int, tuple[str, set[str]]] = {}
    for buffer, operand in zip(launch.program.buffers, launch.operands, strict=True):
        handle = f"h{operand}" if operand >= 0 else "word(device)" if operand == STATUS else f"{buffer.name}.handle"
        found.setdefault(buffer.binding, (handle, set()))[1].update(buffer.access)
    return [item for _, item in sorted(found.items())]


def _scalar_text(slot: Slot, names: dict[str, Any]) -> str:
    """One scalar of a launch as Python text."""
    if slot.source == "offset":
        return f"o{slot.value}"
    if slot.source == "ticket":
        return "ticket(device, op, codes)"
    if slot.source == "param":
        return f"{_converter(slot.scalar.dtype, names)}(x{slot.value})"
    if slot.source in ("low", "high"):  # a word of a 64-bit number
        return f"{_converter(dt.uint64, names)}(x{slot.value}) >> {32 * (slot.source == 'high')} & 0xFFFFFFFF"
    return str(slot.value)


def _converter(dtype: DType, names: dict[str, Any]) -> str:
    """The name of what makes a Python number a value of ``dtype``."""
    name = f"to_{dtype.name}"
    names[name] = arguments.converter(dtype)
    return name


def _multiples(plan: Plan) -> dict[int, int]:
    """Operand → what its element offset must be a multiple of in all launches."""
    found: dict[int, int] = {}
    for launch in plan.launches:
        for operand, multiple in launch.multiples.items():
            found[operand] = max(multiple, found.get(operand, 1))
    return found


def _unusual(
    used: Sequence[int], outputs: Sequence[int], inside: frozenset[int], room: int | None, multiples: Mapping[int, int]
) -> str:
    """Python text that is true where an operand shares an output's handle (or one of those ``inside`` does not), or where an
    offset does not fit."""
    if len(used) > MANY:
        tests = [f"len({{{', '.join(f'id(h{n})' for n in used)}}}) < {len(used)}"]
        tests += [f"max({', '.join(f'o{n}' for n in used)}) >= {room}"] if room is not None else []
    else:
        pairs = [(a, b) for b in outputs for a in used if a != b and (a not in outputs or a < b)]
        tests = [f"h{a} is {'not ' * (a in inside)}h{b}" for a, b in pairs]
        tests += [f"o{n} >= {room}" for n in used] if room is not None else []
    for m in sorted(set(multiples.values())):
        together = " | ".join(f"o{n}" for n, k in multiples.items() if k == m)
        tests.append(f"({together}) & {m - 1}")
    return " or ".join(tests)


def _with_shared(launch: Launch, owner: Mapping[int, int]) -> Launch:
    """The launch with one binding for all buffers whose operands have one owner."""
    numbers: dict[int, int] = {}
    buffers = []
    for buffer, operand in zip(launch.program.buffers, launch.operands, strict=True):
        number = numbers.setdefault(owner.get(operand, operand), len(numbers))
        buffers.append(replace(buffer, binding=number))
    return replace(launch, program=replace(launch.program, buffers=tuple(buffers)))


def _check_limits(launch: Launch, device: Device) -> None:
    limits, program = device.limits, launch.program
    if len(program.buffers) > limits.max_bindings:
        raise Unsupported(
            f"{program.name} needs {len(program.buffers)} buffers; {device.name} takes {limits.max_bindings}"
        )
    size = arguments.block(program.scalars, program.index_bits).size
    if size > limits.max_argument_bytes:
        raise Unsupported(
            f"{program.name} needs {size} bytes of scalars; {device.name} takes {limits.max_argument_bytes}"
        )


def _largest(loops: Loops) -> int:
    """The largest number that index arithmetic over axes meets."""
    walks = [*(w.axes for w in loops.writes), *(s.over for s in loops.stages)]
    largest = max(math.prod(loops.extents[a] for a in axes) for axes in walks)
    for node in walk(*loops.roots()):
        if node.op == "linear":
            terms = zip(node.args, node.value[1], strict=True)
            reach = sum(abs(c) * (loops.extents[a.value] if a.op == "index" else 1) for a, c in terms)
            largest = max(largest, abs(node.value[0]) + reach)
    return largest
