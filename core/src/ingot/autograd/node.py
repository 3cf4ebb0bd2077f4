"""What autograd records: nodes, their edges, and the rules that an op's row gives them.

A node holds *edges* (node, output number), fixed when it is recorded, and *saved values* (block, layout, offset,
version, edge), never a tensor: no cycles, and memory goes when the last tensor does. `engine` walks them.
"""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Callable, Sequence
from typing import Any
from weakref import ref

from ingot_devices.layout import Layout
from ingot_devices.opset.op import Op, Spec, parameters

from .pieces import CUTS
from .saved import unpack

Edge = tuple["Node", int]
next_seq = itertools.count(1).__next__
_next_leaf = itertools.count(-1, -1).__next__


class Node:
    """A step of the tape. ``seq`` orders them: a node is younger than all that it leads back to."""

    edges: tuple[Edge | None, ...]
    seq: int
    hooks: dict[int, list[Any]] | None = None  # by output number; each may replace the gradient
    site: str | None = None
    width: int = 1  # how many outputs it has
    fresh: Sequence[bool] = ()  # by edge: `apply` gives a gradient in memory that nobody else holds; empty: it may be held

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
    """For one set of operands that want gradients: which rules run, what is saved for them, and where each finds it.

    ``inputs`` and ``outputs`` are saved, in this order. ``written(node, grads, saved, builder)`` gives the gradients of all
    operands: a function written for this set when it is first asked for, so that a walk looks nothing up. ``fresh[k]``: the
    gradient of operand k is a result of its own, never a value that was handed in. ``shares``: several rules may ask for one
    op (`eager.Once`). ``cuts``: the op is a view of a part, whose gradient may wait for those of other parts (`pieces`).
    """

    __slots__ = ("any", "cuts", "fresh", "inputs", "mask", "op", "outputs", "rules", "saves", "shares", "written")

    def __init__(self, op: Op, rules: list[Rule], mask: tuple[bool, ...]) -> None:
        fixed = len(op.names) - 1 if op.variadic else len(op.names)
        inputs: set[int] = set()
        outputs: set[int] = set()
        for rule in rules:
            for what, n in rule.arguments:
                if what == "operand":
                    inputs.update(range(fixed, len(mask)) if op.variadic and n == fixed else [n])
                elif what == "output":
                    outputs.add(n)
        self.op, self.mask, self.rules = op, mask, rules
        self.inputs, self.outputs = tuple(sorted(inputs)), tuple(sorted(outputs))
        self.any, self.saves = bool(rules), bool(inputs or outputs)
        self.shares = len(rules) > 1 and op.group in ("composite", "custom")
        self.cuts = self.any and op.name in CUTS
        launched = {r.operand for r in rules if hasattr(r.function, "op")}
        self.fresh = tuple(k in launched for k in range(len(mask)))
        self.written: Callable[..., list[Any]] | None = None

    def write(self) -> Callable[..., list[Any]]:
        """Write the function."""
        fixed = len(self.op.names) - 1 if self.op.variadic else len(self.op.names)
        names: dict[str, Any] = {"spec_of": spec_of}
        results = ["None"] * len(self.mask)
        missing: set[int] = set()
        lines: list[str] = []
        for rule in self.rules:
            function, arguments = _launched(rule)
            names[f"f{rule.operand}"] = function
            missing |= {n for what, n in arguments if what == "grad"}
            made = f"f{rule.operand}({', '.join(self._place(what, n, fixed) for what, n in arguments)})"
            lines.append(f"r{rule.operand} = {made}")
            if rule.variadic:
                results[rule.operand :] = [f"*r{rule.operand}"]
            else:
                results[rule.operand] = f"r{rule.operand}"
        grads = [line for n in sorted(missing) for line in (f"g{n} = g[{n}]", f"if g{n} is None: g{n} = node.zeros({n}, b)")]
        body = "\n    ".join([*grads, *lines, f"return [{', '.join(results)}]"])
        exec(compile(f"def run(node, g, s, b):\n    {body}", f"<ingot gradient of {self.op.name}>", "exec"), names)
        self.written = names["run"]
        return names["run"]

    def _place(self, what: str, n: int, fixed: int) -> str:
        """Where an argument is found, as an expression over (node, g: gradients, s: saved values, b: builder)."""
        rest = self.op.variadic and n == fixed
        if what == "operand":
            if rest:
                return f"tuple(s[{len([k for k in self.inputs if k < n])}:{len(self.inputs)}])"
            return f"s[{self.inputs.index(n)}]"
        if what == "output":
            return f"s[{len(self.inputs) + self.outputs.index(n)}]"
        if what == "spec":
            return f"tuple(map(spec_of, node.entry.specs[{n}:]))" if rest else f"spec_of(node.entry.specs[{n}])"
        return {"builder": "b", "grad": f"g{n}", "attribute": f"node.entry.attrs[{n}]"}[what]


def _launched(rule: Rule) -> tuple[Callable[..., Any], list[tuple[str, int]]]:
    """A rule's function and arguments; one that is a small pointwise op is that op's fast path, without the builder."""
    launched = getattr(rule.function, "op", None)
    if launched is None:
        return rule.function, rule.arguments
    from .eager import builder

    return builder.fast(launched()), rule.arguments[1:]


class Rule:
    """One gradient rule with its arguments looked up by name once."""

    __slots__ = ("arguments", "function", "operand", "variadic")

    def __init__(self, op: Op, operand: str, function: Callable[..., Any]) -> None:
        self.function = function
        self.operand = op.names.index(operand)
        self.variadic = op.variadic and self.operand == len(op.names) - 1
        self.arguments = [_source(op, p) for p in parameters(function)]


def _source(op: Op, name: str) -> tuple[str, int]:
    """Where a rule's argument comes from: (what, number)."""
    if name.startswith("operand:"):
        return "operand", op.names.index(name[8:])
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
        made = self[mask] = Wanted(op, chosen, mask)
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
    wanted: Wanted

    @property
    def name(self) -> str:
        return str(self.entry.rules.label)

    def apply(self, grads: list[Any], builder: Any, keep: bool) -> Sequence[Any]:
        wanted = self.wanted
        saved = unpack(self, wanted) if wanted.saves else ()
        if wanted.shares:
            builder = builder.once()
        result = (wanted.written or wanted.write())(self, grads, saved, builder)
        if wanted.shares:  # each edge may be given its gradient to keep
            for k, r in enumerate(result):
                if r is not None and any(r is earlier for earlier in result[:k]):
                    result[k] = builder.copy(r)
        return result

    def zeros(self, n: int, builder: Any) -> Any:
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
