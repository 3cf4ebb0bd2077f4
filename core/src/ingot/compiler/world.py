"""What a call depends on, as a list of places with what stands in each: the closed list that a recording is guarded by.

From the roots (the function, the code that ran, its globals and closures by name) everything reachable is looked at: the
attributes of modules, optimizers and plain objects as far as the code spells their names, containers whole, tensors with
their memory and their gradients. `World.read` gives what stands there now; two readings differ exactly where the call
changed something, and a reading that is as it was guards a replay.
"""

from __future__ import annotations

import enum
import sys
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import ref

import numpy as np
from ingot_devices.dtypes import DType
from ingot_devices.layout import Layout

from ..autograd.node import LeafNode, Node
from ..base import TensorBase
from ..devices import device
from ..generator import Generator
from .watch import Watch, globals_of

LIMIT = 20000
LEAVES = (type(None), bool, int, float, complex, str, bytes, type(...), DType, device, Layout, enum.Enum, range, slice,
          types.BuiltinFunctionType, np.generic, np.dtype)  # fmt: skip
OWN = frozenset("_block _layout _native _edge grad _offset _base _chain _views _inference _retained".split())
NUMBERS = (bool, int, float, complex, str, bytes, np.generic)
SIZE = "number of attributes"
ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "absent"})()


@dataclass(frozen=True)
class Item:
    """One object of the world: ``kind`` says how it is read, ``keys`` which of its places count (None: all there are)."""

    holder: Any
    kind: str
    name: str
    keys: tuple[Any, ...] | None = None

    def read(self) -> dict[Any, Any]:
        """What stands in each place now."""
        return READERS[self.kind](self)


class Gradient:
    """A gradient as a reading finds it, which it does not keep alive: eagerly it goes before the next one comes."""

    def __init__(self, grad: Any) -> None:
        self.tensor, self.block = ref(grad), ref(grad._block)
        self._layout, self._offset = grad._layout, grad._offset
        self._death: Any = None

    def watch(self, died: Callable[[], None]) -> None:
        """Have ``died`` called when nobody holds it any more."""
        self._death = ref(self.tensor(), lambda _: died())


def _mapping(item: Item) -> dict[Any, Any]:
    held = item.holder
    if item.keys is None:
        return dict(held)
    return {k: held.get(k, ABSENT) for k in item.keys}


def _instance(item: Item) -> dict[Any, Any]:
    held = vars(item.holder)
    return {SIZE: len(held), **{k: held.get(k, ABSENT) for k in item.keys or ()}}


def _slots(item: Item) -> dict[Any, Any]:
    return {k: getattr(item.holder, k, ABSENT) for k in item.keys or ()}


def _cell(item: Item) -> dict[Any, Any]:
    try:
        return {"value": item.holder.cell_contents}
    except ValueError:
        return {"value": ABSENT}


def _tensor(item: Item) -> dict[Any, Any]:
    t = item.holder
    grad = None if t.grad is None else Gradient(t.grad)
    return {"memory": t._block, "layout": t._layout, "offset": t._offset, "history": t._edge, "grad": grad}


READERS: dict[str, Callable[[Item], dict[Any, Any]]] = {
    "dict": _mapping, "globals": _mapping, "instance": _instance, "slots": _slots, "cell": _cell, "tensor": _tensor,
    "list": lambda item: dict(enumerate(item.holder)),
    "set": lambda item: {id(v): v for v in item.holder},
    "function": lambda item: {"code": item.holder.__code__, "defaults": item.holder.__defaults__,
                              "kwdefaults": item.holder.__kwdefaults__},
}  # fmt: skip


class Unguardable(Exception):
    """Something that the call depends on can change without a trace."""


