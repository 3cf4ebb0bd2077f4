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
from .opset.op import DTypeNotTaken, op_named
from .resolve import Attempt, Key, resolve

if TYPE_CHECKING:
    from .device import Device
    from .plan import Plan

USUAL = (dt.float32, dt.int64, dt.bool_)
"""What operands are where nothing is said of them."""
_N = 16
_SHAPES = (((_N, _N), (_N, _N)), ((_N, _N), (_N,)), ((_N,), (_N,)), ((_N, _N, _N), (_N, _N)))
"""Shapes to try: of an ordinary operand, and of one that holds indices, classes, flags or statistics."""
_ROLES = {
    **dict.fromkeys(("index", "indices", "ids", "target", "order", "ranks"), dt.int64),
    **dict.fromkeys(("condition", "mask", "flags", "starts"), dt.bool_),
}
_PROBABLE = frozenset(("soft_cross_entropy",))  # its target has a probability for each class
_STATISTICS = frozenset(("mean", "rstd", "var", "lse"))
_ATTRIBUTES = {
    **dict.fromkeys(("n", "m", "classes", "rows"), _N),
    "shape": (_N, _N),
    "sizes": (_N,),
    "scales": (1.0,),
    "strides": (_N, 1),
    "repeats": (2, 2),
}
_SQUARE, _ROW = (_N, _N), (_N,)
_PICTURE, _TAPS = {"shape": (2, 3, _N)}, {"shape": (4, 3, 3)}
_EXAMPLES: dict[str, tuple[tuple[tuple[int, ...], ...], dict[str, Any]]] = {
    "cast": ((_SQUARE,), {"dtype": dt.float16}),
    "convolution_input": (((2, 4, _N - 2), (4, 3, 3)), _PICTURE),
    "convolution_weight": (((2, 4, _N - 2), (2, 3, _N)), _TAPS),
    "cross_entropy_backward": ((_ROW, _SQUARE, _ROW, _ROW, _ROW), {}),
    "soft_cross_entropy": ((_SQUARE, _SQUARE), {}),
    "lstm_gates": (((_N, 4 * _N), _SQUARE), {}),
    "gru_gates": (((_N, 3 * _N), (_N, 3 * _N), _SQUARE), {}),
    "adaptive_avg_pool_backward": (((_N, 1),), {}),
    "adaptive_max_pool_backward": (((_N, 1), (_N, 1)), {}),
}
"""Shapes and attributes for ops that fit none of these."""


@dataclass(frozen=True)
class Considered:
    """A route that was looked at. ``refused`` is the reason why it was not taken; empty: it was."""

    route: str
    owner: str
    refused: str


@dataclass(frozen=True)
class Launch:
    """A step of the plan. ``origin`` is the author's ``file:line``, where somebody wrote the kernel so."""

    op: str
    route: str
    launches: int
    origin: str = ""


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
        route = self.route or "nothing computes it"
        lines = [f"{self.op}({', '.join(self.operands)}) on {self.device}: {route}"]
        for c in self.considered:
            verdict = f"not taken, {c.refused}" if c.refused else "taken"
            lines.append(f"  {c.route} ({c.owner}): {verdict}")
        for s in self.steps:
            launches = f"{s.launches} launch{'es' if s.launches != 1 else ''}"
            lines.append(f"  runs {s.op}: {s.route}, {launches}" + (f", written at {s.origin}" if s.origin else ""))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def explain(
    op: str | Op,
    device: Device,
    dtypes: Sequence[DType] = (),
    shapes: Sequence[tuple[int, ...]] = (),
    attributes: Mapping[str, Any] | None = None,
) -> Explanation:
    """How ``op`` runs on ``device`` for operands of these dtypes: one each, or one for all.

    Without ``dtypes`` the first of `USUAL` that the op takes, without ``shapes`` (likewise) small ones.
    IngotError for an unknown op, or where no operands that were tried are ones that it takes.
    """
    row = _find(op)
    if row.view is not None:
        return Explanation(row.name, device.name, (), "view", (), ())
    asked, keys, attempts, plan = _usual(row, device, dtypes, shapes, attributes)
    return asked.answer(keys, attempts, plan)


def resolved(
    op: str | Op,
    device: Device,
    dtypes: Sequence[DType] = (),
    shapes: Sequence[tuple[int, ...]] = (),
    attributes: Mapping[str, Any] | None = None,
) -> tuple[Op, Plan]:
    """The op's row and the plan that `explain` tells of; NoKernelError where there is none."""
    row = _find(op)
    _, _, attempts, plan = _usual(row, device, dtypes, shapes, attributes)
    if plan is None:
        raise NoKernelError(f"nothing computes {row.name} on {device.name}: {'; '.join(a.refused for a in attempts)}")
    return row, plan


