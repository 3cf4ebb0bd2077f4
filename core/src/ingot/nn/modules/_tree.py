"""The tree a Module is: what it holds by name, how it is walked, how it prints.

Bottom of the class chain `ModuleTree` → `ModuleState` (saving and loading) → `Module` (calling,
converting). Parameters, buffers and submodules live in three dicts, so that a walk sees them in the
order they were set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ingot.nn.parameter import Parameter
from ingot.tensor import Tensor

if TYPE_CHECKING:
    from ingot.nn.modules.module import Module

T = TypeVar("T")
_STORES = ("_parameters", "_buffers", "_modules")


class ModuleTree:
    """Registration, attribute access and traversal."""

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _non_persistent_buffers_set: set[str]

    def __init__(self) -> None:
        super().__setattr__("training", True)
        for store in _STORES:
            super().__setattr__(store, {})
        super().__setattr__("_non_persistent_buffers_set", set())

    # ---- attributes ------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        held = self.__dict__
        if (
            "_modules" in held
        ):  # written out, because every forward comes here for each of its layers
            if name in (found := held["_parameters"]):
                return found[name]
            if name in (found := held["_modules"]):
                return found[name]
            if name in (found := held["_buffers"]):
                return found[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter):
            self._forget(name, keep="_parameters")
            self.register_parameter(name, value)
        elif isinstance(value, ModuleTree):
            self._forget(name, keep="_modules")
            self._store("_modules", name)[name] = value
        elif not self._replaces(name, value):
            super().__setattr__(name, value)

    def _replaces(self, name: str, value: Any) -> bool:
        """Put ``value`` where a parameter, module or buffer called ``name`` was; False when there
        is none.
        """
        wanted: dict[str, tuple[Any, str]] = {
            "_parameters": (type(None), "nn.Parameter or None"),
            "_modules": (type(None), "nn.Module or None"),
            "_buffers": ((Tensor, type(None)), "ingot.Tensor or None"),
        }
        for store, (kinds, words) in wanted.items():
            held = self.__dict__.get(store)
            if held is None or name not in held:
                continue
            if not isinstance(value, kinds):
                what = {"_parameters": "parameter", "_modules": "child module"}.get(store, "buffer")
                raise TypeError(
                    f"cannot assign '{type(value).__name__}' as {what} '{name}' ({words} expected)"
                )
            held[name] = value
            return True
        return False

    def __delattr__(self, name: str) -> None:
        for store in _STORES:
            if name in self.__dict__.get(store, ()):
                del self.__dict__[store][name]
                self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        names = {*super().__dir__(), *self._parameters, *self._buffers, *self._modules}
        return sorted(name for name in names if name.isidentifier())

    def _store(self, store: str, name: str) -> dict[str, Any]:
        try:
            return self.__dict__[store]
        except KeyError:
            what = {"_parameters": "parameters", "_modules": "module"}.get(store, "buffer")
            raise AttributeError(
                f"cannot assign {what} before Module.__init__() call: write super().__init__() "
                f"as the first line of {type(self).__name__}.__init__ (setting {name!r})"
            ) from None

    def _forget(self, name: str, keep: str) -> None:
        """Drop whatever else is called ``name``, so that one name means one thing."""
        self.__dict__.pop(name, None)
        for store in _STORES:
            if store != keep and name in self.__dict__.get(store, ()):
                del self.__dict__[store][name]
        self.__dict__.get("_non_persistent_buffers_set", set()).discard(name)

    # ---- registration ----------------------------------------------------------------------------

    def _check_name(self, store: str, name: str, what: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {type(name).__name__}")
        if "." in name:
            raise KeyError(f'{what} name can\'t contain ".", got: {name!r}')
        if not name:
            raise KeyError(f'{what} name can\'t be empty string ""')
        if hasattr(self, name) and name not in self._store(store, name):
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Hold ``param`` as ``name``; None reserves the name. The parameter must be a leaf."""
        held = self._store("_parameters", name)
        self._check_name("_parameters", name, "parameter")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{type(param).__name__}' object to parameter '{name}' "
                "(nn.Parameter or None required)"
            )
        if param is not None and not param.is_leaf:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be "
                "created explicitly; compute the value in forward() instead."
            )
        held[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Hold ``tensor`` as state that is moved and saved with the module but not trained.

        ``persistent=False`` keeps it out of the state_dict.
        """
        held = self._store("_buffers", name)
        self._check_name("_buffers", name, "buffer")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' "
                "(ingot Tensor or None required)"
            )
        held[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Hold ``module`` as the child ``name``."""
        held = self._store("_modules", name)
        if module is not None and not isinstance(module, ModuleTree):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._check_name("_modules", name, "module")
        held[name] = module

    register_module = add_module

    # ---- walks -----------------------------------------------------------------------------------

    def named_modules(
        self,
        memo: set[ModuleTree] | None = None,
        prefix: str = "",
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once (unless ``remove_duplicate`` is False), parents
        first.
        """
        seen = set() if memo is None else memo
        if self in seen:
            return
        if remove_duplicate:
            seen.add(self)
        yield prefix, self  # type: ignore[misc]
        for name, child in self._modules.items():
            if child is not None:
                below = f"{prefix}.{name}" if prefix else name
                yield from child.named_modules(seen, below, remove_duplicate)

    def _named_members(
        self,
        members: Callable[[Module], Mapping[str, T | None]],
        prefix: str,
        recurse: bool,
        remove_duplicate: bool,
    ) -> Iterator[tuple[str, T]]:
        seen: set[int] = set()
        modules: Any = [(prefix, self)]
        if recurse:
            modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        for path, module in modules:
            for name, value in members(module).items():
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield (f"{path}.{name}" if path else name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """(dotted name, parameter) of this module and, if ``recurse``, of all below it."""
        return self._named_members(lambda m: m._parameters, prefix, recurse, remove_duplicate)

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """(dotted name, buffer) of this module and, if ``recurse``, of all below it."""
        return self._named_members(lambda m: m._buffers, prefix, recurse, remove_duplicate)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of the direct children, each once."""
        return self._named_members(lambda m: m._modules, "", False, True)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once: what an optimizer takes."""
        return (value for _, value in self.named_parameters(recurse=recurse))

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, each once."""
        return (value for _, value in self.named_buffers(recurse=recurse))

    def children(self) -> Iterator[Module]:
        """The direct children, each once."""
        return (module for _, module in self.named_children())

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def get_submodule(self, target: str) -> Module:
        """The module at the dotted path ``target`` ("" is this one); AttributeError where it breaks
        off.
        """
        found: Any = self
        for name in target.split(".") if target else ():
            if not hasattr(found, name):
                raise AttributeError(f"{type(found).__name__} has no attribute `{name}`")
            found = getattr(found, name)
            if not isinstance(found, ModuleTree):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return found

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at the dotted path ``target``."""
        path, _, name = target.rpartition(".")
        found = self.get_submodule(path)._parameters.get(name)
        if found is None:
            raise AttributeError(f"`{target}` is not an nn.Parameter of {type(self).__name__}")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at the dotted path ``target``."""
        path, _, name = target.rpartition(".")
        found = self.get_submodule(path)._buffers.get(name)
        if found is None:
            raise AttributeError(f"`{target}` is not a buffer of {type(self).__name__}")
        return found

    # ---- printing --------------------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What a layer says about itself between the brackets of its repr."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [
            f"({name}): " + repr(child).replace("\n", "\n  ")
            for name, child in self._modules.items()
        ]
        if len(lines) <= 1 and not children:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines + children) + "\n)"
