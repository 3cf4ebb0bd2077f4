"""The smallest failing call of a case, as lines of Python that need ingot and NumPy alone: paste them and run.

The samples of the case are tried from the smallest on; a pointwise op is tried on single elements first. What a record
calls is written down by calling it with `Text`s in place of ingot and of tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from .harness.checks import run
from .harness.compare import observing
from .harness.data import arguments, arrays_of, evaluate
from .harness.layouts import STRIDED
from .harness.subject import Subject
from .levels import Case
from .records.record import Operand, Record, Sample

LARGEST = 1024  # elements that are printed
HEAD = "import numpy as np\n\nimport ingot\n"


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


def program(subject: Subject, case: Case) -> str:
    """The program of a failing case; empty where none of its calls fails alone."""
    record = case.record
    if record is None or case.check not in ("value", "empty", "zero_dim", "edges", "nonfinite", *STRIDED):
        return _again(subject, case)
    try:
        for sample, arrays, how in _smallest_first(subject, case, record):
            if _fails(subject, record, sample, case.variant, arrays, how):
                if record.group == "optimizer" or max((a.size for a in arrays), default=0) > LARGEST:
                    break  # what sets attributes cannot be written down, what is long is no use
                return _written(subject, record, sample, case.variant, arrays, how)
    except Exception:
        return _again(subject, case)  # what runs the case again is always true
    return _again(subject, case)


def _again(subject: Subject, case: Case) -> str:
    """The case itself, run by name."""
    slow = ", slow=True" if subject.is_slow else ""
    return f"from ingot_tools.conformance import replay\n\nreplay({subject.device!r}, {case.name!r}{slow})\n"


def _smallest_first(subject: Subject, case: Case, record: Record) -> Iterator[tuple[Sample, list[Any], str]]:
    from .harness.checks import planted_cases, product_cases
    from .harness.edges import resized, sizes

    how = case.check if case.check in STRIDED else ""
    if case.check == "nonfinite":
        found = product_cases if record.nonfinite == "product" else planted_cases
        yield from ((s, a, how) for s, a in found(record, case.variant))
        return
    samples = list(record.samples)
    if case.check == "edges":
        samples = [s for n in sizes(subject, record) for s in resized(record, n)]
    samples = [s for s in samples if case.variant not in s.but and _KEPT.get(case.check, _ordinary)(s)]
    for sample in sorted(samples, key=_size):
        arrays = arrays_of(record, sample, case.variant)
        if record.group in ("unary", "binary") and case.check == "value":
            yield from ((*one, how) for one in _elements(sample, arrays))
        yield sample, arrays, how


def _ordinary(sample: Sample) -> bool:
    return not (sample.is_empty or sample.is_zero_dim)


_KEPT: dict[str, Callable[[Sample], bool]] = {
    "empty": lambda s: s.is_empty,
    "zero_dim": lambda s: s.is_zero_dim,
    **dict.fromkeys(STRIDED, lambda s: not (s.big or s.is_empty)),
}
"""The samples that a check looks at, where these are not the ordinary ones."""


def _size(sample: Sample) -> int:
    return sum(int(np.prod(o.shape)) for o in sample.operands())


def _elements(sample: Sample, arrays: list[Any]) -> Iterator[tuple[Sample, list[Any]]]:
    """The same call on one element each."""
    if not arrays or len({a.shape for a in arrays}) > 1 or not 1 < arrays[0].size <= LARGEST:
        return

    def single(item: Any) -> Any:
        return replace(item, shape=(1,), values=None) if isinstance(item, Operand) else item

    small = replace(sample, args=tuple(map(single, sample.args)), kwargs={k: single(v) for k, v in sample.kwargs.items()})
    for k in range(arrays[0].size):
        yield small, [a.reshape(-1)[k : k + 1] for a in arrays]


def _tensors(subject: Subject, arrays: list[Any], how: str) -> tuple[list[Any], list[Any]]:
    tensors = [STRIDED[how](subject, a, k) if how else subject.tensor(a) for k, a in enumerate(arrays)]
    return tensors, [subject.read(x).astype(a.dtype) for x, a in zip(tensors, arrays, strict=True)]


def _fails(subject: Subject, record: Record, sample: Sample, dtype: str, arrays: list[Any], how: str) -> bool:
    try:
        tensors, values = _tensors(subject, arrays, how)
        with observing():
            run(subject, record, sample, dtype, values, tensors)
    except Exception:
        return True
    return False


_LAYOUTS = {
    "": "{x}",
    "transposed": "{x}.transpose(-1, -2).contiguous().transpose(-1, -2)",
    "stepped": "ingot.stack([{x}] * {step}, -1)[..., 1]",
    "padded": "ingot.cat([{x}] + [{x}[..., :1]] * {pad}, -1)[..., :{x}.shape[-1]]",
    "expanded": "{x}[:1].expand({x}.shape)",
    "shifted": "ingot.cat([{x}.reshape(-1)[:1], {x}.reshape(-1), {x}.reshape(-1)[:1]])[1:-1].view({x}.shape)",
    "far": "ingot.cat([{x}.unsqueeze(-1), ingot.zeros(*{x}.shape, 4098, dtype={x}.dtype, device={x}.device)], -1)[..., 0]",
}
"""How a layout is made from a dense tensor, for `harness.layouts`."""


def _written(subject: Subject, record: Record, sample: Sample, dtype: str, arrays: list[Any], how: str) -> str:
    names = [Text(f"x{k}") for k in range(len(arrays))]
    lines = [HEAD]
    for k, array in enumerate(arrays):
        name = array.dtype.name
        numbers = np.array2string(
            array.astype(np.float64) if "float" in name else array, separator=", ", threshold=1 << 20,
            floatmode="unique", max_line_width=100,
        )  # fmt: skip
        numbers = numbers.replace("nan", "np.nan").replace("inf", "np.inf")
        lines.append(f"x{k} = ingot.tensor(np.array({numbers}).reshape({array.shape}).tolist(), dtype=ingot.{name}, "
                     f"device={subject.device!r})")  # fmt: skip
        if how and array.ndim > 0:
            lines.append(f"x{k} = " + _LAYOUTS[how].format(x=f"x{k}", step=2 + k, pad=1 + k))
    place = {"device": Text(repr(subject.device)), "dtype": Text(f"ingot.{dtype}")}
    args, kwargs = arguments(sample, names, lambda p: place[p.name])
    call = repr(record.call(Text("ingot"), *args, **kwargs))
    if not all(repr(name) in call for name in names):
        raise ValueError("the call acts on an operand that its result does not name")  # then it is run by name
    lines.append(f"print({call})")
    if record.reference is not None:
        _, values = _tensors(subject, arrays, how)
        wanted = [np.array2string(np.asarray(e), separator=", ", threshold=64) for e in evaluate(record, sample, values)]
        lines += ["# expected: " + " | ".join(" ".join(w.split()) for w in wanted)]
    return "\n".join(lines) + "\n"

