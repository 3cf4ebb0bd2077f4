"""The subcommands of ``ingot``: options and help; what they do lives in a module each.

`cli` imports this when it is ready for errors. Plugins add their own subcommands through the hook
``ingot_commands``.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .author import add_commands

Device = Annotated[str, typer.Option("--device", "-d", help="A device: acme, acme:0 or auto.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON with a versioned schema.")]


def build_app() -> typer.Typer:
    """The command with all its subcommands, those of plugins included."""
    from ingot_devices.discovery import run_commands

    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
    app.callback(invoke_without_command=True)(ingot)
    for command in (devices, doctor, explain, demo, conformance, new_backend, new_kernels, cache):
        app.command()(command)
    add_commands(app)
    run_commands(app)
    return app


def ingot(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Which accelerators there are, whether they work, how an op would run, and a demo."""
    if version:
        from .versions import of

        typer.echo(f"ingot {of('ingot')}")
        raise typer.Exit


def devices(json: Json = False) -> None:
    """List every device, and every backend that has none with the reason and the remedy.

    Ends with 1 if no device is ready.
    """
    from .listing import list_devices

    raise typer.Exit(list_devices(json))


def doctor(
    device: Annotated[
        str | None,
        typer.Option("--device", "-d", help="Only this device; default: all that are ready."),
    ] = None,
    json: Json = False,
) -> None:
    """Open each device, run a small program, and say PASS or FAIL; versions for a bug report.

    Ends with 1 if a device failed or none is ready.
    """
    from .doctor import examine

    raise typer.Exit(examine(device, json))


def explain(
    op: Annotated[str, typer.Argument(help="The name of an op, as in the opset: add, matmul, softmax.")],
    device: Device = "auto",
    dtype: Annotated[
        list[str] | None,
        typer.Option("--dtype", "-t", help="Of each operand, or one for all: float32."),
    ] = None,
    shape: Annotated[list[str] | None, typer.Option("--shape", help="Likewise: 16x16. Default: small ones.")] = None,
    attribute: Annotated[list[str] | None, typer.Option("--set", help="An attribute: axis=-1, dtype=float16.")] = None,
    json: Json = False,
) -> None:
    """Say how an op would run on a device: which route, and why not the others.

    Ends with 1 if nothing computes it.
    """
    from .explain import explain_op

    raise typer.Exit(explain_op(op, device, dtype or [], shape or [], attribute or [], json))


def demo(
    device: Annotated[
        str | None,
        typer.Option("--device", "-d", help="Only this device; default: all that are ready."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", "-s", help="Of data, weights and shuffling.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A few epochs only.")] = False,
    compile: Annotated[bool, typer.Option("--compile", help="Once more with the training step compiled.")] = False,
) -> None:
    """Train two models on every device: a table, and a picture of the loss curves."""
    from .demo import run

    raise typer.Exit(run(device, seed, quick, compile) or 0)


def conformance(
    device: Annotated[str, typer.Argument(help="The device to judge: acme, acme:0.")],
    level: Annotated[list[str] | None, typer.Option(
        "--level", "-l", help="Only this level; repeatable. With --only: what both choose.")] = None,
    only: Annotated[list[str] | None, typer.Option(
        "--only", "-k", help="Only cases whose name has this in it; repeatable. Part of level/check/op/dtype, not a regular "
        "expression, * and ? as in a shell: value/softmax, /silu/, edges/*/int32.")] = None,
    budget: Annotated[float | None, typer.Option(
        "--budget", help="So many seconds, for a sample; without it everything runs, and only everything is graded.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Take back a --budget that a script has set.")] = False,
    patience: Annotated[float | None, typer.Option(
        "--patience", min=1, help="Seconds that one case may take before it counts as crashed; default: 180.")] = None,
    seed: Annotated[str, typer.Option("--seed", help="What a sample is drawn by.")] = "",
    json: Annotated[str, typer.Option("--json", help="Write the report as JSON to this file.")] = "",
    html: Annotated[str, typer.Option("--html", help="Write it as a page with the coverage grid to this file.")] = "",
    list_cases: Annotated[bool, typer.Option("--list", help="Name the cases and run none.")] = False,
) -> None:
    """Prove that a device keeps the contract: thousands of cases in levels, and a grade.

    Ends with 1 if something is wrong that the plugin does not declare.
    """
    from .conformance import command

    if list_cases:
        raise typer.Exit(command.list_cases(device, level or [], only or []))
    seconds = None if full else budget
    raise typer.Exit(command.judge(device, level or [], only or [], seconds, seed, json, html, patience=patience))


def new_backend(
    name: Annotated[str, typer.Argument(help="What users will type: acme.")],
    folder: Annotated[str, typer.Option("--dir", help="Where to write it; default: ./ingot-NAME.")] = "",
    native: Annotated[bool, typer.Option("--native", help="With generated kernels, not through the host.")] = False,
) -> None:
    """Write a package with a backend on a pretend driver: it installs, and conformance is green, at once."""
    from .scaffold import new

    _written(new.backend(name, _path(folder), native), f"ingot conformance {name}:0")


def new_kernels(
    name: Annotated[str, typer.Argument(help="What the package is called: acme.")],
    folder: Annotated[str, typer.Option("--dir", help="Where to write it; default: ./ingot-NAME.")] = "",
) -> None:
    """Write a package that brings kernels only, for a device that somebody else brought."""
    from .scaffold import new

    _written(new.kernels(name, _path(folder)), "ingot explain silu")


def _path(folder: str) -> Any:
    from pathlib import Path

    return Path(folder) if folder else None


def _written(home: Any, then: str) -> None:
    typer.echo(f"wrote {home}; next: pip install -e {home} && {then}, then {home}/README.md")


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove everything that it holds.")] = False,
) -> None:
    """Show what the disk cache holds: built kernels and answers of probes."""
    from .storage import show_cache

    raise typer.Exit(show_cache(clear))
