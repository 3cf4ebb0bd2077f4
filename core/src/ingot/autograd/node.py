"""What autograd records: nodes, their edges, and the rules that an op's row gives them.

A node holds *edges* (node, output number), fixed when it is recorded, and *saved values* (block, layout, offset,
version, edge), never a tensor: no cycles, and memory goes when the last tensor does. `engine` walks them.
"""

from __future__ import annotations

import inspect
import itertools
import traceback
from collections.abc import Callable, Sequence
from typing import Any
from weakref import ref

from ingot_devices.layout import Layout
from ingot_devices.opset.op import Op, Spec

Edge = tuple["Node", int]
next_seq = itertools.count(1).__next__
_next_leaf = itertools.count(-1, -1).__next__


class Node:
    """A step of the tape. ``seq`` orders them: a node is younger than all that it leads back to."""

    edges: tuple[Edge | None, ...]
    seq: int
    hooks: dict[int, list[Any]] | None = None  # by output number; each may replace the gradient
    site: str | None = None

    @property
    def name(self) -> str:
        """As PyTorch prints a ``grad_fn``."""
        return type(self).__name__

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        """The edges, as PyTorch names them."""
        return tuple((None, 0) if e is None else e for e in self.edges)

    def apply(self, grads: list[Any], builder: Any, keep: bool) -> Sequence[Any]:
        """Gradients for the edges, from those of the outputs (None: zero)."""
        raise TypeError(f"{type(self).__name__} does not define apply")

    def outputs(self) -> int:
        """How many outputs can have gradients."""
        return 1

    def note_site(self) -> None:
        """Keep the user's line that made this node, for anomaly mode."""
        frames = [f for f in traceback.extract_stack() if not _ours(f.filename)]
        self.site = "".join(traceback.format_list(frames[-3:])) if frames else None

    def __repr__(self) -> str:
        return f"<{self.name}>"


def _ours(filename: str) -> bool:
    path = filename.replace("\\", "/")
    return path.startswith("<ingot") or "/src/ingot/" in path or "site-packages/ingot/" in path


new_node = object.__new__


class LeafNode(Node):
    """The end of a path: accumulates into a leaf's ``.grad``. Knows the tensor weakly: nobody else can read its gradient."""

    edges = ()

    def __init__(self, tensor: Any) -> None:
        self.seq = _next_leaf()
        self.tensor = ref(tensor)
        self.after: list[Any] = []  # hooks that run when the gradient has been accumulated

    @property
    def name(self) -> str:
        return "AccumulateGrad"


class Wanted:
    """For one set of operands that want gradients: which rules run, and what is saved for them."""

    __slots__ = ("any", "inputs", "outputs", "rules", "saves")

    def __init__(self, rules: list[Rule], inputs: tuple[int, ...], outputs: tuple[int, ...]) -> None:
        self.rules, self.inputs, self.outputs = rules, inputs, outputs
        self.any = bool(rules)
        self.saves = bool(inputs or outputs)


class Rule:
    """One gradient rule with its arguments looked up by name once."""

    __slots__ = ("arguments", "function", "operand", "variadic")

    def __init__(self, op: Op, operand: str, function: Callable[..., Any]) -> None:
        self.function = function
        self.operand = op.names.index(operand)
        self.variadic = op.variadic and self.operand == len(op.names) - 1
        self.arguments = [_source(op, p) for p in inspect.signature(function).parameters]


def _source(op: Op, name: str) -> tuple[str, int]:
    """Where a rule's argument comes from: (what, number)."""
    if name == "b":
        return "builder", 0
    if name == "g":
        return "grad", 0
    if name in op.names:
        return "operand", op.names.index(name)
    if name in op.outputs:
        return "output", op.outputs.index(name)
    if name.startswith("g_") and name[2:] in op.outputs:
        return "grad", op.outputs.index(name[2:])
    if name.endswith("_spec") and name[:-5] in op.names:
        return "spec", op.names.index(name[:-5])
    return "attribute", op.attribute_names.index(name)


