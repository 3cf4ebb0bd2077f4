"""What do whole nets cost? ResNet-18 (forward, a new head on a frozen net, training) or a small GPT (training), beside PyTorch.

    .venv/bin/python tools/bench/nets.py --net resnet18 --out tools/bench/results/resnet18.json

or ``--net resnet18-transfer``, ``resnet18-training``, ``gpt``: each takes less than two minutes on two quiet cores.

Both libraries run the same text (`resnet18`, `gpt`), PyTorch eagerly and under ``torch.compile`` (with its fused AdamW, where a
C++ compiler is there), ingot eagerly and compiled. With each time goes its share of the floor: the multiplications and
additions of the direct form over what PyTorch's own product of 1024² matrices reaches in the same rounds. Winograd's form has
fewer, so a share may be above 1.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from shutil import which
from typing import Any

from common import Cases, parser, report, rounds, serve
from models import gpt as gpt_of
from models import resnet18

Step = Callable[[], Any]
BATCH, SIZE, WIDTHS = 16, 224, (64, 128, 256, 512)
LETTERS, LENGTH, WIDTH, HEADS, LAYERS, SENTENCES = 256, 128, 256, 4, 2, 8
SQUARE = 1024
MUSTS = {
    "resnet18": {"eager": (1.4, 2.2), "compiled": (1.0, 1.5)},
    "resnet18-transfer": {"eager": (1.4, 2.2), "compiled": (1.0, 1.5)},
    "resnet18-training": {"eager": (1.0, 1.4), "compiled": (1.0, 1.2)},
    "gpt": {"eager": (1.05, 1.3), "compiled": (1.05, 1.2)},
}
"""By net: times as fast as each form of PyTorch, at least and hoped for."""


# ---- ResNet-18 ---------------------------------------------------------------------------------------------------------
def multiplications() -> int:
    """Of one forward pass, by the direct form."""
    total, side = 3 * 49 * WIDTHS[0] * (SIZE // 2) ** 2, SIZE // 4
    for k, to in enumerate(WIDTHS):
        of = WIDTHS[max(k - 1, 0)]
        side = side if k == 0 else side // 2
        total += (9 * of * to + 27 * to * to + (of * to if k else 0)) * side * side
    return BATCH * (total + WIDTHS[-1] * 10)


def optimizer_of(t: Any, parameters: Any, compiled: bool) -> Any:
    """AdamW, in the form that the library runs fastest."""
    return t.optim.AdamW(parameters, lr=1e-3, **({"fused": True} if compiled and t.__name__ == "torch" else {}))


def resnet_forward(t: Any, compiled: bool) -> Step:
    """A forward pass in evaluation, without a tape."""
    t.manual_seed(0)
    model, x = resnet18(t, 1000, WIDTHS[0]).eval(), t.randn(BATCH, 3, SIZE, SIZE)
    run = t.compile(model, mode="max-autotune" if t.__name__ == "ingot" else "default") if compiled else model

    def step() -> None:
        with t.no_grad():
            run(x)

    return step


def resnet_transfer(t: Any, compiled: bool) -> Step:
    """A step of a new head on a frozen net in training: its normalisation follows the batch, as written in most tutorials."""
    model = resnet18(t, 10, WIDTHS[0])
    for p in model[:-1].parameters():
        p.requires_grad = False
    return resnet_step(t, model, model[-1].parameters(), compiled)


def resnet_training(t: Any, compiled: bool) -> Step:
    """A step of the whole net."""
    model = resnet18(t, 10, WIDTHS[0])
    return resnet_step(t, model, model.parameters(), compiled)


def resnet_step(t: Any, model: Any, parameters: Any, compiled: bool) -> Step:
    """Forward, backward and AdamW; the model compiled, as the text of the tutorial says."""
    optimizer, loss_fn = optimizer_of(t, parameters, compiled), t.nn.CrossEntropyLoss()
    run = t.compile(model, mode="max-autotune" if t.__name__ == "ingot" else "default") if compiled else model
    x, labels = t.randn(BATCH, 3, SIZE, SIZE), t.randint(0, 10, (BATCH,))

    def step() -> None:
        optimizer.zero_grad()
        loss_fn(run(x), labels).backward()
        optimizer.step()

    return step


# ---- a small GPT -----------------------------------------------------------------------------------------------------
def gpt(t: Any, compiled: bool) -> Step:
    """A training step of two layers of 256 with 4 heads, 8×128 tokens of 256."""
    t.manual_seed(0)
    model = gpt_of(t, LETTERS, LENGTH, WIDTH, HEADS, LAYERS)
    optimizer = optimizer_of(t, model.parameters(), compiled)
    ids, following = (t.randint(0, LETTERS, (SENTENCES, LENGTH)) for _ in range(2))
    places = t.arange(LENGTH)
    forward = t.compile(model) if compiled and t.__name__ == "torch" else model

    def step() -> None:
        optimizer.zero_grad()
        t.nn.functional.cross_entropy(forward(ids, places).flatten(0, 1), following.flatten()).backward()
        optimizer.step()

    made: Step = t.compile(step) if compiled and t.__name__ == "ingot" else step
    return made


def gpt_multiplications() -> int:
    """Of one step: the products forward, and twice as many backward."""
    tokens = SENTENCES * LENGTH
    return 3 * tokens * (LAYERS * (12 * WIDTH * WIDTH + 2 * LENGTH * WIDTH) + WIDTH * LETTERS)


# ---- the run -------------------------------------------------------------------------------------------------------------
NETS: dict[str, dict[str, tuple[Callable[[Any, bool], Step], int]]] = {
    "resnet18": {"forward": (resnet_forward, multiplications())},
    "resnet18-transfer": {"transfer": (resnet_transfer, multiplications())},
    "resnet18-training": {"training": (resnet_training, 3 * multiplications())},
    "gpt": {"gpt": (gpt, gpt_multiplications())},
}
"""By net: work → (its step, multiplications of it). A net takes less than two minutes."""


def cases(lib: Any) -> Cases:
    """Each work eager and compiled; a product of matrices as the control. Steps are made when they are first asked for."""
    a, b = (lib.randn(SQUARE, SQUARE) for _ in range(2))
    found: dict[str, tuple[Step, int]] = {"product": (lambda: a @ b, 10)}
    for works in NETS.values():
        for name, (make, _) in works.items():
            for compiled in (False, True):
                found[f"{name} {'compiled' if compiled else 'eager'}"] = (Late(make, lib, compiled), 1)
    return found


class Late:
    """A step that is made at its first call: a net that is not asked for costs nothing."""

    def __init__(self, make: Callable[[Any, bool], Step], lib: Any, compiled: bool) -> None:
        self.make, self.lib, self.compiled = make, lib, compiled
        self.step: Step | None = None

    def __call__(self) -> None:
        if self.step is None:
            self.step = self.make(self.lib, self.compiled)
            for _ in range(3):
                self.step()
        self.step()


def main() -> int:
    """Run and report."""
    options = parser(__doc__ or "")
    options.add_argument("--net", choices=tuple(NETS), default="resnet18")
    given = options.parse_args()
    if given.serve:
        return serve(cases(import_module(given.serve)), warm=False)
    works, forms = NETS[given.net], ["eager", *(["compiled"] if which("c++") else [])]
    names = {"torch": ["product", *(f"{w} {f}" for w in works for f in forms)],
             "ingot": [f"{w} {f}" for w in works for f in ("eager", "compiled")]}  # fmt: skip
    found = rounds(__file__, names, given.rounds)
    musts = MUSTS[given.net]
    ratios = {f"{w}, beside {f}": (f"torch {w} {f}", f"ingot {w} compiled", *musts[f]) for w in works for f in forms}
    peak = 2 * SQUARE**3 / statistics.median(found["torch product"]) / 1e3
    floors = {w: 2 * count / peak / 1e3 for w, (_, count) in works.items()}
    timed = {name: statistics.median(times) for name, times in found.items() if "product" not in name}
    shares = {name: floors[name.split()[1]] / time for name, time in timed.items()}
    for name, share in shares.items():
        print(f"  {name:<28} {share:12.2f} of the floor of {floors[name.split()[1]] / 1e3:.1f} ms at {peak:.0f} GFLOP/s")
    extra = {"torch": version("torch"), "ingot": version("ingot"), "product, GFLOP/s": peak, "floor, µs": floors,
             "shares of the floor": shares}  # fmt: skip
    return report(f"{given.net}, ingot beside torch", found, ratios, "torch product", given, extra)


if __name__ == "__main__":
    raise SystemExit(main())
