"""Sequential, ModuleList and ModuleDict: modules in a row, in a list, by name."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from itertools import groupby
from typing import Any, Self, overload

from ingot.nn.modules.module import Module


class _Row(Module):
    """Children numbered "0", "1", …: what Sequential and ModuleList share."""

    _modules: dict[str, Module]  # type: ignore[assignment]

    def _key(self, index: int) -> str:
        """The name of the ``index``-th child; IndexError when there is none."""
        index, size = operator.index(index), len(self)
        if not -size <= index < size:
            raise IndexError(f"index {index} is out of range")
        return list(self._modules)[index % size]

    def _renumber(self, modules: Iterable[Module]) -> None:
        self._modules.clear()
        self._modules.update((str(i), module) for i, module in enumerate(modules))

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._of(list(self._modules.items())[index])
        return self._modules[self._key(index)]

    def _of(self, items: list[tuple[str, Module]]) -> Any:
        raise TypeError(f"{type(self).__name__} cannot be sliced")

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._key(index), module)

    def __delitem__(self, index: int | slice) -> None:
        gone = list(self._modules)[index] if isinstance(index, slice) else [self._key(index)]
        self._renumber([module for name, module in self._modules.items() if name not in gone])

    def append(self, module: Module) -> Self:
        """Add ``module`` at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add every one of ``modules`` at the end."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Put ``module`` before the ``index``-th."""
        if not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        row = list(self)
        row.insert(index, module)
        self._renumber(row)
        return self

    def pop(self, index: int = -1) -> Module:
        """Take the ``index``-th out and return it."""
        module: Module = self[index]
        del self[index]
        return module


class Sequential(_Row):
    """Calls its modules one after the other; made of modules, or of one OrderedDict of them."""

    def __init__(self, *args: Any) -> None:
        super().__init__()
        named = args[0] if len(args) == 1 and isinstance(args[0], OrderedDict) else None
        for name, module in named.items() if named is not None else enumerate(args):
            self.add_module(str(name), module)

    def forward(self, input: Any) -> Any:
        for module in self._modules.values():
            input = module(input)
        return input

    def _of(self, items: list[tuple[str, Module]]) -> Sequential:
        return type(self)(OrderedDict(items))

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            raise TypeError(
                f"a Sequential is added to a Sequential only, got {type(other).__name__}"
            )
        return Sequential(*self, *other)


class ModuleList(_Row):
    """A list of modules, so that they are found, moved and saved; `forward` is yours to write."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())

    def _of(self, items: list[tuple[str, Module]]) -> ModuleList:
        return type(self)(module for _, module in items)

    def __repr__(self) -> str:
        """As the base class's, equal neighbours told once: ``(0-2): 3 x Linear(…)``."""
        if not len(self):
            return f"{self._get_name()}()"
        lines = []
        start = 0
        for text, same in groupby(map(repr, self)):
            size = len(list(same))
            end = start + size - 1
            said = f"({start}): {text}" if size == 1 else f"({start}-{end}): {size} x {text}"
            lines.append("  " + said.replace("\n", "\n  "))
            start = end + 1
        return f"{self._get_name()}(\n" + "\n".join(lines) + "\n)"

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])


class ModuleDict(Module):
    """A dict of modules, so that they are found, moved and saved; `forward` is yours to write."""

    _modules: dict[str, Module]  # type: ignore[assignment]

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        self.update(modules or {})

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: str) -> bool:
        return key in self._modules

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._modules.keys()

    def values(self) -> ValuesView[Module]:
        """The modules."""
        return self._modules.values()

    def items(self) -> ItemsView[str, Module]:
        """(name, module) pairs."""
        return self._modules.items()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add every (name, module) given, replacing those of the same name."""
        for key, module in dict(modules).items():
            self[key] = module

    def pop(self, key: str) -> Module:
        """Take the module called ``key`` out and return it."""
        return self._modules.pop(key)

    def clear(self) -> None:
        """Take out all modules."""
        self._modules.clear()
