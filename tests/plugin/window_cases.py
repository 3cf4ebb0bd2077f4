"""Cases for the CPU's kernels over windows, and as a script the digests of their results.

Used by `test_cpu_windows` in this process, and in others with another instruction set or number of threads, where the digests
must come out the same: ``python window_cases.py`` prints JSON.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

import numpy as np
from ingot_devices import dtypes as dt
from ingot_devices import open_device
from ingot_devices.layout import Layout
from ingot_devices.opset import OPS
from ingot_devices.plan import Plan
from ingot_devices.resolve import Attempt, resolve

Array = np.ndarray[Any, Any]


class Case(NamedTuple):
    """A convolution: shapes of x and of the weight, and how the windows lie."""

    x: tuple[int, ...]
    weight: tuple[int, ...]
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1

    @property
    def how(self) -> dict[str, Any]:
        """The attributes of the rows ``convolution…``."""
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}


WINOGRAD = [
    Case((1, 16, 8, 8), (16, 16, 3, 3), padding=1),
    Case((1, 16, 4, 4), (16, 16, 3, 3), padding=1),
    Case((2, 20, 13, 11), (37, 20, 3, 3), padding=1),
    Case((2, 20, 13, 11), (37, 20, 3, 3)),
    Case((3, 17, 9, 40), (33, 17, 3, 3), padding=2),
    Case((2, 16, 1, 33), (16, 16, 3, 3), padding=1),
    Case((2, 19, 6, 7), (18, 19, 3, 3), padding=((0, 1), (2, 0))),
    Case((1, 70, 61, 59), (40, 70, 3, 3), padding=1),  # bands of one picture
    Case((9, 64, 7, 7), (64, 64, 3, 3), padding=1),  # several pictures at a time
    Case((3, 40, 9, 11), (68, 20, 3, 3), padding=1, groups=2),
    Case((2, 64, 30, 31), (64, 16, 3, 3), padding=1, groups=4),
    Case((3, 130, 7, 5), (190, 130, 3, 3), padding=1),  # weights are larger than what they meet: panel by panel
]
DIRECT = [
    Case((2, 3, 30, 31), (64, 3, 7, 7), 2, 3),
    Case((3, 20, 13, 11), (37, 20, 3, 3), 2, 1),
    Case((3, 20, 13, 11), (37, 20, 1, 1)),
    Case((3, 20, 13, 11), (37, 20, 1, 1), 2),
    Case((3, 5, 13, 14), (7, 5, 3, 2), 1, 1, (2, 3)),
    Case((2, 5, 40, 44), (7, 5, 5, 5), 3, 2),
    Case((2, 18, 12, 12), (20, 18, 3, 3), (1, 2), ((1, 0), (0, 3))),
    Case((1, 1, 1, 1), (1, 1, 1, 1)),
    Case((4, 6, 50), (9, 6, 5), (2,), 2, (2,)),  # one axis
    Case((1, 40, 90, 100), (17, 40, 5, 3), 1, 1),  # bands of one picture
    Case((1, 40, 90, 100), (30, 40, 3, 3), 2, 1),
    Case((2, 6, 10, 9), (4, 6, 2, 2), 4),  # some elements are seen by no tap
    Case((4, 9, 7, 8), (13, 9, 2, 3), (1, 4), ((1, 0), (0, 1))),
    Case((2, 1, 6, 6), (5, 1, 1, 1)),  # one channel, one tap
    Case((2, 1, 6, 6), (5, 1, 1, 1), 2),
    Case((3, 4, 21), (6, 4, 5), (3,), 2),
    Case((3, 39, 13, 11), (54, 13, 3, 3), 2, 1, groups=3),
    Case((9, 36, 7, 7), (102, 18, 1, 1), groups=2),
    Case((2, 24, 10, 9), (50, 12, 3, 2), 1, 1, (2, 3), 2),
    Case((2, 28, 70), (22, 14, 5), (2,), 2, (1,), 2),
]
PLANES = [
    Case((2, 3, 9, 8), (3, 1, 3, 3), padding=1, groups=3),
    Case((3, 20, 40, 44), (20, 1, 3, 3), 2, 1, groups=20),
    Case((2, 12, 14, 14), (12, 1, 7, 7), padding=3, groups=12),
    Case((2, 12, 9, 7), (24, 4, 3, 3), padding=1, groups=3),
    Case((2, 24, 17, 19), (12, 8, 3, 2), (1, 2), ((1, 0), (0, 3)), (2, 3), 3),
    Case((2, 10, 33), (15, 2, 31), padding=15, groups=5),  # one axis
    Case((1, 6, 31, 90), (6, 1, 2, 2), 4, groups=6),  # some elements are seen by no tap
    Case((2, 4, 21, 40), (4, 1, 5, 4), 3, ((5, 1), (6, 0)), groups=4),  # padding beyond the windows
    Case((2, 6, 1, 1), (12, 3, 1, 1), groups=2),
    Case((2, 14, 12, 13), (4, 7, 1, 1), 2, groups=2),
    Case((2, 1, 28, 28), (5, 1, 5, 5), 1, 2),  # one channel, one group
]
CASES = WINOGRAD + DIRECT + PLANES


def drawn(*shape: int) -> Array:
    """Normal numbers that follow from the shape."""
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def planned(name: str, arrays: list[Array | None], **attributes: Any) -> tuple[Plan, list[Attempt]]:
    """The plan of an op on dense operands of the CPU, and what was looked at for it."""
    device, attempts = open_device("cpu"), list[Attempt]()
    keys = [None if a is None else Layout.dense(a.shape, dt.from_numpy(a.dtype), device) for a in arrays]
    op = OPS[name]
    return resolve(op, keys, op.bind(attributes), device, attempts=attempts), attempts


def run(name: str, arrays: list[Array | None], **attributes: Any) -> list[Array]:
    """The results of an op."""
    plan, _ = planned(name, arrays, **attributes)
    outs = [np.full(x.shape, np.nan, x.dtype.numpy) if x.dtype.kind == "f" else np.zeros(x.shape, x.dtype.numpy)
            for x in plan.allocations]  # fmt: skip
    plan.steps[-1].call(*arrays, *outs)
    return outs


def results(case: Case) -> dict[str, Array]:
    """A convolution with a bias, and its gradients for slopes that follow from its shape."""
    x, weight = drawn(*case.x), drawn(*case.weight)
    (out,) = run("convolution", [x, weight, drawn(case.weight[0])], **case.how)
    slopes = drawn(*out.shape)
    (to_x,) = run("convolution_input", [slopes, weight], shape=case.x, **case.how)
    (to_weight,) = run("convolution_weight", [slopes, x], shape=case.weight, **case.how)
    return {"out": out, "x": to_x, "weight": to_weight}


def digests() -> dict[str, str]:
    """Of every result that native code gives."""
    found: dict[str, str] = {}
    for number, case in enumerate(CASES):
        found |= {f"{number} {n}": hashlib.sha256(a.tobytes()).hexdigest() for n, a in results(case).items()}
    return found


if __name__ == "__main__":
    print(json.dumps(digests()))
