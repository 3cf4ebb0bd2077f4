"""The record of an op, and the result rules that rows share.

An `Op` says what an op means, once, for every device: its operands, static attributes, result rule, and its meaning as
one of: a scalar expression (pointwise), definitions in the kernel IR, a decomposition into other ops, or a view (a rule on
layouts). Its gradient rule stands beside it. `resolve` turns an op and its operands' specs into a plan; the core records
the gradient.

Decompositions and gradient rules are functions of a *builder* ``b`` whose attributes are the ops of the table
(``b.mul(g, y)``): data that needs no core. Their parameters are found by name:

    gradient rule  ``b``; ``g`` (gradient of the first output) or ``g_<output>``; an operand's or output's name (its saved
                   value); ``<operand>_spec`` (shape and dtype only: nothing is saved); an attribute's name;
                   ``operand:<name>`` (in a rule's ``names``) for an operand that is called b or g
    decomposition  ``b``, then operands and attributes by name

A rule returns the gradient for its operand; the engine sums it to the operand's shape and casts it to its dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .. import dtypes as dt
from ..dtypes import DType
from ..ir.expr import Expr
from ..layout import broadcast_shapes

if TYPE_CHECKING:
    from ..ir.definition import Definition

Rule = Callable[..., Any]
Attributes = Mapping[str, Any]
NUMBER, ZERO_DIM, TENSOR = 0, 1, 2


@dataclass(frozen=True)
class Spec:
    """Shape and dtype of a value. ``rank`` orders it in promotion: a Python number, a zero-dim tensor, a tensor."""

    shape: tuple[int, ...]
    dtype: DType
    rank: int = TENSOR

    @staticmethod
    def of(shape: Sequence[int], dtype: DType) -> Spec:
        """The spec of a tensor."""
        return Spec(tuple(shape), dtype, TENSOR if shape else ZERO_DIM)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        n = 1
        for extent in self.shape:
            n *= extent
        return n


class Defaults:
    """``float``: the dtype that Python floats and ``dtype=None`` factories take (`torch.set_default_dtype`)."""

    float: DType = dt.float32


class DTypeNotTaken(TypeError):
    """An op does not take tensors of a dtype."""


def op_named(name: str) -> Op | None:
    """The row of that name, or the op of a pointwise gradient (``relu.dx``, ``relu.dx.dg1``); None where there is none."""
    first, *steps = name.split(".d")
    found = OPS.get(name)
    if found is None and steps:
        found = OPS.get(first)
        for operand in steps:
            rule = None if found is None or found.gradient is None else found.gradient.get(operand)
            found = rule.row() if isinstance(rule, Named) and rule.row is not None else None
    return found


def number_spec(kind: type) -> Spec:
    """The spec of a Python number of type ``kind``."""
    return Spec((), {bool: dt.bool_, int: dt.int64, float: Defaults.float}[kind], NUMBER)


@dataclass(frozen=True, eq=False)
class Op:
    """One row of the opset. See the module's docstring.

    ``operands``: names; ``"bias?"`` may be None, ``"*xs"`` takes any number. ``attributes``: name → default, static and
    hashable, in order. ``outputs`` beyond the first are residuals unless ``differentiable`` names them.
    ``mutates`` maps an output's position to the operand that it is written into. ``dynamic`` ops read a count back.
    ``over``: the first definition copies the first operand, and the others write into the copy without reading the operand;
    in place, they write into that itself. ``reference`` computes the results from NumPy arrays and attributes, for an op that has no other meaning.
    """

    name: str
    group: str
    operands: tuple[str, ...]
    result: Callable[..., Sequence[Spec]]
    attributes: Attributes = field(default_factory=dict)
    outputs: tuple[str, ...] = ("out",)
    expression: Callable[..., Any] | None = None
    define: Callable[..., Any] | None = None
    decompose: Rule | None = None
    view: Callable[..., Any] | None = None
    gradient: Mapping[str, Rule] | None = None
    differentiable: tuple[str, ...] = ("out",)
    mutates: Mapping[int, int] = field(default_factory=dict)
    dynamic: bool = False
    over: bool = False
    doc: str = ""
    reference: Callable[..., Sequence[Any]] | None = None

    @cached_property
    def variadic(self) -> bool:
        """True when the last operand takes any number of values."""
        return bool(self.operands) and self.operands[-1].startswith("*")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Operand names without their marks."""
        return tuple(o.strip("?*") for o in self.operands)

    @cached_property
    def attribute_names(self) -> tuple[str, ...]:
        return tuple(self.attributes)

    @cached_property
    def defaults(self) -> tuple[Any, ...]:
        """The attributes' defaults, in order."""
        return tuple(self.attributes.values())

    def bind(self, attrs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Attribute values in declared order, defaults filled in; TypeError names one that does not exist."""
        if not attrs:
            return self.defaults
        if tuple(attrs) == self.attribute_names:  # all of them in order: nearly always
            return tuple(attrs.values())
        if not attrs.keys() <= self.attributes.keys():
            unknown = sorted(attrs.keys() - self.attributes.keys())
            raise TypeError(f"{self.name} has no attribute {unknown}; it has {list(self.attributes)}")
        return tuple([attrs.get(k, v) for k, v in self.attributes.items()])

    def infer(self, specs: Sequence[Spec | None], attrs: tuple[Any, ...]) -> tuple[Spec, ...]:
        """The specs of the outputs, by the row's result rule."""
        return tuple(self.result(*self.spread(specs), **dict(zip(self.attributes, attrs, strict=True))))

    def spread(self, values: Sequence[Any]) -> list[Any]:
        """Values as the row's functions take them: those of a variadic operand as one tuple."""
        if not self.variadic:
            return list(values)
        fixed = len(self.operands) - 1
        return [*values[:fixed], tuple(values[fixed:])]

    def definitions(
        self, specs: Sequence[Spec | None], attrs: tuple[Any, ...], outputs: Sequence[Spec]
    ) -> tuple[Definition, ...]:
        """The op's meaning in the kernel IR for these specs; empty when it has none (a decomposition or a view)."""
        from .meaning import definitions

        return definitions(self, specs, attrs, outputs)

    def __repr__(self) -> str:
        return f"<op {self.name}>"


# ---- promotion and result rules ------------------------------------------------------------------------------------
_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}


