"""``ingot bench DEVICE``: a measured roofline, and how near each op comes to it (Williams et al., *Roofline*, CACM 2009).

The roofs are measured, not read from a data sheet: bytes moved by the fastest of several copies, multiply-adds by the
faster of a chain of them in registers and a large matrix product. An op's bound is the larger of its bytes over the one
and its operations over the other; its share is that bound over its time. `roofline` draws it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np

from .cli import DONE
from .timing import LEAST, measure

SCHEMA = "ingot.bench"
SCHEMA_VERSION = 1
DTYPES = ("float32", "float64", "float16", "bfloat16")
CHAINS, STEPS = 4, 16
CHAIN = "\n".join(
    [f"c{n}_0 = x + {n}.0" for n in range(CHAINS)]
    + [f"c{n}_{k + 1} = c{n}_{k} * a + b" for k in range(STEPS) for n in range(CHAINS)]
    + ["out = " + " + ".join(f"c{n}_{STEPS}" for n in range(CHAINS))]
)
"""Multiply-adds that need no memory: chains that do not wait for each other."""


@dataclass
class OpPoint:
    """One op: its size, seconds, what it moves and computes, and its share of the roof (1: on it)."""

    name: str
    shape: tuple[int, ...]
    seconds: float
    nbytes: int
    operations: int
    share: float = 0.0

    @property
    def intensity(self) -> float:
        """Operations for each byte."""
        return self.operations / max(self.nbytes, 1)


@dataclass
class Roofline:
    """What was measured on one device. Rates in bytes and operations a second, latencies in seconds."""

    device: str
    what: str = ""
    bandwidth: float = 0.0
    peaks: dict[str, float] = field(default_factory=dict)
    peak_by: dict[str, str] = field(default_factory=dict)
    launch: float = 0.0
    round_trip: float = 0.0
    to_device: float = 0.0
    to_host: float = 0.0
    ops: list[OpPoint] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def run_bench(names: Sequence[str], seconds: float, picture: str, as_json: bool) -> int:
    """Measure each device, print a table or JSON, draw the picture."""
    from ingot_devices import open_device

    opened = [open_device(name).name for name in names]  # all of them, before the first is measured
    found = [Bench(name, seconds).run() for name in opened]
    if as_json:
        plain = [asdict(r) for r in found]
        print(json.dumps({"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "devices": plain}, indent=2))
    else:
        _show(found)
    if picture:
        from .roofline import draw

        path = draw(found, picture)
        if not as_json:
            print(f"picture: {path}")
    return DONE


class Bench:
    """One device; ``seconds`` is about how long it takes."""

    def __init__(self, name: str, seconds: float) -> None:
        import ingot
        from ingot import library
        from ingot_devices import open_device

        self.t, self.device = ingot, open_device(name)
        self.wait = self.device.synchronize
        self.each = seconds / 30  # there are about thirty things to measure
        self.chain = library.kernel(CHAIN, scalars={"a": 0.999, "b": 0.001}, gradient=None)
        self.found = Roofline(name)

    def run(self) -> Roofline:
        """Roofs first, then the ops."""
        from ingot_devices.discovery import record

        told = record(self.device.kind)
        if told is not None and len(told.devices) > self.device.index:
            self.found.what = told.devices[self.device.index].name
        with self.t.no_grad(), self.t.fallback("allow"):
            self._latency()
            n = self._size()
            self._copies(n)
            self._peaks(n)
            for point in self._ops(n):
                bound = max(point.nbytes / self.found.bandwidth, point.operations / self.found.peaks["float32"])
                point.share = bound / point.seconds
                self.found.ops.append(point)
        return self.found

    def _time(self, call: Callable[[], Any]) -> float:
        return measure(call, self.wait, self.each, least=min(LEAST, self.each / 4))

    def _tensor(self, *shape: int, dtype: str = "float32") -> Any:
        values = np.random.default_rng(0).uniform(-1, 1, shape)
        return self.t.tensor(values, dtype=getattr(self.t, dtype), device=self.device.name)

    def _latency(self) -> None:
        x = self._tensor(1)

        def there_and_back() -> None:
            self.t.neg(x)
            self.wait()

        self.found.launch = self._time(lambda: self.t.neg(x))
        self.found.round_trip = self._time(there_and_back)

    def _size(self) -> int:
        """Elements that an op takes about ``each`` / 10 seconds for, at most 16 Mi."""
        n = 1 << 10
        while n < 1 << 24:
            x = self._tensor(n)
            if self._time(lambda x=x: self.t.add(x, x)) > self.each / 40:  # type: ignore[misc]
                break
            n *= 4
        return n

    def _copies(self, n: int) -> None:
        x, host = self._tensor(n), np.ones(n, np.float32)
        y = self.t.empty_like(x)
        nbytes = 4 * n
        ways = {"clone": x.clone, "copy_": lambda: y.copy_(x), "add in place": lambda: y.add_(1.0)}
        self.found.bandwidth = max(2 * nbytes / self._time(way) for way in ways.values())
        self.found.to_device = nbytes / self._time(lambda: self.t.tensor(host, device=self.device.name))
        self.found.to_host = nbytes / self._time(lambda: x.cpu().numpy().copy())

    def _peaks(self, n: int) -> None:
        side = 16
        while side < 1024 and side * side * 4 <= n:
            side *= 2
        for name in DTYPES:
            kept = self.device.limits.dtype_class(getattr(self.t, name))
            if kept.kind == "refused":
                self.found.left_out[f"peak {name}"] = kept.reason
                continue
            x, m = self._tensor(max(n // 16, 1), dtype=name), self._tensor(side, side, dtype=name)
            rates = {
                "chain": 2 * CHAINS * STEPS * x.numel() / self._time(lambda x=x: self.chain(x)),  # type: ignore[misc]
                f"matmul {side}": 2 * side**3 / self._time(lambda m=m: self.t.matmul(m, m)),  # type: ignore[misc]
            }
            best = max(rates, key=lambda k: rates[k])
            self.found.peaks[name], self.found.peak_by[name] = rates[best], best

    def _ops(self, n: int) -> Iterator[OpPoint]:
        """Ops of each group. Operations are counted as the textbook does; a transcendental function counts as 10."""
        t, functional = self.t, self.t.nn.functional
        rows = max(1, int(n**0.5))
        x, y, row = self._tensor(rows, rows), self._tensor(rows, rows), self._tensor(rows)
        side = min(rows, 1024)
        a, weight = self._tensor(side, side), self._tensor(side, side)
        size, big = x.numel(), x.numel() * 4
        calls: dict[str, tuple[Callable[[], Any], int, int]] = {
            "add": (lambda: t.add(x, y), 3 * big, size), "mul number": (lambda: x * 2.0, 2 * big, size),
            "exp": (lambda: t.exp(x), 2 * big, 10 * size), "gelu": (lambda: functional.gelu(x), 2 * big, 14 * size),
            "add row": (lambda: t.add(x, row), 2 * big, size), "transpose": (x.T.contiguous, 2 * big, 0),
            "sum": (x.sum, big, size), "sum rows": (lambda: x.sum(-1), big, size),
            "sum columns": (lambda: x.sum(0), big, size), "argmax": (lambda: x.argmax(-1), big, size),
            "softmax": (lambda: t.softmax(x, -1), 2 * big, 14 * size),
            "layer_norm": (lambda: functional.layer_norm(x, (rows,)), 2 * big, 8 * size),
            "cumsum": (lambda: x.cumsum(-1), 2 * big, size),
            "matmul": (lambda: t.matmul(a, a), 12 * side**2, 2 * side**3),
            "linear": (lambda: functional.linear(a, weight), 12 * side**2, 2 * side**3),
        }  # fmt: skip
        for name, (call, nbytes, operations) in calls.items():
            shape = (side, side) if name in ("matmul", "linear") else (rows, rows)
            yield OpPoint(name, shape, self._time(call), nbytes, operations)


def _peak(dtype: str, roof: Roofline) -> str:
    return f"{roof.peaks[dtype] / 1e9:.2f} ({roof.peak_by[dtype]})" if dtype in roof.peaks else "refused"


def _show(found: Sequence[Roofline]) -> None:
    from .console import console, plain, table

    screen = console()
    made = table("roof", *(f"{r.device}" for r in found))
    rows: dict[str, Callable[[Roofline], str]] = {
        "device": lambda r: r.what, "copy bandwidth, GB/s": lambda r: f"{r.bandwidth / 1e9:.2f}",
        **{f"multiply-add {d}, Gop/s": partial(_peak, d) for d in DTYPES},
        "host to device, GB/s": lambda r: f"{r.to_device / 1e9:.2f}",
        "device to host, GB/s": lambda r: f"{r.to_host / 1e9:.2f}",
        "launch, µs": lambda r: f"{1e6 * r.launch:.1f}", "launch and wait, µs": lambda r: f"{1e6 * r.round_trip:.1f}",
    }  # fmt: skip
    for name, cell in rows.items():
        made.add_row(plain(name), *(plain(cell(r)) for r in found))
    screen.print(made)
    ops = table("\nop", "\nshape", *(h for r in found for h in (f"\n{r.device} µs", "\nof the roof")))
    for k, first in enumerate(found[0].ops):
        cells = [c for r in found for c in (f"{1e6 * r.ops[k].seconds:.1f}", f"{r.ops[k].share:.0%}")]
        shapes = " / ".join(dict.fromkeys("×".join(map(str, r.ops[k].shape)) for r in found))
        ops.add_row(plain(first.name, "bold"), plain(shapes), *map(plain, cells))
    screen.print(ops)
