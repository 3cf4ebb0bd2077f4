"""What is known of one op: how to call it, on what, and what the answer must be.

First stop of the op tests: the tables of this package make `Record`s from rows, `harness` runs each
check on each of them, on every device found. Nothing here imports ingot: a record must not share
code with what it judges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

FLOAT = ("float32", "float64", "float16", "bfloat16")
SIGNED = ("int64", "int32", "int16", "int8")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
INT = SIGNED + UNSIGNED
BOOL = ("bool",)
ALL = FLOAT + INT + BOOL


class Domain(NamedTuple):
    """Where an operand's values lie.

    Floats are distinct values of [``low``, ``high``] that keep 0.05 from each point of ``avoid``,
    or multiples of ``step`` moved by ``offset``, where equal values are wanted; integers lie in
    [``ints[0]``, ``ints[1]``), without negatives if unsigned.
    """

    low: float = -3.0
    high: float = 3.0
    avoid: tuple[float, ...] = ()
    ints: tuple[int, int] = (-4, 5)
    step: float = 0.0
    offset: float = 0.0


PLAIN = Domain()
ASIDE = Domain(-1.0, 5.0, ints=(-2, 7))
"""Its mean is not zero: what is wrong by a mean, shows."""


@dataclass(frozen=True)
class Operand:
    """One tensor operand of a sample. ``domain`` None: the record's. ``dtype`` fixed, or None: the
    one under test."""

    shape: tuple[int, ...]
    domain: Domain | None = None
    dtype: str | None = None
    grad: bool = True
    values: Any = None


class Placeholder(NamedTuple):
    """Filled in when a sample is built: ``DEVICE`` is the device under test, ``DTYPE`` the dtype
    under test."""

    name: str


DEVICE = Placeholder("device")
DTYPE = Placeholder("dtype")


@dataclass(frozen=True)
class Sample:
    """The arguments of one call. Operands may lie inside tuples and lists. ``big``: not for a slow
    device. ``but``: dtypes for which this call means something else. ``tile``: every side is longer than that of any tile;
    a slow device runs it all the same if it can."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    big: bool = False
    but: tuple[str, ...] = ()
    tile: bool = False

    def operands(self) -> Iterator[Operand]:
        """Every operand, in the order of the arguments."""
        yield from _operands((*self.args, *self.kwargs.values()))

    @property
    def is_empty(self) -> bool:
        return any(0 in o.shape for o in self.operands())

    @property
    def is_zero_dim(self) -> bool:
        return any(o.shape == () for o in self.operands())


def _operands(items: Any) -> Iterator[Operand]:
    for item in items:
        if isinstance(item, Operand):
            yield item
        elif isinstance(item, (tuple, list)) and not isinstance(item, Placeholder):
            yield from _operands(item)


@dataclass(frozen=True)
class Record:
    """One op. The fields, in the order in which a reader asks.

    ``call(t, *args, **kwargs)`` runs it, where ``t`` is ingot or PyTorch.
    ``reference(*arrays, **kwargs)`` gives the answer from float64, int64 and bool arrays; None where
    there is no one answer, and ``verify`` asserts what holds of any.
    ``result`` is the rule of the dtype: ``same`` (the promoted one), ``float`` (integers become
    float32), ``sum`` (integers become int64), a dtype, a function of the dtype, or one per result.
    ``ulp`` bounds the error, in units of the last place at max(|expected|, ``scale``), ``half_ulp`` in
    16 bits. ``scale="terms"`` is the reference's answer for absolute values: the size of what is summed.
    ``grad``, ``second``: there are derivatives of first and second order.
    ``method``, ``inplace``: its names on Tensor. ``promotes``: operands may differ in dtype.
    ``nonfinite``: ``product`` (pointwise: every combination of special values), ``planted`` (one in the
    first operand) or the reason for none. ``special``: the values, where not all have one answer.
    ``no_empty``, ``no_zero_dim``, ``dense_only``: why it takes no such operands.
    ``view``: its result shares the memory of the first operand. ``bits``: what a draw makes of the words of the stream
    (`philox`). ``beyond``: calls with the first index beyond an end, which are errors.
    """

    name: str
    call: Callable[..., Any]
    reference: Callable[..., Any] | None
    samples: tuple[Sample, ...]
    dtypes: tuple[str, ...] = FLOAT
    domain: Domain | tuple[Domain, ...] = PLAIN
    result: Any = "same"
    ulp: float = 4
    half_ulp: float = 2
    scale: float | str = 0.0
    grad: bool = True
    second: bool = True
    method: str = ""
    inplace: str = ""
    promotes: bool = False
    nonfinite: str = "planted"
    special: tuple[float, ...] = ()
    no_empty: str = ""
    no_zero_dim: str = ""
    view: bool = False
    dense_only: str = ""
    verify: Callable[..., None] | None = None
    bits: Callable[..., tuple[Any, Any]] | None = None
    beyond: tuple[Sample, ...] = ()
    group: str = ""

    def __str__(self) -> str:
        return self.name

    @property
    def main_dtype(self) -> str:
        """float32 where the op takes it: what layouts, forms and special values are tested in."""
        return "float32" if "float32" in self.dtypes else self.dtypes[0]

    def domain_of(self, operand: Operand, position: int) -> Domain:
        """The domain of the operand at ``position`` among the sample's operands."""
        if operand.domain is not None:
            return operand.domain
        if isinstance(self.domain, Domain):
            return self.domain
        return self.domain[min(position, len(self.domain) - 1)]


def V(*shape: int, domain: Domain | None = None, grad: bool = True, values: Any = None) -> Operand:
    """An operand of the dtype under test."""
    return Operand(shape, domain, None, grad, values)


def ix(values: Any, shape: tuple[int, ...], dtype: str = "int64") -> Operand:
    """An operand with given values and a dtype of its own: an index, a target, a mask."""
    return Operand(shape, None, dtype, False, values)


def S(*args: Any, big: bool = False, but: tuple[str, ...] = (), tile: bool = False, **kwargs: Any) -> Sample:
    """A sample, written as the call is."""
    return Sample(args, kwargs, big or tile, but, tile)


def function(name: str) -> Callable[..., Any]:
    """``t.name(…)``."""
    return lambda t, *args, **kwargs: getattr(t, name)(*args, **kwargs)


def functional(name: str) -> Callable[..., Any]:
    """``t.nn.functional.name(…)``."""
    return lambda t, *args, **kwargs: getattr(t.nn.functional, name)(*args, **kwargs)


def method(name: str) -> Callable[..., Any]:
    """``x.name(…)`` on the first operand."""
    return lambda t, x, *args, **kwargs: getattr(x, name)(*args, **kwargs)