class World:
    """The items reachable from ``roots``: (name, object) pairs, and from what ``seen`` says ran."""

    def __init__(self, roots: Mapping[str, Any], seen: Watch) -> None:
        self.items: list[Item] = []
        self.tensors: dict[int, Item] = {}
        self.known: dict[int, Any] = {}  # what was reached, by id
        self._names: Set[str] = seen.names
        self._others: dict[type, list[str]] = {}  # names that tensors of a type do not have by themselves
        self.user_names: Set[str] = seen.user_names
        self._all = seen.dynamic or "__dict__" in seen.user_names
        self._codes = seen.codes
        self._found: set[types.CodeType] = set()
        self._waiting: deque[tuple[str, Any]] = deque(roots.items())
        for code, scope in seen.codes.items():
            names = tuple(n for n in globals_of(code) if n in scope)
            self._add(Item(scope, "globals", f"global of {code.co_name}", names))
        while self._waiting:
            self._visit(*self._waiting.popleft())
            if len(self.items) > LIMIT:
                raise Unguardable(f"more than {LIMIT} objects can be reached from the function")
        self._check_closures()

    def read(self) -> list[dict[Any, Any]]:
        """What stands in every item now, item by item."""
        return [item.read() for item in self.items]

    # ---- the walk ------------------------------------------------------------------------------------------------------
    def _add(self, item: Item) -> None:
        self.items.append(item)
        for key, value in item.read().items():
            if item.kind != "tensor":
                self._waiting.append((place_name(item, key), value))

    def _visit(self, name: str, value: Any) -> None:
        if isinstance(value, LEAVES) or value is ABSENT or id(value) in self.known:
            return
        self.known[id(value)] = value
        for kinds, visit in VISITS:
            if isinstance(value, kinds):
                visit(self, name, value)
                return
        self._object(name, value)

    def _tensor(self, name: str, value: Any) -> None:
        item = self.tensors[id(value)] = Item(value, "tensor", name)
        self._add(item)
        extra = self._extra(value)
        if extra:
            self._add(Item(value, "instance", name, extra))
        edge = value._edge
        if edge is not None and isinstance(edge[0], LeafNode) and (edge[0].hooks or edge[0].after):
            self._waiting.append((f"{name}'s hooks", edge[0].after))
            if edge[0].hooks:
                self._waiting.append((f"{name}'s hooks", edge[0].hooks))

    def _extra(self, value: Any) -> tuple[str, ...]:
        """Attributes that code spells and that somebody gave this tensor. They are asked for one by one: `vars` would make an
        object of its dict, and each attribute slower to read from then on."""
        kind = type(value)
        if kind not in self._others:
            self._others[kind] = [n for n in self._names if n not in OWN and not hasattr(kind, n)]
        return tuple(n for n in self._others[kind] if hasattr(value, n))

    def _dict(self, name: str, value: Any) -> None:
        self._add(Item(value, "dict", name))
        for key in value:
            if not isinstance(key, LEAVES):
                self._waiting.append((f"a key of {name}", key))

    def _list(self, name: str, value: Any) -> None:
        self._add(Item(value, "list", name))

    def _set(self, name: str, value: Any) -> None:
        self._add(Item(value, "set", name))

    def _cell(self, name: str, value: Any) -> None:
        self._add(Item(value, "cell", name))

    def _function(self, name: str, value: Any) -> None:
        if value.__code__ not in self._codes:
            return  # it did not run: that it is this one is enough
        self._found.add(value.__code__)
        self._add(Item(value, "function", name))
        for n, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            self._waiting.append((f"{n} of {value.__name__}", cell))
        if getattr(value, "__dict__", None):
            self._waiting.extend((f"{name}.{k}", v) for k, v in value.__dict__.items())

    def _method(self, name: str, value: Any) -> None:
        self._waiting.append((f"{name}'s object", value.__self__))
        self._waiting.append((name, value.__func__))

    def _partial(self, name: str, value: Any) -> None:
        self._waiting.extend([(name, value.func), (name, value.args), (name, value.keywords)])

    def _wrapper(self, name: str, value: Any) -> None:
        for part in ("fget", "fset", "__func__", "func"):
            if getattr(value, part, None) is not None:
                self._waiting.append((name, getattr(value, part)))

    def _module(self, name: str, value: Any) -> None:
        if not _user_module(value):
            return
        names = tuple(n for n in self._names if n in vars(value))
        self._add(Item(vars(value), "globals", value.__name__, names))

    def _class(self, name: str, value: type) -> None:
        for kind in value.__mro__:
            module = sys.modules.get(kind.__module__)
            if kind is value or (module is not None and _user_module(module)):
                if module is not None and not _user_module(module):
                    continue
                keys = tuple(k for k in vars(kind) if (self._all or k in self._names) and not k.startswith("__"))
                keys += tuple(k for k in ("__call__", "__init__", "__getattr__") if k in vars(kind))
                if keys:
                    self._add(Item(vars(kind), "dict", kind.__name__, keys))

    def _array(self, name: str, value: Any) -> None:
        raise Unguardable(f"{name} is a {type(value).__name__}, which can change unseen: make it a tensor")

    def _skip(self, name: str, value: Any) -> None:
        """Its identity is all that counts."""

    def _object(self, name: str, value: Any) -> None:
        held = getattr(value, "__dict__", None)
        if isinstance(held, dict):
            spelled = self._names if _built_on_ingot(type(value)) else self.user_names
            keys = tuple(k for k in held if self._all or k in spelled or not isinstance(k, str))
            self._add(Item(value, "instance", name, keys))
        names = [s for kind in type(value).__mro__ for s in _slot_names(kind) if s in self._names]
        if names:
            self._add(Item(value, "slots", name, tuple(names)))
        self._waiting.append((type(value).__name__, type(value)))

    def _check_closures(self) -> None:
        for code in self._codes:
            nested = any(code in c.co_consts for c in self._codes)
            if code.co_freevars and code not in self._found and not nested:
                raise Unguardable(f"the closure of {code.co_name} cannot be reached ({code.co_filename}:{code.co_firstlineno})")


