"""What a saved object looks like inside a file: a JSON tree for the structure, a table of arrays
for tensors.

`serialization.save` lets `Encoder` take an object apart; `serialization.load` lets `Decoder` put it
together again. Only plain data can be written, so nothing in a file is ever executed.

In the tree a JSON value stands for itself (None, bool, int, finite float, str, list, dict with
string keys); all else is an object with the key "$": tuple, dict, OrderedDict, float, dtype,
tensor.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ingot_devices.transfer import read

import ingot
from ingot.cpu import KIND as CPU
from ingot.nn.parameter import Parameter
from ingot.tensor import Tensor

Array = np.ndarray[Any, Any]
TAG = "$"


@dataclass(eq=False)
class _Found:
    """One tensor met in the object: where, and the JSON node that will name its array."""

    tensor: Tensor
    path: str
    node: dict[str, Any]
    low: int = field(init=False)  # of the elements of the storage that it reaches: the first,
    high: int = field(init=False)  # and one past the last

    def __post_init__(self) -> None:
        self.low = self.high = start = self.tensor.storage_offset()
        if self.tensor.numel():
            steps = list(zip(self.tensor.shape, self.tensor.stride(), strict=True))
            self.low = start + sum(min(0, (size - 1) * stride) for size, stride in steps)
            self.high = start + sum(max(0, (size - 1) * stride) for size, stride in steps) + 1

    def view(self) -> tuple[int, list[int], list[int]]:
        return self.tensor.storage_offset(), list(self.tensor.shape), list(self.tensor.stride())


class Encoder:
    """Takes one object apart: ``tree`` is its JSON form, ``arrays`` holds each stored tensor once,
    by name.

    TypeError for anything that is not plain data, naming where it was found.
    """

    def __init__(self, value: Any) -> None:
        self._found: list[_Found] = []
        self._above: set[int] = (
            set()
        )  # containers being taken apart, to refuse one that holds itself
        self.arrays: dict[str, Array] = {}
        self.tree = self._encode(value, "")
        for shared in _overlapping(self._found):
            self._store(shared)

    def _encode(self, value: Any, path: str) -> Any:
        if value is None or isinstance(value, (bool, int, str)):
            return value if type(value) in (type(None), bool, int, str) else _plain(value)
        if isinstance(value, float):
            number = float(value)
            return number if math.isfinite(number) else {TAG: "float", "value": repr(number)}
        if isinstance(value, Tensor):
            return self._tensor(value, path)
        if isinstance(value, np.generic):
            return self._encode(value.item(), path)
        if isinstance(value, ingot.dtype):
            return {TAG: "dtype", "name": str(value).rpartition(".")[2]}
        if isinstance(value, (dict, list, tuple)):
            return self._container(value, path)
        raise TypeError(_refusal(value, path))

    def _container(self, value: Any, path: str) -> Any:
        if id(value) in self._above:
            raise TypeError(f"cannot save an object that contains itself (at {path or 'the top'})")
        self._above.add(id(value))
        try:
            if type(value) in (dict, OrderedDict):
                return self._dict(value, path)
            if type(value) not in (list, tuple, ingot.Size):
                raise TypeError(_refusal(value, path))
            items = [self._encode(item, _below(path, i)) for i, item in enumerate(value)]
            return items if type(value) is list else {TAG: "tuple", "items": items}
        finally:
            self._above.discard(id(value))

    def _dict(self, value: dict[Any, Any], path: str) -> Any:
        kind = type(value).__name__
        if kind == "dict" and TAG not in value and all(type(key) is str for key in value):
            return {key: self._encode(item, _below(path, key)) for key, item in value.items()}
        pairs = []
        for key, item in value.items():
            if isinstance(key, Tensor):
                raise TypeError(
                    f"cannot save a dict whose keys are tensors (at {path or 'the top'})"
                )
            below = _below(path, key)
            pairs.append([self._encode(key, below), self._encode(item, below)])
        return {TAG: kind, "items": pairs}

    def _tensor(self, tensor: Tensor, path: str) -> dict[str, Any]:
        node: dict[str, Any] = {TAG: "tensor"}
        if isinstance(tensor, Parameter):
            node["parameter"] = True
        if tensor.requires_grad:
            node["requires_grad"] = True
        if str(tensor.device) != CPU:
            node["device"] = str(tensor.device)
        self._found.append(_Found(tensor.detach(), path or "tensor", node))
        return node

    def _store(self, shared: list[_Found]) -> None:
        """One array for tensors that reach common elements; each says which part of it it is."""
        first = shared[0]
        name = self._free_name(first.path)
        for found in shared:
            found.node["array"] = name
        if all(found.view() == first.view() for found in shared):
            self.arrays[name] = _array(first.tensor)
            return
        low, high = min(f.low for f in shared), max(f.high for f in shared)
        self.arrays[name] = _array(first.tensor.as_strided((high - low,), (1,), low))
        for found in shared:
            offset, shape, strides = found.view()
            found.node["view"] = [offset - low, shape, strides]

    def _free_name(self, path: str) -> str:
        name = path.encode("utf-8", "backslashreplace").decode()
        number = 2
        while name in self.arrays or name == "__metadata__":
            name, number = f"{path}#{number}", number + 1
        return name


def _plain(value: Any) -> Any:
    """The value of a subclass of bool, int or str (an enum's, say) as the plain type."""
    return int(value) if isinstance(value, int) else str.__str__(value)


def _below(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _refusal(value: Any, path: str) -> str:
    what = f"cannot save a {type(value).__name__} (at {path or 'the top'})"
    if hasattr(value, "state_dict"):
        return f"{what}: save its state_dict(), and load that into a new one"
    if isinstance(value, np.ndarray):
        return f"{what}: save ingot.from_numpy(array)"
    return (
        f"{what}: a file holds tensors, None, bool, int, float, str, dtypes, and dicts, lists and "
        "tuples of them; nothing else, because loading never runs code"
    )


def _array(tensor: Tensor) -> Array:
    array = read(tensor)
    return np.ascontiguousarray(array).reshape(array.shape)  # which makes a 0-dim array 1-dim


def _storage(found: _Found) -> Any:
    """What tells storages apart: the block of memory, and how its elements are counted."""
    return id(found.tensor._block), found.tensor.dtype


def _overlapping(found: Iterable[_Found]) -> Iterable[list[_Found]]:
    """The tensors grouped by common memory: same storage, and ranges of elements that meet."""
    storages: dict[Any, list[_Found]] = {}
    for number, one in enumerate(found):
        storages.setdefault(_storage(one) if one.tensor.numel() else number, []).append(one)
    for sharing in storages.values():
        group: list[_Found] = []
        end = 0
        for one in sorted(sharing, key=lambda f: f.low):
            if group and one.low >= end:
                yield group
                group = []
            end = max(end, one.high) if group else one.high
            group.append(one)
        yield group


class Decoder:
    """Puts an object together from its tree; ``place`` gives the tensor of an array by name and
    device.

    Each array is asked for once: what shared memory when it was saved does so again. ValueError
    when the tree is not one that `Encoder` makes.
    """

    def __init__(self, place: Callable[[str, str], Tensor]) -> None:
        self._place = place
        self._placed: dict[tuple[str, str], Tensor] = {}

    def decode(self, node: Any) -> Any:
        """The value of a JSON node."""
        if isinstance(node, list):
            return [self.decode(item) for item in node]
        if not isinstance(node, dict):
            return node
        if TAG not in node:
            return {key: self.decode(item) for key, item in node.items()}
        try:
            return self._tagged(node[TAG], node)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"bad node {node!r:.100}") from error

    def _tagged(self, tag: str, node: dict[str, Any]) -> Any:
        if tag == "tensor":
            return self._tensor(node)
        if tag == "tuple":
            return tuple(self.decode(item) for item in node["items"])
        if tag in ("dict", "OrderedDict"):
            pairs = ((self.decode(key), self.decode(item)) for key, item in node["items"])
            return dict(pairs) if tag == "dict" else OrderedDict(pairs)
        if tag == "float":
            return float(node["value"])
        if tag == "dtype" and isinstance(found := getattr(ingot, node["name"], None), ingot.dtype):
            return found
        raise ValueError(f"unknown tag {tag!r}; was the file written by a newer version?")

    def _tensor(self, node: dict[str, Any]) -> Tensor:
        name, device = node["array"], node.get("device", CPU)
        if (name, device) not in self._placed:
            self._placed[name, device] = self._place(name, device)
        tensor = self._placed[name, device].detach()
        if "view" in node:
            offset, shape, strides = node["view"]
            tensor = tensor.as_strided(tuple(shape), tuple(strides), offset)
        if node.get("parameter"):
            return Parameter(tensor, bool(node.get("requires_grad")))
        return tensor.requires_grad_() if node.get("requires_grad") else tensor
