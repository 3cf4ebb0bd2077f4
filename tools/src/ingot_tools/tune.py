"""``ingot tune OP``: tries every declared variant of a kernel on given shapes and keeps the fastest for this device.

Each variant is first built and run in a child process (`trial`), so that a compiler that crashes costs that variant
alone; one whose results differ from those of the device's usual route is refused. The order of trial, the operands and
the tie-break (the first declared) are fixed, so the same times give the same choice.
"""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ingot_devices import IngotError, open_device
from ingot_devices.codegen import Unsupported
from ingot_devices.custom import tuned
from ingot_devices.custom.source import SourceKernel
from ingot_devices.explain import explain
from ingot_devices.layout import Layout
from ingot_devices.opset import OPS
from ingot_devices.registry import Kernel, Off, Request, registry

from .cli import DONE, FAILED
from .explain import parsed
from .timing import in_turn

SCHEMA = "ingot.tune"
SCHEMA_VERSION = 1
SHAPES = {"matmul": ("512x512",), "linear": ("512x512",)}
USUAL = "without it"
LIMIT = 90  # seconds without a word from a child
CLOSE = 1e-4  # relative to the largest value


@dataclass
class Trial:
    """One variant: seconds (median over rounds), or why it is not taken."""

    name: str
    variant: Mapping[str, Any] | None
    seconds: float = 0.0
    fault: str = ""


def tune_op(op: str, name: str, dtypes: Sequence[str], shapes: Sequence[str], as_json: bool) -> int:
    """Tune each kernel of ``op`` on device ``name`` that declares variants; 1 if none does."""
    if op not in OPS:
        explain(op, open_device(name))  # says what is wrong with the name
    device = open_device(name)
    sizes = shapes or SHAPES.get(op, ("256x256",))
    kernels = tunable(op, device)
    if not kernels:
        print(f"no kernel of {op} on {device.name} declares variants (source_kernel(…, variants=…))")
        return FAILED
    for number, kernel in enumerate(kernels):
        work = Work(op, device, kernel, dtypes, sizes)
        trials = checked([op, device.name, str(number), ",".join(dtypes), ",".join(sizes)], work)
        _report(op, device, kernel, _measured(work, trials), as_json)
    return DONE


def _nth(given: Sequence[Any], n: int) -> Any:
    """One of each, or one for all."""
    return given[min(n, len(given) - 1)]


def tunable(op: str, device: Any) -> list[Kernel]:
    """The kernels of ``op`` that declare variants, best first."""
    return [k for k in registry.candidates(op, device.kind) if getattr(k.make, "variants", None)]


class Work:
    """One kernel on one device with operands: what is measured."""

    def __init__(self, op: str, device: Any, kernel: Kernel, dtypes: Sequence[str], shapes: Sequence[str]) -> None:
        import ingot

        assert isinstance(kernel.make, SourceKernel)
        self.row, self.device, self.kernel, self.made = OPS[op], device, kernel, kernel.make
        types, sizes, _ = parsed(dtypes, shapes, ())
        rng = np.random.default_rng(0)
        required = [o for o in self.row.operands if not o.endswith("?")]
        self.operands = [
            ingot.tensor(rng.uniform(-1, 1, _nth(sizes, n)), dtype=_nth(types, n), device=device.name)
            for n in range(len(required))
        ]
        self.variants = list(_variants(self.made.variants))

    def call(self, variant: Mapping[str, Any] | None) -> Callable[[], Any]:
        """The op with one variant of the kernel, or without the kernel."""
        from ingot import dispatch
        from ingot_devices.context import scope

        wins: Any = Off(owner=self.kernel.owner, op=self.kernel.op)
        if variant is not None:
            wins = replace(self.kernel, make=replace(self.made, choice=variant))
        row, operands = self.row, [*self.operands, *(None,) * (len(self.row.operands) - len(self.operands))]

        def call() -> Any:
            with scope(overrides=(wins,), grad=False):
                return dispatch.call(row, operands, row.defaults)

        return call

    def fault(self, variant: Mapping[str, Any]) -> str:
        """Why a variant is not taken: it is refused, declines, or is wrong. Empty: it is right."""
        try:
            replace(self.made, choice=variant)(self.request())
            wanted = self.call(None)().cpu().numpy().astype(np.float64)
            self._poison()
            told = self.call(variant)().cpu().numpy().astype(np.float64)
        except (IngotError, Unsupported) as error:
            return str(error)
        off = float(np.abs(told - wanted).max(initial=0)) / float(np.abs(wanted).max(initial=1e-30))
        return "" if off < CLOSE else f"wrong by {off:.1e} of the largest value"

    def _poison(self) -> None:
        """Leave NaN in the memory that the pool will hand out next: what a kernel does not write is then seen."""
        import ingot

        for layout in self.request().outputs:
            ingot.full(layout.shape, float("nan"), dtype=layout.dtype, device=self.device.name)

    def request(self) -> Request:
        """What dispatch would ask the kernel for."""
        from ingot_devices.resolve import specs_of

        layouts = tuple(Layout.dense(x._layout.shape, x._layout.dtype, self.device) for x in self.operands)
        out = self.row.infer(specs_of(layouts), self.row.defaults)
        outputs = tuple(Layout.dense(s.shape, s.dtype, self.device) for s in out)
        attrs = dict(zip(self.row.attributes, self.row.defaults, strict=True))
        return Request(self.row.name, layouts, attrs, outputs, self.device)


