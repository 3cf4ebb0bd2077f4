"""The replay of a capture: one Python function, written for it, from the arguments to the result.

    arguments fit? ─ guard holds? ─ numbers ─ outputs from the pool ─ the program ─ places, versions, counters ─ result

Everything that never changes is bound to the function beforehand; what is left is a few attribute reads for each argument
and each output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ingot_devices.context import on_change, state
from ingot_devices.opset.op import Defaults
from ingot_devices.program.graph import Buffer
from ingot_devices.program.slab import cutters

from ..base import TensorBase
from ..devices import get_default_device
from .capture import Capture, Effect, Programs, Source
from .guard import Guard
from .host import Host
from .recorder import Place
from .reuse import keeper
from .sizes import kind_of, size_of
from .world import Unguardable

EPOCH = [0]
"""How often kernels came or went: a program keeps those that it was built of."""


def _next_epoch() -> None:
    EPOCH[0] += 1


on_change(_next_epoch)
MISS: Any = type("Miss", (), {"__repr__": lambda self: "MISS"})()
"""What a replay gives that does not fit."""
CONSTANTS = (type(None), bool, int, float, complex, str, bytes)


class Text:
    """Python source that grows, and the objects that its names stand for."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.scope: dict[str, Any] = {"MISS": MISS, "state": state, "Defaults": Defaults}
        self._names: dict[int, str] = {}

    def name(self, value: Any, prefix: str = "c") -> str:
        """The name of an object that never changes."""
        if id(value) not in self._names:
            name = self._names[id(value)] = f"{prefix}{len(self.scope)}"
            self.scope[name] = value
        return self._names[id(value)]

    def add(self, line: str, depth: int = 1) -> None:
        self.lines.append("    " * depth + line)

    def function(self, head: str, name: str) -> Callable[..., Any]:
        """The function ``name``, which ``head`` begins."""
        source = "\n".join([head, *self.lines])
        exec(compile(source, "<ingot replay>", "exec"), self.scope)
        made: Callable[..., Any] = self.scope[name]
        return made


