"""Which route an op takes on a device, and why not the others: `resolve`, asked and written down.

Beside the eager flow: `explain` makes the plan that dispatch would make and keeps what was looked
at on the way. People see it through ``ingot explain OP --device D``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from . import dtypes as dt
from .dtypes import DType
from .errors import IngotError, NoKernelError
from .layout import Layout
from .opset import OPS, Op
from .resolve import Attempt, Key, resolve, specs_of

if TYPE_CHECKING:
    from .device import Device

_SIZE = 16
_SHAPES: tuple[tuple[int, ...], ...] = ((_SIZE, _SIZE), (_SIZE,), (_SIZE, _SIZE, _SIZE))
_ROLES = {
    **dict.fromkeys(("index", "indices", "ids", "target", "order", "ranks"), dt.int64),
    **dict.fromkeys(("condition", "mask", "flags", "starts"), dt.bool_),
}
_ATTRIBUTES = {"shape": (_SIZE, _SIZE), "n": _SIZE, "m": _SIZE, "classes": _SIZE, "rows": _SIZE}


@dataclass(frozen=True)
class Considered:
    """A route that was looked at. ``refused`` is the reason why it was not taken; empty: it was."""

    route: str
    owner: str
    refused: str


@dataclass(frozen=True)
class Launch:
    """A step of the plan."""

    op: str
    route: str
    launches: int


@dataclass(frozen=True)
class Explanation:
    """What `explain` found. ``route`` is empty where nothing computes the op."""

    op: str
    device: str
    operands: tuple[str, ...]
    route: str
    considered: tuple[Considered, ...]
    steps: tuple[Launch, ...]

    def text(self) -> str:
        """For people, one line per route and step."""
        lines = [
            f"{self.op}({', '.join(self.operands)}) on {self.device}: {self.route or 'nothing computes it'}"
        ]
        for c in self.considered:
            lines.append(
                f"  {c.route} ({c.owner}): {'not taken, ' + c.refused if c.refused else 'taken'}"
            )
        for s in self.steps:
            lines.append(
                f"  runs {s.op}: {s.route}, {s.launches} launch{'es' if s.launches != 1 else ''}"
            )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def explain(
    op: str | Op,
    device: Device,
    dtypes: Sequence[DType] = (dt.float32,),
    shapes: Sequence[tuple[int, ...]] = (),
    attributes: Mapping[str, Any] | None = None,
) -> Explanation:
    """How ``op`` runs on ``device`` for operands of these dtypes: one each, or one for all.

    Without ``shapes``, small ones that the op takes are tried. IngotError for an unknown op, or
    where no operands of these dtypes are ones that it takes.
    """
    row = _find(op)
    values = _values(row, attributes or {})
    if row.view is not None:
        return Explanation(row.name, device.name, (), "view", (), ())
    fault: Exception | None = None
    for keys in _candidates(row, device, dtypes, shapes):
        attempts: list[Attempt] = []
        try:
            row.infer(specs_of(keys), values)
            plan = resolve(row, keys, values, device, attempts=attempts)
        except NoKernelError:
            return _made(row, device, keys, "", attempts, ())
        except Exception as error:  # not operands that this op takes: try the next ones
            fault = fault or error
            continue
        steps = tuple(Launch(s.op, s.route, s.launches) for s in plan.steps)
        return _made(row, device, keys, plan.route, attempts, steps)
    raise IngotError(
        f"{row.name} takes no operands of {', '.join(d.name for d in dtypes)} "
        f"here ({fault}); its operands are {', '.join(row.operands) or 'none'}"
    )


def _made(
    op: Op, device: Device, keys: Sequence[Key], route: str, attempts: Sequence[Attempt],
    steps: tuple[Launch, ...],
) -> Explanation:  # fmt: skip
    shown = tuple(
        "None" if k is None else repr(k) if isinstance(k, Layout) else k.__name__ for k in keys
    )
    considered = tuple(Considered(a.route, a.owner, a.refused) for a in attempts)
    return Explanation(op.name, device.name, shown, route, considered, steps)


def _find(op: str | Op) -> Op:
    if isinstance(op, Op):
        return op
    found = OPS.get(op)
    if found is None:
        near = get_close_matches(op, OPS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise IngotError(f"no op is called {op!r}.{hint} The opset has {len(OPS)}")
    return found


def _values(op: Op, given: Mapping[str, Any]) -> tuple[Any, ...]:
    """Attribute values: as given, else small sizes where the default says nothing."""
    empty = {n: _ATTRIBUTES[n] for n, v in op.attributes.items() if n in _ATTRIBUTES and not v}
    try:
        return op.bind({**empty, **given})
    except TypeError as error:
        raise IngotError(str(error)) from None


def _candidates(
    op: Op, device: Device, dtypes: Sequence[DType], shapes: Sequence[tuple[int, ...]]
) -> Iterator[tuple[Key, ...]]:
    """Operands to try: tensors first, then with more and more trailing Python numbers."""
    required = [o for o in op.operands if not o.endswith("?")]
    for tensors in range(len(required), -1, -1):
        for number in (float, int) if tensors < len(required) else (float,):
            for shape in _SHAPES if tensors and not shapes else ((),):
                yield tuple(_keys(op, device, dtypes, shapes or (shape,), tensors, number))


def _keys(
    op: Op, device: Device, dtypes: Sequence[DType], shapes: Sequence[tuple[int, ...]],
    tensors: int, number: type,
) -> Iterator[Key]:  # fmt: skip
    seen = 0
    for n, (operand, name) in enumerate(zip(op.operands, op.names, strict=True)):
        if operand.endswith("?"):
            yield None
            continue
        seen += 1
        if seen > tensors:
            yield number
            continue
        role = _ROLES.get(name) if len(dtypes) == 1 else None
        dtype = role or dtypes[min(n, len(dtypes) - 1)]
        yield Layout.dense(shapes[min(n, len(shapes) - 1)], dtype, device)
