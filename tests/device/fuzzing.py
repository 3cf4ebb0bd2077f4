"""Random programs, run eagerly and compiled beside each other: what `test_compile_fuzz` draws.

A program is Python source, drawn from a seed: pointwise chains, views, reductions, products, writes in place, random numbers,
control flow on attributes, a training step with a schedule, state that lives on, and now and then a foreign side effect.
Between its calls things change that it depends on: attributes, rates, parameters; of every third program also the number of
rows, so that sizes come and come again. Two worlds are made from one seed; in one of them the program is compiled. After each
call both must be equal to the bit.
"""

from __future__ import annotations

import random
import warnings
from typing import Any
from unittest import mock

import numpy as np
from ingot.compiler import sizes

CALLS = 7
SIZED_CALLS = 12


class Mismatch(AssertionError):
    """The compiled program and the eager one differ."""


class Writer:
    """Draws the lines of one program, keeping track of the shapes of its values."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.lines: list[str] = []
        self.values: dict[str, tuple[int, ...]] = {}
        self.trains = self.r.random() < 0.5
        self.foreign = self.r.random() < 0.06
        self.sized = random.Random(f"sized {seed}").random() < 1 / 3

    def source(self) -> str:
        rows, columns = self.r.randint(1, 5), self.r.randint(1, 5)
        self.shape = rows, columns
        self.values = {"x": (rows, columns), "y": (columns,)}
        if self.trains:
            self.lines.append("optimizer.zero_grad()")
            self.new("x * w", (rows, columns))
        for _ in range(self.r.randint(3, 12)):
            self.statement()
        if self.foreign:
            self.lines.append(self.r.choice(["log.append(len(log))", "box.count += 1"]))
        result = self.sum_of(3)
        if self.trains:
            self.lines += [f"loss = ({result}) * w.sum() + (w * w).sum() * 0.1", "loss.backward()", "optimizer.step()"]
            if self.r.random() < 0.5:
                self.lines.append("schedule.step()")
            result = "loss"
        self.lines.append(f"return {result}, {self.pick()}, {self.sum_of(3)}")
        return "def program(x, y, n):\n" + "".join(f"    {line}\n" for line in self.lines)

    def pick(self) -> str:
        return self.r.choice(list(self.values))

    def sum_of(self, count: int) -> str:
        """Some values, the last ones above all, as one number."""
        latest = list(self.values)[-3:]
        return " + ".join(f"{self.r.choice([*latest, self.pick()])}.sum()" for _ in range(count))

    def new(self, text: str, shape: tuple[int, ...]) -> str:
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        self.values[name] = shape
        return name

    def statement(self) -> None:
        kinds = [self.unary, self.unary, self.binary, self.binary, self.number, self.view, self.reduce, self.rows, self.product,
                 self.choose, self.write, self.state, self.branch, self.loop, self.chance]  # fmt: skip
        self.r.choice(kinds)()

    def unary(self) -> None:
        v = self.pick()
        text = self.r.choice(["{}.tanh()", "({} * 0.1).exp()", "{}.abs()", "{}.relu()", "{}.sigmoid()", "-{}", "{}.sin()",
                              "({}.abs() + 0.5).sqrt()", "t.nn.functional.gelu({})",
                              "{}.to(t.float64).to(t.float32)"])  # fmt: skip
        self.new(text.format(v), self.values[v])

    def binary(self) -> None:
        v = self.pick()
        same = [k for k, s in self.values.items() if s == self.values[v] or (s and s == self.values[v][-1:])]
        op = self.r.choice(["+", "-", "*"])
        self.new(f"{v} {op} {self.r.choice(same)}", self.values[v])

    def number(self) -> None:
        v = self.pick()
        number = self.r.choice(["n", "box.scale", "1.5", "len(box.names)", "(box.scale + n)"])
        self.new(f"{v} {self.r.choice('+-*')} {number}", self.values[v])

    def view(self) -> None:
        v = self.pick()
        shape = self.values[v]
        choices = [(f"{v}.reshape(-1)", (int(np.prod(shape)),)), (f"{v}.unsqueeze(0)", (1, *shape))]
        if len(shape) >= 2:
            choices.append((f"{v}.transpose(-1, -2)", (*shape[:-2], shape[-1], shape[-2])))
        if shape and shape[0] > 1:
            choices += [(f"{v}[1:]", (shape[0] - 1, *shape[1:])), (f"{v}[::2]", ((shape[0] + 1) // 2, *shape[1:])),
                        (f"{v}[0]", shape[1:])]  # fmt: skip
        text, made = self.r.choice(choices)
        if len(made) <= 3:
            self.new(text, made)

    def reduce(self) -> None:
        v = self.pick()
        shape = self.values[v]
        if not shape:
            return
        kind = self.r.choice(["sum", "mean", "amax"])
        axis = self.r.randrange(len(shape))
        if self.r.random() < 0.5:
            self.new(f"{v}.{kind}({axis})", shape[:axis] + shape[axis + 1 :])
        else:
            self.new(f"{v}.{kind}({axis}, keepdim=True)", (*shape[:axis], 1, *shape[axis + 1 :]))

    def rows(self) -> None:
        v = self.pick()
        shape = self.values[v]
        if shape:
            text = self.r.choice(["{0}.softmax(-1)", "t.nn.functional.layer_norm({0}, ({1},))", "{0}.cumsum(-1)",
                                  "{0} - {0}.amax(-1, keepdim=True)"])  # fmt: skip
            self.new(text.format(v, shape[-1]), shape)

    def product(self) -> None:
        v = self.pick()
        shape = self.values[v]
        if len(shape) == 2:
            self.new(f"{v} @ {v}.t()" if self.r.random() < 0.5 else f"({v}.t() @ {v}).relu()",
                     (shape[0], shape[0]) if self.lines and "relu" not in self.lines[-1] else shape)  # fmt: skip
            made = self.lines[-1]
            self.values[made.split(" = ")[0]] = (shape[1],) * 2 if made.endswith(".relu()") else (shape[0],) * 2

    def choose(self) -> None:
        v = self.pick()
        same = [k for k, s in self.values.items() if s == self.values[v]]
        self.new(f"t.where({v} > 0.1, {v}, {self.r.choice(same)} * 0.5)", self.values[v])

    def write(self) -> None:
        v = self.pick()
        shape = self.values[v]
        name = self.new(f"{v}.clone()", shape)
        same = [k for k, s in self.values.items() if s == shape and k != name]
        for _ in range(self.r.randint(1, 3)):
            other = self.r.choice(same)
            choices = [f"{name}.add_({other})", f"{name}.mul_(0.5)", f"{name}.sub_({name}.detach())", f"{name}.copy_({other})"]
            if shape and shape[0] > 1:
                choices += [f"{name}[0] = 1.5", f"{name}[1:] = {name}[:-1].clone()", f"{name}[1:].mul_(2.0)",
                            f"{name}[1:].add_({name}[:-1])"]  # fmt: skip
            self.lines.append(self.r.choice(choices))
        if self.r.random() < 0.5:  # the same work before and after a write
            again = f"{name} * 2 + 1"
            self.new(again, shape)
            self.lines.append(f"{name}.add_(1.0)")
            self.new(again, shape)

    def state(self) -> None:
        v = self.pick()
        self.lines.append(self.r.choice([
            f"held.add_({v}.detach().mean())", f"net.seen = net.seen + {v}.detach().sum()", "held.mul_(0.5); held[0] = n",
            f"box.table['k'] = {v}.detach().sum() + box.table['k']"]))  # fmt: skip
        self.new(self.r.choice(["held * 1.0", "held[:1] + net.seen", "box.table['k'] + held[1:]"]), ())
        self.values.pop(f"v{len(self.lines) - 1}")

    def branch(self) -> None:
        v = self.pick()
        self.new(f"{v} * 2 if box.flag else {v} + 1", self.values[v])

    def loop(self) -> None:
        v = self.pick()
        name = self.new(f"{v} * 1.0", self.values[v])
        self.lines.append(f"for k in range(box.times): {name} = {name} * 0.9 + k")

    def chance(self) -> None:
        v = self.pick()
        text = self.r.choice(["{0} + t.randn_like({0}) * 0.1", "t.nn.functional.dropout({0}, 0.5, net.training)",
                              "{0} * t.rand({1}, device={0}.device)"])  # fmt: skip
        self.new(text.format(v, self.values[v] or "()"), self.values[v])


class Box:
    """Plain state that a program reads."""

    def __init__(self) -> None:
        self.scale, self.flag, self.times, self.count = 1.25, True, 2, 0
        self.names: list[str] = ["a", "b"]
        self.table: dict[str, Any] = {}


class World:
    """All that one program can reach, made from a seed."""

    def __init__(self, t: Any, device: str, source: str, shape: tuple[int, int], sized: bool) -> None:
        self.t, self.device, self.shape, self.sized = t, device, shape, sized
        t.manual_seed(11)
        self.box = Box()
        self.box.table["k"] = t.zeros((), device=device)
        self.net = t.nn.Module()
        self.net.register_buffer("seen", t.zeros((), device=device))
        self.w = t.randn(shape[1], device=device).requires_grad_()
        self.optimizer = t.optim.AdamW([self.w], lr=0.1)
        self.schedule = t.optim.lr_scheduler.StepLR(self.optimizer, 2, 0.5)
        self.held = t.ones(2, device=device)
        self.scope: dict[str, Any] = {
            "t": t, "box": self.box, "net": self.net, "w": self.w, "optimizer": self.optimizer, "schedule": self.schedule,
            "held": self.held, "log": [], "__name__": "drawn",
        }  # fmt: skip
        exec(compile(source, "<drawn program>", "exec"), self.scope)
        self.program = self.scope["program"]

    def change(self, r: random.Random) -> None:
        """Change something that the program may depend on; the same in both worlds, for they draw alike."""
        box, t = self.box, self.t
        kind = r.randrange(12)
        if kind == 0:
            box.scale = r.choice([0.5, 2.0, 2])
        elif kind == 1:
            box.flag = not box.flag
        elif kind == 2:
            box.times = r.randint(0, 3)
        elif kind == 3:
            box.names.append("c")
        elif kind == 4:
            self.optimizer.param_groups[0]["lr"] = r.random()
        elif kind == 5:
            self.scope["held"] = t.full((2,), r.random(), device=self.device)
        elif kind == 6:
            self.w.data = t.full((self.shape[1],), r.random(), device=self.device)
        elif kind == 7:
            self.net.train(not self.net.training)
        elif kind == 8:
            box.scale = float(str(box.scale))  # an equal number in another object

    def arguments(self, r: random.Random) -> tuple[Any, ...]:
        t, (rows, columns) = self.t, self.shape
        rows += r.choice((0, 0, 1, 2, 3)) if self.sized else 0
        n = r.choice([2, 2, 2, 3, 2.5])
        t.manual_seed(r.randrange(1 << 30))
        data = t.randn(rows + 2, columns, device=self.device)
        first = r.randrange(3)
        return data[first : first + rows], t.randn(columns, device=self.device), n

    def state(self, results: Any) -> list[Any]:
        held = [*results, self.w, self.w.grad, self.scope["held"], self.net.seen, self.box.table["k"]]
        held += [v for s in self.optimizer.state.values() for v in s.values() if not isinstance(v, int)]
        arrays = [None if v is None else np.array(v.detach().cpu().numpy()) for v in held]
        numbers = [self.optimizer.param_groups[0]["lr"], self.schedule.last_epoch, self.box.count, len(self.scope["log"])]
        numbers += [s["step"] for s in self.optimizer.state.values()] + [results[0].requires_grad]
        return [*arrays, *numbers, self.t.get_rng_state().tolist()]


def run(t: Any, device: str, seed: int) -> bool:
    """Draw the program of ``seed`` and run it both ways; True when it was replayed. `Mismatch` shows its source."""
    writer = Writer(seed)
    source = writer.source()
    eager, other = (World(t, device, source, writer.shape, writer.sized) for _ in range(2))
    compiled = t.compile(other.program)
    with mock.patch.object(sizes, "AT_ONCE", 2), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message=".*its program cannot be built")
        for call in range(SIZED_CALLS if writer.sized else CALLS):
            outcomes = []
            for world, function in ((eager, eager.program), (other, compiled)):
                r = random.Random(f"{seed} {call}")
                if call > 2 and (call % 3 == 0 or not writer.sized):  # a size has to come back to the same world
                    world.change(r)
                outcomes.append(_outcome(world, function, world.arguments(r)))
            _compare(outcomes, f"seed {seed}, call {call} on {device}\n{source}")
    return bool(compiled.replays)


def _outcome(world: World, function: Any, arguments: tuple[Any, ...]) -> Any:
    try:
        return world.state(function(*arguments))
    except (RuntimeError, ValueError, IndexError, TypeError) as error:  # a program that eager refuses, too
        return f"{type(error).__name__}: {error}"


def _compare(outcomes: list[Any], where: str) -> None:
    eager, other = outcomes
    if isinstance(eager, str) or isinstance(other, str):
        if eager != other:
            raise Mismatch(f"eager: {eager if isinstance(eager, str) else 'ran'}; compiled: "
                           f"{other if isinstance(other, str) else 'ran'}; {where}")
        return
    for place, (a, b) in enumerate(zip(eager, other, strict=True)):
        equal = np.array_equal(a, b, equal_nan=True) if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) else a == b
        if not (equal if isinstance(equal, bool) else bool(equal)):
            raise Mismatch(f"place {place}: eager {a!r}, compiled {b!r}; {where}")