def _usual(
    row: Op, device: Device, dtypes: Sequence[DType], shapes: Sequence[tuple[int, ...]],
    attributes: Mapping[str, Any] | None,
) -> tuple[_Asked, Sequence[Key], list[Attempt], Plan | None]:  # fmt: skip
    """The question, in the dtypes that were given or the first usual ones that the op takes, and `_tried`."""
    example = _EXAMPLES.get(row.name)
    if example is not None and not shapes:
        shapes, attributes = example[0], {**example[1], **(attributes or {})}
    values, faults = _values(row, attributes or {}), []
    for each in [tuple(dtypes)] if dtypes else [(d,) for d in USUAL]:
        asked = _Asked(row, device, each, tuple(shapes))
        try:
            return (asked, *_tried(asked, values))
        except _Refused as error:
            faults.append(error)
    raise faults[0]


class _Refused(IngotError):
    """The op takes none of the operands that were tried."""


def _tried(asked: _Asked, values: tuple[Any, ...]) -> tuple[Sequence[Key], list[Attempt], Plan | None]:
    """The first operands that the op takes, what was looked at for them, and the plan, if there is one."""
    row, device = asked.op, asked.device
    faults: list[Exception] = []
    for keys in asked.candidates():
        attempts: list[Attempt] = []
        try:
            return keys, attempts, resolve(row, keys, values, device, attempts=attempts)
        except NoKernelError:
            return keys, attempts, None
        except IngotError:
            raise
        except DTypeNotTaken as error:  # of a tensor: numbers instead would be another question
            faults.append(error)
            break
        except Exception as error:  # not operands that this op takes: try the next ones
            faults.append(error)
    raise _Refused(
        f"{row.name} takes no such operands ({faults[0]}); its operands are "
        f"{', '.join(row.operands) or 'none'}, its attributes {', '.join(row.attributes) or 'none'}"
    )


@dataclass(frozen=True)
class _Asked:
    """One question: operands are made up for it until the op takes them."""

    op: Op
    device: Device
    dtypes: tuple[DType, ...]
    shapes: tuple[tuple[int, ...], ...]

    def candidates(self) -> Iterator[tuple[Key, ...]]:
        """Tensors for all operands first, then more and more trailing Python numbers, but for one tensor.

        Several dtypes or shapes say how many tensors there are at least.
        """
        required = [o for o in self.op.operands if not o.endswith("?")]
        tried = _SHAPES if required and not self.shapes else _SHAPES[:1]
        named = max(len(self.dtypes), len(self.shapes))
        least = min(named if named > 1 else self.op.group not in ("creation", "random"), len(required))
        for tensors in range(len(required), least - 1, -1):
            for number in (float, int) if tensors < len(required) else (float,):
                for shape, role_shape in tried:
                    yield tuple(self._keys(tensors, number, shape, role_shape))

    def _keys(self, tensors: int, number: type, shape: tuple[int, ...], role_shape: tuple[int, ...]) -> Iterator[Key]:
        left = tensors
        for n, (operand, name) in enumerate(zip(self.op.operands, self.op.names, strict=True)):
            if operand.endswith("?"):
                yield None
            elif left <= 0:
                yield number
            else:
                left -= 1
                role = _ROLES.get(name) if len(self.dtypes) == 1 and self.op.name not in _PROBABLE else None
                dtype = role or self.dtypes[min(n, len(self.dtypes) - 1)]
                given = self.shapes[min(n, len(self.shapes) - 1)] if self.shapes else None
                usual = role_shape if role or name in _STATISTICS else shape
                yield Layout.dense(usual if given is None else given, dtype, self.device)

    def answer(self, keys: Sequence[Key], attempts: Sequence[Attempt], plan: Plan | None) -> Explanation:
        """What became of the question."""
        steps = plan.steps if plan is not None else ()
        return Explanation(
            self.op.name,
            self.device.name,
            tuple(getattr(k, "__name__", repr(k)) for k in keys),
            plan.route if plan is not None else "",
            tuple(Considered(a.route, a.owner, a.refused) for a in attempts),
            tuple(Launch(s.op, s.route, s.launches, s.origin) for s in steps),
        )


def _find(op: str | Op) -> Op:
    if isinstance(op, Op):
        return op
    found = op_named(op)
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
