"""What a replay does on the host, as lines of its function: generators move on, optimizers give numbers, schedules act.

In the order in which it was recorded. A step that is not taken, because its program refused an index, is not counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .recorder import Event, Recorder

if TYPE_CHECKING:
    from .replaying import Text


class Host:
    """Adds the lines for what ``recorder`` heard to ``text``."""

    def __init__(self, text: Text, recorder: Recorder) -> None:
        self.text, self.recorder = text, recorder
        self._before: dict[int, str] = {}  # id of an event → the variable of what was counted before it

    def tests(self) -> None:
        """What was decided when it was recorded: an optimizer's option that is zero is left out of its op, and parameters share
        their numbers, because they count alike."""
        add, name = self.text.add, self.text.name
        for event in self.recorder.events:
            for counter in event.subject.counters if event.twin is not None else ():
                add(f"if {name(event.state)}[{counter!r}] != {name(event.twin)}[{counter!r}]: return MISS")
        for event in {id(e.group): e for e in self.recorder.events if e.kind == "numbers"}.values():
            for key in event.subject.inputs:
                value = event.group[key]
                if isinstance(value, (int, float)):
                    add(f"if not ({'' if value else 'not '}{name(event.group)}[{key!r}]): return MISS")

    def numbers(self) -> None:
        """The events; `Input`s are numbered as the recorder numbered them."""
        add, name = self.text.add, self.text.name
        add("numbers = []")
        for event in self.recorder.events:
            if event.kind == "draw":
                add(f"numbers += {name(event.subject)}.take({event.blocks})")
            elif event.kind == "act":
                add(f"{name(event.action)}()")
            elif event.kind == "count":
                self._count(event)
            elif event.twin is None:
                call = f"{name(event.subject)}._numbers({name(event.group)}, {name(event.state)})"
                add(f"numbers += [v for v in {call} if v is not None]" if any(event.pattern) else f"numbers += {call}")

    def counts(self) -> bool:
        """True where something is counted, and `uncount` has something to take back."""
        return any(e.kind == "count" for e in self.recorder.events)

    def uncount(self) -> None:
        """Take back what was counted, in an exception's handler."""
        for event in reversed([e for e in self.recorder.events if e.kind == "count"]):
            before = self._before.get(id(event))
            self.text.add(f"{self._counters(event)} = {before}" if before else f"{self._step(event)} -= 1", 2)

    def _count(self, event: Event) -> None:
        from ..optim.fused import Fused

        add, name = self.text.add, self.text.name
        if type(event.subject)._advance is Fused._advance:
            add(f"{self._step(event)} += 1")
            return
        variable = self._before[id(event)] = f"k{len(self.text.lines)}"
        add(f"{variable} = {self._counters(event)}")
        add(f"{name(event.subject)}._advance({name(event.group)}, {name(event.state)})")

    def _step(self, event: Event) -> str:
        return f"{self.text.name(event.state)}['step']"

    def _counters(self, event: Event) -> str:
        state: Any = self.text.name(event.state)
        return ", ".join(f"{state}[{counter!r}]" for counter in event.subject.counters)
