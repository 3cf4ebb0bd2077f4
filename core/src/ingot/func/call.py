"""One op on lanes, as a rule sees it: its operands beneath, and the op itself to be run there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.opset.op import OPS, Op, Spec
from ingot_devices.resolve import specs_of
from ingot_devices.view import View

from .. import dispatch
from ..autograd.eager import builder
from ..base import TensorBase
from .lanes import Lanes, is_shared, lanes_of

_KEPT = 4096  # answers of a device


class Call:
    """One op on lanes: ``values`` are its operands here, ``attrs`` its attributes by name, ``outputs`` what one lane gives."""

    def __init__(
        self, device: Lanes, op: Op, values: Sequence[Any], attrs: tuple[Any, ...], outputs: Sequence[Spec]
    ) -> None:
        self.device, self.op, self.values, self.size, self.outputs = device, op, values, device.size, outputs
        self.attrs = dict(zip(op.attributes, attrs, strict=True))
        self.ranks = [len(v._layout.shape) if isinstance(v, View) else 0 for v in values]
        self.rank = max(self.ranks, default=0)

    def differs(self, k: int) -> bool:
        """True where operand ``k`` is a tensor that is another one in each lane."""
        return k < len(self.values) and isinstance(self.values[k], View) and not is_shared(self.values[k])

    def shape(self, k: int) -> tuple[int, ...]:
        """The shape of a lane of operand ``k``."""
        found: tuple[int, ...] = self.values[k]._layout.shape
        return found

    def at(self, k: int, rank: int = 0) -> Any:
        """Operand ``k`` beneath: (lanes, 1 …, shape) with ``rank`` axes behind the lanes; as it is where all are the same."""
        value = self.values[k]
        return lanes_of(value, rank) if isinstance(value, View) else value

    def whole(self, k: int) -> Any:
        """Operand ``k`` beneath, with the lanes in any case."""
        made = self.at(k)
        if not isinstance(made, TensorBase) or self.differs(k):
            return made
        return builder.expand(made, shape=(self.size, *made._layout.shape))

    def numbers(self, rank: int) -> Any:
        """The number of each lane, shaped to broadcast over ``rank`` axes behind the lanes."""
        made = dispatch.call(OPS["arange"], (0, 1), (self.size, dt.int64), self.device.beneath)
        return builder.view(made, shape=(self.size, *(1,) * rank))

    def fits(self, operands: Sequence[Any], attrs: tuple[Any, ...]) -> bool:
        """True where the op beneath gives, for all lanes, what it gives for one."""
        keys = tuple([dispatch.key_of(o) for o in operands])
        known, key = self.device.fits, (self.op, keys, attrs, *self.outputs)
        found = known.get(key)
        if found is None:
            if len(known) > _KEPT:
                known.clear()
            found = known[key] = self._fits(keys, attrs)
        return found

    def _fits(self, keys: Sequence[Any], attrs: tuple[Any, ...]) -> bool:
        try:
            made = self.op.infer(specs_of(keys), attrs)
        except (ValueError, TypeError, IndexError):
            return False
        return self.gave(made)

    def gave(self, made: Sequence[Any]) -> bool:
        """True where ``made`` (values, or the specs of some) is for all lanes what the op gives for one."""
        pairs = zip(made, self.outputs, strict=True)
        return all(tuple(m.shape) == (self.size, *w.shape) and m.dtype is w.dtype for m, w in pairs)

    def run(self, operands: Sequence[Any], **changed: Any) -> Any:
        """The op itself beneath; None where it would not give the same."""
        attrs = tuple((self.attrs | changed).values())
        return dispatch.call(self.op, operands, attrs) if self.fits(operands, attrs) else None
