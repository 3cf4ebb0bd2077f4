"""``ingot demo``: trains two models on every device that is ready; a table, and a picture of the loss curves.

    `demo_data` (problems) → `demo_train` (one training) → here (devices, progress, table) → `demo_plot` (picture)

One device that fails does not keep the others from running; it is told in the table, and by the exit code.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import product
from typing import Any

from ingot_devices.discovery import best, ready, records, resolve_name
from ingot_devices.fallback import FallbackWarning
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from .cli import DONE, FAILED
from .console import console, plain, table
from .demo_data import Problem, digits, regression
from .demo_plot import save_picture
from .demo_train import Result, train

# What the routes of a launch are called in the table: a registered kernel is the device's own.
_ROUTES = {
    "native": ("registered", "override"), "generated": ("generated",), "decomposed": ("decomposed",), "host": ("host",),
}  # fmt: skip


def run(device: str | None = None, seed: int | None = 0, quick: bool = False, compiled: bool = False) -> int:
    """Train on ``device``, or on all that are ready, and show what came of it; 1 if a device failed.

    ``compiled``: each training once more with its step compiled, and what that gained. DeviceUnavailable if there is none.
    """
    names = [resolve_name(device)] if device is not None else ready() or [best()]
    screen = console()
    if device is None:
        _say_missing(screen)
    seed = 0 if seed is None else seed
    problems = [regression(seed, 2), digits(5)] if quick else [regression(seed), digits()]
    results = _train_all(screen, names, problems, seed, (False, True) if compiled else (False,))
    screen.print(_table(results))
    for eager, other in zip(results[::2], results[1::2], strict=True) if compiled else ():
        screen.print(plain(_gain(eager, other)))
    for result in results:
        if result.reduced and not result.fault:
            screen.print(plain(f"{result.device} is slow: of {result.problem} it ran {_share(result)}", "yellow"))
        elif result.fault:
            screen.print(plain(f"{result.device}, {result.problem}: {result.fault}", "red"))
    drawn = [r for r in results if r.losses]
    if drawn:
        screen.print(plain(f"loss curves: {save_picture(drawn)}"), soft_wrap=True)
    return FAILED if any(r.fault for r in results) else DONE


def _gain(eager: Result, compiled: Result) -> str:
    """What compiling gained, and whether the losses are the same."""
    where = f"{eager.device}, {eager.problem}"
    if eager.fault or compiled.fault:
        return f"{where}: failed"
    ratio = (compiled.samples / compiled.seconds) / (eager.samples / eager.seconds)
    shared = min(eager.steps, compiled.steps)
    same = "equal to the bit" if eager.losses[:shared] == compiled.losses[:shared] else "DIFFERENT"
    note = f"; it ran eagerly: {compiled.uncompiled}" if compiled.uncompiled else ""
    return f"{where}: compiled, {ratio:.2f} times the samples/s; {shared} losses {same}{note}"


def _share(result: Result) -> str:
    return f"{result.steps} of {result.total} steps"


def _say_missing(screen: Console) -> None:
    for record in records():
        if record.state != "ready":
            screen.print(plain(f"no {record.name}: {record.sentence()}"))


# ---- training ------------------------------------------------------------------------------------
def _train_all(
    screen: Console, names: Sequence[str], problems: Sequence[Problem], seed: int, ways: Sequence[bool]
) -> list[Result]:
    """Every problem on every device, with a progress bar on a terminal and a line each elsewhere.

    ``ways``: compiled or not.
    """
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
        TextColumn("loss {task.fields[loss]:.4f}"), TimeElapsedColumn(),
    )  # fmt: skip
    results = []
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        for name, problem, compiled in product(names, problems, ways):
            if not screen.is_terminal:
                screen.print(plain(f"training {problem.name} on {name}{', compiled' * compiled}"))
            results.append(_train_one(progress, name, problem, seed, compiled))
    return results


def _train_one(progress: Progress, name: str, problem: Problem, seed: int, compiled: bool) -> Result:
    bar = progress.add_task(f"{problem.name} on {name}", total=len(problem.loader()) * problem.epochs, loss=float("nan"))
    result = Result(name, problem.name, 0, compiled=compiled)

    def on_step(step: int, loss: float) -> None:
        progress.update(bar, completed=step, loss=loss)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FallbackWarning)  # the table has a column for what ran on the host
            train(problem, name, seed, on_step, result)
    except Exception as error:
        result.fault = f"{type(error).__name__}: {error}"
    progress.remove_task(bar)
    return result


# ---- the table -----------------------------------------------------------------------------------
def _table(results: Sequence[Result]) -> Any:
    made = table("device", "model", "steps", "loss", "test accuracy", "seconds", "samples/s", *_ROUTES)
    for result in results:
        made.add_row(plain(result.device, "bold"), *(plain(cell) for cell in _cells(result)))
    return made


def _cells(result: Result) -> list[str]:
    if result.fault:
        return [result.problem, "failed"]
    accuracy = "" if result.correct is None else f"{result.accuracy:.4f} ({result.correct} of {result.tested})"
    steps = f"{_share(result)}" if result.reduced else str(result.steps)
    speed = f"{result.samples / result.seconds:.0f}"
    problem = f"{result.problem}, compiled" if result.compiled else result.problem
    return [problem, steps, f"{result.loss:.4g}", accuracy, f"{result.seconds:.1f}", speed, *_shares(result)]


def _shares(result: Result) -> list[str]:
    """The share of launches that went each route."""
    total = sum(result.launches.values()) or 1
    shares = [sum(result.launches.get(route, 0) for route in routes) / total for routes in _ROUTES.values()]
    return [f"{share:.1%}" if share else "0" for share in shares]
