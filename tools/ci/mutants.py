"""Mutants: small changes to a right backend, each of which conformance must kill.

    .venv/bin/python tools/ci/mutants.py [--budget SECONDS | --sample N | --full | --only TEXT] [--seed TEXT] [--least 0.95]

The backend is the scaffold's native one. A mutant changes one place of its own methods (device, driver, dialect) or of a
kernel on its way to the driver (`KERNELS`: the sources are mutated as they are built). A mutant is *killed* where
conformance finds something wrong, or where it does not end; what survives is printed, to be looked at. Each runs in a forked
child, so that nothing of it stays.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/conformance"))
FILES = ("device", "driver", "dialect")
SECONDS = 240  # of the processor that a mutant may take; where it only waits, five times as long by the clock
FURTHER = 400  # cases that a mutant meets when it has survived the sample of the planted faults: each op, and more

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv, ast.Lt: ast.LtE,
    ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """``make(source)`` gives the changed source of the file (or of a kernel, where ``file`` is "kernel")."""

    file: str
    what: str
    make: Callable[[str], str]

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


EQUIVALENT = (
    # file, what the line looks like, why what is changed in it decides nothing
    ("driver", r"itertools\.count", "handles may begin anywhere"),
    ("driver", r"Acme One", "how much memory the pretend board has"),
    ("device", r"^ +(max_\w+|lanes|vector_bytes|compute_units|workgroup_memory)=", "any limit that is kept is right"),
    ("device", r"def synchronize", "nothing waits on this board"),
    ("driver", r"> self\.size", "a board may promise more than it has"),
    ("driver", r"np\.where\(mask, offset, 0\)", "what those load that take no part is used by nobody"),
    ("driver", r"object if bits == 64", "no op of the opset takes the high half of 64-bit numbers"),
)


RIGHT = Mutant("driver", "nothing is changed", str)
"""No mutant: what conformance finds in it, it would find in all."""


# ---- of methods --------------------------------------------------------------------------------------------------------
def of_methods(file: str, source: str) -> Iterator[Mutant]:
    """One for each place in the file that can be changed."""
    tree, lines = ast.parse(source), source.splitlines()
    for number, node in enumerate(ast.walk(tree)):
        line = lines[getattr(node, "lineno", 1) - 1]
        free = any(f == file and re.search(pattern, line) for f, pattern, _ in EQUIVALENT)
        for change in () if free else changes(node):
            yield Mutant(file, f"line {getattr(node, 'lineno', '?')}: {change}", _Applied(number, change))


def changes(node: ast.AST) -> list[str]:
    """What can be changed at a node. Text, imports and errors are left alone: they decide nothing."""
    if isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in SWAPS:
        return [] if _is_text(node) else ["operator"]
    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        return ["comparison"]
    if isinstance(node, ast.BoolOp):
        return ["and/or"]
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return ["number + 1"]
    if isinstance(node, ast.FunctionDef) and len(node.body) > 0:
        return [f"statement {k} of {node.name} left out" for k, s in enumerate(node.body) if _does_something(s)]
    if isinstance(node, ast.Return) and node.value is not None:
        return ["returns None"]
    if isinstance(node, ast.Call) and len(node.args) >= 2 and not isinstance(node.args[0], ast.Starred):
        return ["two arguments change places"] if ast.dump(node.args[0]) != ast.dump(node.args[1]) else []
    return []


def _is_text(node: ast.BinOp | ast.AugAssign) -> bool:
    """Joining text or tables, not arithmetic."""
    parts = [node.left, node.right] if isinstance(node, ast.BinOp) else [node.value]
    return any(isinstance(p, (ast.JoinedStr, ast.Dict, ast.List, ast.DictComp)) for p in parts)


def _does_something(statement: ast.stmt) -> bool:
    text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return not (text or isinstance(statement, (ast.Import, ast.ImportFrom, ast.Raise, ast.FunctionDef)))


class _Applied:
    """The change of one node, by its number in the walk."""

    def __init__(self, number: int, change: str) -> None:
        self.number, self.change = number, change

    def __call__(self, source: str) -> str:
        tree = ast.parse(source)
        node = list(ast.walk(tree))[self.number]
        match node:
            case ast.BinOp() | ast.AugAssign() | ast.BoolOp():
                node.op = SWAPS[type(node.op)]()  # type: ignore[assignment]
            case ast.Compare():
                node.ops[0] = SWAPS[type(node.ops[0])]()  # type: ignore[call-overload]
            case ast.Constant():
                node.value = int(str(node.value)) + 1
            case ast.FunctionDef():
                del node.body[int(self.change.split()[1])]
                node.body = node.body or [ast.Pass()]
            case ast.Return():
                node.value = ast.Constant(None)
            case ast.Call():
                node.args[0], node.args[1] = node.args[1], node.args[0]
        return ast.unparse(ast.fix_missing_locations(tree))


# ---- of kernels --------------------------------------------------------------------------------------------------------
KERNELS: tuple[tuple[str, str, str], ...] = (
    # what it does, what is looked for in a rendered kernel, what is put there
    ("+ becomes -", r" \+ ", " - "),
    ("- becomes +", r" - ", " + "),
    ("* becomes +", r" \* ", " + "),
    ("/ becomes *", r" / ", " * "),
    ("// becomes %", r" // ", " % "),
    ("% becomes //", r" % ", " // "),
    ("< becomes <=", r" < ", " <= "),
    ("== becomes <", r" == ", " < "),
    ("& becomes ^", r" & ", " ^ "),  # not |: the first mask of a loop is true
    ("| becomes &", r" \| ", " & "),  # not ^: what it joins excludes each other
    ("^ becomes |", r" \^ ", " | "),
    ("<< becomes >>", r" << ", " >> "),
    (">> becomes <<", r" >> ", " << "),
    ("a constant is one more", r"np\.int64\((\d+)\)", r"np.int64(\1 + 1)"),
    ("a float constant is twice as large", r"np\.float32\((-?[\d.e-]+)\)", r"np.float32(2 * \1)"),
    ("a store is lost", r"store\(.*\)$", "pass"),
    ("a mask is lost", r"(store\(.*), m+\)$", r"\1, m)"),
    ("where the other way", r"np\.where\((?!m)", "wrong_where("),
    ("exp becomes log", r"\bexp\(", "log("),
    ("sin becomes cos", r"\bsin\(", "cos("),
    ("sqrt is left out", r"np\.sqrt\(", "("),
    ("floor is left out", r"np\.floor\(", "("),
    ("a maximum becomes a minimum", r"np\.maximum\(", "np.minimum("),
    ("a cast keeps eight bits", r"\.astype\(np\.int32\)", ".astype(np.int8)"),
)


def of_kernels() -> Iterator[Mutant]:
    """One for each row and each of the first places that it fits in a kernel."""
    for what, found, put in KERNELS:
        for place in range(3):
            yield Mutant("kernel", f"{what}, place {place + 1}", _Edited(found, put, place))


class _Edited:
    """The text of one place changed, in every kernel that has such a place."""

    def __init__(self, found: str, put: str, place: int) -> None:
        self.found, self.put, self.place = re.compile(found, re.MULTILINE), put, place
        self.applied = 0

    def __call__(self, source: str) -> str:
        matches = list(self.found.finditer(source))
        if len(matches) <= self.place:
            return source
        self.applied += 1
        one = matches[self.place]
        return source[: one.start()] + one.expand(self.put) + source[one.end() :]


# ---- running -----------------------------------------------------------------------------------------------------------
def run(mutant: Mutant, home: Path) -> dict[str, Any]:
    """What became of it, from a forked child: ``killed`` (by which case), survived, or ``same`` where nothing changed."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        answer: dict[str, Any] = {"killed": "it ended the process"}
        try:
            for number in (signal.SIGALRM, signal.SIGPROF):
                signal.signal(number, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            signal.alarm(5 * SECONDS)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            answer = judge(mutant, home)
        except BaseException as error:
            answer = {"killed": f"{type(error).__name__}: {error}"[:200]}
        finally:
            os.write(write, json.dumps(answer).encode())
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as stream:
        said = stream.read()
    os.waitpid(pid, 0)
    return json.loads(said) if said else {"killed": f"no end within {SECONDS} s"}


def judge(mutant: Mutant, home: Path) -> dict[str, Any]:
    """Plant the mutant and run the cases that the planted faults are caught by, and then others, until one is wrong."""
    import test_planted_faults
    from ingot_tools.conformance.levels import cases, sampled
    from ingot_tools.conformance.result import BAD
    from ingot_tools.conformance.runner import Runner

    if mutant.file != "kernel":
        path = home / f"site/ingot_acme/{mutant.file}.py"
        path.write_text(mutant.make(path.read_text()))
    sys.path.insert(0, str(home / "site"))
    import ingot_acme.device
    import ingot_acme.driver

    if mutant.file == "kernel":
        ingot_acme.driver.FUNCTIONS["wrong_where"] = lambda c, a, b: __import__("numpy").where(c, b, a)
        right = ingot_acme.device.AcmeDevice.build
        ingot_acme.device.AcmeDevice.build = lambda self, source, name: right(self, mutant.make(source), name)
    every = [c for c in cases() if c.level != "alone"]
    end = time.process_time() + SECONDS / 2
    for chosen in (*test_planted_faults.SAMPLED.values(), sampled(every, "mutants")[:FURTHER]):
        with Runner(test_planted_faults.DEVICE) as runner:
            for case in chosen:
                if time.process_time() > end:
                    return {}  # slow is not endless: the alarm is for what never comes back from a case
                result = runner.run(case)
                if result.status in BAD:
                    return {"killed": result.case}
    if isinstance(mutant.make, _Edited) and not mutant.make.applied:
        return {"same": True}
    return {}


def main() -> int:
    """1 if fewer than ``--least`` of the mutants are killed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--sample", type=int, help="how many, drawn by the seed; default: what there is time for")
    parser.add_argument("--budget", type=float, default=120, help="seconds, where no number is given")
    parser.add_argument("--full", action="store_true", help="all of them")
    parser.add_argument("--only", default="", metavar="TEXT", help="those whose name has this text")
    parser.add_argument("--seed", default=os.environ.get("INGOT_TEST_SEED", "0"))
    parser.add_argument("--least", type=float, default=0.95)
    given = parser.parse_args()
    import test_planted_faults
    from ingot_tools.scaffold.new import TEMPLATES

    assert test_planted_faults.SAMPLED  # imported once, for all children

    sources = {f: (TEMPLATES / f"native/src/ingot_acme/{f}.py").read_text() for f in FILES}
    every = [*of_kernels(), *(m for f in FILES for m in of_methods(f, sources[f]))]
    every = [m for m in every if given.only in str(m)]
    if not every:
        parser.error(f"--only {given.only!r}: no mutant has that in its name; names are like 'kernel: + becomes -, place 1'")
    drawn = random.Random(given.seed).sample(every, len(every))
    end = float("inf") if given.full or given.sample or given.only else time.monotonic() + given.budget
    if "killed" in (right := fresh(RIGHT)):
        print(f"the backend that nothing was changed in is not right, so nothing is told by mutants: {right['killed']}")
        return 1
    results = []
    for mutant in drawn[: given.sample]:
        if time.monotonic() > end:
            break
        results.append((mutant, fresh(mutant)))
    return tell(results, len(every), given.least)


def fresh(mutant: Mutant) -> dict[str, Any]:
    """Run a mutant in a place of its own."""
    from ingot_tools.scaffold import new
    from installed import install

    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        (home / "site").mkdir()
        install(new.backend("acme", home / "ingot-acme", native=True), home / "site")
        os.environ.update(INGOT_CACHE_DIR=str(home / "cache"), INGOT_DISABLE="opencl,cuda,webgpu,sim", INGOT_FALLBACK="allow")
        found = run(mutant, home)
    lives = "right" if mutant is RIGHT else "SURVIVED"
    state = "same" if found.get("same") else "killed" if "killed" in found else lives
    print(f"{state:9}{mutant}  {found.get('killed', '')}", flush=True)
    return found


def tell(results: list[tuple[Mutant, dict[str, Any]]], total: int, least: float) -> int:
    """Print the sum and give the exit status."""
    real = [(m, r) for m, r in results if not r.get("same")]
    killed = sum("killed" in r for _, r in real)
    share = killed / max(len(real), 1)
    by = Counter(r["killed"].partition("/")[0] for _, r in real if "killed" in r)
    print(f"killed by level: {dict(by.most_common())}")
    print(f"mutants: {killed} of {len(real)} killed ({share:.1%}; at least {least:.0%}), drawn from {total}")
    return 0 if real and share >= least else 1


if __name__ == "__main__":
    sys.exit(main())