def promote_specs(specs: Sequence[Spec | None]) -> DType:
    """PyTorch's ``result_type``: tensors decide; zero-dim tensors and numbers only by a higher category."""
    best: list[DType | None] = [None, None, None]
    for s in specs:
        if s is not None:
            held = best[s.rank]
            best[s.rank] = s.dtype if held is None else dt.promote(held, s.dtype)
    result: DType | None = None
    for rank in (NUMBER, ZERO_DIM, TENSOR):
        result = _combine(best[rank], result)
    if result is None:
        raise TypeError("an operand must be a Tensor or a number, not None")
    return result


def _combine(high: DType | None, low: DType | None) -> DType | None:
    if high is None or low is None:
        return high or low
    return dt.promote(high, low) if _CATEGORY[low.kind] > _CATEGORY[high.kind] else high


class Types:
    """The result rule of pointwise rows: which operands promote, to what they are cast, what results.

    ``compute``: "same" (as promoted), "float" (integers to the default float), "asis" (each operand keeps its dtype),
    "gradient" (the floats among the operands decide, and a bool stays one).
    ``out``: "same" as computed before halves were widened, or "bool". ``skip``: operands left out of promotion (their
    dtype stays); of more than ``take``, the rest follow. ``kinds``: the dtype kinds allowed after promotion.
    """

    def __init__(
        self, compute: str = "same", out: str = "same", skip: int = 0, kinds: str = "buif", take: int | None = None
    ) -> None:
        self.compute, self.out, self.skip, self.kinds, self.take = compute, out, skip, kinds, take

    def promoted(self, specs: Sequence[Spec | None]) -> DType:
        found = promote_specs([s for s in specs[self.skip : self.take] if self.compute != "gradient" or _floating(s)])
        if found.kind not in self.kinds:
            allowed = {"b": "bool", "u": "unsigned", "i": "signed integer", "f": "floating point"}
            raise DTypeNotTaken(f"dtype {found.name} is not taken here; allowed: "
                            + ", ".join(allowed[k] for k in self.kinds))
        if self.compute == "float" and found.kind in "bui":
            return Defaults.float
        return found

    def __call__(self, *specs: Spec | None, **attrs: Any) -> tuple[Spec, ...]:
        shape = broadcast_shapes(*(s.shape for s in specs if s is not None))
        found = self.promoted(specs)
        return (Spec.of(shape, dt.bool_ if self.out == "bool" else found),)

    def cast(self, specs: Sequence[Spec | None], loaded: Sequence[Expr | None]) -> list[Expr | None]:
        """Operand expressions in the computing dtype."""
        if self.compute == "asis":
            return [e if e is None else e.cast(dt.compute_dtype(e.dtype)) for e in loaded]
        wanted = dt.compute_dtype(self.promoted(specs))
        keep_bool = self.compute == "gradient"
        return [e if e is None or n < self.skip or (keep_bool and e.dtype is dt.bool_) else e.cast(wanted)
                for n, e in enumerate(loaded)]