class Replayer:
    """``call(args, kwargs)``: the result, or `MISS` where the arguments or the world are others than recorded.

    ``result`` is what the recorded call returned; ``history(tensor)`` says what stands behind a returned tensor.
    """

    def __init__(self, capture: Capture, made: Programs, result: Any, guard: Guard, context: Any, history: Any) -> None:
        self.capture, self.made, self.guard, self.history = capture, made, guard, history
        self.recorder = capture.recorder
        self.kind, self.size = kind_of(capture.arguments), size_of(capture.arguments)
        self.captured_ops = len(self.recorder.applied)
        self.text = Text()
        self.host = Host(self.text, self.recorder)
        self.moving = {id(s.tensor): f"x{n}" for n, s in enumerate(capture.moving())}
        self.places: dict[int, str] = {}
        self.outputs: dict[int, str] = {}  # buffer → the variable of its memory
        self.cutters = cutters(made.graph)
        self.spare: dict[int, str] = {}  # buffer → the variable of a block that was let go, or None
        self.values: dict[tuple[Any, ...], str] = {}  # place → the variable of its tensor
        self._arguments(context)
        self.host.numbers()
        self._run()
        for effect in capture.effects:
            self._effect(effect)
        self._versions()
        history.before(self)
        self.text.add(f"return {self._result(result, {})}")
        self.call = self.text.function("def call(args, kwargs):", "call")

    # ---- before --------------------------------------------------------------------------------------------------------
    def _arguments(self, context: Any) -> None:
        add, name, given = self.text.add, self.text.name, self.capture.arguments
        default = Defaults.float
        device, place = self.made.graph.device, get_default_device()
        self.text.scope.update(epoch=EPOCH, get_default_device=get_default_device, device=device)
        add(f"if state.context is not {name(context)} or Defaults.float is not {name(default)} or device.lost: return MISS")
        add(f"if epoch[0] != {EPOCH[0]} or get_default_device() is not {name(place)}: return MISS")
        for text, kind, size in given.sizes:
            test = "" if text in ("args", "kwargs") else f"type({text}) is not {name(kind)} or "
            add(f"if {test}{f'len({text}) != {size}' if size else text}: return MISS")
        add("try:")
        for text, tensor in given.tensors.values():
            variable = self.moving.get(id(tensor))
            if variable is None:
                add(f"if {text} is not {name(tensor)}: return MISS", 2)
                continue
            add(f"{variable} = {text}", 2)
            add(f"if type({variable}) is not {name(type(tensor))} or {variable}._layout is not {name(tensor._layout)} "
                f"or {self._edge_test(variable, tensor)}: return MISS", 2)  # fmt: skip
            self._gradient_test(variable, tensor)
        for text, first in given.same:
            add(f"if {text} is not {first}: return MISS", 2)
        for text, value in given.plain:
            add(f"if {text} is not {name(value)} and not same({text}, {name(value)}): return MISS", 2)
        for text, value in given.others.items():
            add(f"if {text} is not {name(value)}: return MISS", 2)
        if not given.tensors and not given.plain and not given.others:
            add("pass", 2)
        add("except (KeyError, IndexError): return MISS")
        from .world import same

        self.text.scope["same"] = same
        self._apart()
        self.text.scope["guard"] = self.guard
        add("if not guard.holds(): return MISS")
        self.host.tests()
        self._placed()

    def _placed(self) -> None:
        """Tensors that stand in places which each call fills anew."""
        for tensor_id, effect in self.capture.replaced.items():
            source = next(s for s in self.capture.sources if id(s.tensor) == tensor_id)
            variable = self.places[tensor_id] = f"p{len(self.text.lines)}"
            layout = self.text.name(source.layout)
            self.text.add(f"{variable} = {self._place(effect)}")
            self.text.add(f"if {variable}._layout is not {layout} or {variable}._edge is not None: return MISS")

    def _place(self, effect: Effect) -> str:
        holder = self.text.name(effect.item.holder)
        held = f"vars({holder})" if effect.item.kind == "instance" else holder
        return f"{held}[{effect.key!r}]" if isinstance(effect.key, (str, int)) else f"{held}[{self.text.name(effect.key)}]"

    def _gradient_test(self, variable: str, tensor: Any) -> None:
        """A leaf among the arguments: its gradient is there or not, as it was, and nobody listens to it."""
        if tensor._edge is None or tensor._edge[0].seq > 0:
            return
        if tensor._edge[0].hooks or tensor._edge[0].after:
            raise Unguardable("an argument has a gradient hook")
        grad = self.capture.origins[id(tensor)][2]
        test = f"{variable}.grad is not None" if grad is None else (
            f"{variable}.grad is None or {variable}.grad._layout is not {self.text.name(grad._layout)}")  # fmt: skip
        self.text.add(f"if {test} or {variable}._edge[0].hooks or {variable}._edge[0].after: return MISS", 2)

    def _edge_test(self, variable: str, tensor: Any) -> str:
        if tensor._edge is None:
            return f"{variable}._edge is not None"
        leaf = tensor._edge[0].seq < 0
        return f"{variable}._edge is None or ({variable}._edge[0].seq < 0) is not {leaf}"

    def _apart(self) -> None:
        """Where the program writes to memory from before, no two inputs may be one piece of it, unless they were."""
        made = self.made
        written = set().union(*(n.written_buffers() for n in made.graph.nodes)) & made.inputs.keys()
        if not written or not self.moving:
            return
        fixed = {id(made.inputs[n].block): made.inputs[n].block for n in written if not made.inputs[n].text}
        names = list(self.moving.values())
        if fixed:
            held = self.text.name(fixed)
            tests = " or ".join(f"id({x}._block) in {held}" for x in names)
            self.text.add(f"if {tests}: return MISS")
        if len(names) > 1:
            blocks = ", ".join(f"id({x}._block)" for x in names)
            self.text.add(f"if len({{{blocks}}}) != {len(names)}: return MISS")

    # ---- the program ---------------------------------------------------------------------------------------------------
    def _run(self) -> None:
        add, made = self.text.add, self.made
        slots = ["None"] * len(made.graph.buffers)
        for number, source in made.inputs.items():
            if source.text:
                slots[number] = self._tensor_of(source)
        self._let_go()
        self._allocate(slots)
        self.text.scope["run"] = made.built.run
        call = f"run(({''.join(s + ', ' for s in slots)}), numbers)"
        if not self.host.counts():
            add(call)
            return
        add("try:")
        add(call, 2)
        add("except BaseException:")  # a refused index: the step was not taken
        self.host.uncount()
        add("raise", 2)

    def _tensor_of(self, source: Source) -> str:
        """The variable of a moving input's tensor."""
        if source.text.startswith("grad:"):
            variable = f"g{len(self.text.lines)}"
            self.text.add(f"{variable} = {self._holder(source.tensor)}.grad")
            return variable
        return self.places[id(source.tensor)] if source.text == "place:" else self.moving[id(source.tensor)]

    def _holder(self, tensor: Any) -> str:
        return self.moving.get(id(tensor)) or self.text.name(tensor)

    def _let_go(self) -> None:
        """Gradients that the program replaces and does not read go before it takes memory for the new ones, as eagerly they go
        before backward. Not where a kernel may refuse an index while the old ones are still there: then nothing is changed.
        Small memory that nobody else holds serves a new one at once."""
        read = {id(s.tensor) for s in self.made.inputs.values() if s.text.startswith("grad:")}
        for effect in self.capture.effects:
            holder = effect.item.holder
            if effect.item.kind != "tensor" or id(holder) in read or self.recorder.refused_before(holder):
                continue
            buffer = self._output_of(effect.value)
            keep = None if buffer is None else keeper(self.made.graph.device.pool, buffer.layout)
            if buffer is None or keep is None or buffer.number in self.spare or buffer.number in self.cutters:
                self.text.add(f"{self._holder(holder)}.grad = None")
            else:
                block = self.spare[buffer.number] = f"b{buffer.number}"
                self.text.add(f"{block} = {self.text.name(keep)}({self._holder(holder)})")

    def _output_of(self, value: Any) -> Buffer | None:
        """The output that a tensor of the recorded call lies in."""
        if value is None or not self.recorder.knows(value._block):
            return None
        buffer = self.made.graph.buffers.get(self.made.buffer_of.get(self.recorder.number(value._block), -1))
        return buffer if buffer is not None and buffer.kind == "output" else None

    def _allocate(self, slots: list[str]) -> None:
        """Fresh memory for what outlives the call: one tensor over each output buffer.

        What goes to places of the caller's comes first: a loop frees it before it wants it again, so it is the same memory.
        """
        add, made = self.text.add, self.made
        self.text.scope.update(new=object.__new__, Tensor=TensorBase.kind)
        outputs = [b for b in made.graph.buffers.values() if b.kind == "output" and b.number not in self.cutters]
        placed = {id(self._output_of(effect.value)) for effect in self.capture.effects}
        for buffer in sorted(outputs, key=lambda b: b.number not in made.graph.slabs and id(b) not in placed):
            k = buffer.number
            layout = self.text.name(buffer.layout)
            maker = made.graph.device.pool.maker(buffer.layout, k in made.graph.slabs)
            memory = f"{self.text.name(maker)}()"
            if k in self.spare:
                memory = f"({self.spare[k]}, {self.spare[k]}.handle) if {self.spare[k]} is not None else {memory}"
            add(f"o{k} = new(Tensor); o{k}._block, o{k}._native = {memory}; o{k}._layout = {layout}; o{k}._edge = None")
            slots[k] = self.outputs[k] = f"o{k}"

    # ---- after ---------------------------------------------------------------------------------------------------------
    def value(self, tensor: Any) -> str:
        """The variable (or text) of a tensor that the recorded call left behind."""
        if id(tensor) in self.moving:
            return self.moving[id(tensor)]
        if id(tensor) in self.places:
            return self.places[id(tensor)]
        if id(tensor) in self.capture.world.tensors:
            return self.text.name(tensor)
        if not self.recorder.knows(tensor._block):
            raise Unguardable("it hands out a tensor that no recorded op made")
        place = self.recorder.place(tensor)
        key = (id(tensor), place)
        if key not in self.values:
            self.values[key] = self._new_value(tensor, place)
        return self.values[key]

    def _new_value(self, tensor: Any, place: Place) -> str:
        made, layout = self.made, self.text.name(place.layout)
        number = made.buffer_of.get(place.block)
        variable = f"t{len(self.text.lines)}"
        if number is None:  # a view of memory from before
            source = self.capture._source_of(place)
            held = self._tensor_of(source) if source.text else self.text.name(source.tensor)
            self.text.add(f"{variable} = Tensor.make({held}._block, {layout}, {held}._offset + {place.offset - source.offset})")
        elif not place.offset and not self._taken(number) and (
            place.layout is made.graph.buffers[number].layout or not self.history.programs()  # whose inputs are outputs
        ):
            variable = self._output(number)
            if place.layout is not made.graph.buffers[number].layout:
                self.text.add(f"{variable}._layout = {layout}; {variable}._native = None")
        else:
            held = self._output(number)
            self.text.add(f"{variable} = Tensor.make({held}._block, {layout}, {place.offset})")
        if tensor._inference:
            self.text.add(f"{variable}._inference = True")
        return variable

    def _taken(self, number: int) -> bool:
        return self._output(number) in self.values.values()

    def _output(self, number: int) -> str:
        """The variable of an output's memory; one that lies in a slab is cut from it when it is first asked for."""
        if number not in self.outputs:
            whole, cut = self.cutters[number]
            o = self.outputs[number] = f"o{number}"
            layout = self.text.name(self.made.graph.buffers[number].layout)
            self.text.add(f"{o} = new(Tensor); {o}._block, {o}._native = {self.text.name(cut)}({self.outputs[whole]}._block); "
                          f"{o}._layout = {layout}; {o}._edge = None")  # fmt: skip
        return self.outputs[number]

    def _effect(self, effect: Effect) -> None:
        value = "None" if effect.value is None else self.value(effect.value)
        if effect.item.kind == "tensor":
            self.text.add(f"{self._holder(effect.item.holder)}.grad = {value}")
        else:
            self.text.add(f"{self._place(effect)} = {value}")

    def _versions(self) -> None:
        """In-place writes are counted as eager ones are."""
        for number in range(len(self.recorder.held)):
            block = self.recorder.block(number)
            if block is None:
                continue
            grown = block.version - self.recorder.versions[number]
            buffer = self.made.buffer_of.get(number)
            if buffer in self.outputs and block.version:
                self.text.add(f"{self.outputs[buffer]}._block.version = {block.version}")
            if not grown or buffer is not None:
                continue
            for (held, _), n in self.made.sources.items():
                if held == number:
                    source = self.made.inputs[n]
                    where = f"{self._tensor_of(source)}._block" if source.text else self.text.name(source.block)
                    self.text.add(f"{where}.version += {grown}")
                    break

    def _result(self, value: Any, seen: dict[int, str]) -> str:
        if isinstance(value, TensorBase):
            text = self.value(value)
            return str(self.history.behind(self, value, text))
        if type(value) in (tuple, list):
            inner = "".join(f"{self._result(v, seen)}, " for v in value)
            return f"({inner})" if type(value) is tuple else f"[{inner}]"
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return f"{self.text.name(type(value))}({''.join(f'{self._result(v, seen)}, ' for v in value)})"
        if type(value) is dict:
            return "{" + ", ".join(f"{k!r}: {self._result(v, seen)}" for k, v in value.items()) + "}"
        if isinstance(value, CONSTANTS):
            number = isinstance(value, (int, float)) and type(value) is not bool
            if number and any(e.kind == "act" for e in self.recorder.events):
                raise Unguardable("it returns a number beside a scheduler's step")
            return self.text.name(value)
        if id(value) in self.capture.world.known or value in self.capture.arguments.others.values():
            return self.text.name(value)
        raise Unguardable(f"it returns a {type(value).__name__}, which a replay cannot make")