VISITS: tuple[tuple[Any, Callable[[World, str, Any], None]], ...] = (
    (TensorBase, World._tensor),
    (types.MappingProxyType, World._skip),
    ((OrderedDict, defaultdict, dict), World._dict),
    ((list, tuple, deque), World._list),
    ((set, frozenset), World._set),
    (types.CellType, World._cell),
    (types.FunctionType, World._function),
    (types.MethodType, World._method),
    (partial, World._partial),
    ((property, staticmethod, classmethod), World._wrapper),
    (types.ModuleType, World._module),
    (type, World._class),
    ((np.ndarray, bytearray, memoryview), World._array),
    ((Node, Generator, types.CodeType, types.GeneratorType), World._skip),
)


def _built_on_ingot(kind: type) -> bool:
    """True where ingot's own code reads attributes, too: of its classes and of what derives from them."""
    return any(k.__module__.partition(".")[0] in ("ingot", "ingot_devices") for k in kind.__mro__)


def _slot_names(kind: type) -> Iterator[str]:
    slots = vars(kind).get("__slots__", ())
    for name in (slots,) if isinstance(slots, str) else slots:
        if not name.startswith("__"):
            yield name


def _user_module(module: types.ModuleType) -> bool:
    """False for ingot and for installed code: that a module is this one is enough there."""
    name = module.__name__
    if name == "ingot" or name.startswith(("ingot.", "ingot_")):
        return False
    path = (getattr(module, "__file__", None) or "").replace("\\", "/")
    if not path:
        return name == "__main__"
    return "site-packages" not in path and "/lib/python" not in path and name.partition(".")[0] not in sys.stdlib_module_names


def place_name(item: Item, key: Any) -> str:
    """How people find a place: ``model.0.weight``, ``optimizer.param_groups[0]['lr']``."""
    if item.kind == "globals":
        return str(key)
    if item.kind == "cell":
        return item.name
    if item.kind in ("dict", "list"):
        return f"{item.name}[{key!r}]" if isinstance(key, (str, int)) else f"{item.name}[…]"
    return f"{item.name}.{key}"


def same(a: Any, b: Any) -> bool:
    """True when a place that held ``a`` means the same with ``b``: the same object, or an equal plain value."""
    if a is b:
        return True
    if type(a) is Gradient:  # a tensor has one weak reference, and another tensor another
        return type(b) is Gradient and a.tensor is b.tensor
    if type(a) is not type(b) or not isinstance(a, NUMBERS):
        return isinstance(a, types.MethodType) and isinstance(b, types.MethodType) and (
            a.__self__ is b.__self__ and a.__func__ is b.__func__)  # fmt: skip
    return bool(a == b) and repr(a) == repr(b)
