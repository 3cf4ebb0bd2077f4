"""A call as lines of Python that need ingot and NumPy alone.

What a record calls is written down by calling it with `Text`s in place of ingot and of tensors.
"""

from __future__ import annotations

from dataclasses import replace
from textwrap import wrap
from typing import Any

import numpy as np

from .guard import Changed, Outside
from .harness.data import arguments, is_float, numpy_dtype
from .harness.layouts import way
from .laid import ROWS
from .shrink import Call, alike

FEW = 24
"""Elements that are written out; more are drawn by a seed."""
WIDTH = 110


class Unwritten(Exception):
    """The call cannot be written down; the message says why."""


class Text:
    """An expression that is being written: attributes, calls and indexing append to it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text

    def __getattr__(self, name: str) -> Text:
        if name.startswith("__"):
            raise AttributeError(name)
        return Text(f"{self._text}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Text:
        given = [*map(_shown, args), *(f"{k}={_shown(v)}" for k, v in kwargs.items())]
        return Text(f"{self._text}({', '.join(given)})")

    def __getitem__(self, index: Any) -> Text:
        return Text(f"{self._text}[{_shown(index)}]")


def _shown(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        inner = ", ".join(map(_shown, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, slice):
        return f"slice({value.start}, {value.stop}, {value.step})"
    return repr(value)


def written(call: Call, fault: BaseException) -> str:
    """The program that shows ``fault``, which ``call`` raises; `Unwritten` where there is none."""
    numbers = [_literal(a) if a.size <= FEW else "" for a in call.arrays]
    if not all(numbers):
        call, numbers = _drawn(call, fault, numbers)
    made = _call(call)
    names = [f"x{k}" for k in range(len(call.arrays))]
    operands = [line for k in range(len(names)) for line in _operand(call, k, names[k], numbers[k])]
    lines = ["import numpy as np", ""] if any("np." in line for line in operands) else []
    lines += ["import ingot", "", *operands]
    if isinstance(fault, Outside):
        lines = ["import os", "", 'os.environ["INGOT_DEBUG"] = "bounds"  # memory around each result is looked at', "", *lines]
    if isinstance(fault, Changed):
        name = names[fault.operand]
        return "\n".join([*lines, f"before = str({name}.tolist())", made, f"now = str({name}.tolist())",
                          f'assert now == before, f"{name} was changed by the call: {{now}}, not {{before}}"', ""])  # fmt: skip
    return "\n".join([*lines, *_answer(call, made), ""])


def _operand(call: Call, k: int, name: str, numbers: str) -> list[str]:
    """Lines that make the operand."""
    array, operand = call.arrays[k], list(call.sample.operands())[k]

    def tensor(of: str) -> str:
        return f"ingot.tensor({of}, dtype=ingot.{array.dtype.name}, device={call.subject.device!r})"

    return ROWS[way(operand, call.how)](name, array.shape, numbers, tensor, k)


def _literal(array: Any) -> str:
    """The numbers, as `ingot.tensor` takes them: nested lists in a line, or a list in several and its shape."""
    if not array.size:
        return f"np.zeros({array.shape}).tolist()"
    numbers = _list(array)
    if len(numbers) < WIDTH or array.ndim < 2:
        return "\n    ".join(wrap(numbers, WIDTH))
    return f"np.reshape({_literal(array.reshape(-1))}, {array.shape}).tolist()"


def _list(array: Any) -> str:
    plain = array.astype(np.float32) if array.dtype == numpy_dtype("bfloat16") else array
    numbers = np.array2string(plain, separator=", ", threshold=1 << 20, floatmode="unique")
    return " ".join(numbers.replace("nan", "np.nan").replace("inf", "np.inf").split()).replace("[ ", "[")


def _drawn(call: Call, fault: BaseException, numbers: list[str]) -> tuple[Call, list[str]]:
    """The call with numbers that a line of NumPy draws where there are many, and that line."""
    operands, arrays, lines = list(call.sample.operands()), list(call.arrays), list(numbers)
    for k, (operand, array) in enumerate(zip(operands, call.arrays, strict=True)):
        if numbers[k]:
            continue
        if operand.values is not None:
            raise Unwritten(f"operand {k} has {array.size} numbers that mean something")
        domain, shape, rng = call.record.domain_of(operand, k), array.shape, np.random.default_rng(k)
        if is_float(array.dtype.name):
            drawn, how = rng.uniform(domain.low, domain.high, shape), f"uniform({domain.low}, {domain.high}, {shape})"
        else:
            low, high = (0, 2) if array.dtype == bool else domain.ints
            low = max(low, 0) if array.dtype.kind == "u" else low
            drawn, how = rng.integers(low, high, shape), f"integers({low}, {high}, {shape})"
        arrays[k], lines[k] = drawn.astype(numpy_dtype(array.dtype.name)), f"np.random.default_rng({k}).{how}.tolist()"
    made = replace(call, arrays=arrays)
    if not alike(fault, made.fault()):
        raise Unwritten(f"it takes {sum(a.size for a in call.arrays)} numbers, and other numbers do not show it")
    return made, lines


def _call(call: Call) -> str:
    """What the record calls."""
    names = [Text(f"x{k}") for k in range(len(call.arrays))]
    place = {"device": Text(repr(call.subject.device)), "dtype": Text(f"ingot.{call.dtype}")}
    args, kwargs = arguments(call.sample, names, lambda p: place[p.name])
    made = repr(call.record.call(Text("ingot"), *args, **kwargs))
    if not all(repr(name) in made for name in names):
        raise Unwritten("its call acts on an operand that the result does not name")
    return made


def _answer(call: Call, made: str) -> list[str]:
    """Lines that print what the call gives, or the element of it that is most wrong, and what is expected."""
    if call.record.reference is None:
        return [f"print({made})"]
    _, values = call.operands()
    wanted = call.expected(values)
    if max(w.size for w in wanted) > FEW:
        k, at = call.wrong
        place = f"[{k}]" * (len(wanted) > 1) + (f"[{', '.join(map(str, at))}]" if at else "")
        return [f"print({made}{place})", f"# expected: {wanted[k][at]}"]
    each = [" ".join(np.array2string(np.asarray(w), separator=", ").split()) for w in wanted]
    return [f"print({made})", f"# expected: {' | '.join(each)}"]