def checked(arguments: Sequence[str], work: Work) -> list[Trial]:
    """Every variant tried once, in child processes: one that ends the process is its own fault."""
    trials = [Trial(_name(v), v, fault="not tried") for v in work.variants]
    first = 0
    while first < len(trials):
        command = [sys.executable, "-m", "ingot_tools.trial", *arguments, str(first)]
        answers, ended = _child(command)
        for answer in answers:
            trials[answer["variant"]].fault = answer["fault"]
        first += len(answers)
        if ended and first < len(trials):
            trials[first].fault = ended
            first += 1
    return trials


def _child(command: Sequence[str]) -> tuple[list[dict[str, Any]], str]:
    """What a child said, and how it ended where that was not well; killed when it says nothing for `LIMIT` seconds."""
    answers: list[dict[str, Any]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stderr is not None
        watchdog = threading.Timer(LIMIT, child.kill)
        watchdog.start()
        for line in child.stdout:
            watchdog.cancel()
            answers += [json.loads(line)] if line.startswith("{") else []
            watchdog = threading.Timer(LIMIT, child.kill)
            watchdog.start()
        code = child.wait()
        watchdog.cancel()
        said = " ".join(child.stderr.read().strip().splitlines()[-1:])
    return answers, f"its process ended with {code}: {said}" if code else ""


def _measured(work: Work, trials: list[Trial]) -> list[Trial]:
    """Times for those that are right, and the usual route; the fastest is kept."""
    right = {t.name: work.call(t.variant) for t in trials if not t.fault}
    times = in_turn({USUAL: work.call(None), **right}, work.device.synchronize)
    everything = [*trials, Trial(USUAL, None)]
    for trial in everything:
        if not trial.fault:
            trial.seconds = statistics.median(times[trial.name])
    best = min((t for t in everything if not t.fault), key=lambda t: t.seconds)
    tuned.keep(work.request(), work.made.variants, best.variant, best.seconds)
    return everything


def _variants(declared: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Every combination, the first values first."""
    for values in itertools.product(*declared.values()):
        yield dict(zip(declared, values, strict=True))


def _name(variant: Mapping[str, Any]) -> str:
    return " ".join(f"{k}={v}" for k, v in variant.items())


def _report(op: str, device: Any, kernel: Kernel, trials: Sequence[Trial], as_json: bool) -> None:
    right = sorted((t for t in trials if not t.fault), key=lambda t: t.seconds)
    if as_json:
        told = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "op": op, "device": device.name, "owner": kernel.owner,
                "best": right[0].variant, "trials": [vars(t) for t in trials]}  # fmt: skip
        print(json.dumps(told, indent=2, default=str))
        return
    from .console import console, plain, table

    screen = console()
    made = table("variant", "µs", "of the best", "")
    for t in [*right, *(t for t in trials if t.fault)]:
        if t.fault:
            made.add_row(plain(t.name), "", "", plain(t.fault, "red"))
        else:
            made.add_row(plain(t.name), f"{1e6 * t.seconds:.1f}", f"{t.seconds / right[0].seconds:.2f}", "")
    screen.print(made)
    best = right[0]
    kept = f"the variant {best.name}" if best.variant is not None else "that the device's usual route is faster than each"
    screen.print(plain(f"kept for {op} on {device.name}: {kept}"))