def _floating(spec: Spec | None) -> bool:
    return spec is not None and spec.dtype.kind == "f"


class Named:
    """A function of positional values, as a rule whose parameters are called ``names``.

    ``row()`` is the op that it launches, if that is one that can be asked for by name; ``op``, where it is set, the same for an
    engine that launches it without the detour through the function.
    """

    op: Callable[[], Op]

    def __init__(self, function: Callable[..., Any], names: Sequence[str], row: Callable[[], Op] | None = None) -> None:
        self.function, self.names, self.row = function, tuple(names), row

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not kwargs:
            return self.function(*args)
        return self.function(*args, *(kwargs[n] for n in self.names[len(args) :]))


def parameters(rule: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a rule's parameters: a tenth of what `inspect.signature` costs, and there are hundreds at import."""
    if isinstance(rule, Named):
        return rule.names
    code = rule.__code__
    return tuple(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])


# ---- the table -----------------------------------------------------------------------------------------------------
class Table(dict[str, Op]):
    """Ops by name. Only the pointwise group is needed by an import; the first other question loads the rest."""

    def load(self) -> None:
        """Make the table whole."""
        if not _loaded:
            import_module("ingot_devices.opset.groups")  # a second thread waits here for the first
            _loaded.append(True)

    def __missing__(self, name: str) -> Op:
        import_module("ingot_devices.opset.activation")  # and with it the rest of what an import needs
        if not super().__contains__(name):
            self.load()
        if not super().__contains__(name):
            raise KeyError(name)
        return self[name]

    def get(self, name: str, default: Op | None = None) -> Op | None:  # type: ignore[override]
        try:
            return self[name]
        except KeyError:
            return default

    def __contains__(self, name: object) -> bool:
        self.load()
        return super().__contains__(name)

    def __iter__(self) -> Iterator[str]:
        self.load()
        return super().__iter__()

    def __len__(self) -> int:
        self.load()
        return super().__len__()

    def keys(self) -> Any:
        self.load()
        return super().keys()

    def values(self) -> Any:
        self.load()
        return super().values()

    def items(self) -> Any:
        self.load()
        return super().items()


_loaded: list[bool] = []
OPS = Table()
"""Every op by name. Rows register themselves; plugins may add rows under names of their own."""


def add_op(op: Op) -> Op:
    """Put a row into the table; ValueError when the name is taken or a rule asks for what does not exist."""
    if dict.__contains__(OPS, op.name):
        raise ValueError(f"op {op.name!r} is in the opset already")
    check_rules(op)
    OPS[op.name] = op
    return op


def check_rules(op: Op) -> None:
    """ValueError when a rule asks for what does not exist."""
    known = {"b", *op.names, *op.outputs, *op.attributes, *(f"{n}_spec" for n in op.names),
             "g", *(f"g_{n}" for n in op.outputs), *(f"operand:{n}" for n in op.names)}  # fmt: skip
    rules = {**(op.gradient or {}), **({"decompose": op.decompose} if op.decompose else {})}
    for key, rule in rules.items():
        strange = [p for p in parameters(rule) if p not in known]
        if strange:
            raise ValueError(f"op {op.name!r}: the rule for {key!r} asks for {strange}, which is neither operand, "
                             "output, attribute nor gradient")
