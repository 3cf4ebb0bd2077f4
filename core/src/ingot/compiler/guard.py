"""The guard of a recording: one Python function that looks at every place of the world, and a slow one that says which.

The fast one compares by identity, written out as a single expression (a place costs about 20 ns). What memory and history its
tensors have it looks at only where those of any tensor have changed since the last time (`base.REBOUND`). Where it fails,
`Guard.why` compares values: a number that is equal though another object is taken over, anything else is named.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from ..base import REBOUND
from .world import ABSENT, SIZE, Item, World, place_name, same

Claims = Collection[tuple[int, Any]]


class Guard:
    """``expected`` is what stood in the world's places when the recording began; ``claims`` are places that a replay
    reads or writes itself, as (id of the holder, key)."""

    def __init__(self, world: World, expected: list[dict[Any, Any]], claims: Claims, moving: Collection[int]) -> None:
        self.world, self.expected, self.claims, self.moving = world, _light(world, expected), claims, moving
        self.holds = self._written()

    def places(self) -> int:
        """How many places are looked at."""
        return sum(len(values) for values in self.expected)

    def why(self) -> str:
        """The first place that is not as it was, or nothing; then the fast test is made anew."""
        now = self.world.read()
        for item, old, new in zip(self.world.items, self.expected, now, strict=True):
            found = self._differs(item, old, new)
            if found:
                return found
        self.expected = _light(self.world, now)
        self.holds = self._written()
        return ""

    def _differs(self, item: Item, old: dict[Any, Any], new: dict[Any, Any]) -> str:
        if len(old) != len(new):
            return f"{item.name} has {len(new)} entries, it had {len(old)}"
        for key, value in old.items():
            if (id(item.holder), key) in self.claims or (item.kind == "tensor" and id(item.holder) in self.moving):
                continue
            found = new.get(key, ABSENT)
            if (item.kind, key) == ("tensor", "grad"):
                if gradient(found) is not gradient(value):
                    return f"{item.name}.grad is {gradient(found)!r}, it was {gradient(value)!r}"
            elif not same(value, found):
                return f"{place_name(item, key)} is {_short(found)}, it was {_short(value)}"
        return ""

    # ---- the fast one --------------------------------------------------------------------------------------------------
    def _written(self) -> Callable[[], bool]:
        scope: dict[str, Any] = {"rebound": REBOUND, "seen": [-1]}
        names: dict[int, str] = {}
        tests: list[str] = []
        held: list[str] = []

        def name(value: Any) -> str:
            if value is None or value is True or value is False:
                return repr(value)
            if id(value) not in names:
                names[id(value)] = f"c{len(names)}"
                scope[names[id(value)]] = value
            return names[id(value)]

        for item, values in zip(self.world.items, self.expected, strict=True):
            if item.kind != "tensor":
                tests += self._tests(item, values, name)
            elif id(item.holder) not in self.moving:
                tests += _gradient_tests(name(item.holder), values, name, (id(item.holder), "grad") in self.claims)
                held += self._tests(item, values, name)
        lines = [
            f"def holds({', '.join(f'{n}={n}' for n in scope)}):",  # a local is found faster than a global
            "    try:",
            *_rows(tests, 8),
            "        now = rebound[0]",
            "        if now != seen[0]:",
            *_rows(held, 12),
            "            seen[0] = now",
            "        return True",
            "    except (KeyError, IndexError, AttributeError, ValueError): return False",
        ]
        exec(compile("\n".join(lines), "<ingot guard>", "exec"), scope)
        holds: Callable[[], bool] = scope["holds"]
        return holds

    def _tests(self, item: Item, values: dict[Any, Any], name: Callable[[Any], str]) -> list[str]:
        holder = item.holder
        if item.kind == "tensor":
            _settle(holder)
            return _tensor_tests(name(holder), values, name)
        if item.kind == "cell":
            value = values["value"]
            return [] if value is ABSENT else [f"{name(holder)}.cell_contents is {name(value)}"]
        if item.kind == "function":
            h = name(holder)
            return [f"{h}.__code__ is {name(values['code'])}", f"{h}.__defaults__ is {name(values['defaults'])}"]
        if type(holder) is tuple:  # what stands in it never changes
            return []
        if item.kind == "set":
            return [f"{name(holder)} == {name(frozenset(values.values()))}"]
        if item.kind == "slots":
            return [f"{name(holder)}.{k} is {name(v)}" for k, v in values.items() if v is not ABSENT]
        where, size = name(vars(holder) if item.kind == "instance" else holder), _size(item, values)
        tests = [f"len({where}) == {size}" if size else f"not {where}"] if size is not None else []
        for key, value in values.items():
            if key is SIZE or (id(holder), key) in self.claims:
                continue
            shown = repr(key) if isinstance(key, (str, int)) else name(key)
            tests.append(f"{shown} not in {where}" if value is ABSENT else f"{where}[{shown}] is {name(value)}")
        return tests


def _size(item: Item, values: dict[Any, Any]) -> int | None:
    if item.kind in ("dict", "list") and item.keys is None:
        return len(values)
    return values[SIZE] if item.kind == "instance" else None


def _settle(t: Any) -> None:
    """Let what is looked at stand in the instance: defaults of the class are found five times more slowly."""
    t._offset, t._edge, t.grad = t._offset, t._edge, t.grad


def _tensor_tests(t: str, values: dict[Any, Any], name: Callable[[Any], str]) -> list[str]:
    return [f"{t}._block is {name(values['memory'])}", f"{t}._layout is {name(values['layout'])}",
            f"{t}._offset is {name(values['offset'])}", f"{t}._edge is {name(values['history'])}"]  # fmt: skip


def _gradient_tests(t: str, values: dict[Any, Any], name: Callable[[Any], str], free: bool) -> list[str]:
    if free:
        return []
    return [f"{t}.grad is None" if values["grad"] is None else f"{t}.grad._layout is {name(values['grad'])}"]


def _rows(tests: list[str], depth: int) -> list[str]:
    rows = [" and ".join(tests[start : start + 40]) for start in range(0, len(tests), 40)]
    return [f"{' ' * depth}if not ({row}): return False" for row in rows]


def gradient(grad: Any) -> Any:
    """What is guarded of a gradient: its layout, None where there is none."""
    return getattr(grad, "_layout", grad)


def _light(world: World, values: list[dict[Any, Any]]) -> list[dict[Any, Any]]:
    """The same with gradients' layouts in the place of gradients: those are large, and others at each call."""
    return [{**v, "grad": gradient(v["grad"])} if item.kind == "tensor" else v
            for item, v in zip(world.items, values, strict=True)]  # fmt: skip


def _short(value: Any) -> str:
    if value is ABSENT:
        return "absent"
    text = repr(value) if isinstance(value, (int, float, str, bool, type(None))) else f"a {type(value).__name__}"
    return text if len(text) < 60 else text[:57] + "…"
