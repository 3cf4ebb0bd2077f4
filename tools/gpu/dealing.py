"""How should a pointwise kernel's vectors be dealt out to a GPU? The same kernels in other ways, beside PyTorch's.

    dealing.py --out FILE [--small]

`vector` gives each work-item one vector after the other, in strides of all work-items: `GROUPS` workgroups per compute unit of
`WORKGROUP` work-items, which see the tensor once for every round of groups that the GPU holds at a time. The ways here have
fewer groups, more, or as many as there are vectors (then nothing is walked in strides), other sizes of groups, and two
vectors of a work-item next to each other.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ingot
from ingot.dispatch import forget_plans
from ingot_devices.codegen.schedules import flat, vector
from sides import Call, Side, in_turn, sides

ALL = 1 << 24  # more groups than a tensor has


@dataclass(frozen=True)
class Way:
    """Groups per compute unit, work-items of a group, and bytes that one takes at a time."""

    groups: int = vector.GROUPS
    threads: int = flat.WORKGROUP
    nbytes: int = 16

    def __str__(self) -> str:
        groups = "all" if self.groups == ALL else str(self.groups)
        return f"{groups} × {self.threads} × {self.nbytes} B"


WAYS = (
    Way(), Way(8), Way(16), Way(64), Way(ALL), Way(ALL, 128), Way(ALL, 512), Way(nbytes=32), Way(ALL, nbytes=32),
)  # fmt: skip


class Dealt(Side):
    """Ingot, with its pointwise kernels dealt out in one way."""

    def __init__(self, way: Way) -> None:
        super().__init__(str(way), ingot)
        self.way = way

    def milliseconds(self, call: Call, calls: int) -> float:
        """Plans of another way are forgotten, and the first call, which makes new ones, is not measured."""
        device = ingot.zeros(1, device="cuda")._layout.device
        vars(vector).update(GROUPS=self.way.groups, WORKGROUP=self.way.threads)
        device.limits = replace(device.limits, vector_bytes=self.way.nbytes)
        forget_plans()
        call()
        return super().milliseconds(call, calls)


def workload(t: Any, n: int) -> dict[str, tuple[float, Call]]:
    """Name → bytes moved, and the call."""
    x, y = t.randn(n, device="cuda"), t.randn(n, device="cuda")
    half = x.to(t.bfloat16)
    return {
        "copy float32": (8 * n, x.clone),
        "scale float32": (8 * n, lambda: x * 2.5),
        "add float32": (12 * n, lambda: x + y),
        "scale bfloat16": (4 * n, lambda: half * 2.5),
    }


def measured(small: bool) -> dict[str, Any]:
    """Every way and PyTorch, in turn; the speed of a copy is the best of any."""
    n = 1 << 12 if small else 1 << 26
    ours = workload(ingot, n)
    cases: dict[str, dict[str, tuple[Side, Call]]] = {
        name: {str(way): (Dealt(way), call) for way in WAYS} for name, (_, call) in ours.items()
    }
    for side in sides()[1:]:
        for name, (_, call) in workload(side.t, n).items():
            cases[name][side.name] = (side, call)
    times = in_turn(cases, 1 if small else 20, 2 if small else 9)
    best = max(ours["copy float32"][0] / side["ms"] for side in times["copy float32"].values()) / 1e6
    results = {}
    for name, by in times.items():
        for way in WAYS:
            row = {"ingot": by[str(way)], "of copy": ours[name][0] / by[str(way)]["ms"] / 1e6 / best}
            if "torch" in by:
                row |= {"torch": by["torch"], "ratio": by["torch"]["ms"] / by[str(way)]["ms"]}
            results[f"{name}: {way}"] = row
    return {"copy GB/s": best, "elements": n, "results": results}


def main() -> int:
    """Measure, and leave what was found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--small", action="store_true")
    given = parser.parse_args()
    found = measured(given.small)
    given.out.write_text(json.dumps(found, indent=1))
    print(f"a copy: {found['copy GB/s']:.0f} GB/s")
    for name, row in sorted(found["results"].items(), key=lambda item: (item[0].split(":")[0], -item[1]["of copy"])):
        print(f"{name:<40}{row['ingot']['ms']:.4f} ms  {row['of copy']:.3f} of a copy  {row.get('ratio', 0):.3f} × PyTorch")
    return 0


if __name__ == "__main__":
    sys.exit(main())