class Rules:
    """All gradient rules of an op, ready for the tape. ``masks`` is indexed by which operands want a gradient."""

    def __init__(self, op: Op) -> None:
        self.op = op
        self._rules: dict[str, Rule] | None = None
        self.masks = _Masks(self)
        self.differentiable = tuple(op.outputs.index(n) for n in op.differentiable if n in op.outputs)
        self.label = op.name.title().replace("_", "").replace(".", "") + "Backward"

    @property
    def rules(self) -> dict[str, Rule]:
        if self._rules is None:
            self._rules = {k: Rule(self.op, k, f) for k, f in (self.op.gradient or {}).items()}
        return self._rules

    def wanted(self, edges: tuple[Any, ...]) -> Wanted:
        """The rules to run for these edges."""
        return self.masks[tuple([e is not None for e in edges])]


class _Masks(dict[tuple[bool, ...], Wanted]):
    def __init__(self, owner: Rules) -> None:
        super().__init__()
        self.owner = owner

    def __missing__(self, mask: tuple[bool, ...]) -> Wanted:
        op = self.owner.op
        fixed = len(op.names) - 1 if op.variadic else len(op.names)
        chosen = [r for r in self.owner.rules.values()
                  if (any(mask[fixed:]) if r.variadic else r.operand < len(mask) and mask[r.operand])]
        inputs: set[int] = set()
        outputs: set[int] = set()
        for rule in chosen:
            for what, n in rule.arguments:
                if what == "operand":
                    inputs.update(range(fixed, len(mask)) if op.variadic and n == fixed else [n])
                elif what == "output":
                    outputs.add(n)
        made = self[mask] = Wanted(chosen, tuple(sorted(inputs)), tuple(sorted(outputs)))
        return made


_RULES: dict[Op, Rules | None] = {}


def rules_of(op: Op) -> Rules | None:
    """The rules of ``op``, or None where it has no gradient."""
    found = _RULES.get(op)
    if found is None and op not in _RULES:
        found = _RULES[op] = Rules(op) if op.gradient is not None else None
    return found


class OpNode(Node):
    """A node of an op of the table: its gradient is the row's rules."""

    entry: Any  # dispatch.Entry: rules, attributes, operand keys
    saved: Any = ()

    @property
    def name(self) -> str:
        return str(self.entry.rules.label)

    def outputs(self) -> int:
        return len(self.entry.rules.op.outputs)

    def apply(self, grads: list[Any], builder: Any, keep: bool) -> Sequence[Any]:
        from .saved import unpack

        entry = self.entry
        rules = entry.rules
        wanted = rules.wanted(self.edges)
        values = unpack(self, wanted) if wanted.saves else {}
        if not keep and wanted.saves:
            self.saved = None
        result: list[Any] = [None] * len(self.edges)
        for rule in wanted.rules:
            made = rule.function(*[self._argument(a, grads, values, builder) for a in rule.arguments])
            if rule.variadic:
                for k, g in enumerate(made):
                    result[rule.operand + k] = g
            else:
                result[rule.operand] = made
        return result

    def _argument(self, source: tuple[str, int], grads: list[Any], values: dict[Any, Any], builder: Any) -> Any:
        what, n = source
        if what == "builder":
            return builder
        if what == "grad":
            found = grads[n]
            return found if found is not None else self._zeros(n, builder)
        if what == "operand":
            op = self.entry.rules.op
            if op.variadic and n == len(op.names) - 1:
                return tuple(values["x", k] for k in range(n, len(self.edges)))
            return values["x", n]
        if what == "output":
            return values["y", n]
        if what == "spec":
            op = self.entry.rules.op
            if op.variadic and n == len(op.names) - 1:
                return tuple(spec_of(k) for k in self.entry.specs[n:])
            return spec_of(self.entry.specs[n])
        return self.entry.attrs[n]

    def _zeros(self, n: int, builder: Any) -> Any:
        """A gradient that nothing contributed to."""
        layout = self.entry.plan.results[n]
        held = layout.layout or self.entry.plan.allocations[layout.slot - self.entry.plan.inputs]
        return builder.zeros(held)


_SPECS: dict[Layout, Spec] = {}


def spec_of(key: Any) -> Spec | None:
    """The spec of an operand's key; None for a number."""
    if not isinstance(key, Layout):
        return None
    found = _SPECS.get(key)
    if found is None:
        if len(_SPECS) > 65536:
            _SPECS.clear()
        found = _SPECS[key] = Spec.of(key.shape, key.dtype)
    return found
